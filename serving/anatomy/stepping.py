"""One network taken through a prompt and a token of an answer, on shapes alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from serving.anatomy import scratch, tracing
from serving.anatomy.building import Array, Network, mx
from serving.anatomy.tracing import Recorded
from serving.anatomy.values import Cache

caches: Any = importlib.import_module("mlx_lm.models.cache")

_PROMPT = 512
"""Tokens of a prompt: a multiple of what caches grow by (256), so that what they hold is what they were given."""

PROMPTS = (512, 1024, 2048)
"""How many tokens are read at once when memory is looked at; mlx-lm reads 2048 of a long prompt (0.32.2)."""


def step(built: Network) -> tuple[int, Recorded]:
    """Kernels of one token of an answer, sampled greedily, and what was noted on the way."""
    kept = caches.make_prompt_cache(built)
    with tracing.recording():
        for tokens in (_PROMPT - 12, 1):  # the second token is the first that finds the cache as it stays
            built(mx.zeros((1, tokens), mx.int32), cache=kept)
            _settle(kept)
    with tracing.recording() as recorded:
        logits = built(mx.zeros((1, 1), mx.int32), cache=kept)[:, -1, :]
        chances = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        launched = tracing.launches(mx.argmax(chances, axis=-1), chances, *_arrays(kept))
    return launched, recorded


def handed_over(built: Network) -> int:
    """In how many command buffers one token of an answer goes to Metal."""
    kept = caches.make_prompt_cache(built)
    with tracing.recording():
        for tokens in (_PROMPT - 12, 1):
            built(mx.zeros((1, tokens), mx.int32), cache=kept)
            _settle(kept)
        return scratch.command_buffers(tracing.graph(lambda x: built(x, cache=kept), 1))


def kept_bytes(built: Network) -> list[Cache]:
    """What every layer keeps, from how much its cache holds after one prompt and after one twice as long."""
    short, long = _held(built, _PROMPT), _held(built, 2 * _PROMPT)
    return [
        Cache(
            bytes_per_token=(after - before) // _PROMPT,
            fixed_bytes=max(0, 2 * before - after),
            window=window,
        )
        for (before, window), (after, _) in zip(short, long, strict=True)
    ]


def prompt_products(built: Network, tokens: int) -> tuple[list[tracing.Product], Recorded]:
    """Every multiplication of matrices for a prompt, and its attention."""
    with tracing.recording() as recorded:
        events = tracing.graph(lambda x: built(x, cache=caches.make_prompt_cache(built)), tokens)
    return tracing.products(events), recorded


def scratch_by_tokens(built: Network) -> dict[int, int]:
    """What `prompt_scratch` tells for prompts of several lengths."""
    return {tokens: prompt_scratch(built, tokens) for tokens in PROMPTS}


def prompt_scratch(built: Network, tokens: int) -> int:
    """Bytes that reading so many tokens of a prompt at once takes at most, beside weights and caches."""
    kept = caches.make_prompt_cache(built)

    def read(x: Array) -> list[Array]:
        built(x, cache=kept)
        return _arrays(kept)

    with tracing.recording():
        return scratch.peak(tracing.graph(read, tokens))


def logits_width(built: Network) -> int:
    """How many tokens the vocabulary has, by what comes out."""
    with tracing.recording():
        return built(mx.zeros((1, 1), mx.int32)).shape[-1]


def _held(built: Network, tokens: int) -> list[tuple[int, int | None]]:
    kept = caches.make_prompt_cache(built)
    with tracing.recording():
        built(mx.zeros((1, tokens), mx.int32), cache=kept)
    return [(sum(array.nbytes for array in _arrays([layer])), _window(layer)) for layer in kept]


def _window(layer: object) -> int | None:
    """How many tokens a cache keeps at most, where all of it is bounded."""
    inner = getattr(layer, "caches", None)
    if inner is not None:
        windows = [_window(each) for each in inner]
        return None if None in windows or not windows else max(cast("Sequence[int]", windows))
    for name in ("max_size", "chunk_size"):
        if isinstance(size := getattr(layer, name, None), int):
            return size
    return None


def _arrays(kept: Sequence[object]) -> list[Array]:
    return [array for layer in kept for _, array in _places(layer)]


def _settle(kept: Sequence[object]) -> None:
    """Make what caches hold be there already, so that a graph recorded from now on begins with it."""
    for layer in kept:
        for put, array in _places(layer):
            view = mx.broadcast_to(mx.zeros((), array.dtype), array.shape)
            mx.eval(view)
            put(view)


def _places(holder: Any) -> Iterator[tuple[Callable[[Array], None], Array]]:
    """Every array that a cache holds, with what puts another in its place."""
    attributes = hasattr(holder, "__dict__")
    inside: Any = cast("Any", vars(holder)) if attributes else holder
    keys: list[Any] = list(inside) if attributes else list(range(len(inside)))
    for key in keys:
        if _is_a(inside[key], tuple):
            inside[key] = list(inside[key])  # caches index it only
        held: Any = inside[key]
        if _is_a(held, mx.array):
            yield _putting(inside, key), held
        elif _is_a(held, list) or type(held).__module__.startswith("mlx_lm"):
            yield from _places(held)


def _is_a(held: Any, kind: Any) -> bool:
    """As isinstance, which would narrow what has no type to what is partly known."""
    return isinstance(held, kind)


def _putting(inside: Any, key: Any) -> Callable[[Array], None]:
    def put(array: Array) -> None:
        inside[key] = array

    return put
