"""The configuration is loaded by LiteLLM itself; the guard is spoken to as ASGI."""

import asyncio
from typing import Any

import pytest

from serving.gateway.configuration import PATHS, litellm_configuration
from serving.gateway.daemon import only_allowed
from tests.serving.declarations import declared


def test_litellm_takes_the_deployments_as_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm import Router

    configuration = litellm_configuration(declared(), {"a", "b"})
    router = Router(model_list=configuration["model_list"], **configuration["router_settings"])

    assert router.registry().names(team_id=None) == ["w", "w"]
    assert all(router.registry().has_deployment(replica) for replica in ("a", "b"))


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
