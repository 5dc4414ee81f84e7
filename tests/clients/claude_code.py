"""Claude Code, headless: a conversation, and its Bash tool's round trip.

`--bare` leaves out what it would add to a prompt by itself, `--system-prompt` and `--tools` replace 6,000 characters
and 24 tools. It asks for 32,000 tokens of an answer, adaptive thinking and context management all the same.
"""

from __future__ import annotations

import json

from tests.clients.corner import COMMAND, corner
from tests.clients.door import ANSWER, QUESTION, TOLD, Door, converse, expect, expect_within
from tests.clients.installed import npm_program

PLAIN = (
    *("--bare", "--strict-mcp-config", "--disable-slash-commands", "--no-session-persistence"),
    *("--setting-sources", "", "--system-prompt", "You are a helpful assistant.", "--output-format", "json"),
)


def conversation(door: Door) -> None:
    """A question and its answer, without tools."""
    told = _asked(door, QUESTION, "--tools", "")

    expect("conversation", (told["is_error"], told["result"]), (False, ANSWER))


def tool(door: Door) -> None:
    """A command that is run, and what is made of its output."""
    told = _asked(door, f"Use Bash with command {COMMAND}.", "--tools", "Bash", "--allowedTools", "Bash")

    expect("tool, turns", told["num_turns"], 2)
    expect_within("tool, what was made of the result", TOLD, told["result"])


def _asked(door: Door, prompt: str, *flags: str) -> dict[str, object]:
    environment = {
        "ANTHROPIC_BASE_URL": door.url,
        "ANTHROPIC_API_KEY": door.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "DISABLE_AUTOUPDATER": "1",
    }
    with corner() as here:
        command = [str(npm_program("claude")), "-p", prompt, "--model", door.name, *PLAIN, *flags]
        return json.loads(here.run(command, **environment))


if __name__ == "__main__":
    converse(conversation, tool)
