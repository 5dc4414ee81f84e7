"""What the control machine keeps for itself: the cluster's secrets, and what a client on it needs. Not on any Mac.

Both lie in `.cidermill/` beside the inventory's folder, readable by their owner alone and ignored by git.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from pyinfra.api.command import FunctionCommand
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.context import host

from operations.rehearsal import rehearsal
from operations.remote import Commands, differs, operation

DIRECTORY = Path(".cidermill")


def kept_secrets(
    cluster: str, names: Collection[str], given: Mapping[str, str] | None = None
) -> dict[str, HiddenValue]:
    """The cluster's secrets by name; one that was never made is made now and kept. Deleting the file makes new ones.

    `given` are those that somebody else keeps: their files here, by name. Raises OSError when one cannot be read, but
    not in a rehearsal, which goes on for the machines that need none.
    """
    path = _secrets_file(cluster)
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    made = {name: secrets.token_urlsafe(32) for name in names if name not in kept}
    if made and not rehearsal().is_on:
        _write(path, json.dumps(kept | made, indent=2) + "\n")
    read = {name: _given(Path(file)) for name, file in (given or {}).items()}
    return {name: HiddenValue(value) for name, value in {**kept, **made, **read}.items() if name in {*names, *read}}


def _given(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        if rehearsal().is_on:
            return ""
        raise


def fingerprints(secrets: Mapping[str, HiddenValue]) -> dict[str, str]:
    """Names each secret without telling it: it was drawn from 256 bits or more, so this cannot be searched for."""
    return {name: hashlib.sha256(_plain(secret).encode()).hexdigest()[:12] for name, secret in secrets.items()}


def _secrets_file(cluster: str) -> Path:
    return DIRECTORY / f"{cluster}.secrets.json"


def client_file(cluster: str) -> Path:
    """The file that a client's shell sources."""
    return DIRECTORY / f"{cluster}.env"


def forgotten(cluster: str) -> list[Path]:
    """Remove what is kept of a cluster, and say which files that were: its keys open nothing any more."""
    kept = [path for path in (_secrets_file(cluster), client_file(cluster)) if path.exists()]
    for path in kept:
        path.unlink()
    return kept


@operation
def client_environment(path: Path, *, variables: Mapping[str, str | HiddenValue]) -> Commands:
    """Write down for clients where the endpoint is and with which key, when it differs.

    control.client_environment(
        control.client_file("lab"), name="Write the clients' file", variables={"OPENAI_API_KEY": HiddenValue(key)}
    )
    """
    text = "".join(f"export {name}={shlex.quote(_plain(value))}\n" for name, value in variables.items())
    if path.exists() and path.read_text() == text:
        host.noop(f"{path} says so already")
        return
    differs(str(path), seen="another address or key" if path.exists() else "missing", needed="the lab's")
    yield FunctionCommand(_write, (path, text), {})


def _plain(value: str | HiddenValue) -> str:
    return str(value.unmask()) if isinstance(value, HiddenValue) else value


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    new.replace(path)
