"""A report as JSON, and the dimensions it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from serving.anatomy.reading import object_in
from serving.errors import EvaluationRefused
from serving.evaluation.comparing import Compared, Report
from serving.placement.constants import FITTED


def dimensions(directory: Path) -> dict[str, Mapping[str, Any]]:
    """Every `NAME.json` of a directory, and every `NAME/config.json`, by name. Raises EvaluationRefused."""
    files = {path.stem: path for path in sorted(directory.glob("*.json"))}
    files |= {path.parent.name: path for path in sorted(directory.glob("*/config.json"))}
    if not files:
        raise EvaluationRefused(
            f"cannot evaluate with the dimensions in {directory}: seen no NAME.json and no NAME/config.json, needed "
            "one for each of the weights."
        )
    return {name: object_in(path) for name, path in files.items()}


def document(report: Report) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "constants": asdict(FITTED),
        "training_rows": sum(each.training for each in report.compared),
        "groups": [
            {
                "name": group.name,
                "rows": group.rows,
                "mean_absolute_error": round(group.mean_error, 4),
                "lowest": round(group.lowest, 4),
                "highest": round(group.highest, 4),
                "bound": group.bound,
                "holds": group.holds,
            }
            for group in report.groups
        ],
        "winners": {
            "contests": len(report.contests),
            "named": sum(contest.named for contest in report.contests),
            "each": [asdict(contest) | {"named": contest.named} for contest in report.contests],
        },
        "rows": [_row(each) for each in report.compared],
        "left_out": [{"line": left.row.line, "model": left.row.model, "reason": left.reason} for left in report.left],
    }


def _row(each: Compared) -> dict[str, Any]:
    case = each.case
    return {
        "line": case.row.line,
        "model": case.row.model,
        "dimensions": case.weights,
        "quantisation": str(case.quantisation or f"{case.stated_bytes} bytes"),
        "machines": [f"{machine.chip.name} {machine.chip.cores}c {machine.memory_gb}GB" for machine in case.machines],
        "sharding": case.sharding,
        "transport": case.transport,
        "fast_synch": case.fast_synch,
        "context": case.context,
        "sequences": case.sequences,
        "metric": case.row.metric,
        "published": each.published,
        "predicted": round(each.predicted, 3),
        "error": round(each.error, 4),
        "group": each.group,
        "training": each.training,
        "assumed": list(case.assumed),
    }
