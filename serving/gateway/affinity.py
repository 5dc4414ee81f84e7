"""Which replica has read the beginning of a request before, and what that is worth. Pure: no clock, no socket.

mlx-lm keeps what it has read and said of its last answers, and a request that begins alike is read on from there. Here
is remembered which requests each replica answered, as digests of their beginnings: after each message, and within a
long one every 1024 characters. As many are remembered as the replica itself keeps, and they are forgotten as it forgets
them, so that none is chosen for what it has lost. Checked with mlx-lm 0.32.2, whose `LRUPromptCache`

- holds as many sequences as our ranks allow it, one for each slot (`serving.rank.loop.arguments`);
- takes a sequence in when its answer is over, and then lets go those that are a beginning of it;
- lets the one go that was taken in first, when there are too many.

Weights whose caches cannot be cut back (sliding windows, recurrent states) keep a few shorter sequences beside each
long one, so for those more is remembered here than there is: a request may then be read anew where it was expected not
to be, which costs what any other choice would have cost.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, cast

PIECE_CHARACTERS: Final = 1024
"""Of a long message: agents change the end of theirs, and what comes before it was read."""
TEXT_CHARACTERS: Final = 64
"""Of a prompt without messages, which goes on anywhere; a rest shorter than this is left out."""
CHARACTERS_PER_TOKEN: Final = 4
"""Of English, roughly. An estimate will do: it is compared with estimates."""

ANSWER_TOKENS: Final = 4000
"""What a replica could read in the time that an answer keeps its slot: an answer of 300 tokens, where making one takes
as long as reading 13 (Llama 8B on an M3 Ultra: 119 made and 1551 read a second; larger weights are near that)."""
SLOWED: Final = 0.5
"""By how much of its own time an answer is slowed down when all other slots are in use. They are decoded as one batch,
so it is much less than their number; reading the prompts of the others is most of it. An assumption, not measured."""

_BEFORE_THE_MESSAGES: Final = ("tools", "chat_template_kwargs")
"""Fields that a chat template may put before the messages. How an answer is drawn has no part in what was read."""


@dataclass(frozen=True)
class Beginning:
    """A beginning of a request."""

    digest: bytes
    """Of all of it."""
    tokens: int
    """An estimate of its length."""


@dataclass(frozen=True)
class Familiar:
    """What a replica knows of a request."""

    tokens: int = 0
    """Of its longest beginning that was read there."""
    returns: bool = False
    """Whether a whole request that was answered there is a beginning of this one: a conversation goes on."""


NOTHING: Final = Familiar()


def beginnings(body: Mapping[str, Any]) -> tuple[Beginning, ...]:
    """The beginnings of a chat or completion as LiteLLM sends it, shortest first; none of a body that is neither."""
    digest, characters = blake2b(digest_size=16), 0
    found: list[Beginning] = []
    for piece in _pieces(body):
        digest.update(piece.encode(errors="surrogatepass"))
        characters += len(piece)
        found.append(Beginning(digest.digest(), characters // CHARACTERS_PER_TOKEN))
    return tuple(found)


class Remembered:
    """The requests that one replica answered last, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answered: OrderedDict[bytes, Sequence[Beginning]] = OrderedDict()
        """By the digest of the whole, the one that was answered first in front."""
        self._known: Counter[bytes] = Counter()
        """How many of them have a beginning."""

    def note(self, request: Sequence[Beginning]) -> None:
        """It has answered a request."""
        if not request:
            return
        for each in request:
            self._let_go(each.digest)
        self._answered[request[-1].digest] = request
        self._known.update(each.digest for each in request)
        while len(self._answered) > self._most:
            self._let_go(next(iter(self._answered)))

    def forget(self) -> None:
        """Its ranks were started anew."""
        self._answered.clear()
        self._known.clear()

    def familiar(self, request: Sequence[Beginning]) -> Familiar:
        """What it knows of a request."""
        longest = next((each.tokens for each in reversed(request) if each.digest in self._known), None)
        if longest is None:
            return NOTHING
        return Familiar(longest, any(each.digest in self._answered for each in request))

    def _let_go(self, digest: bytes) -> None:
        for each in self._answered.pop(digest, ()):
            self._known[each.digest] -= 1
            if not self._known[each.digest]:
                del self._known[each.digest]


def cost(familiar: Familiar, tokens: int, in_flight: int, slots: int) -> tuple[int, float]:
    """What it costs to send a request of so many tokens to a replica; the least is the best.

    A conversation that finds a free slot where it was before goes there, whatever else is free elsewhere: moving it
    would not only have it read anew, but push another conversation out of a cache. For all others, and where every slot
    is taken, the rest of the prompt that has to be read, how much the others slow it down, and how long it waits for a
    slot are added up, in tokens read. So a conversation leaves a busy replica when to wait there takes longer than to
    read all of it again.
    """
    home = familiar.returns and in_flight < slots
    waiting = max(0, in_flight - slots + 1) / slots
    slowed = SLOWED * min(in_flight, slots) / slots
    unread = max(0, tokens - familiar.tokens)
    return (0 if home else 1, unread + ANSWER_TOKENS * (waiting + slowed))


def _pieces(body: Mapping[str, Any]) -> Iterator[str]:
    prompt, messages = body.get("prompt"), body.get("messages")
    if isinstance(prompt, str):
        whole = len(prompt) - len(prompt) % TEXT_CHARACTERS
        yield from _cut(prompt[:whole], TEXT_CHARACTERS)
    elif isinstance(messages, list):
        before = {name: body[name] for name in _BEFORE_THE_MESSAGES if body.get(name)}
        if before.get("tools") and body.get("tool_choice") == "none":
            del before["tools"]  # the endpoint leaves them out
        for part in (*([before] if before else ()), *cast("list[Any]", messages)):
            yield from _cut(json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _cut(text: str, characters: int = PIECE_CHARACTERS) -> Iterator[str]:
    for begin in range(0, len(text), characters):
        yield text[begin : begin + characters]
