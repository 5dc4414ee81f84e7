"""What is in the Thunderbolt ports, and RDMA over them: system_profiler, rdma_ctl, ibv_devices, ibv_devinfo."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from tests.states.lab import Cable, Lab, Mac, Output

STRANGER = Mac("stranger", "MacBook Pro", "Mac17,6", "Apple M5 Max", 64, {1: "en1"})


def domain(name: str, receptacle: int) -> str:
    """The Thunderbolt domain of one port."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{receptacle}")).upper()


def profile(lab: Lab, mac: Mac) -> str:
    """`system_profiler SPThunderboltDataType -json`: the highest bus first, `"key" : value`, keys in order."""
    buses = [_bus(lab, mac, receptacle) for receptacle in sorted(mac.ports, reverse=True)]
    return json.dumps({"SPThunderboltDataType": buses}, indent=2, sort_keys=True, separators=(",", " : ")) + "\n"


def _bus(lab: Lab, mac: Mac, receptacle: int) -> dict[str, Any]:
    found = lab.across(mac.name, receptacle)
    found = None if found and mac.name in found[2].unseen_by else found
    items = {"_items": [_item(lab, mac.name, *found)]} if found else {}
    return {
        **items,
        "_name": f"thunderboltusb4_bus_{receptacle - 1}",
        "device_name_key": mac.title,
        "domain_uuid_key": domain(mac.name, receptacle),
        "receptacle_1_tag": _tag(mac, receptacle, found[2] if found else None),
        "route_string_key": "0",
        "switch_uid_key": f"0x05AC897E0A474D{receptacle:02X}",
        "vendor_name_key": "Apple Inc.",
    }


def _tag(mac: Mac, receptacle: int, cable: Cable | None) -> dict[str, str]:
    if cable is None:
        return {
            "current_speed_key": "Up to 120 Gb/s" if mac.thunderbolt == 5 else "Up to 40 Gb/s",
            "link_status_key": "0x100",
            "receptacle_id_key": str(receptacle),
            "receptacle_status_key": "receptacle_no_devices_connected",
        }
    return {
        "current_speed_key": cable.speed,
        "link_status_key": "0x2" if cable.through is None else "0x4",
        "micro_version_key": "0.0.0",
        "receptacle_id_key": str(receptacle),
        "receptacle_status_key": "receptacle_connected",
    }


def _item(lab: Lab, here: str, name: str, receptacle: int, cable: Cable) -> dict[str, Any]:
    there = _peer(lab, lab.macs.get(name, STRANGER), receptacle)
    if here in cable.beyond:
        behind, number = cable.beyond[here]
        return {"_items": [_peer(lab, lab.macs[behind], number)], **there}
    if cable.through is None:
        return there
    return {
        "_items": [there],
        "_name": cable.through,
        "device_id_key": "0x5A",
        "device_name_key": cable.through,
        "device_revision_key": "0x1",
        "mode_key": "usb_four_v2" if cable.speed == "80 Gb/s" else "usb_four",
        "receptacle_2_tag": {"link_status_key": "0x7", "receptacle_id_key": "2"},
        "receptacle_upstream_ambiguous_tag": {
            "current_speed_key": cable.speed,
            "link_status_key": "0x2",
            "micro_version_key": "0.41.0",
            "receptacle_status_key": "receptacle_connected",
        },
        "switch_uid_key": "0x0000000000000009",
        "switch_version_key": "64.1",
        "vendor_name_key": "CalDigit, Inc.",
    }


def _peer(lab: Lab, mac: Mac, receptacle: int) -> dict[str, Any]:
    services = [_service("service_ip", 1, 1, mac.name)]
    if speaks_rdma(mac) and mac.offers_rdma:
        services.append({**_service("unknown_xd_service", 64087, 0, mac.name), "service_key_key": "\u02c7" * 6 + "AD"})
    return {
        "_name": mac.title,
        "device_id_key": "0xA",
        "device_name_key": mac.model,
        "domain_uuid_key": domain(mac.name, receptacle),
        "services_title": services,
        "vendor_id_key": "0x0A27",
        "vendor_name_key": "Apple Inc.",
    }


def _service(name: str, protocol: int, revision: int, mac: str) -> dict[str, Any]:
    return {
        "_name": name,
        "protocol_id_key": protocol,
        "protocol_revision_key": revision,
        "protocol_version_key": 1,
        "service_uuid_key": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{mac}.{name}")).upper(),
    }


def speaks_rdma(mac: Mac) -> bool:
    """Whether its ports offer RDMA."""
    return mac.rdma == "enabled" and mac.thunderbolt == 5 and _has_tools(mac)


def _has_tools(mac: Mac) -> bool:
    return tuple(map(int, mac.macos.split(".")))[:2] >= (26, 2)


def rdma_ctl(_: Lab, mac: Mac) -> Output:
    """`rdma_ctl status`; there is no such tool before macOS 26.2."""
    if not _has_tools(mac):
        return "/usr/bin/rdma_ctl: No such file or directory\n", 127
    return f"{mac.rdma}\n", 0


def devices(mac: Mac) -> list[str]:
    """The devices in the driver's order, which is not that of the receptacles on Macs with many ports."""
    if mac.devices is not None:
        return list(mac.devices)
    names = [f"rdma_{interface}" for interface in mac.ports.values()] if speaks_rdma(mac) else []
    return [*names[:2], *names[2:4][::-1], *names[4:]] if len(names) > 3 else names


def ibv_devices(_: Lab, mac: Mac) -> Output:
    """The header, also without any device."""
    if not _has_tools(mac):
        return "/usr/bin/ibv_devices: No such file or directory\n", 127
    rows = [f"    {'device':<16}\t   node GUID", f"    {'------':<16}\t----------------"]
    rows += [f"    {name:<16}\t{0x80 + n:02x}96a9d9edbaac05" for n, name in enumerate(devices(mac))]
    return "".join(f"{row}\n" for row in rows), 0


def ibv_devinfo(lab: Lab, mac: Mac) -> Output:
    """A block per device, a blank line after each."""
    if not _has_tools(mac):
        return "/usr/bin/ibv_devinfo: No such file or directory\n", 127
    if not devices(mac):
        return "No IB devices found\n", 255
    return "".join(_device(lab, mac, name, n) for n, name in enumerate(devices(mac), start=1)), 0


def _device(lab: Lab, mac: Mac, name: str, number: int) -> str:
    interface = name.removeprefix("rdma_")
    state = "PORT_ACTIVE (4)" if _is_active(lab, mac, interface) else "PORT_DOWN (1)"
    return (
        f"hca_id:\t{name}\n\ttransport:\t\t\tThunderbolt (100)\n\tnode_guid:\t\t\t0000:0000:0000:{number:04x}\n"
        f"\tsys_image_guid:\t\t\t0000:0000:0000:0001\n\tvendor_id:\t\t\t0x0000\n\tvendor_part_id:\t\t\t0\n"
        f"\thw_ver:\t\t\t\t0x0\n\tphys_port_cnt:\t\t\t1\n\t\tport:\t1\n\t\t\tstate:\t\t\t{state}\n"
        f"\t\t\tmax_mtu:\t\t4096 (5)\n\t\t\tactive_mtu:\t\t4096 (5)\n\t\t\tsm_lid:\t\t\t{number}\n"
        f"\t\t\tport_lid:\t\t{number}\n\t\t\tport_lmc:\t\t0x00\n\t\t\tlink_layer:\t\tThunderbolt\n\n"
    )


def _is_active(lab: Lab, mac: Mac, interface: str) -> bool:
    receptacle = next((number for number, name in mac.ports.items() if name == interface), 0)
    found = lab.across(mac.name, receptacle)
    if found is None or interface in (*mac.rdma_down, *mac.down):
        return False
    peer = lab.macs.get(found[0], STRANGER)
    return speaks_rdma(peer) and peer.offers_rdma and peer.ports.get(found[1]) not in peer.down


COMMANDS: dict[str, Callable[[Lab, Mac], str | Output]] = {
    "/usr/sbin/system_profiler SPThunderboltDataType -json": profile,
    "/usr/bin/rdma_ctl status": rdma_ctl,
    "/usr/bin/ibv_devices": ibv_devices,
    "/usr/bin/ibv_devinfo": ibv_devinfo,
}
