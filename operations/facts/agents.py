"""What the agent on a machine says of itself, by way of a status command that prints one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyinfra.api.facts import FactBase

from operations.facts.reading import answers, asking, bounded, shown

_SECONDS = 20


class AgentState(FactBase[dict[str, Any] | None]):
    """The agent's state, or `{"problem": text}` while there is none to ask, as on a machine nothing was laid on yet.

    None only when the machine could not be asked at all.
    """

    def command(self, command: Sequence[str]) -> str:
        """One command, bounded in time."""
        return asking(state=bounded(_SECONDS, *command))

    def process(self, output: list[str]) -> dict[str, Any]:
        """Never raises for what the command printed: an agent that cannot be understood is a problem to be told."""
        answer = answers(output)["state"]
        if answer.timed_out:
            return {"problem": f"the agent did not answer within {_SECONDS} s"}
        documents = [line for line in answer.lines if line.startswith("{")]
        try:
            state: dict[str, Any] = json.loads(documents[-1])
        except (ValueError, IndexError, RecursionError):
            return {"problem": shown(answer.text) or "the agent said nothing"}
        return state
