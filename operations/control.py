"""What the control machine keeps for itself: the cluster's secrets, and what a client on it needs. Not on any Mac.

Both lie in `.cidermill/` beside the inventory's folder, readable by their owner alone and ignored by git. Other secrets
are given by reference, and stay where they are: `{"file": path}` or `{"environment": name}`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from pyinfra.api.command import FunctionCommand
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.context import host

from operations.rehearsal import rehearsal
from operations.remote import Commands, differs, operation

DIRECTORY = Path(".cidermill")
_KEY_CHARACTERS = 20
"""The shortest key that is taken: drawn at random, nobody finds it from its digest."""

Reference = Mapping[str, str | None]
"""Where a secret lies, in a `file` or in the `environment`, which machine it is needed `on`, and of what `kind` it is.

A `key` is handed out to clients, drawn at random, and no other is the same; a `word` is what somebody else's server
asks for; a `line` is a person's password, blanks and all; a `text` has many lines and stays as it is, and so does what
is `public`: others may read, but not change it.
"""
References = Mapping[str, Reference]
"""By the secrets' names."""


def kept_secrets(cluster: str, names: Collection[str], *, given: References | None = None) -> dict[str, HiddenValue]:
    """The cluster's secrets by name; one that was never made is made now and kept. Deleting the file makes new ones.

    Those that are given by reference are among them, except the ones that are `unusable`.
    """
    path = _secrets_file(cluster)
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    made = {name: secrets.token_urlsafe(32) for name in names if name not in kept}
    if made and not rehearsal().is_on:
        _write(path, json.dumps(kept | made, indent=2) + "\n")
    read = {name: _given(reference)[0] for name, reference in (given or {}).items()}
    texts = {name: (kept | made)[name] for name in names} | read
    return {name: HiddenValue(text) for name, text in texts.items() if text}


def words(given: References) -> dict[str, str]:
    """Secrets that are given by reference, for whoever needs one before a lab is looked at; without those unusable."""
    return {name: text.strip() for name, reference in given.items() if (text := _given(reference)[0])}


def unusable(given: References) -> list[tuple[str, str]]:
    """Why secrets that are given by reference cannot be used, each with the machine that needs it."""
    read = {name: _given(reference) for name, reference in given.items()}
    faults = [(name, fault) for name, (_, fault) in read.items() if fault]
    first: dict[str, str] = {}
    for name, (text, _) in read.items():
        if text and given[name].get("kind") == "key" and first.setdefault(text, name) != name:
            faults.append((name, f"it is '{first[text]}' as well. Give each a secret of its own."))
    return [(given[name].get("on") or "", f"cannot use secret '{name}': {fault}") for name, fault in faults]


def digests(secrets: Mapping[str, HiddenValue]) -> dict[str, str]:
    """SHA-256 of each secret, by which it is known again."""
    return {name: hashlib.sha256(_plain(secret).encode()).hexdigest() for name, secret in secrets.items()}


def hidden(text: str | Mapping[str, HiddenValue]) -> HiddenValue:
    """Text that pyinfra does not print; of several secrets it is a JSON object."""
    if isinstance(text, str):
        return HiddenValue(text)
    return HiddenValue(json.dumps({name: _plain(secret) for name, secret in text.items()}, indent=2) + "\n")


def _given(reference: Reference) -> tuple[str, str]:
    """A secret, and why it cannot be used; one of the two is empty."""
    name, path = reference.get("environment"), reference.get("file")
    if path is None:
        where, text, fault = f"the environment variable {name}", os.environ.get(str(name), ""), ""
    else:
        where = path
        text, fault = _read(Path(path).expanduser(), is_public=reference.get("kind") == "public")
    return _judged(text, where, str(reference.get("kind"))) if not fault else ("", f"{where} {fault}")


def _read(path: Path, *, is_public: bool) -> tuple[str, str]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & (0o022 if is_public else 0o077):
                needed = 644 if is_public else 600
                how = "changed" if is_public else "read or changed"
                return "", f"can be {how} by others (mode {mode:o}), needed {needed}. Run: chmod {needed} {path}"
            return file.read().decode(), ""
    except OSError as error:
        return "", f"cannot be read: {error.strerror}. Put the secret there, in a file that only you can read."
    except UnicodeDecodeError:
        return "", "holds something other than text. Put the secret there, on one line."


def _judged(text: str, where: str, kind: str) -> tuple[str, str]:
    word = text.strip()
    if not word:
        return "", f"{where} is missing or empty. Put the secret there."
    if kind in ("text", "public"):
        return text, ""
    if kind == "line":
        return _one_line(text, where)
    if not all("!" <= character <= "~" for character in word):
        return "", f"{where} holds more than one word of ASCII. Put the secret alone there: `openssl rand -base64 32`."
    if kind == "key" and len(word) < _KEY_CHARACTERS:
        return "", (
            f"{where} holds {len(word)} characters, needed {_KEY_CHARACTERS}, drawn at random. "
            "Make one: `openssl rand -base64 32`."
        )
    return word, ""


def _one_line(text: str, where: str) -> tuple[str, str]:
    line = text.removesuffix("\n").removesuffix("\r")
    if not line.isprintable():
        return "", f"{where} holds more than one line of text. Put the password alone there."
    return line, ""


def _secrets_file(cluster: str) -> Path:
    return DIRECTORY / f"{cluster}.secrets.json"


def client_file(cluster: str) -> Path:
    """The file that a client's shell sources."""
    return DIRECTORY / f"{cluster}.env"


def receipts(cluster: str) -> Path:
    """The directory of what was measured of a cluster; it may not be there."""
    return DIRECTORY / f"{cluster}.receipts"


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
