"""Why the limits are counted by us: what LiteLLM 1.109.1's own limiter does with the same ones.

When one of these fails after an update, see whether `serving.gateway.limits` can go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

# What its import warns of is not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*ReadOnly. qualifier:UserWarning"),
]

BEGINNING = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, str], dict[str, Any]]]:
    """Asks as one key at some seconds; the headers of the last refusal, and the last request as it went on."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from fastapi import HTTPException
    from litellm.caching.caching import DualCache
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.proxy.hooks.parallel_request_limiter_v3 import PROXY_MaxParallelRequestsHandler_v3
    from litellm.proxy.utils import InternalUsageCache

    def ask(*seconds: float, **limits: int) -> tuple[dict[str, str], dict[str, Any]]:
        now = [0.0]
        cache = DualCache()
        limiter = PROXY_MaxParallelRequestsHandler_v3(
            InternalUsageCache(cache), time_provider=lambda: BEGINNING + timedelta(seconds=now[0])
        )
        refused: dict[str, str] = {}
        data: dict[str, Any] = {}
        for now[0] in seconds:
            data = {"model": "w", "messages": [{"role": "user", "content": "Hello"}], "litellm_call_id": f"c{now[0]}"}
            try:
                asyncio.run(
                    limiter.async_pre_call_hook(UserAPIKeyAuth(api_key="k", **limits), cache, data, "acompletion")
                )
            except HTTPException as error:
                refused = dict(error.headers or {})
        return refused, data

    return ask


def test_whatever_is_left_of_the_minute_it_tells_a_whole_one(asked: Any):
    refused, _ = asked(0, 1, 58, rpm_limit=2)

    assert refused["retry-after"] == "60"


def test_around_the_border_of_its_minutes_twice_the_limit_comes_in(asked: Any):
    refused, _ = asked(0, 59, 61, 61, rpm_limit=2)

    assert refused == {}


def test_a_limit_of_tokens_cuts_off_the_answers_of_those_who_set_none(asked: Any):
    _, data = asked(0, tpm_limit=1000)

    assert data["max_tokens"] == 250
