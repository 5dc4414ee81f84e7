"""Answers of the test weights, many at a time, each held to its own grammar: mlx-lm's batches without its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, TextStateMachine, make_stop_sequences, make_text_state_machine
from mlx_lm.sample_utils import make_sampler
from mlx_lm.tokenizer_utils import _infer_tool_parser
from mlx_lm.utils import load

from serving.endpoint import structure
from serving.endpoint.writing import Writing, tool_parser
from serving.rank import constraint
from tests.weights import PATH

SLOTS = 8


@dataclass
class Answer:
    """What came back."""

    tokens: list[int] = field(default_factory=list)
    finish: str | None = None


@lru_cache(maxsize=1)
def weights() -> tuple[Any, Any]:
    """The test weights and mlx-lm's tokenizer of them."""
    network, tokenizer = load(str(PATH))[:2]
    return network, tokenizer


@lru_cache(maxsize=1)
def writing() -> Writing:
    """How they write."""
    tokenizer = weights()[1]._tokenizer
    return Writing.of(tokenizer, tool_parser(tokenizer, _infer_tool_parser))


def prompt(question: str, tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
    """A question as tokens."""
    return weights()[1].apply_chat_template(
        [{"role": "user", "content": question}], tools=list(tools) or None, add_generation_prompt=True
    )


def held(body: Mapping[str, Any], emitted: Sequence[int] = ()) -> constraint.Constraint:
    """What keeps an answer to what a request asks."""
    grammar = structure.grammar(body, writing())
    assert grammar is not None
    return constraint.processor(weights()[1], grammar, emitted)


def answers(
    asked: Sequence[tuple[list[int], constraint.Constraint | None]],
    max_tokens: int = 400,
    temperature: float = 0.0,
    watch: bool = False,
    network: Any = None,
) -> list[Answer]:
    """The answers to prompts, eight at a time, each held to its constraint; `network` is a rank's part."""
    whole, tokenizer = weights()
    network = network or whole
    sampler: Callable[[mx.array], mx.array] = make_sampler(temperature)
    generator = BatchGenerator(network, completion_batch_size=SLOTS, prefill_batch_size=SLOTS)
    try:
        uids = generator.insert(
            [list(tokens) for tokens, _ in asked],
            max_tokens=[max_tokens] * len(asked),
            samplers=[held_to.watching(sampler) if watch and held_to else sampler for _, held_to in asked],
            logits_processors=[[held_to] if held_to else [] for _, held_to in asked],
            stop_sequences=[make_stop_sequences(tokenizer)] * len(asked),
        )
        made = {uid: Answer() for uid in uids}
        while any(answer.finish is None for answer in made.values()):
            for response in generator.next()[1]:
                made[response.uid].finish = response.finish_reason
                if response.finish_reason != "stop":
                    made[response.uid].tokens.append(response.token)
    finally:
        generator.close()
    return [made[uid] for uid in uids]


def text(answer: Answer) -> str:
    """What a client reads."""
    return weights()[1].decode(answer.tokens)


def called(answer: Answer, tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tool calls that mlx-lm's server reads from an answer."""
    tokenizer = weights()[1]
    state = make_text_state_machine(tokenizer).make_state()
    _, segments = TextStateMachine.split(state, text(answer))
    return [tokenizer.tool_parser(said, list(tools)) for kind, said in segments if kind == "tool"]
