from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from serving.endpoint.exchange import ClientLeft, Exchange


class Wire:
    """Where an exchange sends to, and how the client is."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.sent.append(message)
        if not message.get("more_body", True):
            self.gone.set()  # as uvicorn has it after a whole answer

    def exchange(self, stalled_seconds: float = 60) -> Exchange:
        return Exchange({"type": "http"}, self.receive, self.send, stalled_seconds)


def test_a_stream_begins_with_its_first_part():
    async def play() -> None:
        wire = Wire()
        exchange = wire.exchange()
        assert not exchange.begun
        await exchange.part(b"a")
        await exchange.part(b"b")
        await exchange.end(b"c")

        assert [message["type"] for message in wire.sent] == ["http.response.start", *["http.response.body"] * 3]
        assert b"".join(message.get("body", b"") for message in wire.sent) == b"abc"

    asyncio.run(play())


def test_work_is_given_up_and_over_when_the_client_has_left():
    async def play() -> None:
        wire, ended = Wire(), asyncio.Event()

        async def work() -> None:
            wire.gone.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with pytest.raises(ClientLeft):
            await wire.exchange().until_left(work())
        assert ended.is_set()

    asyncio.run(play())


def test_a_client_that_has_everything_has_not_left():
    async def play() -> None:
        wire, counted = Wire(), []
        exchange = wire.exchange()

        async def work() -> None:
            await exchange.end()
            for _ in range(5):
                await asyncio.sleep(0)
            counted.append("it was counted")

        await exchange.until_left(work())
        assert counted == ["it was counted"]

    asyncio.run(play())


def test_a_client_that_takes_nothing_any_more_counts_as_gone():
    async def play() -> None:
        wire = Wire()
        wire.takes.clear()
        exchange = wire.exchange(stalled_seconds=0.01)

        with pytest.raises(ClientLeft):
            await exchange.until_left(exchange.part(b"a"))

    asyncio.run(play())


def test_work_that_says_nothing_for_long_is_not_a_client_that_takes_nothing():
    async def play() -> None:
        exchange = Wire().exchange(stalled_seconds=0.001)

        async def work() -> None:
            await asyncio.sleep(0.03)
            await exchange.end(b"a")

        await exchange.until_left(work())

    asyncio.run(play())


def test_faults_of_the_work_are_passed_on():
    async def play() -> None:
        async def work() -> None:
            raise ValueError("boom")

        with pytest.raises(ValueError, match="boom"):
            await Wire().exchange().until_left(work())

    asyncio.run(play())
