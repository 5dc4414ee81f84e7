"""One client's trial: its script runs against a recorded gateway, and what the record shows of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from tests.clients.door import Door
from tests.clients.installed import FROM_UVX, fetch_from_uvx, npm_programs, npm_version
from tests.clients.recording import Exchange, Record, recording

ROOT = Path(__file__).parents[2]
SECONDS = 1800


@dataclass(frozen=True)
class Client:
    """Who is tried."""

    module: str
    """Its script, in this package."""
    version: Callable[[], str]
    calls_tools: bool = True
    in_gate: bool = False
    """Whether it is quick, and its package comes from the lock."""
    usual: bool = True
    """Whether it is tried when none is named."""
    wishes_for: str | None = None
    """How the names of hosts begin where it goes whatever it is told; here it is refused, and has to do without."""
    fetch: Callable[[], object] = lambda: None
    """Installs it. Raises Wrong."""


CLIENTS = {
    "openai": Client("openai_sdk", partial(metadata.version, "openai"), in_gate=True),
    "anthropic": Client("anthropic_sdk", partial(metadata.version, "anthropic"), in_gate=True),
    "langchain": Client("langchain", partial(metadata.version, "langchain-openai"), in_gate=True),
    "litellm": Client("litellm_sdk", partial(metadata.version, "litellm"), in_gate=True),
    "llm": Client("llm_command", partial(metadata.version, "llm"), in_gate=True),
    "aider": Client(
        "aider",
        partial(FROM_UVX.__getitem__, "aider-chat"),
        calls_tools=False,
        wishes_for="raw.",
        fetch=partial(fetch_from_uvx, "aider-chat"),
    ),
    "claude-code": Client("claude_code", partial(npm_version, "@anthropic-ai/claude-code"), fetch=npm_programs),
    "codex": Client("codex", partial(npm_version, "@openai/codex"), fetch=npm_programs),
    "opencode": Client(
        "opencode",
        partial(npm_version, "opencode-ai"),
        wishes_for="registry.",
        fetch=npm_programs,
    ),
    "open-webui": Client(
        "open_webui",
        partial(FROM_UVX.__getitem__, "open-webui"),
        calls_tools=False,
        usual=False,
        fetch=partial(fetch_from_uvx, "open-webui"),
    ),
}
"""By the names they are asked for."""


@dataclass(frozen=True)
class Trial:
    """What became of it."""

    name: str
    client: Client
    said: str
    """By the script; its last line is what went wrong, where it did."""
    ended: int
    exchanges: Sequence[Exchange]
    elsewhere: Sequence[str]

    @property
    def conversed(self) -> bool:
        """Whether the script was content."""
        return self.ended == 0 and any(each.is_a_conversation and each.status == 200 for each in self.exchanges)

    @property
    def round_trip(self) -> bool:
        """Whether a tool's result was brought to the gateway and answered."""
        return any(each.brings_a_result and each.status == 200 and not each.cut for each in self.exchanges)

    @property
    def streamed(self) -> bool:
        """Whether an answer was asked for in pieces, and came so."""
        return any(each.streamed for each in self.exchanges)

    @property
    def faults(self) -> list[str]:
        """What is not as it should be; empty when all is."""
        told = self.said.strip().splitlines() or ["it said nothing"]
        refused = [f"{each.method} {each.path}: {each.status}" for each in self.exchanges if each.status >= 400]
        missing = self.client.calls_tools and not self.round_trip
        return [
            *([] if self.conversed else [told[-1]]),
            *(["no tool's result was answered"] if missing else []),
            *refused,
            *(f"it went to {address}" for address in sorted(set(self.elsewhere)) if not self._is_excused(address)),
        ]

    def _is_excused(self, address: str) -> bool:
        return self.client.wishes_for is not None and address.startswith(self.client.wishes_for)

    @property
    def sent(self) -> str:
        """Its requests: how many to which path, the longest in characters, and the most tools offered."""
        asked = [each for each in self.exchanges if each.is_a_conversation]
        paths = Counter(f"{each.method} {urlsplit(each.path).path}" for each in self.exchanges)
        longest = max((len(each.body.decode(errors="replace")) for each in asked), default=0)
        tools = max((each.tools for each in asked), default=0)
        counts = ", ".join(f"{count} x {path}" for path, count in paths.items())
        wished = "".join(f"; wished for {address}" for address in sorted(set(self.elsewhere)))
        return f"{counts}; up to {longest} characters, {tools} tools{wished}"


def tried(name: str, door: Door) -> Trial:
    """Run a client's script against the gateway and keep what it does."""
    client = CLIENTS[name]
    with recording(door.url) as record:
        here = Door(record.url, door.key, door.name)
        command = [sys.executable, "-m", f"tests.clients.{client.module}"]
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, **here.environment, **_only(record)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            code, said = ended.returncode, ended.stdout
        except subprocess.TimeoutExpired as late:
            code, said = (
                1,
                f"{(late.stdout or b'').decode(errors='replace')}\nit came to no end within {SECONDS} seconds",
            )
        return Trial(name, client, re.sub(re.escape(door.key), "KEY", said), code, record.exchanges, record.elsewhere)


def _only(record: Record) -> dict[str, str]:
    """Variables that lead whatever is not meant for this machine to the record, which refuses it."""
    here = "127.0.0.1,localhost"
    return {
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), record.url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), here),
    }
