"""What there is to use up on a Mac: disk, memory for the GPU, time, and what RDMA allots.

Relies on `df -k`, whose rows go on with blocks, used, available and a percentage; on `sysctl` printing `key: value`; on
`date -u +%s`; and on `ioclasscount`, which prints `CLASS = 0`, or `CLASS = <no such class>` where the kernel knows none
(Apple's IOKitTools). The control machine's clock is this process's own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NoReturn, TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, number, understood

_SECONDS = 10
_WIRED_LIMIT = "iogpu.wired_limit_mb"
_DOMAINS = "AppleThunderboltRDMAProtectionDomain"
_ROW = re.compile(r"\S.*?\s+(\d+)\s+(\d+)\s+(\d+)\s+\d+%")
_MISSING = re.compile(r"df: .*: No such file or directory$")


class ResourcesValues(TypedDict):
    """What is left. `wired_limit_mb` 0 is macOS's own; `protection_domains` is None where macOS does not count them."""

    disk_free_bytes: int
    wired_limit_mb: int
    clock_ahead_seconds: float
    protection_domains: int | None


class Resources(FactBase[ResourcesValues | None]):
    """Free disk below a path, wired limit, clock and RDMA domains; None only when the machine could not be asked.

    A clock that is ahead by less than half the time it took to ask is taken for right: 0.
    """

    clock: Callable[[], float] = staticmethod(time.time)

    def command(self, path: str = "/opt") -> str:
        """One command for all of it; notes the time."""
        self.path = path
        self.asked = self.clock()
        # The path may not be there yet; then the nearest parent that is tells of the same volume.
        paths = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
        return asking(
            clock=bounded(_SECONDS, "/bin/date", "-u", "+%s"),
            disk=bounded(_SECONDS, "/bin/df", "-k", *paths),
            wired=bounded(_SECONDS, "/usr/sbin/sysctl", _WIRED_LIMIT),
            domains=bounded(_SECONDS, "/usr/sbin/ioclasscount", _DOMAINS),
        )

    def process(self, output: list[str]) -> ResourcesValues:
        """Raises FactProcessError for an answer without the number that was asked for."""
        answered = self.clock()
        found = answers(output)
        return {
            "disk_free_bytes": _free_bytes(found["disk"], f"how much disk is free at {self.path}"),
            "wired_limit_mb": _wired_limit_mb(found["wired"]),
            "clock_ahead_seconds": _ahead_seconds(found["clock"], self.asked, answered),
            "protection_domains": _protection_domains(found["domains"]),
        }


def _free_bytes(answer: Answer, what: str) -> int:
    lines = [line for line in answer.lines if line.strip()]
    missing = [line for line in lines if _MISSING.match(line)]
    if answer.code != 1 or not missing:
        understood(answer, what)
    rows = [row for line in lines if line not in missing and (row := _ROW.match(line))]
    if not rows:
        _unclear(what, "df", answer)
    blocks, _, available = (number(word) for word in rows[0].groups())
    if blocks is None or available is None or available > blocks:
        _unclear(what, "df", answer)
    return available * 1024


def _wired_limit_mb(answer: Answer) -> int:
    what = "the limit of wired memory"
    key, _, value = understood(answer, what).text.partition(": ")
    megabytes = number(value)
    if key != _WIRED_LIMIT or megabytes is None:
        _unclear(what, "sysctl", answer)
    return megabytes


def _ahead_seconds(answer: Answer, asked: float, answered: float) -> float:
    what = "how the clock is set"
    seconds = number(understood(answer, what).text)
    if seconds is None:
        _unclear(what, "date", answer)
    # date leaves out the fraction: the Mac's time was somewhere within that second.
    ahead = seconds + 0.5 - (asked + answered) / 2
    return 0.0 if abs(ahead) <= (answered - asked) / 2 + 0.5 else round(ahead, 1)


def _protection_domains(answer: Answer) -> int | None:
    if answer.is_absent:
        return None
    what = "how many RDMA protection domains are held"
    rows = [line for line in understood(answer, what).lines if _DOMAINS in line]
    if len(rows) == 1 and "no such class" in rows[0]:
        return None
    held = [number(word) for word in re.findall(r"-?\d+", rows[0])] if len(rows) == 1 else []
    if not held or held[-1] is None:
        _unclear(what, "ioclasscount", answer)
    return held[-1]


def _unclear(what: str, command: str, answer: Answer) -> NoReturn:
    raise cannot_tell(what, f"{command} printed {answer.text!r}")
