"""schemathesis asks the running gateway whatever its APIs' schemas allow, and more: it never answers with a 5xx."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from pydantic import BaseModel
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from serving.gateway.apis import COUNT
from serving.gateway.form import CountForm, MessagesForm, ResponsesForm
from tests.serving.endpoint.test_openapi import in_itself
from tests.serving.gateway.conftest import Asked
from tests.serving.gateway.running import KEY
from tests.serving.speaking import USAGE, chat, text

CHUNKS = {
    "/v1/chat/completions": [chat("stop", content="Hello"), USAGE],
    "/v1/completions": [text("upon", "stop"), USAGE],
    "/v1/messages": [chat("stop", content="Hello"), USAGE],
    COUNT: [],
    "/v1/responses": [chat("stop", content="Hello"), USAGE],
}
FORMS: dict[str, type[BaseModel]] = {"/v1/messages": MessagesForm, COUNT: CountForm, "/v1/responses": ResponsesForm}


def document() -> dict[str, Any]:
    """What the gateway takes: the endpoint's own document, and the forms of the other APIs."""
    told = in_itself()
    schemas = told["components"]["schemas"]
    for path, form in FORMS.items():
        schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        told["paths"][path] = {"post": {"requestBody": body, "responses": {"200": {"description": "answered"}}}}
    for path in CHUNKS:
        content = told["paths"][path]["post"]["requestBody"]["content"]
        content["application/json"]["schema"]["properties"]["model"] = {"const": "cider-1"}
    return told


@pytest.mark.parametrize("path", CHUNKS)
def test_no_request_is_answered_with_a_5xx(door: Asked, path: str):
    door.weights.say(*CHUNKS[path])
    settings = {
        "base-url": door.gateway.url,
        "headers": {"Authorization": f"Bearer {KEY}"},
        "generation": {"deterministic": True, "max-examples": 15},
        "request-timeout": 600,
        "checks": {"enabled": False, "not_a_server_error": {"enabled": True}},
        "continue-on-failure": True,
        "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": True}},
    }
    schema = schemathesis.openapi.from_dict(document(), config=SchemathesisConfig.from_dict(settings))
    events = list(from_schema(schema.include(path=path)).execute())

    broken = [event for event in events if isinstance(event, NonFatalError | FatalError)]
    assert not broken, [str(getattr(event, "info", None) or getattr(event, "exception", None)) for event in broken]
    answers = [
        (interaction.response.status_code, event.recorder.cases[case].value.body)
        for event in events
        if isinstance(event, ScenarioFinished)
        for case, interaction in event.recorder.interactions.items()
        if interaction.response is not None
    ]
    assert [(status, str(body)[:2000]) for status, body in answers if status >= 500] == []
    assert len(answers) > 40
    assert 200 in {status for status, _ in answers}
