"""LiteLLM 1.109.1's errors as they come, and what is left of them for a client."""

from __future__ import annotations

import json

import pytest

from serving.gateway.apis import Fault
from serving.gateway.own_words import in_a_stream, of_litellm, plain

AFTER = "\n\nLiteLLM: model group 'w' failed with the error above. No fallback was attempted."
QUOTED = '{"error":{"message":"cannot use \'stop\'","type":"invalid_request_error","param":"stop","code":null}}'
SEEN = {
    f"litellm.BadRequestError: Hosted_vllmException - {QUOTED}{AFTER}": "cannot use 'stop'",
    "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: OpenAIException - "
    "Error code: 400 - It is too long.\nmodel=w. context_window_fallbacks=None. fallbacks=None.\n\n"
    "Set 'context_window_fallback' - https://docs.litellm.ai/docs/routing#fallbacks" + AFTER: "It is too long.",
    "Missing required parameter: 'messages'.": "Missing required parameter: 'messages'.",
    "400: bad": "bad",
    "Rate limit exceeded for this key": "Rate limit exceeded for this key",
}


@pytest.mark.parametrize("message", SEEN)
def test_what_is_litellms_about_a_message_goes(message: str):
    assert plain(message, 400) == SEEN[message]


@pytest.mark.parametrize(
    "message", ["", None, "See https://docs.litellm.ai", "at 127.0.0.1:7442", "hosted_vllm/w", "litellm.X: " + AFTER]
)
def test_what_would_tell_of_the_inside_or_nothing_becomes_a_general_word(message: object):
    told = plain(message, 500)

    assert told == "cannot answer this request: the gateway's translation refused it with 500. Send it again."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"message": "m", "type": "authentication_error", "code": "401"}},
            Fault(401, "m", "authentication_error"),
        ),
        ({"type": "error", "error": {"type": "api_error", "message": "m"}}, Fault(401, "m", "api_error")),
        ({"detail": {"error": "m"}}, Fault(401, "m")),
        ({"detail": "m"}, Fault(401, "m")),
        ({"error": "m"}, Fault(401, "m")),
        ({"error": {"message": "m", "param": "stop", "code": "too_hot"}}, Fault(401, "m", None, "stop", "too_hot")),
    ],
)
def test_a_body_is_read_in_whichever_shape(body: object, expected: Fault):
    assert of_litellm(401, json.dumps(body).encode(), None) == expected


@pytest.mark.parametrize("content", [b"", b"Internal Server Error", b"[]", b"\xff", b"data: x"])
def test_a_body_that_says_nothing_is_an_error_all_the_same(content: bytes):
    assert "refused it with 500" in of_litellm(500, content, None).message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "m", "code": "500"}, 502),
        ({"message": "m", "code": "429"}, 429),
        ({"message": "m", "type": "overloaded_error"}, 503),
        ({"message": "m", "type": "api_error"}, 502),
    ],
)
def test_an_error_in_a_stream_has_its_status_by_its_code_or_its_type(error: dict[str, str], status: int):
    assert in_a_stream(error).status == status
