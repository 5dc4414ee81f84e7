"""Keys at the daemon as launchd starts it: the real LiteLLM between the entrance and the relay."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from serving.gateway.keys import Key, digest, written
from tests.serving.gateway.endpoints import HE, HELLO_WHOLE, LLO, Answer, Scripted, endpoint, served
from tests.serving.gateway.running import KEY, OWN, Running, running
from tests.serving.speaking import USAGE, made_of, said, text
from tests.serving.waiting import wait_until

SECOND = {"name": "cider-2", "path": "/weights/2", "golden": {"question": "Who?", "answer": "Me"}}
MESSAGES = [{"role": "user", "content": "Hello"}]
CHAT: dict[str, Any] = {"model": "cider-1", "messages": MESSAGES}
APIS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": CHAT | {"max_tokens": 5},
    "/v1/responses": {"model": "cider-1", "input": "Hello"},
}
COMPLETION = {"/v1/completions": {"model": "cider-1", "prompt": "Hello"}}


class Gateway:
    """The gateway under test, from outside."""

    def __init__(self, running: Running) -> None:
        self.http = httpx.Client(base_url=running.url, timeout=120, limits=httpx.Limits(max_connections=None))
        self.keys = running.directory / "keys.json"

    def hand_out(self, *keys: Key) -> None:
        """Only the lab's own key and these are valid from now on."""
        new = self.keys.with_name("keys.new")
        new.write_text(written([OWN, *keys]))
        new.replace(self.keys)

    def ask(
        self, key: str = KEY, body: Any = CHAT, path: str = "/v1/chat/completions", **headers: str
    ) -> httpx.Response:
        shown = {"authorization": f"Bearer {key}"} if key else {}
        return self.http.post(path, json=body, headers={**shown, **headers})

    def streaming(self, key: str, body: dict[str, Any] = CHAT, path: str = "/v1/chat/completions") -> Any:
        headers = {"authorization": f"Bearer {key}"}
        return self.http.stream("POST", path, json=body | {"stream": True}, headers=headers)

    def log(self) -> str:
        """What the gateway has said so far."""
        return (self.keys.parent / "out").read_text()

    def names(self, key: str) -> list[str]:
        """What a key may ask for; nothing for one that is unknown."""
        listed = self.http.get("/v1/models", headers={"authorization": f"Bearer {key}"})
        return [] if listed.status_code == 401 else sorted(each["id"] for each in listed.json()["data"])


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Scripted, Scripted]]:
    with endpoint("a") as a, endpoint("b") as b:
        yield a, b


@pytest.fixture(scope="module")
def standing_gateway(both: tuple[Scripted, Scripted], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    replicas = [served("a", both[0].port), served("b", both[1].port, weights="cider-2")]
    changes = {"weights__1": SECOND, "replicas__1__weights": "cider-2"}
    with running(tmp_path_factory.mktemp("gateway"), replicas, **changes) as started:
        gateway = Gateway(started)
        with gateway.http:
            yield gateway


@pytest.fixture
def gateway(standing_gateway: Gateway) -> Gateway:
    standing_gateway.hand_out()
    return standing_gateway


@pytest.fixture
def a(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[0].afresh()


@pytest.fixture
def b(both: tuple[Scripted, Scripted]) -> Scripted:
    return both[1].afresh()


_numbers = iter(range(1000))


def made(**limits: Any) -> tuple[str, Key]:
    """A new key and what the gateway is told of it."""
    owner = f"owner-{next(_numbers)}"
    secret = f"sk-{owner}-which-is-long-enough"
    return secret, Key(owner=owner, sha256=digest(secret), **limits)


def error(response: httpx.Response) -> dict[str, Any]:
    return response.json()["error"]


@pytest.mark.parametrize("path", [*APIS, *COMPLETION])
def test_the_endpoint_is_told_whose_request_it_is_whichever_api_was_spoken(gateway: Gateway, a: Scripted, path: str):
    secret, key = made()
    gateway.hand_out(key)

    response = gateway.ask(secret, (APIS | COMPLETION)[path], path)

    assert (response.status_code, a.headers[0]["x-cidermill-key"]) == (200, key.owner)
    assert secret not in json.dumps([*a.headers, *a.asked])
    assert key.sha256 not in json.dumps([*a.headers, *a.asked])


@pytest.mark.parametrize("path", [*APIS, *COMPLETION])
def test_a_client_cannot_say_that_its_request_is_somebody_elses(gateway: Gateway, a: Scripted, path: str):
    gateway.ask(body=(APIS | COMPLETION)[path], path=path, **{"X-Cidermill-Key": "somebody", "anthropic-beta": "x"})

    assert [headers["x-cidermill-key"] for headers in a.headers] == ["lab"]


@pytest.mark.parametrize("field", ["extra_headers", "headers", "fallbacks", "api_key", "provider_specific_header"])
def test_what_litellm_would_take_from_a_body_to_send_it_elsewhere_is_refused(gateway: Gateway, a: Scripted, field: str):
    value = ["cider-2"] if field == "fallbacks" else "x" if field == "api_key" else {"x-cidermill-key": "somebody"}
    statuses = [gateway.ask(body=body | {field: value}, path=path).status_code for path, body in APIS.items()]

    assert (statuses, a.asked) == ([400, 400, 400], [])


def test_a_key_sees_and_uses_its_own_names_alone(gateway: Gateway, a: Scripted, b: Scripted):
    secret, key = made(names=("cider-2",))
    gateway.hand_out(key)

    assert (gateway.names(secret), gateway.names(KEY)) == (["cider-2"], ["cider-1", "cider-2"])
    assert [gateway.ask(secret, body, path).status_code for path, body in APIS.items()] == [403, 403, 403]
    assert gateway.ask(secret, CHAT | {"model": "cider-2"}).status_code == 200
    assert (len(a.asked), len(b.asked)) == (0, 1)


def test_a_form_cannot_bring_in_another_name_than_its_json(gateway: Gateway, a: Scripted):
    secret, key = made(names=("cider-2",))
    gateway.hand_out(key)
    body = json.dumps({"model": "cider-2", "x": "&model=cider-1&prompt=Hello&y="})
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/x-www-form-urlencoded"}

    gateway.http.post("/v1/completions", content=body, headers=headers)

    assert a.asked == []


def test_a_key_counts_and_ceases_to_with_the_next_request(gateway: Gateway, a: Scripted):
    secret, key = made()
    go_on = threading.Event()
    with ThreadPoolExecutor() as pool:
        before = gateway.ask(secret).status_code
        gateway.hand_out(key)
        a.plan(go_on, *HELLO_WHOLE)
        under_way = pool.submit(gateway.ask, secret)
        wait_until(lambda: len(a.asked) == 1)
        gateway.hand_out()
        after = gateway.ask(secret).status_code
        go_on.set()

        assert (before, after) == (401, 401)
        assert under_way.result().json()["choices"][0]["message"]["content"] == "Hello"


def test_a_limit_that_is_changed_counts_from_the_next_request_on(gateway: Gateway, a: Scripted):
    secret, key = made(requests_per_minute=2)
    gateway.hand_out(key)
    first = [gateway.ask(secret).status_code for _ in range(3)]
    gateway.hand_out(key.model_copy(update={"requests_per_minute": 4}))
    second = [gateway.ask(secret).status_code for _ in range(3)]
    gateway.hand_out(key.model_copy(update={"requests_per_minute": None}))

    assert (first, second) == ([200, 200, 429], [200, 200, 429])
    assert gateway.ask(secret).status_code == 200


@pytest.mark.parametrize("path", APIS)
def test_who_comes_too_often_hears_when_to_come_again_in_the_shape_of_their_api(
    gateway: Gateway, a: Scripted, path: str
):
    secret, key = made(requests_per_minute=1)
    gateway.hand_out(key)
    gateway.ask(secret)
    refused = gateway.ask(secret, APIS[path], path)

    assert (refused.status_code, error(refused)["type"]) == (429, "rate_limit_error")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json().get("type") == ("error" if path == "/v1/messages" else None)


@pytest.mark.parametrize("path", APIS)
def test_a_stream_is_under_way_until_its_end(gateway: Gateway, a: Scripted, path: str):
    secret, key = made(concurrent_requests=1)
    gateway.hand_out(key)
    go_on = threading.Event()
    a.plan(*said(HE, done=False), go_on, *HELLO_WHOLE[1:])
    with gateway.streaming(secret, APIS[path], path) as stream:
        pieces = stream.iter_raw()
        next(pieces)
        meanwhile = gateway.ask(secret)
        go_on.set()
        for _ in pieces:
            pass

    assert (meanwhile.status_code, meanwhile.headers["retry-after"]) == (429, "1")
    wait_until(lambda: gateway.ask(secret).status_code == 200)


@pytest.mark.parametrize("path", APIS)
def test_a_client_that_goes_frees_its_place(gateway: Gateway, a: Scripted, path: str):
    secret, key = made(concurrent_requests=1)
    gateway.hand_out(key)
    a.plan(*said(HE, done=False), threading.Event())
    with gateway.streaming(secret, APIS[path], path) as stream:
        next(stream.iter_raw())

    wait_until(lambda: gateway.ask(secret).status_code == 200)


def test_a_client_that_goes_before_its_answer_has_begun_frees_its_place(gateway: Gateway, a: Scripted):
    secret, key = made(concurrent_requests=1)
    gateway.hand_out(key)
    a.plan(threading.Event())
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.post("/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {secret}"}, timeout=2)

    wait_until(lambda: gateway.ask(secret).status_code == 200)


@pytest.mark.parametrize("path", [*APIS, *COMPLETION])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tokens_of_every_answer_are_counted(gateway: Gateway, a: Scripted, path: str, stream: bool):
    secret, key = made(tokens_per_minute=USAGE["usage"]["total_tokens"] - 1)
    gateway.hand_out(key)
    body = (APIS | COMPLETION)[path]
    if path in COMPLETION:
        a.plan(*said(made_of(text("upon", "length"), 1), USAGE))
    if stream:
        with gateway.streaming(secret, body, path) as answer:
            first = answer.status_code
            answer.read()
    else:
        first = gateway.ask(secret, body, path).status_code
    refused = gateway.ask(secret)

    assert (first, refused.status_code, error(refused)["code"]) == (200, 429, "tokens_per_minute")


def test_tokens_of_an_answer_that_nobody_waited_for_are_counted(gateway: Gateway, a: Scripted):
    secret, key = made(tokens_per_minute=1)
    gateway.hand_out(key)
    a.plan(*said(HE, LLO, done=False), threading.Event())
    with gateway.streaming(secret) as stream:
        next(stream.iter_raw())

    wait_until(lambda: gateway.ask(secret).status_code == 429)


def test_a_damaged_file_of_keys_changes_nothing_and_is_told_in_the_log(gateway: Gateway, a: Scripted):
    secret, key = made()
    gateway.hand_out(key)
    before = gateway.ask(secret).status_code
    gateway.keys.write_text('{"keys": [')

    assert (before, gateway.ask(secret).status_code) == (200, 200)
    wait_until(lambda: "cannot read the keys" in gateway.log())


def test_neither_keys_nor_their_digests_are_in_the_log(gateway: Gateway, a: Scripted):
    secret, key = made(names=("cider-2",))
    gateway.hand_out(key)
    gateway.ask(secret)
    gateway.ask(f"{secret}-and-more")
    gateway.ask(secret, {"model": "cider-2"})

    assert [each for each in (secret, key.sha256, KEY, OWN.sha256) if each in gateway.log()] == []


def test_keys_come_change_and_go_while_others_stream_undisturbed(gateway: Gateway, a: Scripted):
    ours, our_key = made(concurrent_requests=30)
    gateway.hand_out(our_key)
    go_on = threading.Event()
    a.always = Answer([*said(HE, done=False), go_on, *HELLO_WHOLE[1:]])

    def stream() -> str:
        with gateway.streaming(ours) as answer:
            return answer.read().decode()

    with ThreadPoolExecutor(20) as pool:
        streams = [pool.submit(stream) for _ in range(20)]
        wait_until(lambda: len(a.asked) == 20, seconds=60)
        seen: list[tuple[list[str], list[str], list[str]]] = []
        for _ in range(5):
            theirs, their_key = made(names=("cider-2",))
            gateway.hand_out(our_key, their_key)
            added = gateway.names(theirs)
            gateway.hand_out(our_key, their_key.model_copy(update={"names": ("cider-1",)}))
            changed = gateway.names(theirs)
            gateway.hand_out(our_key)
            seen.append((added, changed, gateway.names(theirs)))
        go_on.set()
        answers = [each.result() for each in streams]

    assert seen == [(["cider-2"], ["cider-1"], [])] * 5
    assert [answer.count("data: [DONE]") for answer in answers] == [1] * 20
    assert not any("error" in answer for answer in answers)
