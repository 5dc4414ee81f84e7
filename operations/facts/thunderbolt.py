"""What is in each Thunderbolt port, and whether RDMA may be used over it.

Relies on `system_profiler SPThunderboltDataType -json`: one entry per port, whose `domain_uuid_key` the Mac at the
other end shows as its peer. A peer offers the service 64087 only while RDMA is enabled on the peer itself. A dock has
no domain, and what hangs behind it is one level deeper. Keys, and the words that are keys, are the same in every
language; speeds are written for people. `rdma_ctl status` prints `enabled` or `disabled` and exists from macOS 26.2 on.
Checked against output of macOS 26.3 to 26.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, shown, understood

_RDMA_SERVICE = 64087
_HARDWARE_PORT = re.compile(r"Hardware Port: Thunderbolt (\d+)$")
# system_profiler takes up to ten seconds on a Mac with docks.
_PROFILER_SECONDS = 30
_ASKING_SECONDS = 10
_TOO_LATE = f"did not answer within {_ASKING_SECONDS} s; restart the Mac"
_DEVICES_HEAD = re.compile(r"^\s*device\s+node GUID", re.MULTILINE)


class Peer(TypedDict):
    """What is in a port. `domain_uuid` is None for a dock; `depth` 1 is directly at the port, 2 behind a dock."""

    domain_uuid: str | None
    model: str
    rdma: bool
    depth: int


class Port(TypedDict):
    """One Thunderbolt port; `speed` is as printed, "80 Gb/s" when linked and "Up to 120 Gb/s" when idle.

    `status` is Apple's key: "receptacle_connected", "receptacle_no_devices_connected".
    """

    receptacle: int
    interface: str | None
    domain_uuid: str
    speed: str
    status: str
    peers: list[Peer]


class ThunderboltPorts(FactBase[list[Port] | None]):
    """Every Thunderbolt port by receptacle; None only when the machine could not be asked at all."""

    def command(self) -> str:
        """One command for ports and the names of their interfaces."""
        return asking(
            ports=bounded(_PROFILER_SECONDS, "/usr/sbin/system_profiler", "SPThunderboltDataType", "-json"),
            interfaces=bounded(_ASKING_SECONDS, "/usr/sbin/networksetup", "-listallhardwareports"),
        )

    def process(self, output: list[str]) -> list[Port]:
        """Raises FactProcessError when the profile is not the JSON that Apple prints."""
        what = "what is in the Thunderbolt ports"
        found = answers(output)
        profile = understood(found["ports"], what)
        interfaces = _interfaces(understood(found["interfaces"], "the names of the Thunderbolt interfaces"))
        try:
            ports = [_port(bus, interfaces) for bus in _buses(profile.text) if "receptacle_1_tag" in bus]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise cannot_tell(what, f"system_profiler printed something else ({error!r})") from error
        return sorted(ports, key=lambda port: port["receptacle"])


class RdmaValues(TypedDict):
    """RDMA as macOS tells it. `problem` is why `devices` and `ports` cannot be believed, if they cannot."""

    status: Literal["enabled", "disabled", "absent"]
    devices: list[str]
    ports: dict[str, str]
    problem: str | None


class Rdma(FactBase[RdmaValues | None]):
    """Whether RDMA is on, which devices there are and which have a live link."""

    def command(self) -> str:
        """One command for all three tools."""
        return asking(
            status=bounded(_ASKING_SECONDS, "/usr/bin/rdma_ctl", "status"),
            devices=bounded(_ASKING_SECONDS, "/usr/bin/ibv_devices"),
            ports=bounded(_ASKING_SECONDS, "/usr/bin/ibv_devinfo"),
        )

    def process(self, output: list[str]) -> RdmaValues:
        """Raises FactProcessError when `rdma_ctl` says anything but enabled or disabled."""
        found = answers(output)
        status = _status(found["status"])
        devices = [word for word in found["devices"].text.split() if word.startswith("rdma_")]
        ports = _states(found["ports"])
        problem = None if status == "absent" else _problem(found["devices"], found["ports"], devices, ports)
        return {"status": status, "devices": devices, "ports": ports, "problem": problem}


def _interfaces(answer: Answer) -> dict[int, str]:
    pairs = zip(answer.lines, answer.lines[1:], strict=False)
    named = ((_HARDWARE_PORT.match(port), device) for port, device in pairs)
    return {int(port[1]): device.removeprefix("Device: ") for port, device in named if port}


def _buses(text: str) -> list[dict[str, Any]]:
    # Apple's tools may log a line of their own before or after; only the document counts.
    start = re.search(r"^\{", text, re.MULTILINE)
    document, _ = json.JSONDecoder().raw_decode(text, start.start() if start else 0)
    return document["SPThunderboltDataType"]


def _port(bus: dict[str, Any], interfaces: dict[int, str]) -> Port:
    tag = bus["receptacle_1_tag"]
    receptacle = int(_text(tag["receptacle_id_key"]))
    return {
        "receptacle": receptacle,
        "interface": interfaces.get(receptacle),
        "domain_uuid": _text(bus["domain_uuid_key"]),
        "speed": _text(tag["current_speed_key"]),
        "status": _text(tag["receptacle_status_key"]),
        "peers": list(_peers(bus, depth=1)),
    }


def _peers(parent: dict[str, Any], *, depth: int) -> Iterator[Peer]:
    for item in parent.get("_items", []):
        services = item.get("services_title", [])
        yield {
            "domain_uuid": _text(item["domain_uuid_key"]) if "domain_uuid_key" in item else None,
            "model": _text(item.get("device_name_key") or item["_name"]),
            "rdma": any(service["protocol_id_key"] == _RDMA_SERVICE for service in services),
            "depth": depth,
        }
        yield from _peers(item, depth=depth + 1)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"no text: {value!r}")
    return value


def _status(answer: Answer) -> Literal["enabled", "disabled", "absent"]:
    if answer.is_absent:
        return "absent"
    match understood(answer, "whether RDMA is enabled").text.lower():
        case "enabled":
            return "enabled"
        case "disabled":
            return "disabled"
        case other:
            raise cannot_tell("whether RDMA is enabled", f"rdma_ctl printed {other!r}")


def _states(answer: Answer) -> dict[str, str]:
    states: dict[str, str] = {}
    device = ""
    for key, value in (line.split(maxsplit=1) for line in answer.lines if len(line.split()) > 1):
        if key == "hca_id:":
            device = value.strip()
        elif key == "state:" and device:
            states[device] = value.split()[0]
    return states


def _problem(listing: Answer, details: Answer, devices: list[str], ports: dict[str, str]) -> str | None:
    if listing.timed_out or details.timed_out:
        return f"{'ibv_devices' if listing.timed_out else 'ibv_devinfo'} {_TOO_LATE}"
    if listing.code != 0 or not _DEVICES_HEAD.search(listing.text):
        return f"ibv_devices ended with {listing.code}: {shown(listing.text)}"
    # Without devices it fails with "No IB devices found", which is no more than what `devices` says already.
    if details.code != 0 and devices:
        return f"ibv_devinfo ended with {details.code}: {shown(details.text)}"
    if untold := sorted(set(devices) - ports.keys()):
        return f"ibv_devinfo does not tell of {', '.join(untold)}"
    return None
