"""What `pfctl -s` prints, laid out as macOS 26.5.2 lays it out; `state` is pfctl's own, as it keeps it for a boot."""

from __future__ import annotations

import time
from typing import Any

EVALUATED = "com.apple"
FROM_FACTORY = ["com.apple", "com.apple/200.AirDrop", "com.apple/250.ApplicationFirewall"]
MAIN_RULES = 'scrub-anchor "com.apple/*" all fragment reassemble\nanchor "com.apple/*" all\n'
COM_APPLE_RULES = 'anchor "200.AirDrop/*" all\nanchor "250.ApplicationFirewall/*" all\n'
COLUMNS = f"TOKENS:\n{'PID':<9}{'Process Name':<29}{'TOKEN':<25}TIMESTAMP\n"
STATES = ("searches", "inserts", "removals")
COUNTERS = [
    "match",
    "bad-offset",
    "fragment",
    "short",
    "normalize",
    "memory",
    "bad-timestamp",
    "congestion",
    "ip-option",
    "proto-cksum",
    "state-mismatch",
    "state-insert",
    "state-limit",
    "src-limit",
    "synproxy",
    "dummynet",
    "invalid-port",
]


def info(state: dict[str, Any]) -> str:
    status = f"Status: {'Enabled' if state['enabled'] else 'Disabled'}"
    if state["since"] is not None:
        status += f" for {_age(state['since'])}"
    rate = "0.0/s"
    rows = [f"{status:<46}Debug: Urgent", "", f"State Table{'Total':>31}{'Rate':>17}", _count("current entries", "")]
    rows += [_count(name, rate) for name in STATES] + ["Counters"] + [_count(name, rate) for name in COUNTERS]
    return "".join(f"{row}\n" for row in rows)


def _count(name: str, rate: str) -> str:
    return f"  {name:<25}{0:>15} {rate:>16}" if rate else f"  {name:<25}{0:>15}{'':15}"


def _age(since: float) -> str:
    seconds = max(0, int(time.time() - since))
    return f"{seconds // 86400} days {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def references(state: dict[str, Any]) -> str:
    if not state["references"]:
        return "No pf starter references held\n"
    rows = [f"{held['pid']:<9}{'pfctl':<29}{held['token']:<25}{_age(held['since'])}\n" for held in state["references"]]
    return COLUMNS + "".join(rows)


def anchors(state: dict[str, Any], below: str, *, deep: bool) -> str:
    """The anchors directly below one, or below the main ruleset; with `-v` those below them too."""
    every = sorted({*FROM_FACTORY, *state["anchors"]})
    every = sorted({*every, *(name.rpartition("/")[0] for name in every if "/" in name)})
    inside = [name for name in every if not below or name.startswith(f"{below}/")]
    depth = below.count("/") + 1 if below else 0
    return "".join(f"  {name}\n" for name in inside if deep or name.count("/") == depth)


def rules(state: dict[str, Any], name: str) -> tuple[str, str]:
    if not name:
        return (MAIN_RULES if state["evaluates"] else ""), ""
    if name not in state["anchors"] and name not in FROM_FACTORY:
        return "", "pfctl: DIOCGETRULES: Invalid argument\n"
    own = "".join(f"{rule}\n" for rule in state["anchors"].get(name, {}).get("rules", []))
    return (COM_APPLE_RULES if name == EVALUATED else "") + own, ""
