"""OpenCode, headless: a conversation, and its bash tool's round trip.

An agent of its own, declared in its settings, has one sentence of a prompt and no tool but bash. OpenCode adds where it
runs and the day; other programs' settings, updates, plugins and lists of models it is told to leave alone. What it
fetches from npm's registry at every start, a part for plugins, no switch of 1.18 keeps it from; it does without.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.clients.corner import COMMAND, corner
from tests.clients.door import QUESTION, RESULT, Door, converse, expect
from tests.clients.installed import npm_program

_LEFT_ALONE = (
    "OPENCODE_DISABLE_AUTOUPDATE",
    "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_DISABLE_LSP_DOWNLOAD",
    "OPENCODE_DISABLE_MODELS_FETCH",
)
_COMMAND = ("run", "--pure", "--title", "trial", "--format", "json")


def conversation(door: Door) -> None:
    """A question and an answer without tools; below its prompt such small weights say anything."""
    parts = _asked(door, "talker", QUESTION)

    expect("conversation, whether anything was said", bool(_said(parts)), True)
    expect("conversation, how it ended", parts[-1].get("reason"), "stop")


def tool(door: Door) -> None:
    """A command that is run, and a turn that is brought to its end with its output."""
    parts = _asked(door, "worker", f"Use bash with command {COMMAND}.")
    ran = [(part["tool"], part["state"].get("output", "").strip()) for part in parts if part["type"] == "tool"]

    expect("tool, what was run", ran[:1], [("bash", RESULT)])


def _said(parts: Sequence[dict[str, Any]]) -> str:
    return "".join(part["text"] for part in parts if part["type"] == "text")


def _asked(door: Door, agent: str, prompt: str) -> list[dict[str, Any]]:
    environment = dict.fromkeys(_LEFT_ALONE, "1") | {"OPENCODE_CONFIG_CONTENT": json.dumps(_settings(door))}
    with corner() as here:
        # Words one by one: it puts quotation marks around an argument that has spaces.
        command = [str(npm_program("opencode")), *_COMMAND, "--agent", agent, *prompt.split()]
        out = here.run(command, **environment)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [event["part"] for event in events if "part" in event]


def _settings(door: Door) -> dict[str, Any]:
    served = {door.name: {"name": door.name, "tool_call": True, "limit": {"context": 4096, "output": 512}}}
    options = {"baseURL": f"{door.url}/v1", "apiKey": door.key}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Cidermill", "options": options, "models": served}
    agent = {"mode": "primary", "prompt": "You are a helpful assistant."}
    return {
        "model": f"cidermill/{door.name}",
        "small_model": f"cidermill/{door.name}",
        "enabled_providers": ["cidermill"],
        "provider": {"cidermill": provider},
        "agent": {
            "talker": {**agent, "tools": {"*": False}},
            "worker": {**agent, "tools": {"*": False, "bash": True}, "permission": {"bash": "allow"}, "steps": 3},
        },
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
    }


if __name__ == "__main__":
    converse(conversation, tool)
