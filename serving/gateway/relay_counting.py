"""Counting a prompt at the relay: any replica of the weights can do it, whether it is ready or not.

LiteLLM 1.109.1 estimates by a tokenizer of somebody else's weights. So the door sends what is to be counted the way of
a question; LiteLLM translates it as it would translate that question, and here it is counted instead of answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from serving.errors import ReplicaUnavailable, RequestRefused, UpstreamFailed
from serving.gateway.relay_replicas import Known
from serving.gateway.relay_upstream import Endpoints

NOTHING_SAID: Final[Mapping[str, Any]] = {
    "id": "counted",
    "object": "chat.completion",
    "created": 0,
    "model": "counted",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}}],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
}
"""What LiteLLM gets for an answer: it has cost nobody anything."""


async def count(serving: Sequence[Known], endpoints: Endpoints, body: Mapping[str, Any]) -> int:
    """Tokens of a prompt. Raises Refused, ReplicaUnavailable, and RequestRefused when no replica is asked for."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    for known in sorted(serving, key=lambda each: (not each.is_usable, each.in_flight)):
        try:
            return await endpoints.count(known.served.url, asked)
        except UpstreamFailed:
            continue
    if not serving:
        raise RequestRefused(
            "cannot count these tokens: no replica serves this name, and others do not count.", "model"
        )
    names = ", ".join(f"'{known.served.name}'" for known in serving)
    raise ReplicaUnavailable(f"cannot count these tokens: none of the replicas {names} answers.")
