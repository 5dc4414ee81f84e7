"""What the model says for a case. The anatomy of each kind of weights is read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from serving.anatomy.quantising import CANDIDATES, Quantisation
from serving.anatomy.reading import Source, from_config
from serving.anatomy.values import Anatomy
from serving.evaluation.judging import Case
from serving.placement import memory, speed
from serving.placement.constants import FITTED, Constants
from serving.placement.speed import Setting

ANSWER_TOKENS = 128
"""What is answered while a peak is measured, beside the prompt."""


class Predictor:
    """Predicts cases for weights of given dimensions."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]], constants: Constants = FITTED) -> None:
        self.configs = configs
        self.constants = constants
        self.source = lru_cache(maxsize=None)(self._source)

    def setting(self, case: Case) -> Setting:
        """A case as the model of speed wants it."""
        return Setting(
            weights=self.weights(case),
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
        memory = case.metric == "memory"
        if case.quantisation is not None:
            return self.source(case.weights, case.quantisation).anatomy(ranks, memory=memory)
        sizes = [(abs(self.source(case.weights, each).size - (case.stated_bytes or 0)), each) for each in CANDIDATES]
        nearest = min(sizes, key=lambda pair: pair[0])[1]
        return self.source(case.weights, nearest).anatomy(ranks, memory=memory)

    def with_constants(self, constants: Constants) -> Predictor:
        """The same with other constants, for a fit."""
        other = Predictor(self.configs, constants)
        other.source = self.source
        return other

    def _source(self, name: str, quantisation: Quantisation) -> Source:
        return from_config(self.configs[name], name, quantisation)


def changed(constants: Constants, **values: float) -> Constants:
    """Constants with some of them changed."""
    return replace(constants, **values)  # pyright: ignore[reportArgumentType]  # fields are named by the caller
