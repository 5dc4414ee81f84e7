"""Faults of the Thunderbolt cables: slow, out, silent, in the wrong receptacle, too many, by way of a dock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.standin import kernel
from tests.standin.fault import Fault, remembering
from tests.standin.kernel_network import connect, receptacle_name
from tests.standin.links import Links
from tests.standin.mac import Cable, Rack
from tests.standin.rack import with_cable

if TYPE_CHECKING:
    from tests.standin.lab import Lab

NEXT_TO_ETHERNET = 1
"""The receptacle of a Mac Studio that must not carry RDMA."""


def _cable(line: str, **fields: Any) -> Fault:
    """Something about the first cable of a Mac, for the Macs at both its ends."""

    def put(lab: Lab, name: str) -> None:
        _exchange_cable(lab, name, fields)

    def mend(lab: Lab, name: str) -> None:
        healthy = first_cable(lab.files.healthy().cables, name)
        _exchange_cable(lab, name, {field: getattr(healthy, field) for field in fields})

    return Fault(line, put, mend)


def first_cable(cables: tuple[Cable, ...], name: str) -> Cable:
    """The cable that the faults of a cable are about."""
    return next(cable for cable in cables if name in dict(cable.ends))


def _exchange_cable(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    with lab.files.locked():
        rack = lab.rack()
        old = first_cable(rack.cables, name)
        lab.files.write_rack(with_cable(rack, old, replace(old, **fields)))
        for machine, receptacle in old.ends:
            if lab.is_on(machine):
                _reconnect(lab, machine, receptacle)


def _reconnect(lab: Lab, machine: str, receptacle: int) -> None:
    with kernel.inside_network(lab.hardware(machine)):
        receptacles = Links()
    with kernel.inside_network(lab.pid1(machine)):
        inside = Links()
    connect(receptacles, inside, lab.rack(), machine, receptacle)
    receptacles.close()
    inside.close()


def cable_between(rack: Rack, one: str, other: str) -> Cable:
    """The first cable that runs from one Mac to another."""
    return next(cable for cable in rack.cables if {one, other} == dict(cable.ends).keys())


def silence(lab: Lab, cable: Cable) -> None:
    """Let every frame vanish in a cable whose ends both look alive: no carrier is lost, and nothing is reset."""
    _swallow(lab, cable, frames=True)


def sound(lab: Lab, cable: Cable) -> None:
    """Let frames pass again."""
    _swallow(lab, cable, frames=False)


def _swallow(lab: Lab, cable: Cable, *, frames: bool) -> None:
    from pyroute2 import IPRoute  # for Linux only, and an inventory imports this module

    for machine, receptacle in cable.ends:
        with kernel.inside_network(lab.hardware(machine)), IPRoute() as network:
            (index,) = network.link_lookup(ifname=receptacle_name(receptacle))
            swallows = any(queue.get_attr("TCA_KIND") == "blackhole" for queue in network.get_qdiscs(index=index))
            if swallows != frames:
                network.tc("add" if frames else "del", "blackhole", index)


def _put_loop(lab: Lab, name: str) -> None:
    """A second cable to the same neighbour; no frames cross it, and none could: both its ports are in the bridge."""
    with lab.files.locked():
        rack = lab.rack()
        ends = [(machine, _free_receptacle(rack, machine)) for machine, _ in first_cable(rack.cables, name).ends]
        lab.files.write_rack(replace(rack, cables=(*rack.cables, Cable((ends[0], ends[1])))))


def _take_loop_out(lab: Lab, _: str) -> None:
    with lab.files.locked():
        declared = {cable.ends for cable in lab.files.healthy().cables}
        rack = lab.rack()
        lab.files.write_rack(replace(rack, cables=tuple(cable for cable in rack.cables if cable.ends in declared)))


def _free_receptacle(rack: Rack, name: str) -> int:
    """The highest one, far from those that a rack fills first."""
    taken = {end for cable in rack.cables for end in cable.ends}
    return max(number for number in rack.machines[name].ports if (name, number) not in taken)


def _move_cable(lab: Lab, name: str) -> list[int] | None:
    """Put the first cable into the forbidden receptacle; the Mac is off meanwhile, for its interfaces to follow."""
    receptacle = dict(first_cable(lab.rack().cables, name).ends)[name]
    if receptacle == NEXT_TO_ETHERNET:
        return None
    _swap_receptacles(lab, name, receptacle, NEXT_TO_ETHERNET)
    return [NEXT_TO_ETHERNET, receptacle]


def _swap_receptacles(lab: Lab, name: str, old: int, new: int) -> None:
    lab.pull_plug(name)
    with kernel.inside_network(lab.hardware(name)):
        receptacles = Links()
    one, other = receptacle_name(old), receptacle_name(new)
    for before, after in ((one, "moving"), (other, one), ("moving", other)):
        receptacles.rename(before, after)
    receptacles.close()
    with lab.files.locked():
        rack = lab.rack()
        cable = next(cable for cable in rack.cables if (name, old) in cable.ends)
        one_end, other_end = ((name, new) if end == (name, old) else end for end in cable.ends)
        lab.files.write_rack(with_cable(rack, cable, replace(cable, ends=(one_end, other_end))))
    lab.press_power_button(name)


FAULTS: dict[str, Fault] = {
    "cable-40": _cable("the first cable negotiates 40 Gb/s", speed_gbps=40),
    "cable-loop": Fault("a second cable, which nobody declared, runs to the same Mac", _put_loop, _take_loop_out),
    "cable-missing": _cable("the first cable is pulled", present=False),
    "cable-silent": Fault(
        "nothing crosses the first cable, though both its ends look alive",
        lambda lab, name: silence(lab, first_cable(lab.rack().cables, name)),
        lambda lab, name: sound(lab, first_cable(lab.rack().cables, name)),
    ),
    "dock": _cable("the first cable goes through a Thunderbolt 4 dock", dock=True, speed_gbps=40),
    "port-next-to-ethernet": remembering(
        "the first cable is in the receptacle next to Ethernet (restarts the Mac)",
        _move_cable,
        lambda lab, name, moved: _swap_receptacles(lab, name, *moved),
    ),
}
