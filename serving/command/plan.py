"""`cidermill plan`: how to serve weights on which Macs, with what to expect, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from serving.anatomy.quantising import Quantisation, parsed
from serving.anatomy.reading import Source
from serving.cluster import Cluster
from serving.command.drawing import in_terminal, into_png, wide_console
from serving.command.sources import source_of
from serving.errors import PlacementRefused
from serving.placement.chips import Machine, machine
from serving.placement.choosing import RANKS
from serving.placement.curves import against_context, against_machines
from serving.placement.deciding import Decision, decide
from serving.placement.declared import machines_of, wish_of
from serving.placement.telling import COLUMNS, about, document, rows
from serving.placement.wish import Wish

LIGHTER = (8, 6, 4)
"""Bits that are tried where nothing works."""

MORE = (2, 4, 8)
"""Splits that are looked at then, for machines that would have to be added."""


def plan(weights: str | Cluster | None, *, as_json: bool = False, plot: Path | None = None, **wanted: Any) -> int:
    """Print the decisions on weights, or on every replica of a cluster; 0 when everything can be served, else 1.

    `wanted`: machines, quantise, context, slots, transport, fast_synch. Raises PlacementRefused, and what reading
    weights raises.
    """
    decisions = list(_decisions(weights, **wanted))
    if as_json:
        documents = [document(decision) for decision in decisions]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    else:
        for decision in decisions:
            _print(decision)
    if plot is not None:
        into_png(plot, decisions[0].weights.name, *_curves(decisions[0]))
    return 0 if all(decision.winner for decision in decisions) else 1


def _decisions(
    weights: str | Cluster | None, *, machines: Sequence[str] = (), quantise: str | None = None, **changes: Any
) -> Iterator[Decision]:
    if weights is None:
        raise PlacementRefused(
            "cannot plan without weights: name a directory, a config.json, the hub's name of some, or "
            "an inventory file."
        )
    asked = {name: value for name, value in changes.items() if value}
    bits = _quantisation(quantise)
    if isinstance(weights, Cluster):
        yield from _of_cluster(weights, bits, asked)
        return
    if not machines:
        raise PlacementRefused(f"cannot place '{weights}': no machine was given. Name each: --machine 'M3 Ultra 512'.")
    taken = [replace(machine(words), name=f"mac-{number}") for number, words in enumerate(machines, start=1)]
    yield _decided(source_of(weights, bits), taken, Wish(**asked))


def _of_cluster(cluster: Cluster, bits: Quantisation | None, asked: dict[str, Any]) -> Iterator[Decision]:
    for replica in cluster.replicas:
        weights = cluster.weights_of(replica)
        wanted = bits or _quantisation(weights.quantise)
        source = source_of(str(weights.path or weights.repository), wanted, weights.revision)
        yield _decided(source, machines_of(cluster, replica), replace(wish_of(cluster, replica), **asked))


def _decided(source: Source, machines: Sequence[Machine], wish: Wish) -> Decision:
    ranks = [count for count in RANKS if count <= len(machines)]
    decision = decide(source.anatomy(ranks), machines, wish)
    if decision.winner is not None:
        return decision
    ranks = sorted({*ranks, *MORE})
    lighter = [source.at(Quantisation(bits)).anatomy(ranks) for bits in LIGHTER] if source.is_full else []
    return decide(source.anatomy(ranks), machines, wish, lighter=lighter)


def _quantisation(words: str | None) -> Quantisation | None:
    if words is None:
        return None
    found = parsed(words)
    if found is None:
        raise PlacementRefused(
            f"cannot quantise to '{words}': needed bits that MLX makes, such as 4bit, 8bit, mxfp4, bf16."
        )
    return found


def _print(decision: Decision) -> None:
    console = wide_console()
    console.print(about(decision.weights), markup=False)
    for note in decision.weights.notes:
        console.print(f"Note: {note}.", markup=False)
    wish = decision.wish
    console.print(
        f"Planned for {wish.context} tokens in each of {wish.slots} slots, conversations half full"
        f"{', FAST_SYNCH on: it has wedged GPUs until a restart' if wish.fast_synch else ''}.\n"
    )
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("how", "rests on") else "right", overflow="fold")
    for row in rows(decision):
        table.add_row(*row)
    console.print(table)
    if decision.winner is not None:
        print(in_terminal(*_curves(decision)))
    console.print(f"\n{decision.sentence}", markup=False, style="bold")
    for step in decision.nearest[1:]:
        console.print(f"Or: {step}.", markup=False)


def _curves(decision: Decision) -> tuple[Any, Any]:
    by_context = against_context(decision.weights, decision.choices, decision.wish)
    return by_context, against_machines(decision.choices)
