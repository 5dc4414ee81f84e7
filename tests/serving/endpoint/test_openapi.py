"""The published document against the endpoint itself: schemathesis makes requests from it, and finds nothing amiss."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from serving.agent.http import TokenGuard
from serving.endpoint.openapi import document
from serving.endpoint.requests import POLICY, Kind
from serving.endpoint.responses import ERRORS
from tests.serving.endpoint.clients import Service
from tests.serving.replicas import replica
from tests.serving.speaking import USAGE, chat, speaking, text

SETTINGS = {
    "headers": {"Authorization": "Bearer sesame"},
    "generation": {"deterministic": True, "max-examples": 60},
    "request-timeout": 120,
    "phases": {"stateful": {"enabled": False}},
}
TOKEN = {"Authorization": "Bearer sesame"}
CHUNKS = {
    "/v1/chat/completions": [chat(content="Hello"), chat("stop"), USAGE],
    "/v1/completions": [text("upon a time"), text("", "length"), USAGE],
    "/v1/models": [],
    "/openapi.json": [],
}

schemathesis.openapi.format("json-object", st.dictionaries(st.text(), st.integers()).map(json.dumps))


def application(port: int) -> Starlette:
    endpoint = Service(port, context_tokens=100_000).endpoint
    guard = Middleware(TokenGuard, token="sesame")
    routes = [Route("/document", lambda _: JSONResponse(in_itself())), *endpoint.routes()]
    return Starlette(routes=routes, middleware=[guard], exception_handlers=ERRORS)


def in_itself() -> dict[str, Any]:
    """The document without what depends on another field: which functions there are, what a schema can be held to."""
    told = document(replica(context_tokens=100_000))
    chat = told["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    del chat["properties"]["tool_choice"], chat["properties"]["response_format"]
    return told


@pytest.mark.parametrize("path", sorted(CHUNKS))
def test_the_document_names_what_the_endpoint_takes(path: str):
    assert path in document(replica())["paths"]


@pytest.mark.parametrize(("kind", "path"), [("chat", "/v1/chat/completions"), ("text", "/v1/completions")])
def test_each_row_of_the_policy_is_published_with_its_reason(kind: Kind, path: str):
    body = document(replica())["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]

    said = {name: schema["description"] for name, schema in body["properties"].items() if name != "model"}
    assert said == {name: f"{field.fate}: {field.why}" for name, field in POLICY[kind].items()}
    jsonschema.Draft202012Validator.check_schema(body)


@pytest.mark.parametrize("path", sorted(CHUNKS))
def test_what_is_published_is_what_is_done(path: str):
    with speaking() as script:
        script.say(*CHUNKS[path])
        published = schemathesis.openapi.from_asgi(
            "/document", application(script.port), config=SchemathesisConfig.from_dict(SETTINGS), headers=TOKEN
        )
        events = list(from_schema(published.include(path=path)).execute())

    scenarios = [event for event in events if isinstance(event, ScenarioFinished)]
    found = [fault for event in events for fault in faults(event)]
    assert not found, "\n".join(found)
    assert sum(len(scenario.recorder.cases) for scenario in scenarios) > (50 if CHUNKS[path] else 0)


def faults(event: Any) -> list[str]:
    """What an event says against the endpoint: a check that failed, or an error of schemathesis."""
    if isinstance(event, NonFatalError | FatalError):
        return [str(event.info if isinstance(event, NonFatalError) else event.exception)]
    if not isinstance(event, ScenarioFinished):
        return []
    checks = [(case, node) for case, nodes in event.recorder.checks.items() for node in nodes if node.failure_info]
    return [
        f"{node.name}: {node.failure_info.failure} on {event.recorder.cases[case].value.body!r:.2000}"
        for case, node in checks
    ]
