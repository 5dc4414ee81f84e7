"""The configuration is loaded by LiteLLM itself."""

import pytest

from serving.gateway.configuration import litellm_configuration
from tests.serving.declarations import declared

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


def test_litellm_neither_repeats_nor_cuts_what_the_relay_holds():
    configuration = litellm_configuration(declared(replicas__0__wait_seconds=100_000), {"a", "b"})
    parameters = configuration["model_list"][0]["litellm_params"]

    assert (configuration["router_settings"]["num_retries"], parameters["max_retries"]) == (0, 0)
    assert min(parameters["timeout"], parameters["stream_timeout"]) > 100_000


def test_no_secret_is_written_into_the_configuration():
    configuration = litellm_configuration(declared(), {"a"})

    assert configuration["general_settings"]["master_key"] == "os.environ/CIDERMILL_MASTER_KEY"
    assert configuration["model_list"][0]["litellm_params"]["api_key"] == "os.environ/CIDERMILL_CLUSTER_TOKEN"
