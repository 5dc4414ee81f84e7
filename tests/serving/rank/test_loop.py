"""Ranks at work, on one machine and on two: what is asked of them over HTTP, and what is seen of them meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

from serving.rank.asked import FIELD, Asked
from tests.plain import PLAIN
from tests.serving.rank.ranks import CHAT, TEXT, Replica, Told, serving
from tests.serving.waiting import wait_until
from tests.weights import PATH

ALL_WAYS: dict[str, dict[str, Any]] = {
    "one": {"count": 1, "wired_limit": None},
    "tensor": {"count": 2},
    "pipeline": {"count": 2, "sharding": "pipeline", "layers": (9, 3)},
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"properties": {"city": {}}}}}
RECOMMENDED = 2**30
E_ACUTE, EURO = (130, 105), (161, 227, 108)
"""The bytes of two characters, as tokens."""


def chat(question: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    return CHAT, {"messages": [{"role": "user", "content": question}], "max_tokens": 60, **changes}


def only(tokens: tuple[int, ...], length: int) -> tuple[str, dict[str, Any]]:
    """A request whose answer is these tokens in turn."""
    turns = {"presence_penalty": 50, "presence_context_size": len(tokens) - 1}
    return TEXT, {"prompt": "Say", "max_tokens": length, "logit_bias": dict.fromkeys(tokens, 100), **turns}


KINDS = {
    "words": chat("How many legs has a spider?"),
    "a completion": (TEXT, {"prompt": "The capital of", "max_tokens": 12}),
    "cut by length": chat("Count to five.", max_tokens=9),
    "a tool call": chat("What is the weather in Paris?", tools=[WEATHER]),
    "a stop word of several tokens": chat("Count to five.", stop=["three, four"]),
    "a stop word that does not come": chat("Count to five.", stop=["three, six", "five. Six"]),
    "characters of two bytes": only(E_ACUTE, 9),
    "characters of three bytes": only(EURO, 10),
    "penalties": chat("Count to five.", repetition_penalty=1.3, frequency_penalty=0.4),
    "outside of batches": chat("Count to five.", seed=7, stop=["three, four"]),
}


@pytest.fixture(scope="module", params=ALL_WAYS)
def replica(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with serving(tmp_path_factory.mktemp(request.param), **ALL_WAYS[request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(PATH)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replica", ["one"], indirect=True)
def test_an_answer_goes_on_from_any_token_as_if_nothing_had_been(kind: str, replica: Replica):
    path, body = KINDS[kind]
    whole = replica.ask(path, body)
    told = together(replica, [(path, body, Asked(tuple(whole.tokens[:cut]))) for cut in range(1, len(whole.tokens))])

    assert told == [whole] * (len(whole.tokens) - 1)


def test_answers_go_on_from_their_middle_among_others_on_all_ranks_alike(replica: Replica):
    wholes = together(replica, [(*request, Asked()) for request in KINDS.values()])
    begun = [Asked(tuple(whole.tokens[: len(whole.tokens) * 2 // 3])) for whole in wholes]
    again = together(replica, [(*request, asked) for request, asked in zip(KINDS.values(), begun, strict=True)])

    assert dict(zip(KINDS, again, strict=True)) == dict(zip(KINDS, wholes, strict=True))


def together(replica: Replica, requests: list[tuple[str, dict[str, Any], Asked]]) -> list[Told]:
    """The answers to requests of which there are always as many at once as a replica has slots."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda request: replica.ask(*request), requests))


@pytest.mark.parametrize("replica", ["one"], indirect=True)
def test_the_tokens_told_so_far_hold_the_text_told_so_far(replica: Replica, tokenizer: Any):
    tokens, text = [], ""
    with replica.asking(*chat("Count to five.", stop=["three, six"])) as chunks:
        for chunk in chunks:
            tokens += chunk.get(FIELD, {"tokens": []})["tokens"]
            text += "".join(choice["delta"].get("content", "") for choice in chunk["choices"])

            assert tokenizer.decode(tokens).startswith(text)
    assert (text, tokens[-1]) == ("One, two, three, four, five.", tokenizer.eos_token_id)


@pytest.mark.parametrize(("at_most", "why"), [(60, "it has ended"), (2, "at most 2 are asked for")])
def test_an_answer_that_has_ended_is_not_continued(at_most: int, why: str, replica: Replica):
    path, body = chat("Ping")
    whole = replica.ask(path, body)
    asked = {**body, "max_tokens": at_most, "stream": True, **Asked(tuple(whole.tokens)).field()}
    refused = httpx.post(f"http://127.0.0.1:{replica.port}{path}", json=asked, timeout=60, **PLAIN)

    assert refused.json()["error"] == f"cannot continue an answer of {len(whole.tokens)} tokens: {why}"
    assert replica.ask(path, body) == whole


@pytest.mark.parametrize("replica", ["one"], indirect=True)
def test_an_answer_appended_to_its_prompt_can_be_asked_on(replica: Replica, tokenizer: Any):
    body, read_whole = {"prompt": "The quick brown fox ", "max_tokens": 1}, 0
    for _ in range(6):
        told = replica.ask(TEXT, body)
        known = [*tokenizer.encode(body["prompt"]), *told.tokens]
        body = {"prompt": body["prompt"] + told.text, "max_tokens": body["max_tokens"] + 1}
        read_whole += known == tokenizer.encode(body["prompt"])

    assert read_whole > 0
    assert replica.ask(*chat("Ping")).text == "Pong."


@pytest.mark.parametrize("replica", ["one", "tensor"], indirect=True)
def test_a_client_that_leaves_a_request_outside_of_batches_leaves_no_rank_behind(replica: Replica):
    with replica.asking(*chat("Tell me a story.", seed=1, max_tokens=300)) as chunks:
        next(chunks)

    assert replica.ask(*chat("Ping")).text == "Pong."


@pytest.mark.parametrize("seed", [{}, {"seed": 3}], ids=["in batches", "outside of batches"])
@pytest.mark.parametrize("replica", ["one", "pipeline"], indirect=True)
def test_every_rank_says_what_it_is_at(replica: Replica, seed: dict[str, int]):
    question = f"{seed} " + "Once upon a time. " * 30
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(replica.ask, *chat(question, max_tokens=20, logit_bias={2: -100}, **seed))
        for activity in ("prefilling", "decoding", "idle"):
            for rank in replica:
                wait_until(lambda rank=rank, activity=activity: rank.tick.activity == activity, 30)

        assert asked.result().usage["completion_tokens"] == 20


def test_an_idle_rank_ticks_and_beats(replica: Replica):
    for rank in replica:
        before = rank.tick
        wait_until(lambda rank=rank, before=before: rank.tick.steps > before.steps and rank.tick.beats > before.beats)


def test_each_rank_of_a_pipeline_holds_the_layers_it_was_given(replica: Replica):
    held = [rank.status.layers for rank in replica if rank.status]

    assert held == {None: [None], "tensor": [None, None], "pipeline": [(3, 12), (0, 3)]}[replica.sharding]


def test_the_wired_limit_is_left_alone_where_none_is_declared(replica: Replica):
    replica.ask(*chat("Ping"))

    wired = [set(rank.wired) for rank in replica]
    assert wired == ([set()] if replica.sharding is None else [{RECOMMENDED}, {RECOMMENDED}])


def test_half_a_thought_goes_on_as_a_thought(tmp_path: Path):
    thinking = copytree(PATH, tmp_path / "thinking")
    for name in ("tokenizer.json", "chat_template.jinja"):
        path = thinking / name
        path.write_text(path.read_text().replace("tool_call>", "think>"))
    with serving(tmp_path, 1, thinking) as replica:
        path, body = chat("What is the weather in Paris?", tools=[WEATHER])
        whole = replica.ask(path, body)
        told = [replica.ask(path, body, Asked(tuple(whole.tokens[:cut]))) for cut in range(1, len(whole.tokens))]

    assert '"get_weather"' in whole.reasoning
    assert told == [whole] * len(told)
