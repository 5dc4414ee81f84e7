"""Cables that are missing, slow, indirect, too many, or in the wrong place."""

from tests.states.lab import lab, m3_ultra, m4, m4_max, m4_pro, studios
from tests.states.state import state

_RING = lab([m3_ultra(f"m{n}") for n in range(1, 6)], first=2, transport="jaccl-ring")
_TCP_RING = lab([m4_pro(f"m{n}") for n in (1, 2, 3)], transport="ring")

STATES = {
    "a Thunderbolt 4 cable": state(
        studios(2).cable("m1", "m2", speed="40 Gb/s"), ("m1", "cable to m2", "error", "40 Gb/s in receptacle 2")
    ),
    "a speed in words nobody knows": state(
        studios(2).cable("m1", "m2", speed="fast"), ("m1", "cable to m2", "error", "fast")
    ),
    "a Thunderbolt 4 Mac in a mesh, blamed for its slow cables and its silence": state(
        lab([m3_ultra("m1"), m4("m2"), m3_ultra("m3")], first=2)
        .cable("m1", "m2", speed="40 Gb/s")
        .cable("m2", "m3", speed="40 Gb/s"),
        ("m2", "Thunderbolt", "error", "Apple M4 (Mac16,10) has Thunderbolt 4"),
    ),
    "all ports of a mini in Thunderbolt 4 cables, for which the mini is not blamed": state(
        lab([m4_pro("m1"), m4_pro("m2")]).cable("m1", "m2", speed="40 Gb/s"),
        ("m1", "cable to m2", "error", "40 Gb/s"),
    ),
    "a cable missing from a mesh": state(
        studios(3).unplugged("m1", "m3"), ("m1", "cable to m3", "error", "no port of m1 sees m3")
    ),
    "a cable missing from a ring of three": state(
        _TCP_RING.unplugged("m2", "m3"), ("m2", "cable to m3", "error", "no port of m2 sees m3")
    ),
    "the cable missing that closes a ring of five": state(
        _RING.unplugged("m5", "m1"), ("m1", "cable to m5", "error", "no port of m1 sees m5")
    ),
    "two Macs that both see no device at all": state(
        studios(2).unplugged("m1", "m2"), ("m1", "cable to m2", "error", "none of m1, m2 sees any device")
    ),
    "two controllers of four wedged": state(
        studios(4)
        .cable("m1", "m2", unseen_by=("m1", "m2"))
        .cable("m1", "m3", unseen_by=("m1",))
        .cable("m1", "m4", unseen_by=("m1",))
        .cable("m2", "m3", unseen_by=("m2",))
        .cable("m2", "m4", unseen_by=("m2",)),
        ("m1", "cable to m2", "error", "none of m1, m2 sees any device"),
        ("m1", "cable to m3", "error", "no port of m1 sees m3"),
        ("m1", "cable to m4", "error", "no port of m1 sees m4"),
        ("m2", "cable to m3", "error", "no port of m2 sees m3"),
        ("m2", "cable to m4", "error", "no port of m2 sees m4"),
    ),
    "a cable that one end alone sees": state(
        studios(3).cable("m1", "m2", unseen_by=("m2",)),
        ("m2", "cable to m1", "error", "m1 sees m2 in receptacle 2, but no port of m2 sees m1"),
    ),
    "a dock between two Macs": state(
        studios(2).cable("m1", "m2", through="TS4", speed="40 Gb/s"),
        ("m1", "cable to m2", "error", "m2 is behind 'TS4' in receptacle 2 of m1: a dock or hub"),
    ),
    "a hub between two Macs, fast enough and refused all the same": state(
        studios(2).cable("m1", "m2", through="Thunderbolt 5 Hub"),
        ("m1", "cable to m2", "error", "behind 'Thunderbolt 5 Hub'"),
    ),
    "a daisy chain through another Mac": state(
        studios(3).unplugged("m1", "m3").cable("m1", "m2", beyond={"m1": ("m3", 3)}),
        ("m1", "cable to m3", "error", "daisy chain"),
    ),
    "a loop that nobody declared": state(
        lab([m3_ultra(f"m{n}") for n in (1, 2, 3, 4)], first=2, transport="jaccl-ring").plugged("m1", "m3"),
        ("m1", "undeclared cable to m3", "error", "receptacle 6 of m1 and receptacle 6 of m3"),
    ),
    "a second cable between two Macs": state(
        studios(2).plugged("m1", "m2"), ("m1", "second cable to m2", "error", "receptacle 6")
    ),
    "a cable to a Mac that is not in the inventory": state(
        studios(2).plugged("m1", "stranger"),
        ("m1", "cable to another Mac", "note", "receptacle 6 holds a cable to a Mac17,6"),
    ),
    "the port next to Ethernet of a Studio": state(
        studios(2).moved("m1", "m2", 1), ("m1", "cable to m2", "error", "next to Ethernet")
    ),
    "the port next to Ethernet of both M4 Max Studios": state(
        lab([m4_max("m1"), m4_max("m2")]),
        ("m1", "cable to m2", "error", "next to Ethernet"),
        ("m2", "cable to m1", "error", "next to Ethernet"),
    ),
    "a receptacle that macOS has no interface for": state(
        studios(2).prints("m1", "/usr/sbin/networksetup", "\nHardware Port: Ethernet\nDevice: en0\n"),
        ("m1", "cable to m2", "error", "receptacle 2 has no network interface"),
    ),
}
