"""How much memory reading a prompt takes beside weights and caches, by playing MLX's own way of handing work to Metal.

MLX allocates what a kernel writes when it encodes it, gives it back when the command buffer that used it last is over,
and waits only when more than ten command buffers are under way. A command buffer ends after 50 kernels, or when it
touches more than 50 Mi elements: elements, not bytes (MLX 0.32.4, `CommandEncoder::needs_commit`, `eval_impl`; Max and
Ultra chips, smaller ones end sooner). What is under way at once is therefore known from the graph alone.
Nothing in here was fitted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.anatomy.tracing import VIEWS

KERNELS, ELEMENTS, UNDER_WAY = 50, 50 << 20, 10
"""What ends a command buffer, and how many are under way before MLX waits."""

_WRITES_IN_PLACE = frozenset(
    (
        *("Abs", "Add", "AsType", "Divide", "ErfInv", "Exp", "Maximum", "Minimum", "Multiply", "Negative", "Select"),
        *("Sigmoid", "Softmax", "Square", "Subtract", "Tanh"),
    )
)
"""Kernels that may write over what they read, when nobody else reads it. ErfInv stands for norm and rope."""

_WIDTH = {"64": 8, "32": 4, "16": 2, "8": 1, "_": 1}

Event = dict[str, Any]


@dataclass
class _Graph:
    """Which memory every array lies in while the graph runs, and how often it is read still."""

    reads: Counter[str]
    lies_in: dict[str, str] = field(default_factory=dict[str, str])
    unread: Counter[str] = field(default_factory=Counter[str])
    bytes: dict[str, int] = field(default_factory=dict[str, int])
    """Of memory that the graph itself takes; what was there before is not in it."""

    def put(self, name: str, memory: str) -> None:
        self.lies_in[name] = memory
        self.unread[memory] += self.reads[name]

    def read(self, name: str) -> str:
        memory = self.lies_in.get(name, name)
        self.unread[memory] -= 1
        return memory

    def may_be_overwritten(self, memory: str, size: int) -> bool:
        return self.unread[memory] == 0 and self.bytes.get(memory) == size


def peak(events: Sequence[Event]) -> int:
    """Bytes that the graph of one prompt takes at most, without its results and without what it began with."""
    steps = [event for event in events if event["type"] == "primitive"]
    results = [name for event in events if event["type"] == "outputs" for name, *_ in event["outputs"]]
    graph = _Graph(Counter(name for step in steps for name, *_ in step["inputs"]) + Counter(results))
    groups = list(_command_buffers(graph, steps))
    kept = {graph.lies_in.get(name) for name in results}
    own = {memory: size for memory, size in graph.bytes.items() if memory not in kept}
    return max((_held(own, groups[max(0, end - UNDER_WAY) : end + 1]) for end in range(len(groups))), default=0)


def command_buffers(events: Sequence[Event]) -> int:
    """How many command buffers a graph is handed to Metal in."""
    steps = [event for event in events if event["type"] == "primitive"]
    graph = _Graph(Counter(name for step in steps for name, *_ in step["inputs"]))
    return sum(1 for _ in _command_buffers(graph, steps))


def _held(own: dict[str, int], groups: Iterable[set[str]]) -> int:
    return sum(own.get(memory, 0) for memory in set[str]().union(*groups))


def _command_buffers(graph: _Graph, steps: Iterable[Event]) -> Iterator[set[str]]:
    """The memory that each command buffer touches, in order."""
    touched: dict[str, int] = {}
    kernels = 0
    for step in steps:
        if step["name"] in VIEWS:
            _view(graph, step)
            continue
        touched |= _kernel(graph, step)
        kernels += 1
        if kernels > KERNELS or sum(touched.values()) > ELEMENTS:
            yield set(touched)
            touched, kernels = {}, 0
    yield set(touched)


def _view(graph: _Graph, step: Event) -> None:
    memories = [graph.read(name) for name, *_ in step["inputs"]]
    for name, *_ in step["outputs"]:
        graph.put(name, memories[0] if memories else name)


def _kernel(graph: _Graph, step: Event) -> dict[str, int]:
    """Carry out one kernel; the memory it touches, with the elements that are counted for it."""
    touched = {graph.read(name): math.prod(shape) for name, shape, _ in step["inputs"]}
    for name, shape, kind in step["outputs"]:
        size = math.prod(shape) * _width(kind)
        over = _overwritten(graph, step, touched, size)
        graph.bytes.setdefault(over or name, size)
        graph.put(name, over or name)
        touched[over or name] = math.prod(shape)
    return touched


def _overwritten(graph: _Graph, step: Event, read: Iterable[str], size: int) -> str | None:
    if step["name"] not in _WRITES_IN_PLACE:
        return None
    return next((memory for memory in read if graph.may_be_overwritten(memory, size)), None)


def _width(kind: object) -> int:
    text = str(kind)
    return next(width for end, width in _WIDTH.items() if text.endswith(end))
