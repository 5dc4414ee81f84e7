"""`cidermill evaluate`: published measurements beside what the model of placement says of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rich.table import Table

from serving.command.drawing import wide_console
from serving.evaluation.comparing import Compared, Group, Report, compare
from serving.evaluation.predicting import Predictor
from serving.evaluation.report import dimensions, document
from serving.evaluation.rows import read


def evaluate(file: Path, configs: Path, *, as_json: bool) -> None:
    """Print the report on a file of published numbers."""
    known = dimensions(configs)
    report = compare(read(file), known, Predictor(known))
    if as_json:
        print(json.dumps(document(report), indent=2))
    else:
        _print(report)


def _print(report: Report) -> None:
    console = wide_console()
    console.print(_rows(report.compared))
    console.print("\nLeft out, and why:", style="bold")
    for reason, lines in _reasons(report).items():
        console.print(f"  {reason}: line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}", markup=False)
    console.print()
    console.print(_groups(report.groups))
    named = sum(contest.named for contest in report.contests)
    console.print(f"\nThe published winner was named in {named} of {len(report.contests)} comparisons.", style="bold")
    for contest in report.contests:
        verdict = "named" if contest.named else f"predicted {contest.predicted}"
        console.print(f"  {contest.what}, {contest.machines} machines: {contest.published}, {verdict}", markup=False)
    trained = sum(each.training for each in report.compared)
    console.print(
        f"\n{trained} rows, marked 'training', are those that constants were fitted on; no group counts them."
    )
    assumed = Counter(words for each in report.compared for words in each.case.assumed)
    for words, count in assumed.items():
        console.print(f"Assumed for {count} rows: {words}.", markup=False)


def _rows(compared: tuple[Compared, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("line", "weights", "bits", "machines", "split", "context", "what"):
        table.add_column(heading)
    for heading in ("published", "predicted", "error", ""):
        table.add_column(heading, justify="right")
    for each in compared:
        table.add_row(*_cells(each))
    return table


def _cells(each: Compared) -> list[str]:
    case = each.case
    machine = case.machines[0]
    machines = f"{len(case.machines)} x {machine.chip.name} {machine.chip.cores}c {machine.memory_gb} GB"
    synch = "" if case.transport is None else f" {case.transport}{', fast synch' if case.fast_synch else ''}"
    what = {"decode": "answer tokens/s", "prompt": "prompt tokens/s", "memory": "peak GB"}[case.metric]
    return [
        str(case.row.line),
        case.row.model,
        str(case.quantisation or f"{(case.stated_bytes or 0) / 1e9:.0f} GB"),
        machines,
        f"{case.sharding}{synch}",
        f"{case.context}{f' x {case.sequences}' if case.sequences > 1 else ''}",
        what,
        f"{each.published:g}",
        f"{each.predicted:.4g}",
        f"{each.error:+.1%}",
        "training" if each.training else "",
    ]


def _groups(groups: tuple[Group, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("group", "rows", "mean absolute error", "lowest", "highest", "bound", ""):
        table.add_column(heading, justify="left" if heading in ("group", "") else "right")
    verdicts = {True: "holds", False: "MISSED", None: ""}
    for group in groups:
        numbers = [f"{group.mean_error:.1%}", f"{group.lowest:+.1%}", f"{group.highest:+.1%}"]
        bound = "" if group.bound is None else f"{group.bound:.0%}"
        table.add_row(group.name, str(group.rows), *numbers, bound, verdicts[group.holds])
    return table


def _reasons(report: Report) -> dict[str, list[int]]:
    reasons: dict[str, list[int]] = {}
    for left in report.left:
        reasons.setdefault(left.reason, []).append(left.row.line)
    return reasons
