"""The cabled ports as interfaces: what the links daemon mends is drift, what it cannot is an error."""

from tests.states.lab import studios
from tests.states.state import state

_OURS = "10.213.0.1/30"

STATES = {
    "Macs as they come, before the first deploy": state(
        studios(2).every_mac(bridged=("en2", "en3", "en4", "en5", "en6", "en7"), filtering="Disabled", has_rules=False),
        ("m1", "port towards m2", "drift", "en3 is in bridge0"),
        ("m1", "packet filter", "drift", "it is off"),
        ("m2", "port towards m1", "drift", "en3 is in bridge0"),
        ("m2", "packet filter", "drift", "it is off"),
    ),
    "a port that configd put back into the bridge": state(
        studios(3).mac("m2", bridged=("en3",)), ("m2", "port towards m1", "drift", "en3 is in bridge0")
    ),
    "the same on a German Mac": state(
        studios(3).mac("m2", bridged=("en3",), is_german=True), ("m2", "port towards m1", "drift", "en3 is in bridge0")
    ),
    "an address lost": state(
        studios(2).mac("m1", held={"en3": ()}), ("m1", "port towards m2", "drift", "no IPv4 address")
    ),
    "an address of its own making": state(
        studios(2).mac("m1", held={"en3": ("169.254.205.255/16",)}),
        ("m1", "port towards m2", "drift", "en3 has 169.254.205.255/16"),
    ),
    "an address with another mask": state(
        studios(2).mac("m1", held={"en3": ("10.213.0.1/24",)}),
        ("m1", "port towards m2", "drift", "en3 has 10.213.0.1/24"),
    ),
    "the right address after another one": state(
        studios(2).mac("m1", held={"en3": ("169.254.205.255/16", _OURS)}),
        ("m1", "port towards m2", "drift", "169.254.205.255/16, 10.213.0.1/30"),
    ),
    "another address after the right one, which is harmless": state(
        studios(2).mac("m1", held={"en3": (_OURS, "169.254.205.255/16")})
    ),
    "IPv6 first": state(
        studios(2).mac("m1", ipv6_first=("en3",)), ("m1", "port towards m2", "drift", "an IPv6 address before")
    ),
    "IPv6 first where no RDMA is required": state(
        studios(2).mac("m1", ipv6_first=("en3",)).declared(thunderbolt__rdma=None, replicas__0__transport="ring")
    ),
    "a port that is down, for which RDMA is not blamed": state(
        studios(2).mac("m1", down=("en3",)), ("m1", "port towards m2", "drift", "en3 is down")
    ),
    "a link that is inactive at one end": state(
        studios(2).mac("m2", inactive=("en3",)), ("m2", "cable to m1", "drift", "en3 is inactive")
    ),
    "the default route over a cable": state(
        studios(2).mac("m1", route="en3"), ("m1", "default route", "drift", "over en3")
    ),
    "the default route over the bridge": state(
        studios(2).mac("m1", route="bridge0"), ("m1", "default route", "drift", "over bridge0")
    ),
    "an address of the cables' network on something else": state(
        studios(2).mac("m2", held={"en9": ("10.213.0.77/24",)}),
        ("m2", "addresses of en9", "error", "en9 has 10.213.0.77/24"),
    ),
    "the address of another cable on a free Thunderbolt port": state(
        studios(2).mac("m2", held={"en6": ("10.213.0.9/30",)}), ("m2", "addresses of en6", "error", "10.213.0.9/30")
    ),
    "a cable moved to another receptacle, its address left behind": state(
        studios(2).moved("m1", "m2", 4).mac("m1", held={"en5": (), "en3": (_OURS,)}),
        ("m1", "port towards m2", "drift", "en5 has no IPv4 address"),
        ("m1", "addresses of en3", "drift", "en3 has 10.213.0.1/30"),
    ),
    "a cabled port that ifconfig does not show": state(
        studios(2).prints("m1", "/sbin/ifconfig", "lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384\n"),
        ("m1", "port towards m2", "error", "ifconfig does not show en3"),
    ),
}
