"""What the agent of a machine says of its replica, asked in the middle of a roll."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyinfra.api.exceptions import OperationError
from pyinfra.api.host import Host
from pyinfra.context import host

from operations.attempts import LOST, revived
from operations.facts.agents import AgentState
from operations.inventory import machine_name
from operations.remote import current_state, read


def state(command: Sequence[str]) -> Mapping[str, Any]:
    """What an agent says; a machine that cannot be asked is one whose agent is silent."""
    here: Host = host
    if not current_state().is_executing:
        return read(here, AgentState, command=command)
    try:
        revived(here)
        return read(here, AgentState, command=command)
    except (OperationError, *LOST) as error:
        return {"problem": f"{machine_name(here)} cannot be asked: {error}"}


def serves(seen: Mapping[str, Any]) -> bool:
    """Whether it answers clients, or would if nobody held it back."""
    # One that drains is proven, and whoever asks it sees by itself that it takes nothing for now.
    return replica(seen).get("state") in ("ready", "draining")


def replica(seen: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the replica; empty when none is conducted there."""
    return seen.get("replica") or {}


def last_object(lines: Sequence[str]) -> Mapping[str, Any] | None:
    """The last line of what a command printed that is a JSON object."""
    try:
        return json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    except (StopIteration, ValueError):
        return None


def told(seen: Mapping[str, Any]) -> str:
    """All of it in a line, for people."""
    said = replica(seen)
    words = [said.get("state"), f"with {seen['release']}" if "release" in seen else "", said.get("reason")]
    return str(seen.get("problem") or " ".join(filter(None, words)) or "an agent that keeps no replica")
