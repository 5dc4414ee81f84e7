"""The configuration is loaded by LiteLLM itself; the guard is spoken to as ASGI."""

import asyncio
from typing import Any

import pytest

from serving.gateway.configuration import PATHS, litellm_configuration
from serving.gateway.daemon import only_allowed
from tests.serving.declarations import backend, declared

TWO_NAMES = declared(
    weights__1={"name": "v", "path": "/weights/v", "golden": {"question": "Who?", "answer": "Me"}},
    replicas__1__weights="v",
)


def test_litellm_takes_one_deployment_for_each_name_whoever_serves_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm import Router

    configuration = litellm_configuration(TWO_NAMES, {"a", "b"})
    router = Router(model_list=configuration["model_list"], **configuration["router_settings"])

    assert router.registry().names(team_id=None) == ["w", "v"]
    assert all(router.registry().has_deployment(name) for name in ("w", "v"))


def test_a_name_that_no_proven_replica_serves_is_not_listed():
    listed = litellm_configuration(TWO_NAMES, {"b"})["model_list"]

    assert [deployment["model_name"] for deployment in listed] == ["v"]


def test_every_name_leads_to_the_relay_and_promises_what_each_of_its_replicas_holds():
    cluster = declared(replicas__0__context_tokens=4096, ports={"relay": 7999})
    (deployment,) = litellm_configuration(cluster, {"a", "b"})["model_list"]

    assert deployment["litellm_params"]["api_base"] == "http://127.0.0.1:7999/v1"
    assert deployment["litellm_params"]["max_tokens"] == 2048
    assert deployment["model_info"] == {"id": "w", "max_input_tokens": 4096, "max_output_tokens": 2048}


def test_a_backend_that_is_none_of_ours_is_listed_by_its_own_name_or_for_the_weights_that_it_answers_for():
    by_name = backend(context_tokens=4096)
    instead = backend(name="other", use="when no replica can", instead_of=["v", "w"])
    cluster = declared(
        gateway__external=[by_name, instead],
        weights__1={"name": "v", "path": "/weights/v", "golden": {"question": "Who?", "answer": "Me"}},
    )
    listed = litellm_configuration(cluster, {"a", "b"})["model_list"]

    # Weights that no replica serves yet are answered for, too.
    assert [deployment["model_name"] for deployment in listed] == ["w", "big", "v"]
    assert {deployment["litellm_params"]["api_base"] for deployment in listed} == {"http://127.0.0.1:7442/v1"}
    assert listed[1]["model_info"]["max_input_tokens"] == 4096


def test_litellm_neither_repeats_nor_cuts_what_the_relay_holds():
    configuration = litellm_configuration(declared(replicas__0__wait_seconds=100_000), {"a", "b"})
    parameters = configuration["model_list"][0]["litellm_params"]

    assert (configuration["router_settings"]["num_retries"], parameters["max_retries"]) == (0, 0)
    assert min(parameters["timeout"], parameters["stream_timeout"]) > 100_000


def test_no_secret_is_written_into_the_configuration():
    configuration = litellm_configuration(declared(), {"a"})

    assert configuration["general_settings"]["master_key"] == "os.environ/CIDERMILL_MASTER_KEY"
    assert configuration["model_list"][0]["litellm_params"]["api_key"] == "os.environ/CIDERMILL_CLUSTER_TOKEN"


@pytest.mark.parametrize("path", ["/", "/ui/", "/config/update", "/v1/models/../../ui", "/public/x", "/openapi.json"])
def test_a_path_that_is_not_listed_never_reaches_litellm(path: str):
    assert _status(path) == 404


@pytest.mark.parametrize("path", sorted(PATHS))
def test_the_listed_paths_do(path: str):
    assert _status(path) == 200


def _status(path: str) -> int:
    sent: list[Any] = []

    async def behind(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(only_allowed(behind)({"type": "http", "path": path}, receive, send))
    return sent[0]["status"]
