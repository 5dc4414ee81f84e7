"""Open WebUI: its own server logs a person in, lists the names it finds at the gateway, and chats, streamed.

From uvx, in an environment of its own, several gigabytes large; so it is tried by name only. The calls are those its
page makes. What it would fetch from elsewhere (embeddings, updates) is off by its own settings.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import httpx

from tests.clients.corner import Corner, corner
from tests.clients.door import ANSWER, QUESTION, Door, Wrong, converse, expect, expect_within
from tests.clients.installed import uvx
from tests.clients.running import free_ports

_SECONDS = 900
"""Until it answers: it imports a great deal, and makes its database first."""
_PERSON = {"name": "Someone", "email": "someone@example.com", "password": "a-Password-of-the-trial-1"}


def chat(door: Door) -> None:
    """Signs up, signs in, lists, and chats."""
    with corner() as here, _server(here, door) as server:
        server.post("/api/v1/auths/signup", json=_PERSON).raise_for_status()
        signed = server.post("/api/v1/auths/signin", json=_PERSON).raise_for_status()
        server.headers["Authorization"] = f"Bearer {signed.json()['token']}"
        names = [model["id"] for model in server.get("/api/models").raise_for_status().json()["data"]]
        asked = {"model": door.name, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
        whole = server.post("/api/chat/completions", json={**asked, "stream": False}).raise_for_status().json()
        streamed = server.post("/api/chat/completions", json={**asked, "stream": True}).raise_for_status().text

    expect_within("names", door.name, " ".join(names))
    expect("chat", whole["choices"][0]["message"]["content"], ANSWER)
    expect("chat, streamed", _text(streamed), ANSWER)


def _text(stream: str) -> str:
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    choices = [choice for line in lines for choice in json.loads(line).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@contextmanager
def _server(here: Corner, door: Door) -> Iterator[httpx.Client]:
    (port,) = free_ports(1)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") if name in os.environ},
        "HOME": str(here.home),
        "DATA_DIR": str(here.work),
        "OPENAI_API_BASE_URL": f"{door.url}/v1",
        "OPENAI_API_KEY": door.key,
        "ENABLE_OLLAMA_API": "False",
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "ENABLE_VERSION_UPDATE_CHECK": "False",
        "RAG_EMBEDDING_ENGINE": "openai",
        "BYPASS_EMBEDDING_AND_RETRIEVAL": "True",
        "ENABLE_TITLE_GENERATION": "False",
        "ENABLE_TAGS_GENERATION": "False",
        "ENABLE_FOLLOW_UP_GENERATION": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "DO_NOT_TRACK": "true",
        "SCARF_NO_ANALYTICS": "true",
        "WEBUI_SECRET_KEY": "of-the-trial",
    }
    command = [*uvx("open-webui"), "open-webui", "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = here.work / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=here.work, env=environment, stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as client:
            _wait(client, process)
            yield client
    except (Wrong, httpx.HTTPError) as error:
        raise Wrong(f"{type(error).__name__}: {error}; Open WebUI said {log.read_text()[-1500:]!r}") from error
    finally:
        process.terminate()
        process.wait(60)


def _wait(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + _SECONDS
    while monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health").is_success:
                return
        except httpx.TransportError:
            pass
        sleep(0.5)  # another process's readiness, with nothing to wait on
    raise Wrong(f"it did not begin to answer within {_SECONDS} seconds")


if __name__ == "__main__":
    converse(chat)
