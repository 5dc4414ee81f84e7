"""Codex, headless: a conversation, and its command tool's round trip.

Its prompt is cut by its own settings from 21,000 characters and 8 tools to 4,000 and 2. Without `plugins` and `apps`
off it asks github.com and chatgpt.com at every start. It sends no length of the answer.
"""

from __future__ import annotations

import json
from typing import Any

from tests.clients.corner import COMMAND, Corner, corner
from tests.clients.door import ANSWER, QUESTION, RESULT, Door, converse, expect
from tests.clients.installed import npm_program

_SETTINGS = """
model = "{name}"
model_provider = "cidermill"
model_instructions_file = "{home}/instructions.md"
project_doc_max_bytes = 0
web_search = "disabled"
check_for_update_on_startup = false
include_permissions_instructions = false
include_apps_instructions = false
include_environment_context = false

[model_providers.cidermill]
name = "Cidermill"
base_url = "{url}/v1"
env_key = "CIDERMILL_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[skills]
include_instructions = false
[tools.experimental_request_user_input]
enabled = false
[tools.update_plan]
enabled = false
[agents]
enabled = false
[features]
api_key_model_discovery = false
apps = false
goals = false
image_generation = false
plugins = false
shell_snapshot = false
skill_search = false
tool_suggest = false
view_image = false
[analytics]
enabled = false
[feedback]
enabled = false
"""
_RAN = "command_execution"
_COMMAND = ("exec", "--strict-config", "--skip-git-repo-check", "--ephemeral", "--json", "-s", "danger-full-access")


def conversation(door: Door) -> None:
    """A question and its answer; tools are offered, and left alone."""
    items = _asked(door, QUESTION)

    expect("conversation", [item["text"] for item in items if item["type"] == "agent_message"], [ANSWER])


def tool(door: Door) -> None:
    """A command that is run, and a turn that is brought to its end with its output.

    Codex wraps the output into times and numbers of its own, which such small weights make anything of.
    """
    items = _asked(door, f"Use exec_command with cmd {COMMAND}.")
    ran = [(item["exit_code"], item["aggregated_output"].strip()) for item in items if item["type"] == _RAN]

    expect("tool, what was run", ran[:1], [(0, RESULT)])


def _asked(door: Door, prompt: str) -> list[dict[str, Any]]:
    """The items of a turn that came to its end."""
    with corner() as here:
        _configure(here, door)
        out = here.run([str(npm_program("codex")), *_COMMAND, prompt], CIDERMILL_KEY=door.key)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    expect("how the turn ended", events[-1]["type"], "turn.completed")
    return [event["item"] for event in events if event["type"] == "item.completed"]


def _configure(here: Corner, door: Door) -> None:
    directory = here.home / ".codex"
    directory.mkdir()
    (here.home / "instructions.md").write_text("You are a helpful assistant.\n")
    (directory / "config.toml").write_text(_SETTINGS.format(name=door.name, home=here.home, url=door.url))


if __name__ == "__main__":
    converse(conversation, tool)
