"""Served names: what clients may ask for, what they are told, and what LiteLLM makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.gateway.names import covered, deployments, published, published_to_anthropics, served_names
from tests.serving.declarations import backend, declared

PRICE = {"prompt_per_million": 0.25, "answer_per_million": 2}
TWO = declared(
    weights__0__also_called=["gpt-4o", "claude-sonnet-4-5"],
    weights__0__price=PRICE,
    weights__1={
        "name": "v",
        "path": "/weights/v",
        "golden": {"question": "Who?", "answer": "Me"},
        "also_called": ["org/v:8bit"],
    },
    replicas__0__context_tokens=4096,
    replicas__1__weights="v",
)


V_BESIDE = {
    "weights__1": {
        "name": "v",
        "path": "/weights/v",
        "golden": {"question": "Who?", "answer": "Me"},
        "also_called": ["gpt-v"],
    }
}


def listed(*proven: str, **changes: Any) -> list[dict[str, Any]]:
    return deployments(served_names(declared(**changes) if changes else TWO, proven))


def test_an_alias_is_a_name_like_any_other_and_leads_to_the_weights_by_their_own():
    leads = {each["model_name"]: each["litellm_params"]["model"] for each in listed("a", "b")}

    assert leads == {
        "w": "hosted_vllm/w",
        "gpt-4o": "hosted_vllm/w",
        "claude-sonnet-4-5": "hosted_vllm/w",
        "v": "hosted_vllm/v",
        "org/v:8bit": "hosted_vllm/v",
    }


def test_names_of_weights_that_no_proven_replica_serves_are_not_served():
    assert [each["model_name"] for each in listed("b")] == ["v", "org/v:8bit"]


def test_what_a_backend_that_is_none_of_ours_answers_comes_after_what_replicas_serve():
    instead = backend(name="other", use="when no replica can", instead_of=["v", "w"])
    names = listed("a", gateway__external=[backend(context_tokens=4096), instead], **V_BESIDE)

    # Weights that no replica serves yet are answered for as well, by all their names.
    assert [each["model_name"] for each in names] == ["w", "big", "v", "gpt-v"]
    assert [each["litellm_params"]["model"] for each in names[1:]] == ["hosted_vllm/big", *["hosted_vllm/v"] * 2]
    assert names[1]["model_info"]["max_input_tokens"] == 4096


def test_a_key_for_weights_covers_all_their_names_and_one_for_another_name_covers_that():
    assert covered(TWO, ["v", "gpt-4o", "big"]) == ("v", "org/v:8bit", "gpt-4o", "big")
    assert covered(TWO, None) is None


def test_a_name_promises_what_each_of_its_replicas_holds():
    (deployment,) = listed("a", "b", replicas__0__context_tokens=4096)

    assert deployment["litellm_params"]["max_tokens"] == 2048
    held = {"id": "w", "max_input_tokens": 4096, "max_output_tokens": 2048}
    assert held.items() <= deployment["model_info"].items()
    assert deployment["litellm_params"]["api_base"] == "os.environ/CIDERMILL_RELAY"


@pytest.mark.parametrize(("name", "costs"), [("w", (0.25e-6, 2e-6)), ("v", (0, 0))])
def test_a_price_is_told_to_litellm_for_one_token_and_no_price_is_nothing(name: str, costs: tuple[float, float]):
    (told,) = (each["model_info"] for each in listed("a", "b") if each["model_name"] == name)

    assert (told["input_cost_per_token"], told["output_cost_per_token"]) == pytest.approx(costs)


@pytest.mark.parametrize(("name", "cost"), [("gpt-4o", 10 * 0.25e-6 + 20 * 2e-6), ("org/v:8bit", 0)])
def test_litellm_counts_the_declared_price_and_not_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str, cost: float
):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm import Router

    router = Router(model_list=listed("a", "b"))
    answer = asyncio.run(router.acompletion(name, [{"role": "user", "content": "Hi"}], mock_response="Hello."))

    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (10, 20)
    assert answer._hidden_params["response_cost"] == pytest.approx(cost)


def test_what_a_name_holds_is_published_in_every_word_that_clients_look_for():
    told = published(served_names(TWO, {"a"})[1])

    assert told["id"] == "gpt-4o"
    assert {told[word] for word in ("context_window", "context_length", "max_model_len", "max_input_tokens")} == {4096}
    assert told["pricing"] == {"prompt": "0.00000025", "completion": "0.000002"}


def test_free_weights_are_published_as_free():
    assert published(served_names(TWO, {"b"})[0])["pricing"] == {"prompt": "0", "completion": "0"}


def test_anthropics_clients_are_told_of_a_name_in_their_own_words():
    told = published_to_anthropics(served_names(TWO, {"a"})[0])

    assert (told["type"], told["id"], told["max_input_tokens"], told["lifecycle"]) == ("model", "w", 4096, "active")
