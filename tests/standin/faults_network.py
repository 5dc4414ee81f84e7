"""Faults of ports and their addresses, of the packet filter, and of the management network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.standin.fault import Fault, missing, remembering, run
from tests.standin.faults_cables import first_cable
from tests.standin.links import Links

if TYPE_CHECKING:
    from tests.standin.lab import Lab

IFCONFIG, PFCTL = "/sbin/ifconfig", "/sbin/pfctl"
ANCHOR = "com.apple/cidermill"


def _first_port(lab: Lab, name: str) -> str:
    return lab.machine(name).ports[dict(first_cable(lab.rack().cables, name).ends)[name]]


def _members(lab: Lab, name: str) -> list[str]:
    shown = run(lab, name, IFCONFIG, "bridge0")
    return [line.split()[1] for line in shown.splitlines() if line.startswith("\tmember: ")]


def _addresses(lab: Lab, name: str, port: str) -> list[list[str]]:
    """(address, netmask) as ifconfig prints and takes them."""
    shown = run(lab, name, IFCONFIG, port).splitlines()
    return [[line.split()[1], line.split()[3]] for line in shown if line.startswith("\tinet ")]


def _add_addresses(lab: Lab, name: str, port: str, wanted: list[list[str]]) -> None:
    held = _addresses(lab, name, port)
    for address, mask in wanted:
        if [address, mask] not in held:
            run(lab, name, IFCONFIG, port, "inet", address, "netmask", mask, "alias")


def _bridge_port(lab: Lab, name: str) -> list[Any] | None:
    port = _first_port(lab, name)
    if port in _members(lab, name):
        return None
    addresses = _addresses(lab, name, port)
    run(lab, name, IFCONFIG, "bridge0", "addm", port)
    return [port, addresses]


def _release_port(lab: Lab, name: str, before: list[Any]) -> None:
    port, addresses = before
    if port in _members(lab, name):
        run(lab, name, IFCONFIG, "bridge0", "deletem", port)
        run(lab, name, IFCONFIG, port, "up")
    _add_addresses(lab, name, port, addresses)


def _lose_addresses(lab: Lab, name: str) -> list[Any] | None:
    port = _first_port(lab, name)
    addresses = _addresses(lab, name, port)
    for address, _ in addresses:
        run(lab, name, IFCONFIG, port, "inet", address, "-alias")
    return [port, addresses] if addresses else None


def _is_filtering(lab: Lab, name: str) -> bool:
    return run(lab, name, PFCTL, "-s", "info").startswith("Status: Enabled")


def _filter_off(lab: Lab, name: str) -> bool | None:
    if not _is_filtering(lab, name):
        return None
    run(lab, name, PFCTL, "-d")
    return True


def _inet6_first(lab: Lab, name: str) -> str | None:
    port = _first_port(lab, name)
    addresses = _addresses(lab, name, port)
    if not addresses:
        raise missing(name, f"address on {port}")
    _lose_addresses(lab, name)
    run(lab, name, "/usr/sbin/ipconfig", "set", port, "AUTOMATIC-V6")
    _add_addresses(lab, name, port, addresses)
    return port


def _without_inet6(lab: Lab, name: str, port: str) -> None:
    run(lab, name, "/usr/sbin/ipconfig", "set", port, "NONE-V6")


def _filter_on(lab: Lab, name: str, _: bool) -> None:
    if not _is_filtering(lab, name):
        run(lab, name, PFCTL, "-E")


def _flush_filter(lab: Lab, name: str) -> str | None:
    rules = run(lab, name, PFCTL, "-a", ANCHOR, "-s", "rules")
    if not rules:
        raise missing(name, f"rule in {ANCHOR}")
    tables = ""
    for table in run(lab, name, PFCTL, "-a", ANCHOR, "-s", "Tables").split():
        held = run(lab, name, PFCTL, "-a", ANCHOR, "-t", table, "-T", "show").split()
        tables += f"table <{table}> const {{ {' '.join(held)} }}\n"
    run(lab, name, PFCTL, "-a", ANCHOR, "-F", "all")
    return tables + rules


def _fill_filter(lab: Lab, name: str, rules: str) -> None:
    file = lab.root(name) / "private/tmp/pf.rules"
    file.write_text(rules)
    run(lab, name, PFCTL, "-a", ANCHOR, "-f", "/private/tmp/pf.rules")
    file.unlink()


def _management(lab: Lab, name: str, *, up: bool) -> None:
    number = list(lab.rack().machines).index(name) + 1
    links = Links()
    links.set_up(f"{lab.files.bridge}.{number}", up)
    links.close()
    if up:
        lab.wait_until_on(name)


FAULTS: dict[str, Fault] = {
    "address-lost": remembering(
        "the first cabled port has lost its address",
        _lose_addresses,
        lambda lab, name, before: _add_addresses(lab, name, *before),
    ),
    "filter-flushed": remembering(f"somebody emptied the filter's anchor {ANCHOR}", _flush_filter, _fill_filter),
    "filter-off": remembering("somebody switched the packet filter off (pfctl -d)", _filter_off, _filter_on),
    "inet6-first": remembering("the first cabled port got IPv6 before IPv4", _inet6_first, _without_inet6),
    "management-cut": Fault(
        "the Ethernet cable is pulled: nothing in or out over the management network, Thunderbolt stays",
        lambda lab, name: _management(lab, name, up=False),
        lambda lab, name: _management(lab, name, up=True),
    ),
    "port-bridged": remembering(
        "the first cabled port is back in the Thunderbolt Bridge, as configd does", _bridge_port, _release_port
    ),
}
