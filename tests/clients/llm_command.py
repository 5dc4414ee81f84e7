"""Simon Willison's `llm`: a conversation of two turns, streamed and not, and a Python function as a tool."""

from __future__ import annotations

import json
import sys

from tests.clients.corner import Corner, corner
from tests.clients.door import AGAIN, AGAIN_ANSWER, ANSWER, QUESTION, RESULT, TOLD, WISH, Door, converse, expect

_TOOL = f'def get_weather(city: str) -> str:\n    """Tell the weather in a city."""\n    return {RESULT!r}\n'


def conversation(door: Door) -> None:
    """Two turns of one conversation, the first streamed."""
    with corner() as here:
        first = _asked(here, door, QUESTION)
        second = _asked(here, door, AGAIN, "--continue", "--no-stream")

    expect("conversation, first turn", first, ANSWER)
    expect("conversation, second turn", second, AGAIN_ANSWER)


def tool(door: Door) -> None:
    """A call of a function, and what is made of what it returned."""
    with corner() as here:
        said = _asked(here, door, WISH, "--functions", _TOOL)

    expect("tool, what was made of the result", said.splitlines()[-1], TOLD)


def _asked(here: Corner, door: Door, question: str, *flags: str) -> str:
    directory = here.home / "llm"
    directory.mkdir(exist_ok=True)
    known = {"model_id": "ours", "model_name": door.name, "api_base": f"{door.url}/v1", "api_key_name": "ours"}
    # JSON is YAML.
    (directory / "extra-openai-models.yaml").write_text(json.dumps([{**known, "supports_tools": True}]))
    (directory / "keys.json").write_text(json.dumps({"ours": door.key}))
    command = [sys.executable, "-m", "llm", "prompt", "-m", "ours", *flags, question]
    return here.run(command, LLM_USER_PATH=str(directory)).strip()


if __name__ == "__main__":
    converse(conversation, tool)
