from __future__ import annotations

import asyncio

import pytest

from tests.serving.endpoint.clients import CHAT, HELLO, STREAM, Client, Service, answered, served
from tests.serving.speaking import USAGE, Script, chat, made_of, text


def got(script: Script, path: str, method: str = "GET") -> Client:
    async def ask() -> Client:
        return await Service(script.port).get(path, method).over()

    return asyncio.run(ask())


def test_an_answer_in_one_piece_bears_the_served_name(script: Script):
    answer = answered(script, HELLO).json

    assert (answer["model"], answer["object"]) == ("cider-1", "chat.completion")
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert answer["usage"] == USAGE["usage"]


def test_a_completion_is_answered_too(script: Script):
    script.say(text("upon"), text(" a time", "length"))

    answer = answered(script, {"prompt": "Once"}, "/v1/completions").json

    assert answer["choices"][0]["text"] == "upon a time"


def test_a_stream_comes_chunk_by_chunk_under_the_served_name(script: Script):
    response = answered(script, STREAM)

    *parts, last = response.chunks
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [part["choices"][0]["delta"].get("content") for part in parts] == ["He", "llo", None]
    assert {(part["model"], part["object"]) for part in parts} == {("cider-1", "chat.completion.chunk")}
    assert last == "[DONE]"


def test_usage_ends_a_stream_only_when_asked_for(script: Script):
    *_, usage, last = answered(script, STREAM | {"stream_options": {"include_usage": True}}).chunks

    assert (usage["usage"], usage["object"], last) == (USAGE["usage"], "chat.completion.chunk", "[DONE]")


def test_the_private_field_stays_private(script: Script):
    script.say(made_of(chat(content="He"), 1), made_of(chat("stop"), 2), USAGE)

    assert "cidermill" not in answered(script, STREAM).content.decode()
    assert "cidermill" not in answered(script, HELLO).content.decode()


def test_a_stream_of_unknown_tokens_that_breaks_off_ends_with_a_typed_error(script: Script):
    script.break_off(chat(content="He"))

    first, last = answered(script, STREAM).chunks

    assert first["choices"][0]["delta"]["content"] == "He"
    assert (last["error"]["type"], last["error"]["code"]) == ("server_error", "cannot_continue")
    assert "replica 'a' lost this request" in last["error"]["message"]


def test_a_stream_that_breaks_off_goes_on_word_for_word(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Hel") | {"id": "c2"}, 1, 2), made_of(chat("stop", content="lo"), 3), USAGE)

    response = answered(script, STREAM)

    assert response.text == "Hello"
    assert {chunk["id"] for chunk in response.chunks[:-1]} == {"c1"}
    assert [body.get("cidermill") for _, body in script.asked] == [None, {"emitted": [1], "grammar": None}]


def test_an_answer_in_one_piece_goes_on_as_well(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Hello"), 1, 2), made_of(chat("stop"), 3), USAGE)

    assert answered(script, HELLO).json["choices"][0]["message"]["content"] == "Hello"


def test_a_stream_that_is_told_differently_ends_with_an_error_and_no_altered_text(script: Script):
    script.break_off(made_of(chat(content="He"), 1))
    script.say(made_of(chat(content="Good day"), 1, 2), made_of(chat("stop"), 3))

    response = answered(script, STREAM)

    assert response.text == "He"
    assert response.chunks[-1]["error"]["code"] == "continuation_differs"


def test_what_breaks_off_before_a_word_is_asked_again_unseen(script: Script):
    script.break_off()

    response = answered(script, STREAM)

    assert (response.text, response.chunks[-1]) == ("Hello", "[DONE]")
    first, second = script.asked
    assert first == second


def test_a_request_that_fells_its_replica_every_time_is_not_asked_for_ever(script: Script):
    for _ in range(9):
        script.break_off()

    response = answered(script, HELLO)

    assert (response.status, response.json["error"]["code"]) == (502, "lost")
    assert len(script.asked) == 3


def test_a_stream_ends_by_itself_when_only_its_last_words_were_missing(script: Script):
    script.break_off(made_of(chat(content="He"), 1), made_of(chat("stop"), 2))

    response = answered(script, STREAM)

    assert (response.text, response.chunks[-1], len(script.asked)) == ("He", "[DONE]", 1)


def test_a_request_at_fault_is_told_in_openais_shape(script: Script):
    response = answered(script, HELLO | {"stop": 5})

    assert response.status == 400
    assert response.json["error"] == {
        "message": "cannot use 'stop': seen 5, needed a text or a list of at most 16 texts, none of them empty.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": None,
    }
    assert script.asked == []


def test_a_body_beyond_the_limit_is_not_read_to_its_end(script: Script):
    response = answered(script, b" " * 1_000_000)

    assert (response.status, response.headers["connection"]) == (413, "close")


def test_the_served_name_is_listed_with_its_context(script: Script):
    (listed,) = got(script, "/v1/models").json["data"]

    assert (listed["id"], listed["max_model_len"], listed["context_window"]) == ("cider-1", 2048, 2048)
    assert got(script, "/v1/models/cider-1").json == listed
    assert got(script, "/v1/models/other").json["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/v1/embeddings", "POST", 404), (CHAT, "GET", 405), ("/nothing", "GET", 404)]
)
def test_what_is_not_served_is_told_in_openais_shape(script: Script, path: str, method: str, status: int):
    response = got(script, path, method)

    assert response.status == status
    assert response.json["error"]["type"] == "invalid_request_error"


def test_metrics_tell_how_requests_ended_and_none_of_their_words(script: Script):
    async def play(service: Service) -> None:
        await service.ask(STREAM).over()
        await service.ask(HELLO | {"stop": 5}).over()
        told = (await service.get("/metrics").over()).content.decode()

        assert 'cidermill_requests_total{outcome="answered"} 1.0' in told
        assert 'cidermill_requests_total{outcome="refused"} 1.0' in told
        assert 'cidermill_tokens_total{direction="out"} 2.0' in told
        assert 'cidermill_replica_state{state="ready"} 1.0' in told
        assert "cidermill_first_token_seconds_count 1.0" in told
        assert "cidermill_between_tokens_seconds_count 2.0" in told
        assert "Hello" not in told

    served(script, play)


@pytest.mark.parametrize(("words", "least"), [(1, 5), (5000, 5000)])
def test_a_prompt_is_counted_whether_it_fits_or_not_and_nobody_is_asked(script: Script, words: int, least: int):
    body = HELLO | {"messages": [{"role": "user", "content": "word " * words}]}
    response = answered(script, body, path="/count", state="broken")

    assert response.json["input_tokens"] >= least
    assert script.asked == []


def test_what_cannot_be_read_is_not_counted(script: Script):
    response = answered(script, HELLO | {"messages": 5}, path="/count")

    assert (response.status, response.json["error"]["param"]) == (400, "messages")
