"""Out of service and back: draining what is to change, and what has changed only serves again when it is fast enough.

A drain is ordered of the agent of rank 0, in the name of the deploy and for a short time: it runs out by itself where
nobody is left to end it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pyinfra.api.host import Host
from pyinfra.context import host

from operations import asking
from operations.attempts import attempt
from operations.inventory import machine_name
from operations.ledger import ledger
from operations.rehearsal import rehearsal
from operations.remote import Commands, current_state, operation, run
from operations.rollout import after, unblocked

_GRACE_SECONDS = 60


@operation
def drain(
    replica: str, *, on: Mapping[str, Mapping[str, Any]], changes: bool, within_seconds: int, waits: bool
) -> Commands:
    """Take out of service what is about to change, without cutting anybody off for so long.

    `on`: by machine of a rank 0 its commands `state`, `order` and `wait` (until nothing is under way, at most
    `within_seconds`; only when it `waits`) and `speed`, which prints a JSON object; None when that is known. An order
    may be for when its agent starts again (`works_until_restart`), of which it prints nothing unless that agent cannot.

    service.drain(
        "a",
        name="Replica a: drain",
        on={"studio-1": {"state": [...], "order": [...], "works_until_restart": False, "wait": [...], "speed": [...]}},
        changes=True,
        within_seconds=120,
        waits=True,
    )
    """
    mine = on.get(machine_name(host))
    if mine is None:
        host.noop(f"nothing to drain for replica {replica}")
    elif not changes or rehearsal().is_on:
        host.noop(f"nothing of replica {replica} changes here")
    elif not unblocked():
        host.noop(f"replica {replica} is left as it is: {after()}")
    else:
        seconds = within_seconds if waits else None
        yield attempt(replica, partial(_drained, replica=replica, commands=mine, within_seconds=seconds))


@operation
def fast(
    replica: str,
    *,
    on: str | None,
    command: Sequence[str],
    least: float | None,
    before: Mapping[str, Any] | None,
) -> Commands:
    """A replica that was changed and is not slower than a share of what it was before.

    `command` prints `tokens_per_second`, and by `of` what else was the same; speeds of something else are told and not
    compared. `before` is what was written down when it was proven last, for a run that could not measure it. What was
    found fast enough already (`rollout.ready`) is not measured again.

    service.fast(
        "a",
        name="Replica a: measure its speed",
        on="studio-1",
        command=[...],
        least=0.8,
        before=None,
    )
    """
    if machine_name(host) != on:
        host.noop(f"{on} tells how fast replica {replica} is" if on else f"replica {replica} ends")
    elif not current_state().is_executing or replica not in ledger().held | ledger().enough.keys():
        host.noop(f"replica {replica} is as it was")
    elif replica not in ledger().ready:
        host.noop(f"replica {replica} did not become ready")
    else:
        then = ledger().speeds.get(replica) or before
        yield attempt(replica, partial(_compared, replica=replica, command=command, least=least, before=then))


@operation
def readmit(replica: str, *, on: str | None, command: Sequence[str]) -> Commands:
    """A proven replica that is no longer held back by a deploy.

    service.readmit("a", name="Replica a: readmit", on="studio-1", command=[...])
    """
    if machine_name(host) != on:
        host.noop(f"replica {replica} is held back elsewhere, if at all" if on else f"replica {replica} ends")
    elif not current_state().is_executing or replica not in ledger().held & ledger().ready:
        host.noop(f"replica {replica} is not held back")
    else:
        yield attempt(replica, partial(_readmitted, replica=replica, command=command))


def _drained(on: Host, *, replica: str, commands: Mapping[str, Any], within_seconds: int | None) -> str:
    seen = asking.state(commands["state"])
    name = asking.replica(seen).get("name")
    if name is None:
        on.log(f"nothing to drain: {seen.get('problem') or 'no replica is conducted here'}")
        return ""
    ordered, output = run(on, shlex.join(commands["order"]), timeout_seconds=_GRACE_SECONDS, as_root=True, show=True)
    if not ordered:
        return f"cannot drain replica '{name}': {output.stderr}"
    ledger().held.add(replica)
    ledger().drained_at.setdefault(replica, time.monotonic())
    if not asking.serves(seen):
        on.log(f"replica {name} is {asking.told(seen)}: nothing is under way")
        return ""
    if commands["works_until_restart"] and not output.stdout_lines:
        ledger().works_until_restart.add(replica)
        on.log(f"nobody else serves what replica {name} serves: it answers until its agent ends")
        on.log("answers under way then are held, and go on after it")
    elif within_seconds is None:
        on.log(f"nobody else serves what replica {name} serves: answers under way are held, and go on after it")
    else:
        _wait_until_empty(on, commands["wait"], within_seconds)
    if commands["speed"] is not None:
        ledger().speeds.update(_measured(on, replica, commands["speed"]))
    return ""


def _wait_until_empty(on: Host, command: Sequence[str], seconds: int) -> None:
    timeout = seconds + _GRACE_SECONDS
    empty, output = run(on, shlex.join(command), timeout_seconds=timeout, as_root=True, show=True)
    if not empty:
        on.log(f"what is still under way goes on elsewhere: {output.stderr}")


def _measured(on: Host, replica: str, command: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """By replica how fast it is; nothing where nobody can tell, which is said."""
    ended, output = run(on, shlex.join(command), timeout_seconds=4 * _GRACE_SECONDS, as_root=True)
    speed = asking.last_object(output.stdout_lines) if ended else None
    if speed is None:
        on.log(f"its speed is not known: {output.stderr or 'the agent did not tell'}")
        return {}
    on.log(f"replica {replica} generates {speed['tokens_per_second']} tokens per second")
    return {replica: speed}


def _compared(
    on: Host,
    *,
    replica: str,
    command: Sequence[str],
    least: float | None,
    before: Mapping[str, Any] | None,
) -> str:
    enough = ledger().enough.get(replica)
    ledger().measured.update(_measured(on, replica, command) if enough is None else {replica: enough})
    now, then = ledger().measured.get(replica), before
    if now is None or then is None or now["of"] != then["of"]:
        on.log("its speed is not compared: there is none of the same weights, Macs and transport from before")
        return ""
    share = now["tokens_per_second"] / then["tokens_per_second"]
    if least is None or share >= least:
        if enough is None:
            on.log(f"that is {share:.0%} of what it was")
        else:
            on.log(f"that is at least the {least or 0:.0%} of what it was that are needed")
            # Whoever stopped at enough does not know how fast it is; the next roll compares with what is known.
            ledger().measured[replica] = then
        return ""
    ledger().ready.discard(replica)
    return (
        f"it generates {now['tokens_per_second']} tokens per second, {share:.0%} of the {then['tokens_per_second']} "
        f"before; needed {least:.0%}"
    )


def _readmitted(on: Host, *, replica: str, command: Sequence[str]) -> str:
    ended, output = run(on, shlex.join(command), timeout_seconds=_GRACE_SECONDS, as_root=True, show=True)
    if not ended:
        return f"it could not be readmitted, and serves when its drain runs out: {output.stderr}"
    ledger().readmitted(replica)
    return ""
