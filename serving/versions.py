"""The versions everything here was checked with. `pyproject.toml` pins the same; a test holds the two together.

Older ones drop pipeline layers without a word (mlx-lm before 0.32.0), hang on a dead peer (mlx before 0.32.1), or
corrupt what jaccl-ring gathers (mlx 0.32.1 and 0.32.2).
"""

from __future__ import annotations

from typing import Any

from serving.gateway.configuration import SWITCHES

PROOF: dict[str, dict[str, Any]] = {
    "node": {
        "versions": {"mlx": "0.32.4", "mlx-lm": "0.32.2"},
        "imports": [
            "mlx.core",
            "mlx_lm.server",
            "huggingface_hub",
            "uvicorn",
            "starlette.applications",
            "httpx",
            "pydantic",
        ],
    },
    "gateway": {
        "versions": {"litellm": "1.109.1"},
        "imports": ["litellm.proxy.proxy_server", "uvicorn"],
        "variables": SWITCHES,
    },
    "software": {
        "imports": [
            "serving.agent.daemon",
            "serving.agent.measure",
            "serving.agent.status",
            "serving.links.confirm",
            "serving.links.daemon",
            "serving.links.undo",
            "serving.rank.process",
            "serving.supply.carrying",
            "serving.supply.quantising",
        ]
    },
}
"""By package: which versions must have arrived on a machine, and what must load there before anything uses it."""

JACCL_WHEEL = {"mlx-metal": "macosx_26"}
"""JACCL is compiled into this wheel only; those for macOS 14 and 15 install as well and carry a stub."""


def node() -> tuple[str, str]:
    """MLX and mlx-lm, as every rank has them."""
    versions = PROOF["node"]["versions"]
    return versions["mlx"], versions["mlx-lm"]
