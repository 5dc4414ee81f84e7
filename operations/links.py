"""Confirming to a machine that it can still be reached, after its network was changed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from paramiko import SSHException
from pyinfra.api.command import FunctionCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.facts.texts import Texts
from operations.remote import Commands, complain, differs, operation, read, reconnect, run

# The command keeps the time itself; this is for a machine that stops answering meanwhile.
_GRACE_SECONDS = 30
# The command ends with this (EX_TEMPFAIL) when the network changed while it ran: it must come over a later connection.
_AGAIN, _ATTEMPTS = 75, 5


@operation
def confirmed(command: Sequence[str], *, release: str, confirmed: str, report: str, within_seconds: int) -> Commands:
    """A links daemon whose release is confirmed, over a connection made after it changed the network.

    `confirmed` is the file that holds the confirmed release's name, `report` the daemon's report of itself, a JSON
    object with `release`, `state` and `problems`. `command` waits until the daemon has settled, and confirms: it ends
    with 0, or with 75 when the network changed while it ran and it must come over another connection. Without
    a confirmation in time the daemon puts back what it changed.

    links.confirmed(
        ["/opt/example/bin/python", "-m", "serving.links.confirm", "/opt/example/releases/links-1a2b/links.json"],
        name="Confirm the network",
        release="links-1a2b",
        confirmed="/opt/example/links/confirmed",
        report="/var/run/example-links.json",
        within_seconds=120,
    )
    """
    texts = read(host, Texts, paths=[confirmed, report])
    held, told = (texts[confirmed] or "").strip(), _report(texts[report])
    problems = "; ".join(told.get("problems", []))
    # The daemon tells a moment later what was written down; that it took something back it tells at once.
    if (held, told.get("release"), problems) == (release, release, "") and told.get("state") != "reverted":
        host.noop(f"{release} is confirmed, and reports no problem")
        return
    seen = f"{told.get('release', 'no report')} {told.get('state', '')}".strip()
    differs("network", seen=f"{seen}: {problems}" if problems else seen, needed=f"{release} confirmed")
    yield FunctionCommand(_confirm, (list(command), within_seconds), {})


def _report(text: str | None) -> dict[str, Any]:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}  # caught while it was being written, or damaged: then it is not confirmed


def _confirm(state: State, host: Host, command: Sequence[str], within_seconds: int) -> bool:  # noqa: ARG001 - pyinfra's
    code, said = _AGAIN, ""
    try:
        for _ in range(_ATTEMPTS):
            # The connection at hand was made before the change and proves nothing.
            reconnect(host)
            code, said = _ended(host, [*command, "--within", str(within_seconds)], within_seconds)
            if code != _AGAIN:
                break
    except (ConnectError, OSError, EOFError, SSHException) as error:
        code, said = 1, str(error)
    if code != 0:
        complain(
            host,
            f"cannot confirm the network of {host.name}: {said}. It puts back by itself what it changed, within "
            f"{within_seconds} s. Mend it, then run the deploy again.",
        )
    return code == 0


def _ended(host: Host, command: Sequence[str], within_seconds: int) -> tuple[int, str]:
    """Exit code and last words of a command; pyinfra tells only whether it succeeded."""
    script = f"{shlex.join(command)}; echo code $?"
    ran, output = run(host, script, timeout_seconds=within_seconds + _GRACE_SECONDS, as_root=True)
    *_, last = output.stdout_lines or [""]
    code = last.removeprefix("code ")
    return (int(code) if ran and code.isdigit() else 1), output.stderr or "nothing"
