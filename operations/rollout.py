"""Rolling: one replica after another, and nothing further once one has failed.

pyinfra runs an operation on all hosts before the next one, and knows operations by where they are called. So every
host takes part in every step of every replica, and a host that is not concerned says so; branching on membership would
stop all replicas at the same time. A replica that does not become ready is not an error at once: it is written down,
it goes back to what it was (`reversal`), the replicas after it are left as they are, and `verdict` fails the run in the
end.

The steps must be the same on every host: compute them from the declaration and from what was seen of all machines,
never from what one host says. Nothing is written down while pyinfra prepares; a dry run shows the plan as if all went
well. Checked with pyinfra 3.10.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast

from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations import asking
from operations.attempts import LOST, guarded
from operations.console import at_the_end
from operations.inventory import machine_name
from operations.ledger import ledger
from operations.rehearsal import rehearsal
from operations.remote import Commands, complain, current_state, differs, operation, run

BY = "deploy"
"""Whose drain it is."""

# The status command keeps the time itself; this is for a machine that stops answering meanwhile.
_GRACE_SECONDS = 60


def proven(replicas: Collection[str]) -> set[str]:
    """Of these replicas those that answer clients; while pyinfra prepares, all of them."""
    return ledger().serving & set(replicas) if current_state().is_executing else set(replicas)


def failed() -> bool:
    """Whether something went wrong with a replica."""
    return bool(ledger().failed)


def unblocked() -> bool:
    """Whether all went well so far. For `_if=`."""
    return not ledger().failed


@operation
def step(
    replica: str,
    *,
    members: Collection[str],
    operation: PyinfraOperation[...],
    arguments: Mapping[str, Any],
    within_seconds: int = 600,
) -> Commands:
    """Another operation on the members of a replica only, unless one before it failed; its failure is the replica's.

    rollout.step(
        name="Replica a: load the agent",
        replica="a",
        members=["studio-1", "studio-2"],
        operation=launchd.daemon,
        arguments={"label": "dev.example.agent", "plist": plist},
        within_seconds=180,
    )
    """
    if machine_name(host) not in members:
        host.noop(f"not part of replica {replica}")
    elif not unblocked():
        host.noop(f"replica {replica} is left as it is: {after()}")
    else:
        if current_state().is_executing:
            ledger().switched_at.setdefault(replica, time.monotonic())
        yield from guarded(replica, cast("Any", operation)._inner(**arguments), within_seconds=within_seconds)


@operation
def ready(
    replica: str,
    *,
    on: str | None,
    command: Sequence[str],
    release: str,
    within_seconds: int,
    holding: Sequence[str] = (),
    until_speed: float | None = None,
) -> Commands:
    """A replica that is ready with this release, by the word of the agent on machine `on`; None: nobody has to be.

    `command` prints the agent's state as JSON; with `--wait SECONDS` and the words `holding` it waits for readiness,
    tells how it goes, and ends with 0 when ready. A replica found broken asked for a person; this run is the answer, so
    waiting begins it afresh. A replica that does not become ready is written down. With `until_speed`, in tokens per
    second, it is no longer held than until it is seen to be so fast (`--until-speed`); the command prints its speed
    as a JSON object last.

    rollout.ready(
        name="Replica a: wait until ready",
        replica="a",
        on="studio-1",
        command=["/opt/example/bin/python", "-m", "serving.agent.status", "/opt/example/agent.json"],
        release="agent-1a2b",
        within_seconds=600,
        holding=["--held-by", "deploy", "--for", "180"],
    )
    """
    if machine_name(host) != on:
        host.noop(f"{on} tells how replica {replica} is" if on else f"replica {replica} ends")
        return
    if replica in ledger().failed:
        host.noop(f"replica {replica} is not waited for: see above")
        return
    seen = asking.state(command)
    is_held = BY in (asking.replica(seen).get("drained_by") or ())
    if asking.serves(seen) and seen.get("release") == release:
        _write_down(replica, ready=True, held=is_held)
        if is_held and rehearsal().is_on:
            differs(f"replica {replica}", seen="left drained by a deploy", needed="in service")
            yield ""
        host.noop(f"replica {replica} is ready with {release}")
        return
    if not unblocked():
        _write_down(replica, ready=False, serves=asking.serves(seen))
        host.noop(f"replica {replica} is left as it is: {after()}")
        return
    differs(f"replica {replica}", seen=asking.told(seen), needed=f"ready with {release}")
    waiting = [*command, "--wait", str(within_seconds), *holding]
    if until_speed is not None:
        waiting = [*waiting, "--until-speed", str(until_speed)]
    held = is_held or bool(holding)
    yield FunctionCommand(_awaited, (replica, waiting, within_seconds, held, until_speed), {})


@operation
def publish(
    *, on: str, replicas: Collection[str], operation: PyinfraOperation[...], arguments: Callable[[set[str]], Any]
) -> Commands:
    """Another operation on machine `on`, with arguments made from the replicas that answer clients by then.

    When none does, or one went back to what it was, nothing is published: what clients have is not made worse.

    rollout.publish(
        name="Publish: lay the gateway's release",
        on="studio-1",
        replicas=["a", "b"],
        operation=releases.release,
        arguments=lambda proven: plan.release(proven),
    )
    """
    serving = proven(replicas)
    if machine_name(host) != on:
        host.noop(f"the gateway is on {on}")
    elif ledger().returned:
        host.noop(f"the gateway is left as it is: {', '.join(sorted(ledger().returned))} went back")
    elif not serving:
        host.noop("no replica answers, so the gateway is left as it is")
    else:
        yield from cast("Any", operation)._inner(**arguments(serving))


def publishing(*, on: str, replicas: Collection[str]) -> Callable[..., Any]:
    """`publish` for one machine and these replicas."""
    return partial(publish, on=on, replicas=replicas)


@operation
def verdict() -> Commands:
    """Fail the run when something went wrong with a replica. Call it last.

    rollout.verdict(name="Verdict")
    """
    speaker = min(current_state().inventory.get_active_hosts(), key=machine_name)
    if not current_state().is_executing or (unblocked() and not ledger().paused):
        host.noop("every replica became ready")
    elif host != speaker:
        host.noop(f"{machine_name(speaker)} tells the verdict")
    elif unblocked():
        at_the_end("\n".join(("", *ledger().pauses())))
        host.noop("every replica became ready")
    else:
        yield FunctionCommand(_failed, (), {})


def after() -> str:
    """Why what comes later is left alone."""
    return f"replica {', '.join(ledger().failed)} did not become ready"


def waited(on: Host, command: Sequence[str], within_seconds: int) -> tuple[str, Sequence[str]]:
    """Run a command that waits for a replica: why that did not become ready, or nothing; and what it printed."""
    reason, lines = f"{machine_name(on)} stopped answering", list[str]()
    try:
        became_ready, output = run(
            on, shlex.join(command), timeout_seconds=within_seconds + _GRACE_SECONDS, as_root=True, show=True
        )
        # A connection that breaks looks like a command that failed; only asking again tells them apart.
        run(on, "true", timeout_seconds=_GRACE_SECONDS)
        lines = output.stdout_lines
        reason = output.stderr or "\n".join(lines[-1:]) or "the status command ended without a word"
    except LOST:
        became_ready = False
    return "" if became_ready else reason, lines


def _awaited(
    state: State,  # noqa: ARG001 - pyinfra's
    host: Host,
    replica: str,
    command: Sequence[str],
    within_seconds: int,
    held: bool,
    until_speed: float | None,
) -> bool:
    reason, lines = waited(host, command, within_seconds)
    speed = None if until_speed is None else asking.last_object(lines)
    is_enough = not reason and speed is not None and speed["tokens_per_second"] >= until_speed
    _write_down(replica, ready=not reason, reason=reason, held=held and not is_enough)
    if reason:
        complain(host, f"replica '{replica}' did not become ready: {reason}")
    elif replica in ledger().switched_at:
        ledger().took[replica] = time.monotonic() - ledger().switched_at[replica]
    if speed is not None and is_enough:
        ledger().enough[replica] = speed
        ledger().held.discard(replica)
        ledger().readmitted(replica)
    # Not a failure of this host: what follows must still be left alone, published and told.
    return True


def _failed(state: State, host: Host) -> bool:
    story = [*ledger().story(), *ledger().pauses()]
    for line in story:
        complain(host, line)
    at_the_end("\n".join(("", *story)))
    # Nothing follows that a failure must stop, so pyinfra may go on to its table of results; it still ends with 1.
    state.config.FAIL_PERCENT = 100
    return False


def _write_down(replica: str, *, ready: bool, serves: bool = False, reason: str = "", held: bool = False) -> None:
    if not current_state().is_executing:
        return
    if held:
        ledger().held.add(replica)
    if ready:
        ledger().ready.add(replica)
    elif reason:
        ledger().fail(replica, reason)
    else:
        ledger().left[replica] = serves
