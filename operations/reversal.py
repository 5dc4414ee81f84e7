"""Going back: a replica that was changed and not proven becomes what it was, and is proven again.

What it was is known from the machines' own records (`proof`): the plist that was proven last is loaded again, on every
machine of the turn, and whoever was rank 0 then says when it is ready. Machines whose record says nothing have nothing
to go back to, which is told; they stay as they are, with their reason.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from pyinfra.api.host import Host
from pyinfra.context import host

from operations import launchd
from operations.attempts import LOST, attempt, performed, revived
from operations.inventory import machine_name
from operations.ledger import ledger
from operations.proof import Files, appended
from operations.remote import Commands, complain, current_state, operation, run
from operations.rollout import waited

_SECONDS = 60


@operation
def back(
    replica: str,
    *,
    members: Collection[str],
    before: Mapping[str, Mapping[str, Any]],
    files: Files,
    within_seconds: int,
) -> Commands:
    """Machines that run what they were proven with, if their replica failed in this run.

    `before`: by machine its record, for the history.

    reversal.back(
        "a",
        name="Replica a: go back",
        members=["studio-1", "studio-2"],
        before={"studio-1": {"replica": "a", "release": "agent-1a2b"}},
        files=Files(record="/opt/example/serves.json", ...),
        within_seconds=180,
    )
    """
    if machine_name(host) not in members:
        host.noop(f"not part of replica {replica}")
    elif not _is_to_go_back(replica):
        host.noop(f"replica {replica} need not go back")
    else:
        was = before.get(machine_name(host), {"replica": replica, "release": ""})
        restore = partial(_restored, replica=replica, was=was, files=files, within_seconds=within_seconds)
        yield attempt(replica, restore)


@operation
def proven(replica: str, *, on: Mapping[str, Mapping[str, Any]]) -> Commands:
    """Replicas that are ready with what they were before, and in service again, if this one failed in this run.

    `on`: by the machine of a former rank 0 the name `replica`, its `release`, the commands `wait` and `readmit`, and
    `within_seconds`.

    reversal.proven("a", name="Replica a: prove what it went back to", on={"studio-1": {...}})
    """
    mine = on.get(machine_name(host))
    if mine is None:
        host.noop(f"nothing to go back to is told here of replica {replica}")
    elif not _is_to_go_back(replica):
        host.noop(f"replica {replica} need not go back")
    else:
        yield attempt(replica, partial(_proven_again, turn=replica, mine=mine))


def _is_to_go_back(replica: str) -> bool:
    return current_state().is_executing and replica in ledger().failed and replica not in ledger().left


def _restored(on: Host, *, replica: str, was: Mapping[str, Any], files: Files, within_seconds: int) -> str:
    try:
        revived(on)
        done, output = run(
            on,
            launchd.restored(files.label, files.plist).get_raw_value(),
            timeout_seconds=within_seconds,
            as_root=True,
        )
        said = output.stdout_lines[-1] if done and output.stdout_lines else output.stderr
        if not done:
            _lose(on, replica, said)
        elif said == "nothing kept":
            _lose(on, replica, "nothing was ever proven there, so there is nothing to go back to")
        on.log(f"going back: {said}")
        if said == "restored":
            line = appended(files.history, **{**was, "outcome": "went back", "why": _why(replica)})
            return performed(on, [line], _SECONDS)
    except LOST as error:
        _lose(on, replica, f"the connection to it was lost: {error}")
    return ""


def _proven_again(on: Host, *, turn: str, mine: Mapping[str, Any]) -> str:
    name = str(mine["replica"])
    reason, _ = waited(on, mine["wait"], mine["within_seconds"])
    if reason:
        ledger().lost.setdefault(name, reason)
        complain(on, f"replica '{name}' went back and did not become ready: {reason}")
        return ""
    ended, output = run(on, shlex.join(mine["readmit"]), timeout_seconds=_SECONDS, as_root=True, show=True)
    if not ended:
        on.log(f"it could not be readmitted, and serves when its drain runs out: {output.stderr}")
    ledger().lost.pop(name, None)
    ledger().returned[name] = str(mine["release"])
    ledger().readmitted(turn)
    return ""


def _lose(on: Host, replica: str, why: str) -> None:
    ledger().lost.setdefault(replica, f"{machine_name(on)}: {why}")


def _why(replica: str) -> str:
    return ledger().failed.get(replica, "")[:500]
