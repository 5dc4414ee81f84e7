"""What the model of placement expects of a replica that was measured, as it serves now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from serving.anatomy.values import Anatomy
from serving.measuring.receipt import Expected, Measured, MeasuredReplica
from serving.placement.chips import Machine, chip
from serving.placement.constants import FITTED, Constants
from serving.placement.speed import Setting, Sharding, Transport, decode_seconds, prompt_seconds


def kind_of(weights: Anatomy) -> str:
    """What two weights must have the same for one to say something of the other."""
    return f"{weights.kind}, {weights.quantisation}"


def as_served(weights: Anatomy, measured: MeasuredReplica, constants: Constants = FITTED) -> Setting:
    """The replica as the model of speed wants it. Raises MachineUnknown for a chip that nobody knows."""
    return Setting(
        weights,
        tuple(Machine(each.name, chip(each.chip, each.memory_gb), each.memory_gb) for each in measured.machines),
        cast("Sharding", measured.sharding or "single"),
        cast("Transport | None", measured.transport),
        layers=measured.layers,
        constants=constants,
    )


def answer_seconds(at: Setting, point: Measured) -> float:
    """One step of a point, with half of its answer written."""
    return decode_seconds(at, point.prompt_tokens + point.answer_tokens / 2, point.sequences)


def reading_seconds(at: Setting, point: Measured) -> float:
    """Until the first token: all prompts of a point are read before any answer begins."""
    return prompt_seconds(at, point.prompt_tokens) * point.sequences


def expected(points: Sequence[Measured], at: Setting, rests_on: str) -> list[Measured]:
    """The points with what is expected of each."""
    return [replace_expected(point, at, rests_on) for point in points]


def replace_expected(point: Measured, at: Setting, rests_on: str) -> Measured:
    """One of them."""
    told = Expected(
        tokens_per_second=point.sequences / answer_seconds(at, point),
        first_token_seconds=reading_seconds(at, point),
        rests_on=rests_on,
    )
    return point.model_copy(update={"expected": told})


def slower(at: Setting, **factors: float) -> Setting:
    """The same where some of the constants' factors are others."""
    return replace(at, constants=replace(at.constants, **factors))
