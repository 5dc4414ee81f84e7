"""A Mac's interfaces: networksetup -listallhardwareports, ifconfig -a, route -n get default."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Interface

from tests.states.lab import Lab, Mac, Output

UP = "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>"
MEMBER = "8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST>"
DOWN = "8822<BROADCAST,SMART,SIMPLEX,MULTICAST>"
LOOPBACK = """\
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\toptions=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128\x20
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x1\x20
\tnd6 options=201<PERFORMNUD,DAD>
"""
BRIDGE = """\
\tConfiguration:
\t\tid 0:0:0:0:0:0 priority 0 hellotime 0 fwddelay 0
\t\tmaxage 0 holdcnt 0 proto stp maxaddr 100 timeout 1200
\t\troot id 0:0:0:0:0:0 priority 0 ifcost 0 port 0
\t\tipfilter disabled flags 0x0
"""


def hardware_ports(_: Lab, mac: Mac) -> str:
    """`networksetup -listallhardwareports`: the bridge has another name in every language, the ports have not."""
    bridge = "Thunderbolt-Brücke" if mac.is_german else "Thunderbolt Bridge"
    ports = {"Ethernet": "en0", "Ethernet Adapter (en8)": "en8"}
    ports |= {bridge: "bridge0"} if mac.has_bridge else {}
    ports |= {f"Thunderbolt {number}": interface for number, interface in mac.ports.items()}
    stanzas = [
        f"\nHardware Port: {port}\nDevice: {device}\nEthernet Address: 02:00:00:00:00:{n:02x}\n"
        for n, (port, device) in enumerate(ports.items(), start=0x10)
    ]
    return "".join(stanzas) + "\nVLAN Configurations\n===================\n"


def ifconfig(lab: Lab, mac: Mac) -> str:
    """`ifconfig -a`."""
    number = 10 + list(lab.macs).index(mac.name) + 1
    addresses = lab.addresses(mac.name)
    text = LOOPBACK + _interface(mac, "en0", (f"192.168.1.{number}/24",), active=True)
    for receptacle, interface in mac.ports.items():
        found = lab.across(mac.name, receptacle)
        active = found is not None and interface not in (*mac.down, *mac.inactive)
        text += _interface(mac, interface, addresses.pop(interface, ()), active=active)
    for interface, held in addresses.items():
        text += _interface(mac, interface, held, active=True)
    return text + (_bridge(mac) if mac.has_bridge else "")


def _interface(mac: Mac, name: str, held: tuple[str, ...], *, active: bool) -> str:
    flags = MEMBER if name in mac.bridged else DOWN if name in mac.down else UP
    link_local = f"\tinet6 fe80::1021:1bac:fe1:b5e3%{name} prefixlen 64 secured scopeid 0xb\x20\n"
    routable = "\tinet6 fd5e:6b1f:7c2d:1:1021:1bac:fe1:b5e3 prefixlen 64 autoconf secured\x20\n"
    inet6 = link_local if name in mac.link_local_first else routable if name in mac.ipv6_first else ""
    told = inet6 + "".join(map(_inet, held))
    nd6 = "\tnd6 options=201<PERFORMNUD,DAD>\n" if told else ""
    return (
        f"{name}: flags={flags} mtu 1500\n\toptions=460<TSO4,TSO6,CHANNEL_IO>\n\tether 36:4d:04:ea:4e:40\n"
        f"{told}{nd6}\tmedia: autoselect <full-duplex>\n\tstatus: {'active' if active else 'inactive'}\n"
    )


def _inet(address: str) -> str:
    one = IPv4Interface(address)
    return f"\tinet {one.ip} netmask 0x{int(one.netmask):08x} broadcast {one.network.broadcast_address}\n"


def _bridge(mac: Mac) -> str:
    members = "".join(
        f"\tmember: {member} flags=3<LEARNING,DISCOVER>\n\t        ifmaxaddr 0 port {number} priority 0 path cost 0\n"
        for number, member in enumerate(mac.bridged, start=10)
    )
    inet = "".join(map(_inet, mac.held.get("bridge0", ())))
    head = f"bridge0: flags={UP} mtu 1500\n\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>\n\tether 36:10:0f:92:66:40\n{inet}"
    return f"{head}{BRIDGE}{members}\tnd6 options=201<PERFORMNUD,DAD>\n\tmedia: <unknown type>\n\tstatus: inactive\n"


def route(_: Lab, mac: Mac) -> Output:
    """`route -n get default`."""
    if mac.route is None:
        return "route: writing to routing socket: not in table\n", 1
    return (
        "   route to: default\ndestination: default\n       mask: default\n    gateway: 192.168.1.254\n"
        f"  interface: {mac.route}\n      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>\n"
        " recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire\n"
        "       0         0         0         0         0         0      1500         0\x20\n"
    ), 0


COMMANDS: dict[str, Callable[[Lab, Mac], str | Output]] = {
    "/usr/sbin/networksetup -listallhardwareports": hardware_ports,
    "/sbin/ifconfig -a": ifconfig,
    "/sbin/route -n get default": route,
}
