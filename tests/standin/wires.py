"""The cables of a rack, as the Linux machine lays them.

Each Mac has an Ethernet cable to a bridge, on which the Linux machine has an address too. A Thunderbolt cable is a veth
pair between two Macs' receptacles. A receptacle without a cable is a veth pair whose other end nobody brings up.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from tests.standin.firmware import ETHERNET_RECEPTACLE
from tests.standin.kernel_network import receptacle_name
from tests.standin.mac import Rack
from tests.standin.state import PREFIX_LENGTH, State
from tests.standin.unavailable import LabUnavailable


def lay_wires(state: State, rack: Rack, hardware: dict[str, int]) -> None:
    """Make the bridge and all cables; `hardware` is the process that holds each Mac's receptacles."""
    with IPRoute() as network:
        _refuse_taken_address(network, state)
        bridge = _lay_bridge(network, state)
        for number, name in enumerate(rack.machines, start=1):
            _lay_ethernet(network, f"{state.bridge}.{number}", bridge, hardware[name])
        for one, other in _thunderbolt_ends(rack):
            _lay(network, one, hardware, other)


def whose_bridge(state: State) -> Path | None:
    """The directory of the lab that laid the bridge of this name; None when there is none."""
    note = _note(state)
    return Path(note.read_text().strip()) if note.exists() else None


def remove_wires(state: State) -> None:
    """Take the bridge and the Ethernet cables away; Thunderbolt cables go with the Macs' namespaces."""
    with IPRoute() as network:
        for link in network.get_links():
            name = link.get("IFLA_IFNAME")
            if name == state.bridge or name.startswith(f"{state.bridge}."):
                _remove(network, link["index"])


def _note(state: State) -> Path:
    return Path("/sys/class/net", state.bridge, "ifalias")


def _remove(network: IPRoute, index: int) -> None:
    try:
        network.link("del", index=index)
    except NetlinkError as refusal:
        if refusal.code != errno.ENODEV:  # a cable also goes away by itself, some time after its Mac
            raise


def _refuse_taken_address(network: IPRoute, state: State) -> None:
    taken = network.get_addr(address=state.address)
    for message in taken:
        interface = network.get_links(message["index"])[0].get("IFLA_IFNAME")
        raise LabUnavailable(
            f"cannot lay the stand-in Macs' network: {interface} has the address {state.address} already. "
            "Free that address, then try again."
        )


def _lay_bridge(network: IPRoute, state: State) -> int:
    _add(network, "bridge", ifname=state.bridge)
    _without_ipv6(state.bridge)
    _note(state).write_text(str(state.directory))
    (bridge,) = network.link_lookup(ifname=state.bridge)
    # The Macs make their interfaces of this kind; here a kernel that cannot is told apart from a Mac that fails.
    _add(network, "macvlan", ifname=f"{state.bridge}.try", link=bridge)
    network.link("del", ifname=f"{state.bridge}.try")
    network.link("set", index=bridge, state="up")
    network.addr("add", index=bridge, address=state.address, prefixlen=PREFIX_LENGTH)
    return bridge


def _lay_ethernet(network: IPRoute, port: str, bridge: int, hardware: int) -> None:
    _add(network, "veth", ifname=port, peer={"ifname": ETHERNET_RECEPTACLE, "net_ns_pid": hardware})
    _without_ipv6(port)
    (index,) = network.link_lookup(ifname=port)
    network.link("set", index=index, master=bridge, state="up")


def _lay(network: IPRoute, one: tuple[str, str], hardware: dict[str, int], other: tuple[str, str]) -> None:
    (machine, name), (peer, peer_name) = one, other
    end = {"ifname": peer_name, "net_ns_pid": hardware[peer]}
    _add(network, "veth", ifname=name, net_ns_pid=hardware[machine], peer=end)


def _add(network: IPRoute, kind: str, **fields: Any) -> None:
    try:
        network.link("add", kind=kind, **fields)
    except NetlinkError as refusal:
        if refusal.code != errno.EOPNOTSUPP:
            raise
        raise LabUnavailable(
            f"cannot lay the stand-in Macs' network: this kernel makes no {kind} interfaces. Try: modprobe {kind}"
        ) from refusal


def _thunderbolt_ends(rack: Rack) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    free = {(name, number) for name, machine in rack.machines.items() for number in machine.ports}
    for cable in rack.cables:
        free -= set(cable.ends)
        (one, one_number), (other, other_number) = cable.ends
        yield (one, receptacle_name(one_number)), (other, receptacle_name(other_number))
    for name, number in sorted(free):
        yield (name, receptacle_name(number)), (name, f"unplugged-{number}")


def _without_ipv6(interface: str) -> None:
    setting = Path("/proc/sys/net/ipv6/conf", interface, "disable_ipv6")
    if setting.exists():
        setting.write_text("1")
