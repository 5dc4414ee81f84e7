"""How much a key may ask for, and what it has had: decided purely, over a clock and what was counted.

Requests are counted over the last 60 seconds, one by one: never more than the limit lie within any minute. Tokens are
known only when an answer is over, so they run up a debt that is paid off evenly, `tokens_per_minute` in a minute; a key
whose debt reaches its limit waits until it lies below it again. So every refusal can say, to the second, when to come
again. Counts belong to the owner and outlast a change of the key; they are the process's own and begin anew with it.

Why not LiteLLM's limiter (1.109.1, `proxy/hooks/parallel_request_limiter_v3.py`), which takes the same limits from
`custom_auth`: whatever is left of its minute, it says `retry-after: 60`; requests are counted in fixed minutes, so that
twice the limit fits around their border; with a limit of tokens it sets `max_tokens` of requests that name none to a
part of that limit, which cuts answers off in mid-sentence. `tests/serving/gateway/test_litellms_limiter.py` holds that.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serving.errors import KeyRefused
from serving.gateway.keys import Key

_MINUTE = 60.0
_SOON_SECONDS = 1
"""Nobody knows when an answer under way will be over."""


@dataclass(frozen=True)
class Debt:
    """Tokens that were used and are not paid off."""

    tokens: float = 0.0
    at: float = 0.0
    """When it was that much, in seconds of the clock."""

    def left(self, per_minute: int, now: float) -> float:
        """What of it is left."""
        return max(0.0, self.tokens - (now - self.at) * per_minute / _MINUTE)


@dataclass
class Had:
    """What an owner has had so far."""

    under_way: int = 0
    begun: deque[float] = field(default_factory=deque[float])
    """When requests were let in; of the last minute all."""
    debt: Debt = Debt()
    tokens_per_minute: int | None = None
    """By the key's last request."""


def refusal(key: Key, had: Had, now: float) -> KeyRefused | None:
    """Why a key's next request may not come in now, and when it may; None when it may.

    Of several reasons it tells the one that lasts longest.
    """
    reasons = [each for each in (_crowded(key, had), _often(key, had, now), _indebted(key, had, now)) if each]
    return max(reasons, key=lambda each: each.retry_seconds or 0, default=None)


def _crowded(key: Key, had: Had) -> KeyRefused | None:
    most = key.concurrent_requests
    if most is None or had.under_way < most:
        return None
    what = f"'{key.owner}' has {had.under_way} requests under way, and {most} may be"
    return _refused(what, "concurrent_requests", _SOON_SECONDS)


def _often(key: Key, had: Had, now: float) -> KeyRefused | None:
    most = key.requests_per_minute
    ages = [age for age in (now - when for when in had.begun) if age < _MINUTE]
    if most is None or len(ages) < most:
        return None
    what = f"'{key.owner}' has begun {len(ages)} requests within a minute, and {most} may be"
    return _refused(what, "requests_per_minute", math.ceil(_MINUTE - ages[len(ages) - most]))


def _indebted(key: Key, had: Had, now: float) -> KeyRefused | None:
    most = key.tokens_per_minute
    owed = 0 if most is None else had.debt.left(most, now)
    if most is None or owed < most:
        return None
    what = f"'{key.owner}' has used {owed:.0f} tokens that are not paid off, and {most} a minute are"
    # At the very moment, or a rounding error before it, it would still be as much as is allowed.
    return _refused(what, "tokens_per_minute", math.floor((owed - most) * _MINUTE / most + 1e-6) + 1)


def _refused(what: str, code: str, seconds: int) -> KeyRefused:
    return KeyRefused(f"cannot let this request in now: {what}. Come again in {seconds} s.", 429, code, seconds)


class Counts:
    """What every owner has had; thin: what it means is decided above."""

    def __init__(self) -> None:
        self._had: dict[str, Had] = {}

    @contextmanager
    def admitted(self, key: Key, now: float) -> Generator[None]:
        """Within it, a request of this key is under way. Raises KeyRefused (429) instead of beginning."""
        had = self._had.setdefault(key.owner, Had())
        refused = refusal(key, had, now)
        if refused is not None:
            raise refused
        while had.begun and now - had.begun[0] >= _MINUTE:
            had.begun.popleft()
        if key.requests_per_minute is not None:
            had.begun.append(now)
        had.tokens_per_minute = key.tokens_per_minute
        had.under_way += 1
        try:
            yield
        finally:
            had.under_way -= 1

    def used(self, owner: str | None, tokens: int, now: float) -> None:
        """An answer to this owner is over, whole or not."""
        had = self._had.get(owner or "")
        if had is not None and had.tokens_per_minute is not None:
            had.debt = Debt(had.debt.left(had.tokens_per_minute, now) + tokens, now)
