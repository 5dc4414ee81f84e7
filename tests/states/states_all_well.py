"""Labs that are as declared, of every size and kind, however differently their Macs tell it."""

from tests.states.lab import lab, m3_ultra, m4, m4_max, m4_pro, m5_max, studios
from tests.states.state import state

_LAPTOP = "restart after power loss", "note", "does not have"

STATES = {
    "one Studio alone": state(studios(1)),
    "two Studios": state(studios(2)),
    "three Studios": state(studios(3)),
    "four Studios in a full mesh": state(studios(4)),
    "five Studios in a ring": state(lab([m3_ultra(f"m{n}") for n in range(1, 6)], first=2, transport="jaccl-ring")),
    "three Studios with M4 Max": state(lab([m4_max(f"m{n}") for n in (1, 2, 3)], first=2)),
    "four minis with all three ports in use, the one next to Ethernet too": state(
        lab([m4_pro(f"m{n}") for n in (1, 2, 3, 4)])
    ),
    "an M4 mini alone, whose Thunderbolt 4 nobody needs": state(lab([m4("m1")], weights_gib=16)),
    "two M4 minis over TCP, declared at 40 Gb/s without RDMA": state(
        lab([m4("m1"), m4("m2")], transport="ring")
        .every_mac(rdma="disabled")
        .cable("m1", "m2", speed="40 Gb/s")
        .declared(thunderbolt__rdma=None, thunderbolt__minimum_speed_gbps=40)
    ),
    "two MacBooks, whose interfaces are numbered out of order and which never restart by themselves": state(
        lab([m5_max("m1"), m5_max("m2")]), ("m1", *_LAPTOP), ("m2", *_LAPTOP)
    ),
    "cables in receptacles that are in no order": state(
        studios(3).moved("m1", "m2", 6).moved("m2", "m1", 2).moved("m3", "m1", 5)
    ),
    "a rapid response release on all": state(studios(2).every_mac(macos="26.3.1", extra="(a)", build="25D2128")),
    "macOS 27.0 on all": state(studios(2).every_mac(macos="27.0", build="26A428")),
    "German Macs": state(studios(2).every_mac(is_german=True, bridged=("en5",))),
    "link-local IPv6 above IPv4, which is where macOS prints it": state(
        studios(2).every_mac(link_local_first=("en3",))
    ),
    "no bridge at all": state(studios(2).every_mac(has_bridge=False)),
    "no default route": state(studios(2).every_mac(route=None)),
    "a port next to Ethernet on a Studio, where that is declared to be fine": state(
        studios(2, first=1).declared(thunderbolt__port_next_to_ethernet=None)
    ),
    "a log line before the JSON": state(
        studios(2).logs("m1", "/usr/sbin/system_profiler", "2026-09-23 10:10:38.619 system_profiler[1053:11513] {?}\n")
    ),
    "an Ethernet service that gave a free port an address of its own": state(
        studios(2).mac("m1", held={"en6": ("169.254.1.9/16",)})
    ),
    "Macs that are set otherwise where nothing is declared of it": state(
        studios(2)
        .every_mac(power={"sleep": 1, "womp": 0}, schedule="on", sshd="disabled", file_vault="On", firewall=1)
        .every_mac(filtering="Disabled", clock_ahead=600)
        .declared(headless=None, packet_filter=None)
    ),
}
