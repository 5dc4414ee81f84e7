"""Curves of speed, in a terminal and as a PNG."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from serving.placement.curves import Curve

_LEAST_WIDTH = 160
_HEADINGS = (("context, tokens", True), ("Macs", False))


def wide_console() -> Console:
    """Where tables are printed: wide enough for a row, whatever the terminal is."""
    console = Console(highlight=False)
    console.width = max(_LEAST_WIDTH, console.width)
    return console


def in_terminal(*panels: Sequence[Curve]) -> str:
    """Every panel as bars, one block for each curve; tokens per second of one conversation."""
    lines: list[str] = []
    for (heading, _), curves in zip(_HEADINGS, panels, strict=True):
        most = max((speed for curve in curves for _, speed in curve.points), default=0)
        lines += ["", f"tokens per second of one conversation, by {heading}"]
        for curve in curves:
            lines.append(f"  {curve.name}")
            lines += [f"  {place:>8} {'█' * round(40 * speed / most)} {speed:.1f}" for place, speed in curve.points]
    return "\n".join(lines)


def into_png(path: Path, title: str, *panels: Sequence[Curve]) -> None:
    """Every panel side by side in one picture."""
    matplotlib: Any = importlib.import_module("matplotlib")  # takes a second, and only pictures need it
    matplotlib.use("agg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 5), layout="constrained")
    for axis, (heading, doubling), curves in zip(axes, _HEADINGS, panels, strict=True):
        _panel(axis, heading, curves, doubling=doubling)
    figure.suptitle(f"{title}: tokens per second of one conversation, expected")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _panel(axis: Any, heading: str, curves: Sequence[Curve], *, doubling: bool) -> None:
    for curve in curves:
        axis.plot(*zip(*curve.points, strict=True), marker="o", label=curve.name)
    if doubling:
        axis.set_xscale("log", base=2)
    axis.set_xlabel(heading)
    axis.set_ylabel("tokens per second")
    axis.set_ylim(bottom=0)
    if curves:
        axis.legend()
    axis.grid(visible=True, alpha=0.3)
