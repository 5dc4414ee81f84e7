"""What mlx-lm's handler and generation loop need of a body, written from mlx-lm 0.32.2's server.py and generate.py.

`faults` is empty for a body that its handler answers neither with an error nor with its end. It is written apart from
the policy, to hold it.
"""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

KNOWN = {
    "messages",
    "prompt",
    "tools",
    "stop",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "chat_template_kwargs",
}
"""Others are other weights, adapters, seeds, roles: each ends or hangs something."""

TEMPLATE_OWN = {"chat_template", "tools", "messages", "conversation", "tokenize", "add_generation_prompt", "documents"}


def faults(kind: str, body: dict[str, Any], context: int) -> list[str]:
    """Everything about a body that would harm."""
    found = [f"'{name}' is not known" for name in set(body) - KNOWN]
    found += _numbers(body, context)
    stops = body.get("stop", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        found.append("stop: its items become the edges of an automaton over texts")
    if not set(body.get("chat_template_kwargs", {})).isdisjoint(TEMPLATE_OWN):
        found.append("chat_template_kwargs: overrides what mlx-lm hands to the template")
    found += _messages(body) if kind == "chat" else _prompt(body)
    pickle.loads(pickle.dumps(body))  # noqa: S301 - what ranks do
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    return found


def _numbers(body: dict[str, Any], context: int) -> list[str]:
    bounds = {
        "max_tokens": (int, 1, context),
        "top_k": (int, 0, math.inf),
        "temperature": ((int, float), 0, 2),
        "top_p": ((int, float), 1e-7, 1),
        "min_p": ((int, float), 0, 1),
        "presence_penalty": ((int, float), -100, 100),
        "frequency_penalty": ((int, float), -100, 100),
        "repetition_penalty": ((int, float), 0.001, 100),
    }
    given = {name: body[name] for name in bounds if name in body}
    wrong = [
        name
        for name, value in given.items()
        if isinstance(value, bool) or not isinstance(value, bounds[name][0]) or not _within(value, *bounds[name][1:])
    ]
    # Logits are multiplied by 1 / temperature in the weights' own type, which may be float16.
    return wrong + [name for name, value in given.items() if name == "temperature" and 0 < value < 0.001]


def _within(value: float, low: float, high: float) -> bool:
    return math.isfinite(value) and low <= value <= high


def _prompt(body: dict[str, Any]) -> list[str]:
    return [] if isinstance(body.get("prompt"), str) and body["prompt"] else ["prompt: one text that is not empty"]


def _messages(body: dict[str, Any]) -> list[str]:
    messages, found = body.get("messages"), list[str]()
    if not isinstance(messages, list) or not messages:
        return ["messages: at least one; the last one's role is looked at"]
    for message in messages:
        if message.get("role") not in ("system", "user", "assistant", "tool"):
            found.append("messages: a role that templates know")
        if not isinstance(message.get("content"), str):
            found.append("messages: content is fetched or fails unless it is a text")
        calls = message.get("tool_calls", [])
        if not isinstance(calls, list):
            found.append("messages: templates go through calls one by one")
        for call in calls:
            if not isinstance(json.loads(call["function"]["arguments"]), dict):
                found.append("messages: templates go through the arguments of calls by name")
    for tool in body.get("tools", []):
        function = tool["function"]
        if not isinstance(function["name"], str) or not isinstance(function["parameters"], dict):
            found.append("tools: templates go through parameters by name")
    return found
