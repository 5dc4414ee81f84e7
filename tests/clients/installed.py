"""Where clients that are programs come from: npm by its lock file, and uvx for those that pin their whole world.

The versions of the npm ones stand in npm/package.json with their hashes beside it, those of uvx ones here. A user gets
the same by `npm install -g NAME@VERSION` and `uv tool install NAME==VERSION`. They are kept in ~/.cache/cidermill (or
$XDG_CACHE_HOME), never in the repository; the three from npm take 1.1 GB.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clients.door import Wrong

FROM_UVX = {"aider-chat": "0.86.2", "open-webui": "0.12.4"}
"""Each pins what it needs exactly, other versions than the project's lock has."""

_DECLARED = Path(__file__).parent / "npm"
_SECONDS = 1800


def npm_version(name: str) -> str:
    """The version that a package from npm is tried at."""
    return json.loads((_DECLARED / "package.json").read_text())["dependencies"][name]


def npm_program(name: str) -> Path:
    """The program of this name. Raises Wrong."""
    return npm_programs() / name


def npm_programs() -> Path:
    """The directory of the programs from npm, installed first if they aren't. Raises Wrong."""
    files = [_DECLARED / each for each in ("package.json", "package-lock.json")]
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:12]
    directory = _cache() / f"clients-{digest}"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "whole").exists():
            for each in files:
                shutil.copy(each, directory)
            _install(directory)
            (directory / "whole").touch()
    return directory / "node_modules" / ".bin"


def uvx(name: str) -> list[str]:
    """The beginning of a command that runs a program of this package, which is there already, without the network."""
    return ["uvx", "--cache-dir", str(_uv_cache()), "--offline", "--from", f"{name}=={FROM_UVX[name]}"]


def fetch_from_uvx(name: str) -> None:
    """Have a package and all it needs in uv's cache. Raises Wrong."""
    command = [each for each in uvx(name) if each != "--offline"]
    _run([*command, "python", "-c", ""], Path.cwd(), f"{name} by uvx")


def _uv_cache() -> Path:
    """Uv's own, whatever HOME the program is given; otherwise each trial would fetch everything again."""
    told = os.environ.get("UV_CACHE_DIR")
    return Path(told) if told else Path.home() / ".cache" / "uv"


def _install(directory: Path) -> None:
    # Not `npm ci`: it wants every platform's part of OpenCode in the lock file, and not all registries carry them.
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--no-update-notifier"]
    _run(command, directory, f"the clients from npm into {directory}")


def _run(command: Sequence[str], directory: Path, what: str) -> None:
    try:
        ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Wrong(f"cannot install {what}: {error}") from error
    if ended.returncode != 0:
        raise Wrong(f"cannot install {what}: {ended.stderr[-1500:]}")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cidermill"
