"""Fit the constants of the model of speed again:  python -m tests.benchmarks.fitting FILE.csv --configs DIR

Only rows that `serving.evaluation.training` names are looked at. Each group of constants is fitted by itself, by least
squares on the logarithm of predicted over published, from the values that are in `serving.placement.constants`; what is
printed belongs there.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from serving.evaluation.judging import Case, Left, judged
from serving.evaluation.predicting import Predictor
from serving.evaluation.report import dimensions
from serving.evaluation.rows import read
from serving.evaluation.training import is_training
from serving.placement.constants import FITTED, Constants

GROUPS = {
    "decode": (
        "bandwidth_share",
        "launch_seconds",
        "handing_seconds",
        "newer_launch_share",
        "shared_read",
        "slow_sync_seconds",
        "hop_seconds",
    ),
    "prompt": ("compute_share", "newer_compute_share", "expert_rows"),
}
ROUNDS = 12


def fitted(predictor: Predictor, cases: Sequence[Case]) -> Constants:
    """The constants that explain the cases best."""
    constants = FITTED
    for metric, names in GROUPS.items():
        constants = _fit(predictor, [case for case in cases if case.metric == metric], constants, names)
    return constants


def _fit(predictor: Predictor, cases: Sequence[Case], constants: Constants, names: Sequence[str]) -> Constants:
    at = np.log([getattr(constants, name) for name in names])

    def constants_at(place: np.ndarray) -> Constants:
        return replace(constants, **dict(zip(names, map(float, np.exp(place)), strict=True)))

    def errors(place: np.ndarray) -> np.ndarray:
        other = predictor.with_constants(constants_at(place))
        return np.array([math.log(other(case) / (case.row.number or 1)) for case in cases])

    for _ in range(ROUNDS):
        now = errors(at)
        steps = np.eye(len(names)) * 1e-4
        slopes = np.stack([(errors(at + step) - now) / 1e-4 for step in steps], axis=1)
        at = at - np.clip(np.linalg.lstsq(slopes, now, rcond=None)[0], -0.5, 0.5)
    print(f"{len(cases)} rows, root mean square error {math.sqrt(float(np.mean(errors(at) ** 2))):.1%}")
    return constants_at(at)


def main() -> None:
    """Print what fits best."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--configs", type=Path, required=True)
    told = arguments.parse_args()
    known = dimensions(told.configs)
    found = [judged(row, known) for row in read(told.file) if is_training(row)]
    constants = fitted(Predictor(known), [case for case in found if not isinstance(case, Left)])
    for names in GROUPS.values():
        for name in names:
            print(f"    {name}: float = {getattr(constants, name):.4g}")


if __name__ == "__main__":
    main()
