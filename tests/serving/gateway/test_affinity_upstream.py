"""What is remembered of a replica against what mlx-lm 0.32.2 really keeps: its own `LRUPromptCache`, without a network.

When mlx-lm evicts by another rule one day, this fails, and `serving.gateway.affinity` has to follow.
"""

from __future__ import annotations

import importlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.gateway.affinity import Remembered, beginnings

KEPT = 3
_cache: Any = importlib.import_module("mlx_lm.models.cache")


class Layer:
    """As much of a layer's cache as mlx-lm's bookkeeping asks for; it can be cut back, as those of most weights can."""

    nbytes = 1

    def is_trimmable(self) -> bool:
        return True

    def trim(self, count: int) -> int:
        return count


class Conversation:
    """Questions and answers so far; in mlx-lm's terms each of them is one token."""

    def __init__(self, name: int) -> None:
        self.name = name
        self.texts = [f"I am {name}."]

    def tokens(self, *more: str) -> list[str]:
        return [*self.texts, *more]

    @property
    def body(self) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": text} for text in self.texts]}

    def go_on(self, answer: str) -> None:
        self.texts += [answer, f"{self.name} asks {len(self.texts)}"]


@settings(deadline=None)
@given(st.lists(st.integers(0, KEPT + 2), max_size=40))
def test_what_is_remembered_is_what_mlx_lm_keeps(turns: list[int]):
    kept, remembered = _cache.LRUPromptCache(KEPT), Remembered(KEPT)
    conversations = [Conversation(name) for name in range(KEPT + 3)]
    for turn in turns:
        conversation = conversations[turn]
        request = beginnings(conversation.body)
        tokens = remembered.familiar(request).tokens
        known = sum(each.tokens <= tokens for each in request) if tokens else 0
        _, rest = kept.fetch_nearest_cache("weights", conversation.tokens())
        found = len(conversation.texts) - len(rest)

        # mlx-lm knows its own answer as well, which is the message after the last one that was asked.
        assert found == (known + 1 if known else 0)
        assert remembered.familiar(request).returns == (known > 0)
        answer = f"{conversation.name} answers {len(conversation.texts)}"
        kept.insert_cache("weights", conversation.tokens(answer), [Layer()])
        remembered.note(request)
        conversation.go_on(answer)
