"""What it costs to hold answers to a grammar: tokens per second of full slots, held and free, in turn in one run.

    uv run --all-groups python -m tests.benchmarks.structured [--tokens 64] [--rounds 15]

Every slot writes the same number of tokens in all: the grammars have no end, and nothing stops the free ones. The
kinds take turns in going first, and each round of one is compared with the free one beside it, so that whatever else
the machine does counts for all. A processor that changes nothing shows what mlx-lm itself takes to ask one for each
answer. It ends with 1 when the bound is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import make_sampler

from serving.rank.constraint import Constraint
from serving.rank.continuing import Processor, Sampler
from tests.serving import schemas
from tests.serving.rank import holding

NEEDED = 0.9
"""Of the free answers' speed."""


@dataclass(frozen=True)
class Held:
    """What one answer is chosen by."""

    processors: list[Processor]
    sampler: Sampler


@dataclass(frozen=True)
class Round:
    """Tokens per second of wall time, and seconds of processor time."""

    speed: float
    processor: float


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.structured")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(arguments)
    kinds: dict[str, Callable[[], list[Held]]] = {
        "free": lambda: [Held([], sampler) for sampler in _samplers()],
        "asked in vain": lambda: [Held([_nothing], sampler) for sampler in _samplers()],
        "held": lambda: [
            Held([each], each.watching(sampler)) for each, sampler in zip(_constraints(), _samplers(), strict=True)
        ],
    }
    taken: dict[str, list[Round]] = {kind: [] for kind in kinds}
    for turn in range(-1, given.rounds):  # the first fills caches
        order = [*kinds][turn % len(kinds) :] + [*kinds][: turn % len(kinds)]
        for kind in order:
            one = _round(kinds[kind](), given.tokens)
            taken[kind] += [one] if turn >= 0 else []
    ratios = {kind: _ratio(taken["free"], taken[kind]) for kind in kinds}
    for kind, rounds in taken.items():
        speed, processor = median(each.speed for each in rounds), median(each.processor for each in rounds)
        print(f"{kind:14} {speed:8.0f} tokens/s {processor:8.2f} s of processor   {ratios[kind]:.2f} of the free speed")
    held = ratios["held"] >= NEEDED
    print(f"{'held' if held else 'MISSED'}: {ratios['held']:.2f} of the free speed, needed {NEEDED:g}")
    return 0 if held else 1


def _nothing(tokens: mx.array, logits: mx.array) -> mx.array:
    return logits


def _samplers() -> list[Sampler]:
    # One for each answer, as mlx-lm's server makes them.
    return [make_sampler(0.0) for _ in range(holding.SLOTS)]


def _constraints() -> list[Constraint]:
    items = [schemas.schema(seed) for seed in range(holding.SLOTS)]
    # What an item refers to is looked for in the whole.
    endless = [{"type": "array", "minItems": 10_000, "items": each, "$defs": each.get("$defs", {})} for each in items]
    return [
        holding.held({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": each}}})
        for each in endless
    ]


def _round(answers: Sequence[Held], tokens: int) -> Round:
    network, _ = holding.weights()
    generator = BatchGenerator(network, completion_batch_size=holding.SLOTS, prefill_batch_size=holding.SLOTS)
    generator.insert(
        [holding.prompt("What is the weather in Paris?")] * len(answers),
        max_tokens=[tokens] * len(answers),
        samplers=[each.sampler for each in answers],
        logits_processors=[each.processors for each in answers],
    )
    while not generator.next()[1]:
        """Until the prompts are read."""
    began, used = time.perf_counter(), time.process_time()
    made = sum(len(generator.next()[1]) for _ in range(tokens - 1))
    mx.synchronize()
    taken = Round(made / (time.perf_counter() - began), time.process_time() - used)
    generator.close()
    if made != (tokens - 1) * len(answers):
        raise RuntimeError(f"cannot compare: seen {made} tokens, needed {(tokens - 1) * len(answers)}")
    return taken


def _ratio(free: Sequence[Round], held: Sequence[Round]) -> float:
    return median(each.speed / before.speed for before, each in zip(free, held, strict=True))


if __name__ == "__main__":
    sys.exit(main())
