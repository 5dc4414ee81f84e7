"""The Thunderbolt buses of a Mac as `system_profiler SPThunderboltDataType` tells them, in JSON and in text.

A bus names the Mac at the other end of its cable. Whether that Mac has RDMA switched on shows in the peer's services
(protocol 64087), not in the local Mac's own state.
"""

from __future__ import annotations

from typing import Any

from tests.standin.commands.hardware import identifier, speaks_rdma
from tests.standin.mac import Cable, Mac, Machine

DOCK = "TS4"
RDMA_PROTOCOL = 64087
FASTEST = {5: "Up to 120 Gb/s", 4: "Up to 40 Gb/s"}


def buses(mac: Mac) -> list[dict[str, Any]]:
    """Every bus, highest number first."""
    rack = mac.read_rack()
    machine = rack.machines[mac.name]
    return [_bus(machine, receptacle, rack.across(mac.name, receptacle)) for receptacle in sorted(machine.ports)[::-1]]


def _bus(machine: Machine, receptacle: int, across: tuple[Machine, int, Cable] | None) -> dict[str, Any]:
    uid = identifier(machine, f"{receptacle}.switch").hex[:12].upper()
    bus: dict[str, Any] = {
        "_name": f"thunderboltusb4_bus_{receptacle - 1}",
        "device_name_key": machine.title,
        "domain_uuid_key": machine.domain_uuid(receptacle),
        "receptacle_1_tag": _port(machine, receptacle, across),
        "route_string_key": "0",
        "switch_uid_key": f"0x05AC{uid}",
        "vendor_name_key": "Apple Inc.",
    }
    if across is None:
        return bus
    peer = _peer(across[0], across[1])
    return {"_items": [_dock(across[2], peer) if across[2].dock else peer], **bus}


def _port(machine: Machine, receptacle: int, across: tuple[Machine, int, Cable] | None) -> dict[str, str]:
    if across is None:
        return {
            "current_speed_key": FASTEST[machine.thunderbolt],
            "link_status_key": "0x100",
            "receptacle_id_key": str(receptacle),
            "receptacle_status_key": "receptacle_no_devices_connected",
        }
    return {
        "current_speed_key": f"{across[2].speed_gbps} Gb/s",
        "link_status_key": "0x4" if across[2].dock else "0x2",
        "micro_version_key": "0.0.0",
        "receptacle_id_key": str(receptacle),
        "receptacle_status_key": "receptacle_connected",
    }


def _dock(cable: Cable, peer: dict[str, Any]) -> dict[str, Any]:
    """A Thunderbolt 4 dock in between: it has no domain and no services, and the Mac behind it is nested in it."""
    link = {"link_status_key": "0x2", "receptacle_status_key": "receptacle_connected"}
    idle = {**link, "link_status_key": "0x7", "receptacle_status_key": "receptacle_no_devices_connected"}
    speed = {"current_speed_key": f"{cable.speed_gbps} Gb/s"}
    return {
        "_items": [peer],
        "_name": DOCK,
        "device_id_key": "0x8001",
        "device_name_key": DOCK,
        "device_revision_key": "0x1",
        "mode_key": "usb_four",
        "receptacle_2_tag": {**idle, "current_speed_key": FASTEST[4]},
        "receptacle_upstream_ambiguous_tag": {**link, **speed, "lc_version_key": "0.61.0"},
        "switch_uid_key": "0x003AD1E9C2A40800",
        "switch_version_key": "29.0",
        "vendor_id_key": "0x3D",
        "vendor_name_key": "CalDigit, Inc.",
    }


def _peer(peer: Machine, receptacle: int) -> dict[str, Any]:
    services = [_service("service_ip", 1, 1, peer, receptacle)]
    if speaks_rdma(peer):
        rdma = _service("unknown_xd_service", RDMA_PROTOCOL, 0, peer, receptacle)
        services.append({**rdma, "service_key_key": "\u02c7" * 6 + "AD"})
    return {
        "_name": peer.title,
        "device_id_key": "0xA",
        "device_name_key": peer.model,
        "domain_uuid_key": peer.domain_uuid(receptacle),
        "services_title": services,
        "vendor_id_key": "0x0A27",
        "vendor_name_key": "Apple Inc.",
    }


def _service(name: str, protocol: int, revision: int, peer: Machine, receptacle: int) -> dict[str, Any]:
    return {
        "_name": name,
        "protocol_id_key": protocol,
        "protocol_revision_key": revision,
        "protocol_version_key": 1,
        "service_uuid_key": str(identifier(peer, f"{receptacle}.{name}")).upper(),
    }


def as_text(mac: Mac) -> str:
    """The same buses as system_profiler prints them for people."""
    return "Thunderbolt/USB4:\n\n" + "".join(_bus_text(bus) for bus in buses(mac))


def _bus_text(bus: dict[str, Any]) -> str:
    number = bus["_name"].rpartition("_")[2]
    tag = bus["receptacle_1_tag"]
    connected = tag["receptacle_status_key"] == "receptacle_connected"
    port = [
        f"Status: {'Device connected' if connected else 'No device connected'}",
        f"Link Status: {tag['link_status_key']}",
        f"Speed: {tag['current_speed_key']}",
        f"Receptacle: {tag['receptacle_id_key']}",
        *([f"Micro Firmware Version: {tag['micro_version_key']}"] if connected else []),
    ]
    head = [
        f"Vendor Name: {bus['vendor_name_key']}",
        f"Device Name: {bus['device_name_key']}",
        f"UID: {bus['switch_uid_key']}",
        f"Route String: {bus['route_string_key']}",
        f"Domain UUID: {bus['domain_uuid_key']}",
        "Port:",
    ]
    own = f"    Thunderbolt/USB4 Bus {number}:\n\n{_indent(6, head)}{_indent(10, port)}\n"
    return own + "".join(_item_text(item) for item in bus.get("_items", []))


def _item_text(item: dict[str, Any]) -> str:
    return _peer_text(item) if "domain_uuid_key" in item else _dock_text(item)


def _dock_text(dock: dict[str, Any]) -> str:
    upstream = dock["receptacle_upstream_ambiguous_tag"]
    rows = [
        f"Vendor Name: {dock['vendor_name_key']}",
        f"Device Name: {dock['device_name_key']}",
        "Mode: USB4",
        f"Device ID: {dock['device_id_key']}",
        f"Vendor ID: {dock['vendor_id_key']}",
        f"UID: {dock['switch_uid_key']}",
        "Port (Upstream):",
    ]
    port = ["Status: Device connected", f"Link Status: {upstream['link_status_key']}"]
    port.append(f"Speed: {upstream['current_speed_key']}")
    head = f"        {dock['_name']}:\n\n{_indent(10, rows)}{_indent(14, port)}\n"
    behind = "".join(_peer_text(peer) for peer in dock["_items"])
    return head + "".join(f"    {line}" if line.strip() else line for line in behind.splitlines(keepends=True))


def _peer_text(peer: dict[str, Any]) -> str:
    rows = [
        f"Vendor Name: {peer['vendor_name_key']}",
        f"Device Name: {peer['device_name_key']}",
        f"Device ID: {peer['device_id_key']}",
        f"Vendor ID: {peer['vendor_id_key']}",
        f"Domain UUID: {peer['domain_uuid_key']}",
        "Services:",
    ]
    services = "".join(_service_text(service) for service in peer["services_title"])
    return f"        {peer['_name']}:\n\n{_indent(10, rows)}{services}\n"


def _service_text(service: dict[str, Any]) -> str:
    title = "Internet Protocol" if service["protocol_id_key"] == 1 else "Service: Unknown"
    rows = [
        f"Protocol ID: {service['protocol_id_key']}",
        f"Protocol Version: {service['protocol_version_key']}",
        f"Protocol Revision: {service['protocol_revision_key']}",
        *(["Service Key: rdma"] if "service_key_key" in service else []),
        f"Service UUID: {service['service_uuid_key']}",
    ]
    return _indent(12, [f"{title}:"]) + _indent(14, rows)


def _indent(width: int, rows: list[str]) -> str:
    return "".join(f"{' ' * width}{row}\n" for row in rows)
