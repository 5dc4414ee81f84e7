from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.endpoint.counting import Counting, Tokenizer, fitted
from serving.endpoint.requests import Kind, Request, clean
from serving.errors import RequestRefused, UpstreamFailed
from tests.serving.replicas import replica
from tests.weights import PATH

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}, "b": {}}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1,   "a": "\\u00e4"}'}}
LOOKUP = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look "}, {"type": "text", "text": "it up ☃"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "1\x00\x1b[0m", "tool_call_id": "c1"},
]
REQUESTS: list[tuple[Kind, dict[str, Any]]] = [
    ("chat", HELLO),
    ("chat", {"messages": LOOKUP}),
    ("chat", {"messages": LOOKUP, "tools": [TOOL]}),
    ("chat", {**HELLO, "chat_template_kwargs": {"enable_thinking": False}}),
    ("text", {"prompt": "Once <|im_end|> upon a time"}),
    ("text", {"prompt": " "}),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(PATH)


def weights(directory: Path, template: str | None, *tokens: str) -> Path:
    """The test weights' tokenizer with another template, and more tokens."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(PATH / name, directory)
    if template is not None:
        (directory / "chat_template.jinja").write_text(template)
    path = directory / "tokenizer.json"
    told = json.loads(path.read_text())
    first = max(token["id"] for token in told["added_tokens"]) + 1
    common = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    told["added_tokens"] += [{"id": first + n, "content": token, **common} for n, token in enumerate(tokens)]
    path.write_text(json.dumps(told))
    return directory


def as_mlx_lm_counts(directory: Path, kind: Kind, body: dict[str, Any]) -> list[int]:
    """By mlx-lm's own code: its loading, and its generator's first step."""
    server = importlib.import_module("mlx_lm.server")
    wrapper = importlib.import_module("mlx_lm.utils").load_tokenizer(directory)
    provider = SimpleNamespace(processor=None, cli_args=SimpleNamespace(chat_template_args={}))
    asked = server.CompletionRequest(
        kind, body.get("prompt", ""), json.loads(json.dumps(body.get("messages", []))), body.get("tools"), None
    )
    arguments = SimpleNamespace(chat_template_kwargs=body.get("chat_template_kwargs"))
    generator = SimpleNamespace(model_provider=provider)
    return server.ResponseGenerator._tokenize(generator, wrapper, asked, arguments)[0]


@pytest.mark.parametrize(("kind", "body"), REQUESTS)
def test_a_prompt_has_the_tokens_that_mlx_lm_makes_of_it(tokenizer: Tokenizer, kind: Kind, body: dict[str, Any]):
    cleaned = clean(kind, body, replica()).body

    assert tokenizer.tokens(kind, cleaned) == as_mlx_lm_counts(PATH, kind, cleaned)


def test_weights_that_can_think_are_told_to_as_mlx_lm_does(tmp_path: Path):
    template = "{{ messages[0].content }}{% if enable_thinking %} Think now, and think well.{% endif %}"
    directory = weights(tmp_path, template, "<think>", "</think>")
    bodies = [clean("chat", HELLO | more, replica()).body for more in ({}, REQUESTS[3][1])]

    counts = [Tokenizer(directory).tokens("chat", body) for body in bodies]

    assert counts == [as_mlx_lm_counts(directory, "chat", body) for body in bodies]
    assert len(counts[0]) > len(counts[1])


def test_a_template_that_mlx_lm_brings_itself_is_used(tmp_path: Path):
    directory = weights(tmp_path, None)
    config = json.loads((directory / "tokenizer_config.json").read_text())
    (directory / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template_type": "deepseek_v32"}))
    body = clean("chat", HELLO, replica()).body

    assert Tokenizer(directory).tokens("chat", body) == as_mlx_lm_counts(directory, "chat", body)


def test_what_a_template_refuses_is_told_in_its_words(tmp_path: Path):
    directory = weights(tmp_path, "{{ raise_exception('Roles must alternate user/assistant') }}")

    with pytest.raises(RequestRefused, match="Roles must alternate user/assistant") as refusal:
        Tokenizer(directory).tokens("chat", HELLO)

    assert (refusal.value.status, refusal.value.parameter) == (400, "messages")


def test_weights_without_a_template_do_not_chat(tmp_path: Path):
    tokenizer = Tokenizer(weights(tmp_path, None))

    with pytest.raises(RequestRefused, match=r"no chat template\. Use /v1/completions"):
        tokenizer.tokens("chat", HELLO)
    assert tokenizer.tokens("text", {"prompt": "Once"})


def fit(tokenizer: Tokenizer, body: dict[str, Any], context: int, kind: Kind = "chat") -> Request:
    told = replica(context_tokens=context)
    return fitted(kind, clean(kind, body, told), tokenizer, context)


def test_an_answer_gets_what_the_prompt_leaves_of_the_context(tokenizer: Tokenizer):
    count = len(tokenizer.tokens("chat", HELLO))

    assert fit(tokenizer, HELLO, 300).prompt_tokens == count
    assert fit(tokenizer, HELLO, 300).body["max_tokens"] == 300 - count
    assert fit(tokenizer, HELLO | {"max_tokens": 32_000}, 300).body["max_tokens"] == 300 - count
    assert fit(tokenizer, HELLO | {"max_tokens": 5}, 300).body["max_tokens"] == 5
    assert fit(tokenizer, HELLO, count + 1).body["max_tokens"] == 1


def test_a_prompt_that_fills_the_context_is_refused_in_openais_words(tokenizer: Tokenizer):
    count = len(tokenizer.tokens("chat", HELLO))

    with pytest.raises(RequestRefused) as refusal:
        fit(tokenizer, HELLO, count)

    assert (refusal.value.status, refusal.value.parameter) == (400, "messages")
    assert refusal.value.code == "context_length_exceeded"
    assert str(refusal.value).startswith(
        f"This model's maximum context length is {count} tokens. However, your messages resulted in {count} tokens"
    )


def test_a_choice_from_as_many_tokens_as_there_are_is_no_limit(tokenizer: Tokenizer):
    assert tokenizer.vocabulary == 768
    assert fit(tokenizer, HELLO | {"top_k": 767}, 300).body["top_k"] == 767
    assert "top_k" not in fit(tokenizer, HELLO | {"top_k": 768}, 300).body
    assert "top_k" not in fit(tokenizer, HELLO | {"top_k": 100_000}, 300).body


def test_a_prompt_of_no_tokens_is_refused(tmp_path: Path):
    with pytest.raises(RequestRefused, match="seen nothing that makes a token"):
        fit(Tokenizer(weights(tmp_path, "{# nothing #}")), HELLO, 300)


def counted(counting: Counting, content: bytes, kind: Kind = "chat") -> Request:
    return asyncio.run(counting.request(kind, content))


def test_a_body_becomes_a_request_that_fits():
    counting = Counting(replica(weights_directory=str(PATH)))

    asked = counted(counting, json.dumps(HELLO | {"stream": True}).encode())

    assert asked.stream
    assert asked.prompt_tokens + asked.body["max_tokens"] == replica().context_tokens


def test_a_request_at_fault_is_refused_without_a_tokenizer():
    counting = Counting(replica(weights_directory="/nowhere"))

    with pytest.raises(RequestRefused):
        counted(counting, b"{}")


def test_a_request_at_fault_is_told_so_when_the_tokenizer_has_just_failed(monkeypatch: pytest.MonkeyPatch):
    counting = Counting(replica(weights_directory="/nowhere"))
    failed: Future[Tokenizer] = Future()
    failed.set_exception(OSError("no such directory"))
    monkeypatch.setattr(counting, "begin", lambda: failed)

    with pytest.raises(RequestRefused):
        counted(counting, b"{}")
    with pytest.raises(UpstreamFailed, match="no such directory"):
        counted(counting, json.dumps(HELLO).encode())


def test_a_tokenizer_that_cannot_be_read_is_tried_again(tmp_path: Path):
    counting = Counting(replica(weights_directory=str(tmp_path)))
    content = json.dumps(HELLO).encode()

    with pytest.raises(UpstreamFailed, match="cannot read the tokenizer in"):
        counted(counting, content)
    shutil.copytree(PATH, tmp_path, dirs_exist_ok=True)

    assert counted(counting, content).prompt_tokens


def test_many_requests_at_once_are_counted_each_for_itself(tokenizer: Tokenizer):
    counting = Counting(replica(weights_directory=str(PATH)))
    bodies = [{"messages": [{"role": "user", "content": "a " * n}]} for n in range(1, 40)]

    async def all_at_once() -> list[Request]:
        return await asyncio.gather(*(counting.request("chat", json.dumps(body).encode()) for body in bodies))

    counts = [asked.prompt_tokens for asked in asyncio.run(all_at_once())]
    assert counts == [len(tokenizer.tokens("chat", body)) for body in bodies]


def test_the_event_loop_goes_on_while_a_long_body_is_counted():
    counting = Counting(replica(weights_directory=str(PATH), context_tokens=10_000_000))
    content = json.dumps({"messages": [{"role": "user", "content": "long text " * 100_000}]}).encode()

    async def rounds_meanwhile() -> int:
        await counting.request("chat", json.dumps(HELLO).encode())
        rounds, counted = 0, asyncio.create_task(counting.request("chat", content))
        while not counted.done():
            await asyncio.sleep(0.001)
            rounds += 1
        return rounds

    assert asyncio.run(rounds_meanwhile()) > 10


def test_the_agent_counts_without_mlx():
    script = (
        "import sys; from pathlib import Path; from serving.endpoint.counting import Tokenizer;"
        f"Tokenizer(Path({str(PATH)!r})).tokens('chat', {HELLO!r});"
        "print([name for name in sys.modules if name.split('.')[0] in ('mlx', 'mlx_lm')])"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"
