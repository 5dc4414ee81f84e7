from __future__ import annotations

from typing import Any

import pytest

from serving.endpoint.requests import DEFAULT_TOKENS, Kind, body_limit, clean, parse
from serving.errors import RequestRefused
from tests.serving.replicas import replica

HELLO = [{"role": "user", "content": "Hello"}]
VALID: dict[Kind, dict[str, Any]] = {"chat": {"messages": HELLO}, "text": {"prompt": "Once"}}


def passed(kind: Kind = "chat", **fields: Any) -> dict[str, Any]:
    return clean(kind, VALID[kind] | fields, replica()).body


def refused(kind: Kind = "chat", **fields: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as refusal:
        clean(kind, VALID[kind] | fields, replica())
    return refusal.value


def test_a_plain_request_passes_with_a_bounded_answer():
    assert passed() == {"messages": HELLO, "max_tokens": replica().context_tokens}
    assert passed("text") == {"prompt": "Once", "max_tokens": DEFAULT_TOKENS}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("chat", "stop", 5),
        ("chat", "stop", [1]),
        ("chat", "stop", [["a"]]),
        ("chat", "stop", ""),
        ("chat", "stop", [""]),
        ("chat", "stop", ["x"] * 17),
        ("chat", "stop", ["x"] * 10_000),
        ("chat", "stop", "x" * 501),
        ("chat", "top_k", True),
        ("chat", "top_k", 1.5),
        ("chat", "top_k", 10**400),
        ("chat", "top_k", -1),
        ("chat", "temperature", "hot"),
        ("chat", "temperature", False),
        ("chat", "temperature", 2.5),
        ("chat", "top_p", 1.1),
        ("chat", "max_tokens", 0),
        ("chat", "max_tokens", "many"),
        ("chat", "max_tokens", True),
        ("chat", "stream", 1),
        ("chat", "n", 2),
        ("chat", "n", True),
        ("chat", "logit_bias", {"999999": 1}),
        ("chat", "logprobs", True),
        ("chat", "response_format", {"type": "xml"}),
        ("chat", "tool_choice", "always"),
        ("chat", "stream_options", True),
        ("chat", "stream_options", {"include_usage": 1}),
        ("chat", "chat_template_kwargs", {"chat_template": "{{ 1 }}"}),
        ("chat", "chat_template_kwargs", {"enable_thinking": 1}),
        ("chat", "adapters", "x"),
        ("chat", "draft_model", "x"),
        ("chat", "role_mapping", {}),
        ("chat", "prompt", "Once"),
        ("chat", "messages", []),
        ("chat", "tools", [{}]),
        ("text", "prompt", ""),
        ("text", "prompt", []),
        ("text", "prompt", [""]),
        ("text", "prompt", ["a", "b"]),
        ("text", "prompt", [["a"]]),
        ("text", "prompt", [1, 2]),
        ("text", "echo", True),
        ("text", "best_of", 2),
        ("text", "logprobs", 1),
        ("text", "suffix", "end"),
    ],
)
def test_what_would_harm_or_mean_nothing_is_refused_by_name(kind: Kind, field: str, value: Any):
    refusal = refused(kind, **{field: value})

    assert (refusal.status, refusal.parameter) == (400, field)
    assert str(refusal).startswith(f"cannot use '{field}'")


def test_a_refusal_says_what_was_seen_and_what_is_needed():
    assert str(refused(top_p=True)) == "cannot use 'top_p': seen true, needed a number from 0 to 1."


def test_a_long_value_is_not_repeated_whole():
    assert len(str(refused(temperature="x" * 10_000))) < 200


def test_a_null_is_as_if_it_were_not_there():
    assert passed(temperature=None, seed=None, max_tokens=None, unknown=None) == passed()


def test_what_changes_nothing_is_dropped():
    dropped = {"seed": 1, "user": "u", "n": 1, "metadata": {}, "logit_bias": {}, "stop": []}

    assert passed(**dropped, response_format={"type": "text"}, prediction={"type": "content"}) == passed()


def test_sampling_passes_as_it_is():
    fields = {"temperature": 0.5, "top_p": 1, "top_k": 3, "min_p": 0.1, "repetition_penalty": 1.1}

    assert passed(**fields) == {**passed(), **fields}


def test_a_whole_number_may_be_written_with_a_point():
    assert passed(top_k=3.0, max_tokens=7.0) == passed() | {"top_k": 3, "max_tokens": 7}


def test_what_is_nearly_greedy_is_greedy_as_mlx_lm_divides_by_it():
    assert passed(temperature=1e-320)["temperature"] == 0
    assert passed(temperature=0.001)["temperature"] == 0.001


def test_the_likeliest_token_only_is_told_by_a_small_number_as_zero_means_all_to_mlx_lm():
    assert passed(top_p=0)["top_p"] == passed(top_p=-0.0)["top_p"] == passed(top_p=1e-300)["top_p"] == 1e-6


@pytest.mark.parametrize(
    "sent",
    [
        {"prediction": {"type": "content", "content": "x"}},
        {"reasoning_effort": "high", "verbosity": "low"},
        {"store": False, "prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s"},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"modalities": ["text"], "audio": None, "logprobs": False, "top_logprobs": 0},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False},
        {"functions": [], "function_call": "none"},
        {"stop": [], "max_completion_tokens": 32_000, "metadata": {"user_id": "u"}},
    ],
)
def test_what_ordinary_clients_add_is_no_reason_to_refuse(sent: dict[str, Any]):
    assert passed(**sent) == passed()


def test_one_prompt_may_come_in_a_list():
    assert passed("text", prompt=["Once"]) == passed("text")


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("functions", [{"name": "f"}], "tools"),
        ("web_search_options", {}, "nothing is searched"),
        ("moderation", {}, "nothing is moderated"),
        ("audio", {"voice": "x"}, "an answer is text"),
        ("modalities", ["audio"], "an answer is text"),
    ],
)
def test_what_is_not_done_here_is_told(field: str, value: Any, word: str):
    assert word in str(refused(**{field: value}))


def test_an_unknown_field_is_named_even_when_its_name_is_long():
    refusal = refused(**{"x" * 100_000: 1})

    assert len(str(refusal)) < 200
    assert str(refusal).endswith("it is not a field this endpoint knows. Leave it out.")


def test_one_stop_becomes_a_list():
    assert passed(stop="END")["stop"] == ["END"]


def test_a_longer_answer_than_the_context_is_cut_to_it():
    assert passed(max_tokens=10**9)["max_tokens"] == replica().context_tokens


def test_the_newer_name_for_the_length_wins():
    assert passed(max_tokens=5, max_completion_tokens=6)["max_tokens"] == 6


def test_the_served_name_is_no_field_upstream():
    assert passed(model="cider-1") == passed()


def test_another_model_is_not_found():
    refusal = refused(model="gpt-4")

    assert (refusal.status, refusal.parameter) == (404, "model")
    assert str(refusal) == "cannot use model \"gpt-4\": this endpoint serves 'cider-1'."


@pytest.mark.parametrize(("kind", "needed"), [("chat", "messages"), ("text", "prompt")])
def test_what_is_asked_cannot_be_left_out(kind: Kind, needed: str):
    with pytest.raises(RequestRefused) as refusal:
        clean(kind, {}, replica())

    assert refusal.value.parameter == needed


def test_tools_are_dropped_when_none_may_be_called():
    tool = {"type": "function", "function": {"name": "f"}}

    assert "tools" in passed(tools=[tool], tool_choice="auto")
    assert "tools" not in passed(tools=[tool], tool_choice="none")


def test_streaming_is_the_endpoints_own_matter():
    request = clean("chat", {**VALID["chat"], "stream": True, "stream_options": {"include_usage": True}}, replica())

    assert (request.stream, request.usage) == (True, True)
    assert request.body == passed()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff{}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"a": ' + b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[1]",
    ],
)
def test_a_body_that_is_no_sound_object_is_refused(content: bytes):
    with pytest.raises(RequestRefused) as refusal:
        parse(content)

    assert str(refusal.value).startswith("cannot read the request: ")
    assert (refusal.value.status, refusal.value.parameter) == (400, None)


def test_a_sound_body_is_read():
    assert parse('{"a": ["ä", 1.5, null]}'.encode()) == {"a": ["ä", 1.5, None]}


def test_a_body_may_be_as_large_as_its_context_needs():
    assert body_limit(replica(context_tokens=8192)) == 65_536 + 262_144
