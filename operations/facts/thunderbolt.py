"""What is in each Thunderbolt port, and whether RDMA may be used over it.

Relies on `system_profiler SPThunderboltDataType -json`: one entry per port, whose `domain_uuid_key` the Mac at the
other end shows as its peer. A peer offers the service 64087 only while RDMA is enabled on the peer itself. What hangs
behind a dock is one level deeper. `rdma_ctl status` prints `enabled` or `disabled` and exists from macOS 26.2 on.
Checked against output of macOS 26.3 to 26.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, understood

_RDMA_SERVICE = 64087
_HARDWARE_PORT = re.compile(r"Hardware Port: Thunderbolt (\d+)$")
# system_profiler takes up to ten seconds on a Mac with docks.
_PROFILER_SECONDS = 30
_ASKING_SECONDS = 10


class Peer(TypedDict):
    """What is in a port. `domain_uuid` is None for a dock; `depth` 1 is directly at the port, 2 behind a dock."""

    domain_uuid: str | None
    model: str
    rdma: bool
    depth: int


class Port(TypedDict):
    """One Thunderbolt port; `speed` is as printed, "80 Gb/s" when linked and "Up to 120 Gb/s" when idle."""

    receptacle: int
    interface: str | None
    domain_uuid: str
    speed: str
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
        found = answers(output)
        profile = understood(found["ports"], "what is in the Thunderbolt ports")
        interfaces = _interfaces(understood(found["interfaces"], "the names of the Thunderbolt interfaces"))
        try:
            # Apple's tools may log a line of their own before or after; only the document counts.
            document, _ = json.JSONDecoder().raw_decode(profile.text, profile.text.index("{"))
            buses = document["SPThunderboltDataType"]
            ports = [_port(bus, tag, interfaces) for bus in buses if (tag := bus.get("receptacle_1_tag"))]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FactProcessError(
                f"cannot tell what is in the Thunderbolt ports: system_profiler printed something else ({error!r})"
            ) from error
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
        devices = [word for word in found["devices"].text.split() if word.startswith("rdma_")]
        return {
            "status": _status(found["status"]),
            "devices": devices,
            "ports": _states(found["ports"]),
            "problem": _problem(found["ports"], devices),
        }


def _interfaces(answer: Answer) -> dict[int, str]:
    pairs = zip(answer.lines, answer.lines[1:], strict=False)
    named = ((_HARDWARE_PORT.match(port), device) for port, device in pairs)
    return {int(port[1]): device.removeprefix("Device: ") for port, device in named if port}


def _port(bus: dict[str, Any], tag: dict[str, Any], interfaces: dict[int, str]) -> Port:
    receptacle = int(tag["receptacle_id_key"])
    return {
        "receptacle": receptacle,
        "interface": interfaces.get(receptacle),
        "domain_uuid": str(bus["domain_uuid_key"]),
        "speed": str(tag["current_speed_key"]),
        "peers": list(_peers(bus, depth=1)),
    }


def _peers(parent: dict[str, Any], *, depth: int) -> Iterator[Peer]:
    for item in parent.get("_items", []):
        services = item.get("services_title", [])
        yield {
            "domain_uuid": item.get("domain_uuid_key"),
            "model": str(item.get("device_name_key") or item["_name"]),
            "rdma": any(service.get("protocol_id_key") == _RDMA_SERVICE for service in services),
            "depth": depth,
        }
        yield from _peers(item, depth=depth + 1)


def _status(answer: Answer) -> Literal["enabled", "disabled", "absent"]:
    if answer.is_absent:
        return "absent"
    match understood(answer, "whether RDMA is enabled").text.lower():
        case "enabled":
            return "enabled"
        case "disabled":
            return "disabled"
        case other:
            raise FactProcessError(f"cannot tell whether RDMA is enabled: rdma_ctl printed {other!r}")


def _states(answer: Answer) -> dict[str, str]:
    states: dict[str, str] = {}
    device = ""
    for key, value in (line.split(maxsplit=1) for line in answer.lines if len(line.split()) > 1):
        if key == "hca_id:":
            device = value.strip()
        elif key == "state:" and device:
            states[device] = value.split()[0]
    return states


def _problem(answer: Answer, devices: list[str]) -> str | None:
    if answer.timed_out:
        return f"ibv_devinfo did not answer within {_ASKING_SECONDS} s; restart the Mac"
    # Without devices it fails with "No IB devices found", which is no more than what `devices` says already.
    if answer.code != 0 and devices:
        return f"ibv_devinfo ended with {answer.code}: {answer.text}"
    return None
