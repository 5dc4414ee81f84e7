"""A change that cannot be proven, under clients that stream: it is taken back by itself, and nobody is cut off.

Those that succeed, and every other fault, are `python -m tests.rolls`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import OpenAI

from tests.deploy.running import STANDIN, agent, cidermill, deploy
from tests.deploy.test_road import asked
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION

pytestmark = pytest.mark.lab
_BREATH_SECONDS = 0.5


@contextmanager
def streaming(client: OpenAI, clients: int = 2) -> Iterator[list[str]]:
    """Clients that stream one answer after another; what they were told, whole. What fails is raised in the end.

    Few, with a breath between two answers: more of them is what `python -m tests.rolls` is for.
    """
    told: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            chunks = client.chat.completions.create(**asked(GOLDEN_QUESTION), stream=True)
            told.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices).strip())
            over.wait(_BREATH_SECONDS)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield told
        finally:
            over.set()
    assert [each.result() for each in asking] == [None] * clients


def test_one_that_cannot_be_proven_goes_back_by_itself_and_the_other_is_untouched(
    client: OpenAI, variant: Callable[..., Path]
):
    before = agent("mac-3", "/state").json()["replica"]["generation"]
    with streaming(client) as told:
        run = deploy(variant(weights__0__golden__answer="Nothing of the kind"))

    assert run.code == 1
    assert "cannot trust replica 'a'" in run.output
    assert "replica 'a' went back by itself, is proven again" in run.output
    assert "Clients are served by a, b." in run.output
    assert set(told) == {GOLDEN_ANSWER}
    assert agent("mac-3", "/state").json()["replica"]["generation"] == before


def test_the_history_tells_who_serves_what_since_when_and_from_which_release(deployed: object):
    run = cidermill("history", STANDIN)

    assert run.code == 0, run.output
    for name, rank in (("mac-1", "a, rank 0"), ("mac-4", "b, rank 1")):
        assert re.search(rf"{name} +{rank} +cider-1 +agent-[0-9a-f]{{12}} +20", run.output)
