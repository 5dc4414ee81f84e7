"""From an inventory to an answer, and the same again without a change."""

from __future__ import annotations

import json
import re
import shlex
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mlx_lm import generate, load
from openai import OpenAI

from tests import readme
from tests.deploy.running import ENVIRONMENT, STANDIN, Run, agent, client_environment, deploy, typed
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH

pytestmark = pytest.mark.lab

QUESTIONS = [GOLDEN_QUESTION, "What is the capital of France?", "How many legs has a spider?", "Who are you?"]


def asked(question: str) -> dict[str, Any]:
    """A chat request whose answer leaves nothing to chance."""
    return {"model": "cider-1", "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 64}


@pytest.fixture(scope="module")
def by_mlx_lm() -> dict[str, str]:
    """What plain mlx_lm.generate says to each question, in this process."""
    weights, tokenizer = load(str(PATH))[:2]

    def answer(question: str) -> str:
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True)
        return generate(weights, tokenizer, prompt, max_tokens=64).strip()

    return {question: answer(question) for question in QUESTIONS}


def test_the_deploy_tells_what_each_mac_is_and_where_the_endpoint_and_the_key_are(deployed: Run):
    told = client_environment()

    for machine in ("mac-1", "mac-2", "mac-3", "mac-4"):
        assert re.search(rf"{machine}.*Apple M3 Ultra.*512 GB.*26\.3 \(25D125\)", deployed.output)
    assert told["OPENAI_BASE_URL"] in deployed.output
    assert ".cidermill/standin.env" in deployed.output
    assert told["OPENAI_API_KEY"] not in deployed.output


def test_the_key_is_readable_by_its_owner_alone(deployed: Run):
    assert stat.S_IMODE(ENVIRONMENT.stat().st_mode) == 0o600


def test_the_curl_line_works_when_pasted(deployed: Run):
    pasted = typed(next(line for line in deployed.output.splitlines() if line.startswith("source ")))

    assert json.loads(pasted.output)["choices"][0]["message"]["content"].strip() == GOLDEN_ANSWER


def test_the_readmes_client_works_as_it_stands(deployed: Run):
    answer = typed(f"{sys.executable} -c {shlex.quote(readme.client())}", **client_environment())

    assert answer.output.strip() == GOLDEN_ANSWER


def test_openais_client_streams_a_sensible_answer(client: OpenAI):
    chunks = client.chat.completions.create(**asked(GOLDEN_QUESTION), stream=True)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces).strip() == GOLDEN_ANSWER


@pytest.mark.parametrize("question", QUESTIONS)
def test_tensor_pipeline_and_plain_generate_say_the_same(deployed: Run, by_mlx_lm: dict[str, str], question: str):
    answers = {name: agent(name, "/v1/chat/completions", **asked(question)) for name in ("mac-1", "mac-3")}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 200), [
        f"{name}: {answer.text} {agent(name, '/state').json()['replica']}" for name, answer in answers.items()
    ]
    said = {name: answer.json()["choices"][0]["message"]["content"].strip() for name, answer in answers.items()}
    assert said == dict.fromkeys(answers, by_mlx_lm[question])


def test_a_tool_that_is_offered_is_called(client: OpenAI):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": parameters}}
    answer = client.chat.completions.create(**asked("What is the weather in Paris?"), tools=[tool])

    call = answer.choices[0].message.tool_calls[0].function

    assert (call.name, call.arguments.replace(" ", "")) == ("get_weather", '{"city":"Paris"}')


def test_a_second_deploy_changes_nothing_and_disturbs_no_request(client: OpenAI):
    with ThreadPoolExecutor(max_workers=5) as pool:
        second = pool.submit(deploy, STANDIN)
        answers: list[str] = []
        while not second.done() or len(answers) <= 4:  # it may be over before the first of them are answered
            asking = [pool.submit(client.chat.completions.create, **asked(GOLDEN_QUESTION)) for _ in range(4)]
            answers += [done.result().choices[0].message.content or "" for done in asking]

    assert second.result().code == 0, second.result().output
    assert changes(second.result()) == 0
    assert len(answers) > 4
    assert {answer.strip() for answer in answers} == {GOLDEN_ANSWER}


def test_a_dry_run_of_a_lab_as_declared_plans_nothing(deployed: Run):
    run = deploy(STANDIN, "--dry")

    assert run.code == 0
    assert "Nothing to do: every Mac is as declared." in run.output
    assert "Send weights" not in run.output


def changes(run: Run) -> int:
    """How many operations changed something or failed, by pyinfra's own count: hosts, success, error, no change."""
    _, succeeded, failed, _ = next(line.split()[2:] for line in run.output.splitlines() if "Grand total" in line)
    return sum(int(count) for count in (succeeded, failed) if count != "-")
