"""Whether answers through an endpoint keep to what was asked: random JSON schemas and tool signatures, all validated.

    uv run --all-groups python -m tests.benchmarks.valid http://127.0.0.1:8080 [--schemas 200] [--tools 50] [--key KEY]

Half of them are streamed. Another implementation of JSON Schema reads them than the one that made them. An answer that
max_tokens cut is counted apart: it is not whole, and says so. It ends with 1 when any other is invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from tests.serving import schemas

Verdict = Literal["valid", "cut", "invalid"]


@dataclass
class Answer:
    """What a client got, streamed or whole."""

    content: str = ""
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    finish: str | None = None

    def add(self, said: Mapping[str, Any], finish: str | None) -> None:
        """One chunk's delta, or a whole message."""
        self.content += said.get("content") or ""
        for number, call in enumerate(said.get("tool_calls") or []):
            into = self.calls.setdefault(call.get("index", number), {"name": "", "arguments": ""})
            for name in into:
                into[name] += call["function"].get(name) or ""
        self.finish = finish or self.finish


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.valid")
    parser.add_argument("url", help="of the endpoint or gateway, without /v1")
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--tools", type=int, default=50)
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default=None)
    parser.add_argument("--at-once", type=int, default=8)
    given = parser.parse_args(arguments)
    verdicts = asyncio.run(_all(given))
    for kind in ("response_format", "tool_choice"):
        counted = Counter(verdict for of, verdict in verdicts if of == kind)
        print(f"{kind:16} {', '.join(f'{counted[verdict]} {verdict}' for verdict in ('valid', 'cut', 'invalid'))}")
    return 1 if any(verdict == "invalid" for _, verdict in verdicts) else 0


async def _all(given: argparse.Namespace) -> list[tuple[str, Verdict]]:
    slots, headers = asyncio.Semaphore(given.at_once), {"Authorization": f"Bearer {given.key}"}
    async with httpx.AsyncClient(base_url=given.url, headers=headers, timeout=600) as client:

        async def one(kind: str, seed: int) -> tuple[str, Verdict]:
            body = (_formed if kind == "response_format" else _calling)(seed)
            if given.model:
                body["model"] = given.model
            async with slots:
                answer = await _asked(client, body, stream=seed % 2 == 0)
            verdict = _formed_as_asked(seed, answer) if kind == "response_format" else _called_as_asked(seed, answer)
            if verdict != "valid":
                print(f"{verdict}: {kind} {seed}: {answer.content[-200:]} {list(answer.calls.values())}")
            return kind, verdict

        kinds = [("response_format", seed) for seed in range(given.schemas)]
        kinds += [("tool_choice", seed) for seed in range(given.tools)]
        return await asyncio.gather(*(one(*each) for each in kinds))


def _formed(seed: int) -> dict[str, Any]:
    form = {"name": "form", "schema": schemas.schema(seed), "strict": True}
    return {
        "messages": [{"role": "user", "content": "Describe the weather in Paris."}],
        "response_format": {"type": "json_schema", "json_schema": form},
        "max_tokens": 1000,
        "temperature": seed % 3 / 2,
    }


def _calling(seed: int) -> dict[str, Any]:
    tools = _tools(seed)
    named = {"type": "function", "function": {"name": tools[0]["function"]["name"]}}
    return {
        "messages": [{"role": "user", "content": "Do it."}],
        "tools": tools,
        "tool_choice": named if seed % 3 == 0 else "required",
        "parallel_tool_calls": seed % 3 == 1,
        "max_tokens": 1000,
        "temperature": seed % 3 / 2,
    }


def _tools(seed: int) -> list[dict[str, Any]]:
    return [schemas.function(seed), schemas.function(seed + 1000)]


async def _asked(client: httpx.AsyncClient, body: Mapping[str, Any], stream: bool) -> Answer:
    answer, path = Answer(), "/v1/chat/completions"
    if not stream:
        response = await client.post(path, json=body)
        _require_answered(response, response.text)
        (choice,) = response.json()["choices"]
        answer.add(choice["message"], choice["finish_reason"])
        return answer
    async with client.stream("POST", path, json={**body, "stream": True}) as response:
        if response.is_error:
            _require_answered(response, (await response.aread()).decode())
        async for line in response.aiter_lines():
            told = line.removeprefix("data: ")
            if told == line or told == "[DONE]":
                continue
            for choice in json.loads(told).get("choices", []):
                answer.add(choice["delta"], choice.get("finish_reason"))
    return answer


def _require_answered(response: httpx.Response, text: str) -> None:
    if response.is_error:
        raise RuntimeError(f"cannot go on: the endpoint answered {response.status_code}: {text[:500]}")


def _formed_as_asked(seed: int, answer: Answer) -> Verdict:
    if answer.finish == "length":
        return "cut"
    try:
        value = json.loads(answer.content)
    except ValueError:
        return "invalid"
    return "valid" if answer.finish == "stop" and schemas.is_valid(value, schemas.schema(seed)) else "invalid"


def _called_as_asked(seed: int, answer: Answer) -> Verdict:
    if answer.finish == "length":
        return "cut"
    asked = _calling(seed)
    parameters = {
        each["function"]["name"]: each["function"].get("parameters", {"maxProperties": 0}) for each in _tools(seed)
    }
    if isinstance(asked["tool_choice"], dict):
        parameters = {asked["tool_choice"]["function"]["name"]: parameters[asked["tool_choice"]["function"]["name"]]}
    calls = list(answer.calls.values())
    if answer.finish != "tool_calls" or not calls or (len(calls) > 1 and not asked["parallel_tool_calls"]):
        return "invalid"
    held = [
        call["name"] in parameters and schemas.is_valid(json.loads(call["arguments"]), parameters[call["name"]])
        for call in calls
    ]
    return "valid" if all(held) else "invalid"


if __name__ == "__main__":
    sys.exit(main())
