"""`networksetup`: everything it reads, and the ways its changes fail on macOS 26.

Switching the Thunderbolt Bridge service off succeeds and releases no port. Creating a service from SSH or a daemon
fails even as root. Verbs that would cut the management network are refused by name.
"""

from __future__ import annotations

import ipaddress

from tests.standin.commands import bridge
from tests.standin.commands.interfaces import ETHERNET, WIFI, hardware_address, phantom, thunderbolt_ports
from tests.standin.commands.replies import lines, unsupported
from tests.standin.mac import Call, Command, Mac, Reply

DISABLED = "network-services-disabled"
"""Memory subject: names of the services that are switched off."""
BRIDGE_NAMES = {"de": "Thunderbolt-Bridge", "en": "Thunderbolt Bridge"}
LEGEND = "An asterisk (*) denotes that a network service is disabled."
NOT_ADMIN = Reply(stdout="** Error: Command requires admin privileges.\n", code=14)
NO_DATABASE = Reply(stdout="Unable to access the System Configuration database\n", code=1)


def networksetup(mac: Mac, call: Call) -> Reply:
    """Dispatch on the verb and the number of its arguments."""
    match call.argv[1:]:
        case ["-listallhardwareports"]:
            return Reply(stdout=_hardware_ports(mac))
        case ["-listallnetworkservices"]:
            return lines(LEGEND, *(("*" if name in _off(mac) else "") + name for name in _services(mac)))
        case ["-listnetworkserviceorder"]:
            return Reply(stdout=_service_order(mac))
        case ["-listlocations"] | ["-getcurrentlocation"]:
            return lines("Automatic")
        case ["-getairportpower", device] if device in (WIFI, "Wi-Fi") and WIFI not in thunderbolt_ports(mac):
            return lines(f"Wi-Fi Power ({WIFI}): On")
        case ["-getnetworkserviceenabled" | "-getinfo" | "-setnetworkserviceenabled" as verb, service, *rest]:
            return _about_service(mac, call, verb, service, rest)
        case ["-createnetworkservice", _, _]:
            return NO_DATABASE if call.is_root else NOT_ADMIN
        case _:
            return unsupported(call)


COMMANDS: dict[str, Command] = {"/usr/sbin/networksetup": networksetup}


def _about_service(mac: Mac, call: Call, verb: str, service: str, rest: list[str]) -> Reply:
    if service not in _services(mac):
        sentence = f"{service} is not a recognized network service."
        return Reply(stdout=f"{sentence}\n** Error: The parameters were not valid.\n", code=4)
    if verb == "-setnetworkserviceenabled" and rest in (["on"], ["off"]):
        return _switch(mac, call, service, on=rest == ["on"])
    if verb == "-getnetworkserviceenabled" and not rest:
        return lines("Disabled" if service in _off(mac) else "Enabled")
    if verb == "-getinfo" and not rest and service == "Ethernet":
        return Reply(stdout=_ethernet(mac))
    return unsupported(call)


def _services(mac: Mac) -> dict[str, str]:
    """Service -> device, in service order."""
    services = {"Ethernet": ETHERNET, _bridge_name(mac): bridge.NAME}
    return services if WIFI in thunderbolt_ports(mac) else {**services, "Wi-Fi": WIFI}


def _bridge_name(mac: Mac) -> str:
    """The one name in here that follows the language."""
    return BRIDGE_NAMES[mac.machine.language]


def _off(mac: Mac) -> list[str]:
    return mac.memory.read(DISABLED, [])


def _switch(mac: Mac, call: Call, service: str, *, on: bool) -> Reply:
    if service != _bridge_name(mac):
        return unsupported(call)
    if not call.is_root:
        return NOT_ADMIN
    mac.memory.write(DISABLED, [] if on else [service])
    return Reply()


def _hardware_ports(mac: Mac) -> str:
    adapter = phantom(mac)
    ports = {"Ethernet": ETHERNET, f"Ethernet Adapter ({adapter})": adapter, _bridge_name(mac): bridge.NAME}
    if WIFI not in thunderbolt_ports(mac):
        ports["Wi-Fi"] = WIFI
    ports |= {f"Thunderbolt {receptacle}": port for port, receptacle in thunderbolt_ports(mac).items()}
    stanzas = [
        f"\nHardware Port: {name}\nDevice: {device}\nEthernet Address: {hardware_address(mac, device)}\n"
        for name, device in ports.items()
    ]
    return "".join(stanzas) + "\nVLAN Configurations\n===================\n"


def _service_order(mac: Mac) -> str:
    text, number = f"{LEGEND}\n", 0
    for service, device in _services(mac).items():
        number += service not in _off(mac)
        mark = "*" if service in _off(mac) else number
        text += f"({mark}) {service}\n(Hardware Port: {service}, Device: {device})\n\n"
    return text


def _ethernet(mac: Mac) -> str:
    address, prefix = mac.network.addresses(ETHERNET)[0]
    return (
        "Manual Configuration\n"
        f"IP address: {address}\n"
        f"Subnet mask: {ipaddress.IPv4Interface(f'{address}/{prefix}').netmask}\n"
        "Router: (null)\n"
        "IPv6: Automatic\n"
        "IPv6 IP address: none\n"
        "IPv6 Router: none\n"
        f"Ethernet Address: {hardware_address(mac, ETHERNET)}\n"
    )
