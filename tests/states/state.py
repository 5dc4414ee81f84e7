"""One row of the table of states: a lab, and every finding that is expected on it."""

from __future__ import annotations

from typing import NamedTuple

from tests.states.lab import Lab

Expected = tuple[str, str, str, str]
"""Machine, check, severity, and a word of what was seen."""


class State(NamedTuple):
    """A lab, and all that its verdict must say and nothing else."""

    lab: Lab
    told: tuple[Expected, ...]


def state(lab: Lab, *told: Expected) -> State:
    """One row."""
    return State(lab, told)
