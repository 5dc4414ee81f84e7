"""How `ifconfig` shows one interface, line by line as macOS 26 does."""

from __future__ import annotations

import ipaddress

from tests.standin.commands import bridge
from tests.standin.commands.interfaces import (
    ETHERNET,
    LOOPBACK,
    hardware_address,
    inet6_address,
    names,
    thunderbolt_ports,
    with_inet6,
    without_hardware,
)
from tests.standin.mac import Mac

UP = "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>"
MEMBER = "8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST>"
DOWN = "8822<BROADCAST,SMART,SIMPLEX,MULTICAST>"
FIRST_BRIDGE_PORT = 9
"""Receptacle 1 is port 10 of the bridge."""
FIRST_SCOPE = 1

LOOPBACK_TEXT = """\
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\toptions=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128\x20
\tnd6 options=201<PERFORMNUD,DAD>
"""
BRIDGE_CONFIGURATION = """\
\tConfiguration:
\t\tid 0:0:0:0:0:0 priority 0 hellotime 0 fwddelay 0
\t\tmaxage 0 holdcnt 0 proto stp maxaddr 100 timeout 1200
\t\troot id 0:0:0:0:0:0 priority 0 ifcost 0 port 0
\t\tipfilter disabled flags 0x0
"""


def interface_text(mac: Mac, name: str) -> str:
    """`ifconfig NAME`."""
    if name == LOOPBACK:
        return LOOPBACK_TEXT
    if name == bridge.NAME:
        return _bridge(mac)
    addresses = _addresses(mac, name)
    nd6 = "\tnd6 options=201<PERFORMNUD,DAD>\n" if addresses else ""
    head = f"{name}: flags={_flags(mac, name)} mtu 1500\n\toptions=460<TSO4,TSO6,CHANNEL_IO>\n"
    media = f"\tmedia: autoselect <full-duplex>\n{_status(_is_active(mac, name))}"
    return f"{head}\tether {hardware_address(mac, name)}\n{addresses}{nd6}{media}"


def _bridge(mac: Mac) -> str:
    receptacles = thunderbolt_ports(mac)
    members = bridge.members(mac)
    head = f"bridge0: flags={UP} mtu 1500\n\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>\n"
    rows = [
        f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n"
        f"\t        ifmaxaddr 0 port {FIRST_BRIDGE_PORT + receptacles[member]} priority 0 path cost 0\n"
        for member in members
    ]
    tail = "\tnd6 options=201<PERFORMNUD,DAD>\n\tmedia: <unknown type>\n"
    status = _status(any(bridge.has_link(mac, member) for member in members))
    return f"{head}\tether {hardware_address(mac, bridge.NAME)}\n{BRIDGE_CONFIGURATION}{''.join(rows)}{tail}{status}"


def _status(active: bool) -> str:
    return f"\tstatus: {'active' if active else 'inactive'}\n"


def _flags(mac: Mac, name: str) -> str:
    if name in bridge.members(mac):
        return MEMBER
    return UP if name in without_hardware(mac) or mac.network.is_up(name) else DOWN


def _is_active(mac: Mac, name: str) -> bool:
    if name in without_hardware(mac):
        return False
    return mac.network.has_carrier(name) if name == ETHERNET else bridge.has_link(mac, name)


def _addresses(mac: Mac, name: str) -> str:
    if name in without_hardware(mac):
        return ""
    held = [ipaddress.IPv4Interface(f"{address}/{prefix}") for address, prefix in mac.network.addresses(name)]
    rows = [
        f"\tinet {one.ip} netmask 0x{int(one.netmask):08x} broadcast {one.network.broadcast_address}\n" for one in held
    ]
    scope = names(mac).index(name) + FIRST_SCOPE
    # The blank at the end is macOS's.
    inet6 = f"\tinet6 {inet6_address(mac, name)}%{name} prefixlen 64 secured scopeid 0x{scope:x} \n"
    return "".join(with_inet6(mac, name, rows, inet6))
