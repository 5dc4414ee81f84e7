"""RDMA over Thunderbolt: `rdma_ctl`, `ibv_devices` and `ibv_devinfo`.

`rdma_ctl status` is one flag for the whole Mac; it says `enabled` on Thunderbolt 4 hardware too, where no device
appears. A port is active only while a cable is in and RDMA is on at both ends. Its table of addresses (GIDs) holds
the port's own, then the IPv4 addresses of its interface in the order they were assigned; none of those while the
interface belongs to the bridge.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable

from tests.standin.commands import bridge
from tests.standin.commands.boot_state import recall
from tests.standin.commands.hardware import identifier, speaks_rdma
from tests.standin.commands.interfaces import inet6_address, with_inet6
from tests.standin.commands.replies import failure, lines, unsupported
from tests.standin.mac import Call, Command, Mac, Machine, Reply

EX_NOPERM = 77
NOT_FOUND = 255
WEDGED = "rdma-wedged"
"""Kept for a boot: whether the driver hangs whoever asks it for its devices' state."""


def rdma_ctl(mac: Mac, call: Call) -> Reply:
    """`status` answers; `enable` and `disable` work in Recovery only, where no session ever is."""
    if call.argv[1:] == ["status"]:
        return lines("enabled" if mac.machine.rdma else "disabled")
    if call.argv[1:] in (["enable"], ["disable"]):
        return failure("rdma_ctl: This tool needs to be executed from Recovery OS.", EX_NOPERM)
    return unsupported(call)


def ibv_devices(mac: Mac, call: Call) -> Reply:
    """The header, and a line for each device."""
    if len(call.argv) > 1:
        return unsupported(call)
    rows = [f"    {'device':<16}\t   node GUID", f"    {'------':<16}\t----------------"]
    machine = mac.machine
    rows += [f"    {_name(machine, number):<16}\t{_guid(machine, number)}" for number in _devices(machine)]
    return lines(*rows)


def ibv_devinfo(mac: Mac, call: Call) -> Reply | Awaitable[Reply]:
    """Every device, or the one named with `-d`; limits and addresses with `-v`. Never ends on a wedged driver."""
    return _never() if recall(mac, WEDGED, False) else _devinfo(mac, call)


async def _never() -> Reply:
    await asyncio.Event().wait()
    return Reply()


def _devinfo(mac: Mac, call: Call) -> Reply:
    arguments = call.argv[1:]
    verbose = "-v" in arguments
    rest = [argument for argument in arguments if argument != "-v"]
    if rest and (len(rest) != 2 or rest[0] != "-d"):
        return unsupported(call)
    machine = mac.machine
    numbers = [number for number in _devices(machine) if not rest or _name(machine, number) == rest[1]]
    if not numbers:
        return failure(f"IB device '{rest[1]}' wasn't found" if rest else "No IB devices found", NOT_FOUND)
    return Reply(stdout="".join(_device(mac, number, verbose=verbose) for number in numbers))


def _devices(machine: Machine) -> list[int]:
    """The receptacles with a device, in the driver's order, which is not sorted on Macs with many ports."""
    numbers = sorted(machine.ports) if speaks_rdma(machine) else []
    if len(numbers) > 3:
        numbers[2], numbers[3] = numbers[3], numbers[2]
    return numbers


def _name(machine: Machine, receptacle: int) -> str:
    return f"rdma_{machine.ports[receptacle]}"


def _guid(machine: Machine, receptacle: int) -> str:
    return f"{0x7F + receptacle:02x}{identifier(machine, 'rdma').hex[:14]}"


def _grouped(guid: str) -> str:
    return ":".join(guid[start : start + 4] for start in range(0, 16, 4))


def _device(mac: Mac, receptacle: int, *, verbose: bool) -> str:
    machine = mac.machine
    position = _devices(machine).index(receptacle) + 1
    rows = [
        f"hca_id:\t{_name(machine, receptacle)}",
        "\ttransport:\t\t\tThunderbolt (100)",
        f"\tnode_guid:\t\t\t{_grouped(_guid(machine, receptacle))}",
        f"\tsys_image_guid:\t\t\t{_grouped(_guid(machine, 1))}",
        "\tvendor_id:\t\t\t0x0000",
        "\tvendor_part_id:\t\t\t0",
        "\thw_ver:\t\t\t\t0x0",
        "\tphys_port_cnt:\t\t\t1",
        *(LIMITS if verbose else []),
        "\t\tport:\t1",
        f"\t\t\tstate:\t\t\t{_state(mac, receptacle)}",
        "\t\t\tmax_mtu:\t\t4096 (5)",
        "\t\t\tactive_mtu:\t\t4096 (5)",
        f"\t\t\tsm_lid:\t\t\t{position}",
        f"\t\t\tport_lid:\t\t{position}",
        "\t\t\tport_lmc:\t\t0x00",
        "\t\t\tlink_layer:\t\tThunderbolt",
        *([*PORT_LIMITS, *_gid_rows(mac, machine.ports[receptacle])] if verbose else []),
    ]
    return "".join(f"{row}\n" for row in [*rows, ""])


LIMITS = [
    "\tmax_mr_size:\t\t\t0xfa0000",
    "\tmax_qp:\t\t\t\t11",
    "\tmax_cq:\t\t\t\t11",
    "\tmax_mr:\t\t\t\t100",
    "\tmax_pd:\t\t\t\t11",
    "\tatomic_cap:\t\t\tATOMIC_NONE (0)",
]
PORT_LIMITS = [
    "\t\t\tmax_msg_sz:\t\t0x1000000",
    "\t\t\tactive_width:\t\t8X (4)",
    "\t\t\tactive_speed:\t\t10.0 Gbps (4)",
]


def _state(mac: Mac, receptacle: int) -> str:
    across = mac.read_rack().across(mac.name, receptacle)
    is_active = across and speaks_rdma(across[0]) and not across[2].dock
    return "PORT_ACTIVE (4)" if is_active else "PORT_DOWN (1)"


def _gid_rows(mac: Mac, interface: str) -> list[str]:
    gids = [link_local(mac.network.mac_address(interface))]
    if interface not in bridge.members(mac):
        assigned = [f"::ffff:{address}" for address, _ in mac.network.addresses(interface)]
        gids += with_inet6(mac, interface, assigned, inet6_address(mac, interface))
    return [f"\t\t\tGID[{index:3d}]:\t\t{gid}" for index, gid in enumerate(gids)]


def link_local(mac_address: str) -> str:
    """The IPv6 link-local address made from a hardware address (EUI-64)."""
    octets = [int(octet, 16) for octet in mac_address.split(":")]
    eui = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + eui))


COMMANDS: dict[str, Command] = {
    "/usr/bin/rdma_ctl": rdma_ctl,
    "/usr/bin/ibv_devices": ibv_devices,
    "/usr/bin/ibv_devinfo": ibv_devinfo,
}
