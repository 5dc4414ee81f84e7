"""One valid declaration, and ways to bend it."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError

from serving.cluster import Cluster

PAIRS = [("m1", "m2"), ("m1", "m3"), ("m1", "m4"), ("m2", "m3"), ("m2", "m4"), ("m3", "m4")]

VALID: dict[str, Any] = {
    "name": "test",
    "machines": [{"name": f"m{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3, 4)],
    "links": [{"between": list(pair)} for pair in PAIRS],
    "weights": [{"name": "w", "path": "/weights/w", "golden": {"question": "Why?", "answer": "Because"}}],
    "replicas": [
        {"name": "a", "machines": ["m1", "m2"], "weights": "w", "transport": "ring", "sharding": "tensor"},
        {"name": "b", "machines": ["m3", "m4"], "weights": "w", "transport": "ring", "sharding": "pipeline"},
    ],
    "gateway": {"machine": "m1"},
}


def declared(**changes: object) -> Cluster:
    """The valid declaration with some places changed: `replicas__0__transport="jaccl"`."""
    return Cluster.model_validate(bent(**changes))


def bent(**changes: object) -> dict[str, Any]:
    """The valid declaration as plain data, changed; valid or not."""
    data = copy.deepcopy(VALID)
    for place, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in place.split("__")]
        inner: Any = data
        for step in way:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[step]
        if isinstance(inner, list) and last == len(inner):
            inner.append(value)
        else:
            inner[last] = value
    return data


def backend(**changes: object) -> dict[str, Any]:
    """A backend that is none of ours, as it is declared."""
    return {"name": "big", "url": "http://10.0.0.9:11434/v1", "serves": "qwen3:30b", **changes}


def faults(data: dict[str, Any]) -> dict[str, str]:
    """Path and message of everything wrong with a declaration; empty when it is right."""
    try:
        Cluster.model_validate(data)
    except ValidationError as error:
        told: dict[str, str] = {}
        for fault in error.errors():
            path = "/".join(map(str, fault["loc"]))
            told[path] = f"{told[path]}\n{fault['msg']}" if path in told else fault["msg"]
        return told
    return {}
