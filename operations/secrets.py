"""Secrets on a machine: files that only their owner reads, and that nothing else has ever shown."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import OperationValueError
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.context import host

from operations.facts.files import Entry, Tree
from operations.remote import Commands, differs, operation, read


@operation
def secrets(contents: Mapping[str, HiddenValue], *, owner: str, group: str) -> Commands:
    """Files of mode 600 whose content goes by standard input: no argument, log, diff or other file ever holds it.

    `contents` is by path; each is one or more whole lines, and the last newline is added when it is missing.

    secrets.secrets(
        {"/opt/example/token": HiddenValue(token)}, name="Write the token", owner="_example", group="_example"
    )
    """
    texts = {path: _whole_lines(path, content) for path, content in contents.items()}
    seen = read(host, Tree, paths=list(texts))
    wrong = [path for path, text in texts.items() if not _is_right(seen.get(path), text, owner, group)]
    if not wrong:
        host.noop(f"{', '.join(texts)} {'is' if len(texts) == 1 else 'are'} up to date")
        return
    for path in wrong:
        there = seen.get(path)
        differs(path, seen=f"{there['owner']} {there['mode']}" if there else "missing", needed=f"{owner} 600, as kept")
    for path in wrong:
        yield _written(path, texts[path], owner, group)


def _is_right(seen: Entry | None, text: str, owner: str, group: str) -> bool:
    needed = ("file", owner, group, "600", hashlib.sha256(text.encode()).hexdigest())
    return bool(seen) and (seen["kind"], seen["owner"], seen["group"], seen["mode"], seen["sha256"]) == needed


def _written(path: str, text: str, owner: str, group: str) -> StringCommand:
    new = shlex.quote(f"{path}.new")
    return StringCommand(
        # The directory may belong to the owner of the secret: with -C the shell does not write through a link there.
        f"set -eCu; umask 077; rm -f {new}; cat > {new}; chown {shlex.quote(f'{owner}:{group}')} {new}; "
        f"mv -f {new} {shlex.quote(path)}",
        _stdin=text,
    )


def _whole_lines(path: str, content: object) -> str:
    # A bare str would be printed among the arguments of an operation without a name.
    if not isinstance(content, HiddenValue) or not content.unmask():
        raise OperationValueError(f"cannot write {path}: its content is not text in a HiddenValue.")
    text = content.unmask()
    return text if text.endswith("\n") else f"{text}\n"
