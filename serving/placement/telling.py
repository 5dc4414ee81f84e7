"""A decision as rows of a table and as JSON. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from serving.anatomy.values import Anatomy, Speech
from serving.placement.deciding import Decision
from serving.placement.wish import GB, Choice

COLUMNS = ("how", "answer tokens/s", "all slots", "prompt tokens/s", "first token", "GB per Mac", "band", "rests on")


def rows(decision: Decision) -> list[tuple[str, ...]]:
    """One row for each choice, the best first; those that are refused say why."""
    return [_row(choice) for choice in decision.choices]


def about(weights: Anatomy) -> str:
    """The weights in a sentence."""
    gigabytes = f"{weights.bytes / GB:.1f} GB"
    size = f"{_count(weights.parameters)} parameters, {_count(weights.active_parameters)} of them for each token"
    cache = f"{weights.cached(1024) / 1024 / 1e3:.1f} KB are kept for each token of a conversation"
    return f"{weights.name}: {weights.kind}, {size}, {weights.quantisation}, {gigabytes}; {cache}."


def spoken(speech: Speech) -> str:
    """How weights speak, in a sentence."""
    if speech.unknown:
        return f"Chat template, tool calls and thoughts are not known: {speech.unknown}."
    chats = "They have a chat template" if speech.chats else "They have no chat template, so they complete texts only"
    tools = f"tool calls are read by mlx-lm's parser {speech.tools}" if speech.tools else "mlx-lm reads no tool calls"
    marks = " and ".join(speech.thoughts or ())
    thoughts = f"thoughts are told by {marks}" if marks else "it tells no thoughts from answers"
    return f"{chats}; {tools}; {thoughts}."


def document(decision: Decision) -> dict[str, Any]:
    """Everything as plain data; sizes in bytes, speeds in tokens per second, times in seconds."""
    weights = decision.weights
    return {
        "weights": {
            "name": weights.name,
            "kind": weights.kind,
            "parameters": weights.parameters,
            "active_parameters": weights.active_parameters,
            "quantisation": weights.quantisation,
            "bytes": weights.bytes,
            "cache_bytes_per_token": weights.cache_bytes_per_token,
            "pipeline": weights.pipeline,
            "tensor": {ranks: each.refusal or "possible" for ranks, each in weights.tensor.items()},
            "speech": asdict(weights.speech),
            "notes": list(weights.notes),
        },
        "wish": {
            "context": decision.wish.context,
            "slots": decision.wish.slots,
            "transport": decision.wish.transport,
            "fast_synch": decision.wish.fast_synch,
        },
        "sentence": decision.sentence,
        "works": decision.winner is not None,
        "nearest": list(decision.nearest),
        "choices": [choice_document(choice) for choice in decision.choices],
    }


def choice_document(choice: Choice) -> dict[str, Any]:
    """One choice, in the same units."""
    return {
        "how": choice.name,
        "sharding": choice.sharding,
        "machines": [machine.name for machine in choice.machines],
        "copies": choice.copies,
        "transport": choice.transport,
        "layers": choice.layers,
        "needs": [asdict(need) | {"total": need.total} for need in choice.needs],
        "expected": None if choice.expected is None else asdict(choice.expected),
        # Nobody has published what these take; a guess would be worse than none.
        "watts": None,
        "refusals": list(choice.refusals),
    }


def _row(choice: Choice) -> tuple[str, ...]:
    largest = max(need.total for need in choice.needs) / GB
    how = f"{choice.name}{'' if choice.transport is None else f', {choice.transport}'}"
    if choice.layers is not None and len(set(choice.layers)) > 2:
        how += f", layers {list(choice.layers)}"
    expected = choice.expected
    if expected is None:
        return how, "-", "-", "-", "-", f"{largest:.1f}", "-", f"refused: {'; '.join(choice.refusals)}"
    return (
        how,
        f"{expected.answer:.1f}",
        f"{expected.answers:.0f}",
        f"{expected.prompt:.0f}",
        f"{expected.first_token:.1f} s",
        f"{largest:.1f}",
        f"{expected.band:.0%}",
        expected.rests_on,
    )


def _count(parameters: float) -> str:
    return f"{parameters / 1e9:.1f} billion" if parameters >= 1e9 else f"{parameters / 1e6:.0f} million"
