"""Laying a directory that never changes: prepared under another name, proven, and moved into place whole.

Its receipt is written last before the move. So under the final name there is either nothing or all of it, and what is
there can be believed from its receipt without reading the rest. Everything belongs to root and is open to read, so
the service account can run it and cannot change it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import OperationValueError

from operations.archive import sha256_of
from operations.facts.environment import RECEIPT
from operations.packaging import Package
from operations.remote import Commands
from operations.transfer import made, private_directory, sent

_FRESH = 'rm -rf "$new"; mkdir "$new"'


def unpacked(
    path: str,
    *,
    package: Package,
    receipt: Mapping[str, Any],
    proof: Iterable[str],
    before: Iterable[str] = (),
    into: str = '"$new"',
) -> Commands:
    """Commands that send a package and lay it at `path`; it is built only when they are executed, if at all.

    `before` and `proof` are shell commands run as root before and after unpacking it in `into`, a shell word; `$new`
    is the directory while it is being prepared.
    """
    private = private_directory()
    archive = f"{private}/{package.name}.tar.gz"
    yield made(private)
    yield sent(package.archive, archive)
    yield StringCommand(
        _script(
            path,
            f"trap 'rm -rf {private} \"$new\"' EXIT",
            _FRESH,
            arrived_whole(archive, sha256_of(package.archive())),
            *before,
            f"tar -x -z -o -f {archive} -C {into}",
            *(
                f'{proven} || {{ echo "cannot lay $final: it does not work on this machine." >&2; exit 1; }}'
                for proven in proof
            ),
            *_finished(receipt),
        )
    )


def arrived_whole(path: str, sha256: str) -> str:
    """A shell command that fails, and says so, when the file at `path` (a shell word) is not the one that was sent."""
    said = f"cannot lay {path}: what arrived is not what was to be sent. Did it change here meanwhile? Deploy again."
    return f'echo "{sha256}  {path}" | shasum -a 256 -c - >/dev/null 2>&1 || {{ echo "{said}" >&2; exit 1; }}'


def composed(path: str, *, receipt: Mapping[str, Any], links: Mapping[str, str], files: Mapping[str, str]) -> Commands:
    """Commands that lay a directory of symbolic links and text files at `path`."""
    linked = (f'ln -s {shlex.quote(target)} "$new"/{shlex.quote(name)}' for name, target in links.items())
    yield StringCommand(_script(path, _FRESH, *linked))
    for name, text in files.items():
        unfinished = shlex.quote(f"{path}.new/{name}")
        yield StringCommand(f"umask 022; cat > {unfinished}", _stdin=_whole_lines(path, name, text))
    yield StringCommand(_script(path, *_finished(receipt)))


def _script(path: str, *steps: str) -> str:
    return "\n".join(("set -eu", "umask 022", f'final={shlex.quote(path)}; new="$final".new', *steps))


def _finished(receipt: Mapping[str, Any]) -> tuple[str, ...]:
    # mv would move into a directory that is already there.
    text = json.dumps(receipt, sort_keys=True)
    return (
        f'printf "%s\\n" {shlex.quote(text)} > "$new"/{RECEIPT}',
        '[ ! -e "$final" ]',
        'mv "$new" "$final"',
    )


def _whole_lines(path: str, name: str, text: str) -> str:
    if not text.endswith("\n"):
        raise OperationValueError(f"cannot lay {path}/{name}: the text does not end with a newline. Add one.")
    return text
