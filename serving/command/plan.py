"""`cidermill plan`: how to serve weights on which Macs, with what to expect, before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from serving import versions
from serving.anatomy.keeping import declared_of
from serving.anatomy.quantising import Quantisation, parsed
from serving.anatomy.reading import Source
from serving.cluster import Cluster
from serving.command.drawing import in_terminal, into_png, wide_console
from serving.command.sources import source_of
from serving.declared import Replica
from serving.errors import PlacementRefused
from serving.measuring.calibration import find
from serving.measuring.calibration import of as calibration_of
from serving.measuring.expecting import kind_of
from serving.measuring.receipts import NONE, Kept
from serving.placement.advising import advice, expected
from serving.placement.chips import Machine, machine
from serving.placement.choosing import RANKS
from serving.placement.curves import against_context, against_machines
from serving.placement.deciding import Decision, decide
from serving.placement.declared import Placed, judged_replica, machines_of, wish_of
from serving.placement.telling import COLUMNS, about, choice_document, document, rows, spoken
from serving.placement.wish import Here, Wish

LIGHTER = (8, 6, 4)
"""Bits that are tried where nothing works."""

MORE = (2, 4, 8)
"""Splits that are looked at then, for machines that would have to be added."""


@dataclass(frozen=True)
class Planned:
    """A decision on all choices, how the one that is declared fares, where one is, and what has to be said of both."""

    decision: Decision
    declared: Placed | None = None
    words: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether it can be served, as it is declared where it is."""
        return self.decision.winner is not None and (self.declared is None or self.declared.choice.works)


def plan(
    weights: str | Cluster | None,
    *,
    as_json: bool = False,
    plot: Path | None = None,
    kept: Kept = NONE,
    **wanted: Any,
) -> int:
    """Print the decisions on weights, or on every replica of a cluster; 0 when all can be served as declared, else 1.

    `kept` are the receipts of a cluster. `wanted`: machines, quantise, context, slots, transport, fast_synch. Raises
    PlacementRefused, and what reading weights raises.
    """
    planned = list(_planned(weights, kept, **wanted))
    if as_json:
        documents = [_document(each) for each in planned]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    else:
        for each in planned:
            _print(each)
            _print_declared(each.declared)
    if plot is not None:
        decision = planned[0].decision
        into_png(plot, decision.weights.name, *_curves(decision))
    return 0 if all(each.works for each in planned) else 1


def _planned(
    weights: str | Cluster | None,
    kept: Kept,
    *,
    machines: Sequence[str] = (),
    quantise: str | None = None,
    **changes: Any,
) -> Iterator[Planned]:
    if weights is None:
        raise PlacementRefused(
            "cannot plan without weights: name a directory, a config.json, the hub's name of some, or "
            "an inventory file."
        )
    asked = {name: value for name, value in changes.items() if value}
    bits = _quantisation(quantise)
    if isinstance(weights, Cluster):
        yield from _of_cluster(weights, bits, asked, kept)
        return
    if not machines:
        raise PlacementRefused(f"cannot place '{weights}': no machine was given. Name each: --machine 'M3 Ultra 512'.")
    taken = [replace(machine(words), name=f"mac-{number}") for number, words in enumerate(machines, start=1)]
    yield Planned(_decided(source_of(weights, bits), taken, Wish(**asked)))


def _of_cluster(cluster: Cluster, bits: Quantisation | None, asked: dict[str, Any], kept: Kept) -> Iterator[Planned]:
    for replica in cluster.replicas:
        weights = cluster.weights_of(replica)
        name, wanted = str(weights.path or weights.repository), bits or declared_of(weights)
        source = source_of(name, wanted, weights.revision, weights.endpoint)
        here, words = _measured(source, replica, kept)
        machines, wish = machines_of(cluster, replica), replace(wish_of(cluster, replica), here=here, **asked)
        decision = _decided(source, machines, wish)
        declared = judged_replica(decision.weights, replica, machines, wish)
        yield Planned(decision, declared, (*kept.problems, *words))


def _measured(source: Source, replica: Replica, kept: Kept) -> tuple[Here | None, tuple[str, ...]]:
    """What the lab has measured of weights like a replica's, if it has, and what to say of it."""
    if not kept.receipts:
        return None, ()
    found, reasons = find(kept, kind_of(source.whole), versions.node(), replica.name)
    if found is None:
        return None, reasons
    receipt, measured = found
    ranks = [len(measured.machines)] if measured.sharding == "tensor" else []
    calibration = calibration_of(receipt, measured, source.anatomy(ranks, memory=False))
    if calibration is None:
        return None, (
            *reasons,
            f"of '{measured.name}' nothing was measured on {receipt.day} that constants follow from",
        )
    return calibration.here, (*reasons, *calibration.words)


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


def _print(planned: Planned) -> None:
    decision, console = planned.decision, wide_console()
    console.print(about(decision.weights), markup=False)
    console.print(spoken(decision.weights.speech), markup=False)
    for note in decision.weights.notes:
        console.print(f"Note: {note}.", markup=False)
    for words in planned.words:
        console.print(f"Note: {words.rstrip('.')}.", markup=False)
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


def _print_declared(declared: Placed | None) -> None:
    if declared is None:
        return
    console = wide_console()
    if declared.choice.works:
        console.print(f"As declared, replica {declared.name}: {expected(declared)}.", markup=False)
    for refusal in declared.choice.refusals:
        console.print(f"As declared, replica {declared.name} is refused: {refusal}.", markup=False, style="bold")
    for step in declared.nearest:
        console.print(f"Nearest to the declaration: {step}.", markup=False)
    for line in advice({declared.name: declared}):
        console.print(line, markup=False)


def _document(planned: Planned) -> dict[str, Any]:
    told = document(planned.decision) | {"notes": list(planned.words)}
    declared = planned.declared
    if declared is None:
        return told
    replica = choice_document(declared.choice) | {"replica": declared.name, "nearest": list(declared.nearest)}
    return told | {"declared": replica, "works": declared.choice.works}


def _curves(decision: Decision) -> tuple[Any, Any]:
    by_context = against_context(decision.weights, decision.choices, decision.wish)
    return by_context, against_machines(decision.choices)
