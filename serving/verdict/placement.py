"""Whether the declared weights can be split as declared, and fit, on the machines as they were found.

Decided by `serving.placement`, which decides the layers of ranks and `cidermill plan` as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.declared import Replica
from serving.placement import refusing
from serving.placement.declared import Placed
from serving.placement.wish import GB
from serving.seen import Problem
from serving.verdict.finding import Finding
from serving.verdict.view import View


def placement(view: View) -> Iterator[Finding]:
    """What keeps replicas from being formed, where it was decided."""
    for replica in view.cluster.replicas:
        placed = view.placed.get(replica.name)
        if isinstance(placed, Problem):
            yield _unknown(replica, placed)
        elif placed is not None:
            yield from _split(replica, placed)
            yield from _memory(placed)


def _unknown(replica: Replica, problem: Problem) -> Finding:
    return Finding(
        replica.machines[0],
        "weights",
        problem.problem.rstrip("."),
        "weights of which it can be told what they need",
        f"Choose weights that the installed mlx-lm runs for replica '{replica.name}'.",
    )


def _split(replica: Replica, placed: Placed) -> Iterator[Finding]:
    for refusal in refusing.split(placed.weights, placed.choice):
        needed = f"a split that mlx-lm can make, for replica '{placed.name}'"
        yield Finding(replica.machines[0], "split of the weights", refusal, needed, _nearest(placed))


def _memory(placed: Placed) -> Iterator[Finding]:
    if any(refusing.split(placed.weights, placed.choice)):
        return  # then nobody knows what a rank would hold
    choice = placed.choice
    for machine, need in refusing.short(choice):
        yield Finding(
            machine.name,
            "memory for the weights",
            refusing.limit(machine),
            f"{need.total / GB:.1f} GB of '{placed.weights.name}': {refusing.parts(need, choice, placed.wish)}",
            _nearest(placed),
        )


def _nearest(placed: Placed) -> str:
    if not placed.nearest:
        return "Nothing near it works: choose other weights, with fewer bits or parameters."
    first, *others = placed.nearest
    return f"The nearest that works: {first}.{''.join(f' Or: {other}.' for other in others)}"
