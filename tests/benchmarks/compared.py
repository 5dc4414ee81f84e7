"""What was measured at three doors, and whether the gateway costs no more than bare LiteLLM and a tenth. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

MORE = 1.10
"""How many times bare LiteLLM's cost the gateway's may be."""


@dataclass(frozen=True)
class Measured:
    """What some streams at once saw of one door."""

    tokens_per_second: float
    first_milliseconds: float


@dataclass(frozen=True)
class Round:
    """The same at each door, one after the other."""

    direct: Measured
    bare: Measured
    gateway: Measured


def added(rounds: Sequence[Round], door: Callable[[Round], Measured]) -> float:
    """Milliseconds by which a door delays the first token."""
    return median(door(each).first_milliseconds - each.direct.first_milliseconds for each in rounds)


def slower(rounds: Sequence[Round]) -> float:
    """How many times the gateway's time for a token is bare LiteLLM's."""
    return median(each.bare.tokens_per_second / each.gateway.tokens_per_second for each in rounds)


def later(rounds: Sequence[Round]) -> float:
    """How many times the gateway's delay of the first token is bare LiteLLM's."""
    return added(rounds, _gateway) / added(rounds, _bare)


def misses(streams: int, rounds: Sequence[Round]) -> list[str]:
    """What is beyond the bound; empty when all is within."""
    found = {"first token": later(rounds), "tokens": slower(rounds)}
    return [
        f"{what} at {streams}: {times:.2f} times what bare LiteLLM takes, at most {MORE:.2f}"
        for what, times in found.items()
        if times > MORE
    ]


def table(results: Mapping[int, Sequence[Round]]) -> Table:
    """The results, as they are printed."""
    heads = (
        *("streams", "tokens/s direct", "bare", "gateway", f"times bare (<= {MORE})"),
        *("first ms direct", "bare adds", "gateway adds", f"times bare (<= {MORE})", ""),
    )
    drawn = Table(*heads, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for streams, rounds in results.items():
        speeds = [median(door(each).tokens_per_second for each in rounds) for door in (_direct, _bare, _gateway)]
        drawn.add_row(
            str(streams),
            *(f"{speed:.0f}" for speed in speeds),
            f"{slower(rounds):.2f}",
            f"{median(each.direct.first_milliseconds for each in rounds):.1f}",
            f"{added(rounds, _bare):+.1f}",
            f"{added(rounds, _gateway):+.1f}",
            f"{later(rounds):.2f}",
            "missed" if misses(streams, rounds) else "within",
        )
    return drawn


def _direct(each: Round) -> Measured:
    return each.direct


def _bare(each: Round) -> Measured:
    return each.bare


def _gateway(each: Round) -> Measured:
    return each.gateway
