"""Apple's commands as the links daemon uses them: the only way out, each within its limit. Checked with macOS 26.

Those that look: ifconfig, networksetup, system_profiler, route, sysctl -n, pfctl -s. Those that change are made by
`decision` and `before` alone, from the words below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import TimeoutExpired, run

from serving.errors import LinksUnreadable
from serving.layout import FILTER_ANCHOR
from serving.links.observation import BRIDGE, Change

IFCONFIG = "/sbin/ifconfig"
NETWORKSETUP = "/usr/sbin/networksetup"
PFCTL = "/sbin/pfctl"
ROUTE = "/sbin/route"
SYSCTL = "/usr/sbin/sysctl"
SYSTEM_PROFILER = "/usr/sbin/system_profiler"

WIRED_LIMIT = "iogpu.wired_limit_mb"
FILTER, LIMIT = "packet filter", "wired limit"
"""Subjects of changes that are no cable."""

LOAD = (PFCTL, "-a", FILTER_ANCHOR, "-f", "-")
FLUSH = (PFCTL, "-a", FILTER_ANCHOR, "-F", "all")
RULES = (PFCTL, "-a", FILTER_ANCHOR, "-s", "rules")
ENABLE = (PFCTL, "-E")
RELEASE = (PFCTL, "-X")
"""Followed by the token."""

_MASK = "255.255.255.252"
_LIMIT_SECONDS: Mapping[str, float] = {NETWORKSETUP: 15.0, SYSTEM_PROFILER: 60.0}
_OTHERWISE_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    output: str
    errors: str = ""


Command = Callable[[Sequence[str], str], Answer]
"""Runs a command with a text on its standard input. Raises LinksUnreadable when it does not run or does not end."""


def execute(arguments: Sequence[str], text: str = "") -> Answer:
    """Run one of Apple's commands within its limit."""
    limit = _LIMIT_SECONDS.get(arguments[0], _OTHERWISE_SECONDS)
    try:
        done = run(arguments, input=text, capture_output=True, text=True, errors="replace", timeout=limit, check=False)
    except TimeoutExpired as error:
        raise LinksUnreadable(f"cannot run {' '.join(arguments)}: no end within {limit:g} seconds.") from error
    except OSError as error:
        raise LinksUnreadable(f"cannot run {' '.join(arguments)}: {error}.") from error
    return Answer(done.returncode, done.stdout, done.stderr)


def done(command: Command, arguments: Sequence[str], text: str = "") -> Answer:
    """What it answered. Raises LinksUnreadable when it failed."""
    answer = command(arguments, text)
    if answer.code != 0:
        said = answer.errors.strip() or "no message"
        raise LinksUnreadable(f"cannot run {' '.join(arguments)}: exit code {answer.code}, {said}.")
    return answer


def take_out(subject: str, port: str) -> Change:
    """Out of the bridge; leaves the port down, whatever it was before."""
    return Change(subject, (IFCONFIG, BRIDGE, "deletem", port))


def put_back_in(subject: str, port: str) -> Change:
    """Into the bridge."""
    return Change(subject, (IFCONFIG, BRIDGE, "addm", port))


def switch(subject: str, port: str, *, up: bool) -> Change:
    """Up or down."""
    return Change(subject, (IFCONFIG, port, "up" if up else "down"))


def give(subject: str, port: str, address: str) -> Change:
    """One more address, of a /30."""
    return Change(subject, (IFCONFIG, port, "inet", address, "netmask", _MASK, "alias"))


def take_away(subject: str, port: str, address: str) -> Change:
    """An address less."""
    return Change(subject, (IFCONFIG, port, "inet", address, "-alias"))


def limit_wired(megabytes: int) -> Change:
    """The wired memory limit."""
    return Change(LIMIT, (SYSCTL, f"{WIRED_LIMIT}={megabytes}"))


def load(rules: str) -> Change:
    """Our anchor's rules, all of them anew."""
    return Change(FILTER, LOAD, rules)


def flush() -> Change:
    """Our anchor's rules and tables away."""
    return Change(FILTER, FLUSH)


def enable() -> Change:
    """The packet filter on, by a reference of our own."""
    return Change(FILTER, ENABLE)


def enable_for_good() -> Change:
    """The packet filter on, by nobody's reference."""
    return Change(FILTER, (PFCTL, "-e"))


def release(token: str) -> Change:
    """Our reference back; the filter is off when it was the last."""
    return Change(FILTER, (*RELEASE, token))
