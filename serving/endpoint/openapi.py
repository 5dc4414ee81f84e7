"""The endpoint's own OpenAPI 3.1 document, made from the policy that its requests are checked by.

What JSON Schema cannot say is said in words: how much context a prompt takes, and that a template may refuse messages.
The format `json-object` is a text that is itself a JSON object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.configuration import ReplicaConfiguration
from serving.endpoint.requests import NEEDED, POLICY, Field, Kind, body_limit

_NULL: Final = {"type": "null"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_STRING: Final = {"type": "string"}
_PATHS: Final[Mapping[Kind, str]] = {"chat": "/v1/chat/completions", "text": "/v1/completions"}


def route(replica: ReplicaConfiguration) -> Route:
    """GET /openapi.json."""
    told = document(replica)

    async def tell(_: Request) -> Response:
        return JSONResponse(told)

    return Route("/openapi.json", tell, methods=["GET"])


def document(replica: ReplicaConfiguration) -> dict[str, Any]:
    """What one replica's endpoint takes and answers."""
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Cidermill: '{replica.weights}' on replica '{replica.name}'", "version": "1"},
        "security": [{"token": []}],
        "paths": {
            **{path: {"post": _asking(kind, replica)} for kind, path in _PATHS.items()},
            "/v1/models": {"get": {"operationId": "models", "responses": _responses(_MODELS, 401)}},
            "/openapi.json": {"get": {"operationId": "openapi", "responses": _responses({"type": "object"}, 401)}},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }


def _asking(kind: Kind, replica: ReplicaConfiguration) -> dict[str, Any]:
    answer = _responses(_ANSWERS[kind], 400, 401, 404, 413, 429, 502, 503, 504)
    answer["200"]["content"]["text/event-stream"] = {}
    return {
        "operationId": kind,
        "description": f"A body has at most {body_limit(replica)} bytes; prompt and answer together have at most "
        f"{replica.context_tokens} tokens.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request_schema(kind, replica)}}},
        "responses": answer,
    }


def request_schema(kind: Kind, replica: ReplicaConfiguration) -> dict[str, Any]:
    """JSON Schema of a body. Whatever is null is as if it were not there."""
    return {
        "type": "object",
        "required": [NEEDED[kind]],
        "properties": {
            "model": {"enum": [replica.weights, None]},
            **{name: _property(name, field, kind) for name, field in POLICY[kind].items()},
        },
        "additionalProperties": _NULL,
    }


def _property(name: str, field: Field, kind: Kind) -> dict[str, Any]:
    said = {"description": f"{field.fate}: {field.why}"}
    schema = dict(field.rule.schema)
    if not schema or name == NEEDED[kind]:
        return schema | said
    return {"anyOf": [schema, _NULL], **said}


def _responses(schema: Mapping[str, Any], *failures: int) -> dict[str, Any]:
    said = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "answered", "content": {"application/json": {"schema": schema}}},
        **{str(status): {"description": _FAILURES[status], "content": said} for status in failures},
    }


_FAILURES: Final = {
    400: "the request cannot be used; the message names the field and what it needs",
    401: "the token is missing or wrong",
    404: "another model is served here",
    413: "the body is too large",
    429: "too many requests are waiting",
    502: "the replica lost the request",
    503: "the replica is not ready",
    504: "the request waited too long",
}

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "minLength": 1},
                "type": _STRING,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}

_USAGE: Final = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT},
}

_MESSAGE: Final = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"const": "assistant"},
        "content": {"type": ["string", "null"]},
        "tool_calls": {"type": "array", "items": {"type": "object"}},
    },
}


def _answer(called: str, part: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    choice = {
        "type": "object",
        "required": ["index", "finish_reason", part],
        "properties": {"index": _COUNT, "finish_reason": {"enum": ["stop", "length", "tool_calls"]}, part: schema},
    }
    return {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": _STRING,
            "object": {"const": called},
            "created": _COUNT,
            "model": _STRING,
            "choices": {"type": "array", "items": choice, "minItems": 1, "maxItems": 1},
            "usage": _USAGE,
        },
    }


_ANSWERS: Final[Mapping[Kind, dict[str, Any]]] = {
    "chat": _answer("chat.completion", "message", _MESSAGE),
    "text": _answer("text_completion", "text", _STRING),
}

_MODELS: Final = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"const": "list"},
        "data": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "object"], "properties": {"id": _STRING}},
        },
    },
}
