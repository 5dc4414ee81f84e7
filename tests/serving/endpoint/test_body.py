from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from serving.endpoint.body import allowed_seconds, read_body
from serving.errors import RequestRefused


def read(*messages: Message, limit: int = 100, silence: float = 30) -> bytes:
    """Read a body that comes in these messages, and then no further."""
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0) if left else await asyncio.get_running_loop().create_future()

    return asyncio.run(read_body(Request({"type": "http", "headers": []}, receive), limit, silence))


def part(content: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


def test_parts_are_put_together():
    assert read(part(b"ab"), part(b""), part(b"c", more=False)) == b"abc"


def test_a_body_that_stops_coming_is_given_up():
    with pytest.raises(RequestRefused, match="2 bytes came, and no more in time") as refused:
        read(part(b"ab"), silence=0.01)
    assert refused.value.status == 408


def test_a_body_over_the_limit_is_refused_before_its_end():
    with pytest.raises(RequestRefused) as refused:
        read(part(b"a" * 60), part(b"b" * 60))
    assert refused.value.status == 413


def test_a_client_that_leaves_while_it_sends_is_gone():
    with pytest.raises(ClientDisconnect):
        read(part(b"ab"), {"type": "http.disconnect"})


def test_a_body_that_drips_runs_out_of_time():
    assert allowed_seconds(taken=29, received=1) < 1.1
    assert allowed_seconds(taken=31, received=2) < 0


@given(st.integers(1, 10_000_000), st.floats(2000, 1e9))
def test_a_body_that_keeps_coming_may_be_as_long_as_it_is(received: int, bytes_per_second: float):
    assert allowed_seconds(received / bytes_per_second, received) == 30
