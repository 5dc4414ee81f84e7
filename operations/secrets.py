"""Secrets on a machine: files that only their owner reads, and that nothing else has ever shown."""

from __future__ import annotations

import hashlib
import shlex

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import OperationValueError
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.context import host

from operations.facts.files import Tree
from operations.remote import Commands, operation, read


@operation
def secret(path: str, *, content: HiddenValue, owner: str, group: str) -> Commands:
    """A file of mode 600 whose content goes by standard input: no argument, log, diff or other file ever holds it.

    `content` is one or more whole lines; the last newline is added when it is missing.

    secrets.secret(
        name="Write the token",
        path="/opt/example/token",
        content=HiddenValue(token),
        owner="_example",
        group="_example",
    )
    """
    text = _whole_lines(path, content)
    seen = read(host, Tree, paths=[path]).get(path)
    needed = ("file", owner, group, "600", hashlib.sha256(text.encode()).hexdigest())
    if seen and (seen["kind"], seen["owner"], seen["group"], seen["mode"], seen["sha256"]) == needed:
        host.noop(f"{path} is up to date")
        return
    new = shlex.quote(f"{path}.new")
    yield StringCommand(
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
