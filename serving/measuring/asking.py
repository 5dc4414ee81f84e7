"""Asks a replica's endpoint one point over HTTP, streaming, and keeps the time. Runs on the Mac of its rank 0.

It asks as a relay does (`serving.endpoint.relayed`): refused at once where the replica is not ready, in one attempt,
and told of every token. Prompts count up from numbers drawn at random, so that no two share a beginning and weights
have no reason to stop. Standard library alone, as in `serving.agent.status`.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, BrokenBarrierError
from typing import Any, Final, Protocol

from serving.measuring.sample import Order, Sample

PATH: Final = "/v1/completions"
_RELAY: Final = {"x-cidermill-relay": "1"}
"""HEADER of `serving.endpoint.relayed`, which cannot be imported without pydantic."""
_FIELD: Final = "cidermill"
"""FIELD of `serving.rank.asked`, likewise."""
_BESIDE: Final = "the requests could not all begin together"
_NUMBERS: Final = (10_000, 90_000)
_LOOKS: Final = 20
"""How often it is looked whether the endpoint has counted the last request, which it does as it sends its end."""


class Door(Protocol):
    """Where an agent listens."""

    @property
    def address(self) -> str:
        """IPv4."""
        ...

    @property
    def port(self) -> int:
        """TCP."""
        ...


class Telling(Protocol):
    """Who tells an agent's state."""

    def told(self) -> dict[str, Any]:
        """GET /state. Raises AgentUnreachable."""
        ...


@dataclass
class _Answer:
    """One answer as it came: when, and how many tokens since the time before."""

    began: float = 0.0
    came: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cut: bool = False
    problem: str = ""


def sample(door: Door, agent: Telling, token: str, order: Order, clock: Callable[[], float] = time.monotonic) -> Sample:
    """Ask one point. Raises AgentUnreachable when there is no state to be had; all else is told in the sample."""
    before = agent.told()
    if problem := why_not(before):
        return Sample(problem=problem)
    until = clock() + order.seconds
    together = Barrier(order.sequences)
    with ThreadPoolExecutor(order.sequences) as pool:
        asked = [pool.submit(_asked, door, token, order, together, until, clock) for _ in range(order.sequences)]
        answers = [each.result() for each in asked]
    # One that fails before all have begun takes the others with it; its own words come first.
    problems = sorted((each.problem for each in answers if each.problem), key=_BESIDE.__eq__)
    if problems:
        return Sample(problem=problems[0])
    if any(each.cut for each in answers):
        # What was cut off ends when the endpoint comes to it, and is counted then.
        _left(agent)
        return _told(answers, 0)
    return _told(answers, _others(agent, before, order.sequences))


def why_not(state: Mapping[str, Any]) -> str:
    """Why the replica of an agent is not measured as it is now; "" when it can be."""
    replica: Mapping[str, Any] = state.get("replica") or {}
    if not replica or not _endpoint(state):
        return "the agent there conducts no replica"
    if replica.get("state") != "ready":
        reason = replica.get("reason") or ", ".join(replica.get("drained_by", ())) or "no reason given"
        return f"it is {replica.get('state')}, not ready: {reason}"
    busy = _under_way(_endpoint(state))
    return f"it is busy with {busy} request{'s' if busy != 1 else ''} of others" if busy else ""


def prompt(numbers: int, first: int) -> str:
    """Numbers that count up; whatever has learnt to write goes on counting."""
    return " ".join(str(number) for number in range(first, first + numbers))


def _asked(
    door: Door, token: str, order: Order, together: Barrier, until: float, clock: Callable[[], float]
) -> _Answer:
    first = _NUMBERS[0] + random.SystemRandom().randrange(_NUMBERS[1])
    body = {"prompt": prompt(order.numbers, first), "max_tokens": order.answer_tokens, "temperature": 0}
    streamed = json.dumps(body | {"stream": True, "stream_options": {"include_usage": True}})
    connection = http.client.HTTPConnection(door.address, door.port, timeout=max(0.1, until - clock()))
    answer = _Answer()
    try:
        connection.connect()
        together.wait(max(0.1, until - clock()))
        answer.began = clock()
        connection.request("POST", PATH, streamed, {"Authorization": f"Bearer {token}", **_RELAY})
        _listen(connection.getresponse(), answer, until, clock)
    except TimeoutError:
        answer.cut = True
    except BrokenBarrierError:
        answer.problem = _BESIDE
    except (OSError, http.client.HTTPException) as error:
        together.abort()
        answer.problem = f"the endpoint did not answer: {type(error).__name__} {error}".rstrip()
    finally:
        connection.close()
    return answer


def _listen(response: http.client.HTTPResponse, answer: _Answer, until: float, clock: Callable[[], float]) -> None:
    if response.status != http.client.OK:
        said = response.read(500).decode(errors="replace").strip()
        answer.problem = f"the endpoint refused: {response.status} {said}"
        return
    ended = False
    for event in _events(response):
        now = clock()
        if isinstance(event, Mapping):
            _take(event, answer, now)
        ended = event is None
        if not ended and now > until:
            answer.cut = True
            return
    if not ended and not answer.problem:
        answer.problem = "the endpoint's answer broke off"


def _events(response: http.client.HTTPResponse) -> Iterator[Mapping[str, Any] | str | None]:
    """Chunks as they come, comments as they are, and None for the end."""
    while line := response.readline():
        text = line.decode().strip()
        if text == "data: [DONE]":
            yield None
            return
        if text.startswith("data: "):
            yield json.loads(text.removeprefix("data: "))
        elif text:
            yield text


def _take(chunk: Mapping[str, Any], answer: _Answer, now: float) -> None:
    if "error" in chunk:
        answer.problem = f"the endpoint gave up: {chunk['error'].get('message', chunk['error'])}"
        return
    tokens = len(chunk.get(_FIELD, {}).get("tokens", ()))
    if tokens:
        answer.came.append((now, tokens))
    answer.usage = chunk.get("usage") or answer.usage


def _told(answers: Sequence[_Answer], others: int) -> Sample:
    began = [each for each in answers if each.came]
    whole = [each for each in began if each.usage]
    return Sample(
        prompt_tokens=tuple(each.usage["prompt_tokens"] for each in whole),
        cached_tokens=tuple(_cached(each.usage) for each in whole),
        # Of all or of none: those that came first would make a point look faster than it is.
        first_token_seconds=tuple(each.came[0][0] - each.began for each in whole) if len(whole) == len(answers) else (),
        answer_tokens=tuple(sum(count for _, count in each.came) for each in whole),
        tokens_per_second=rate([each.came for each in answers]),
        others=others,
        cut=any(each.cut for each in answers),
    )


def _cached(usage: Mapping[str, Any]) -> int:
    details: Mapping[str, Any] = usage.get("prompt_tokens_details") or {}
    return int(details.get("cached_tokens") or 0)


def rate(answers: Sequence[Sequence[tuple[float, int]]]) -> float | None:
    """Tokens per second of all answers together, from when the last has begun until the first ends. Pure.

    Each is when tokens came, and how many. None when they were never written all at the same time for two steps.
    """
    if any(len(came) < 2 for came in answers):
        return None
    begin, end = max(came[0][0] for came in answers), min(came[-1][0] for came in answers)
    within = [sum(tokens for moment, tokens in came if begin < moment <= end) for came in answers]
    return sum(within) / (end - begin) if end > begin and min(within) > 1 else None


def _others(agent: Telling, before: Mapping[str, Any], own: int) -> int:
    """How many requests of others were served since, or are under way."""
    started, more, under_way = _counted(_endpoint(before)) + own, 0, 0
    for _ in range(_LOOKS):
        endpoint = _endpoint(agent.told())
        more, under_way = _counted(endpoint) - started, _under_way(endpoint)
        if more >= 0:
            return more + under_way
    # It has not counted our own yet, so what is under way may be ours.
    return 0


def _left(agent: Telling) -> None:
    """Look until nothing is under way any more, so that the next point does not find us there."""
    for _ in range(_LOOKS):
        if _under_way(_endpoint(agent.told())) == 0:
            return


def _endpoint(state: Mapping[str, Any]) -> Mapping[str, Any]:
    return state.get("endpoint") or {}


def _under_way(endpoint: Mapping[str, Any]) -> int:
    return int(endpoint.get("in_flight", 0)) + int(endpoint.get("queued", 0))


def _counted(endpoint: Mapping[str, Any]) -> int:
    requests: Mapping[str, int] = endpoint.get("requests") or {}
    return sum(requests.values())
