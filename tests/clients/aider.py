"""aider, headless: a conversation in its mode for questions. It calls no tools; what it edits, it reads from text.

From uvx, in an environment of its own: it pins what it needs, among it another LiteLLM than the gateway. It wishes for
a list of prices at its first start, and no switch of 0.86 keeps it from that; it does without.
"""

from __future__ import annotations

from tests.clients.corner import corner
from tests.clients.door import QUESTION, Door, Wrong, converse
from tests.clients.installed import uvx

_PLAIN = (
    *("--chat-mode", "ask", "--no-git", "--map-tokens", "0", "--yes-always", "--no-pretty", "--no-fancy-input"),
    *(
        "--no-show-model-warnings",
        "--no-check-model-accepts-settings",
        "--no-detect-urls",
        "--no-suggest-shell-commands",
    ),
    *("--no-check-update", "--no-show-release-notes", "--analytics-disable", "--disable-playwright", "--no-gitignore"),
)


def conversation(door: Door) -> None:
    """A question and whatever small weights say below aider's own prompt; streamed and not."""
    for flag in ("--stream", "--no-stream"):
        with corner() as here:
            command = [
                *uvx("aider-chat"),
                "aider",
                "--model",
                f"openai/{door.name}",
                *_PLAIN,
                flag,
                "--message",
                QUESTION,
            ]
            out = here.run(
                command,
                OPENAI_API_BASE=f"{door.url}/v1",
                OPENAI_API_KEY=door.key,
                LITELLM_LOCAL_MODEL_COST_MAP="True",
            )
        _, _, answer = out.partition(f"Model: openai/{door.name}")
        if "Tokens:" not in answer or "Error" in answer:
            raise Wrong(f"conversation, {flag}: seen {out[-1500:]!r}, needed an answer and what it took in tokens")


if __name__ == "__main__":
    converse(conversation)
