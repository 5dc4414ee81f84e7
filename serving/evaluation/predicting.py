"""What the model says for a case. The anatomy of each kind of weights is read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from serving.anatomy.quantising import CANDIDATES, FULL, Quantisation
from serving.anatomy.reading import Source, from_config
from serving.anatomy.values import Anatomy, Cache
from serving.evaluation.judging import Case
from serving.placement import memory, speed
from serving.placement.constants import FITTED, Constants
from serving.placement.speed import Setting

ANSWER_TOKENS = 128
"""What is answered while a peak is measured, beside the prompt."""

LATENTS_SINCE = "2026-02"
SAME_SIZE = 0.05
"""How far a size may be from what is said beside it."""


class Predictor:
    """Predicts cases for weights of given dimensions."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]], constants: Constants = FITTED) -> None:
        self.configs = configs
        self.constants = constants
        self.source = lru_cache(maxsize=None)(self._source)

    def setting(self, case: Case) -> Setting:
        """A case as the model of speed wants it."""
        return Setting(
            weights=as_of(self.weights(case), case.row.date),
            machines=case.machines,
            sharding=case.sharding,
            transport=case.transport,
            fast_synch=case.fast_synch,
            constants=self.constants,
        )

    def __call__(self, case: Case) -> float:
        """Tokens per second, or gigabytes of memory."""
        setting = self.setting(case)
        if case.metric == "decode":
            return case.sequences / speed.decode_seconds(setting, case.context, case.sequences)
        if case.metric == "prompt":
            return case.context / speed.prompt_seconds(setting, case.context)
        return max(need.total for need in memory.needs(setting, case.context + ANSWER_TOKENS, case.sequences)) / 1e9

    def weights(self, case: Case) -> Anatomy:
        """The weights of a case; of a stated size those whose quantisation comes nearest to it."""
        ranks = [len(case.machines)] if case.sharding == "tensor" else []
        return self.source(case.weights, self._quantisation(case)).anatomy(ranks, memory=case.metric == "memory")

    def _quantisation(self, case: Case) -> Quantisation:
        """What the label says; where it tells a size that this does not have, what comes nearest to the size."""
        stated, said = case.stated_bytes, case.quantisation
        if stated is None:
            return said or FULL
        if said is not None and abs(self.source(case.weights, said).size / stated - 1) < SAME_SIZE:
            return said
        return min(CANDIDATES, key=lambda each: abs(self.source(case.weights, each).size - stated))

    def with_constants(self, constants: Constants) -> Predictor:
        """The same with other constants, for a fit."""
        other = Predictor(self.configs, constants)
        other.source = self.source
        return other

    def _source(self, name: str, quantisation: Quantisation) -> Source:
        return from_config(self.configs[name], name, quantisation)


def as_of(weights: Anatomy, date: str) -> Anatomy:
    """Weights as the software of a date kept their conversations.

    mlx-lm keeps latents since its change 839 of 4 February 2026 (0.30.6); before, every head's own key and value.
    """
    if not date or date[:7] >= LATENTS_SINCE:
        return weights
    return replace(weights, layers=tuple(replace(layer, cache=_expanded(layer.cache)) for layer in weights.layers))


def _expanded(cache: Cache) -> Cache:
    if not cache.expanded_bytes:
        return cache
    return replace(cache, bytes_per_token=cache.expanded_bytes, heads=int(cache.readers), readers=1)
