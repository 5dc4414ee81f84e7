"""Rolling: one replica after another, and nothing further once one has failed.

pyinfra runs an operation on all hosts before the next one, and knows operations by where they are called. So every
host takes part in every step of every replica, and a host that is not concerned says so; branching on membership would
stop all replicas at the same time. A replica that does not become ready is not an error at once: it is written down,
the replicas after it are left as they are, what still serves is published, and `verdict` fails the run in the end.

The steps must be the same on every host: compute them from the declaration, never from what one host says. Nothing is
written down while pyinfra prepares; a dry run shows the plan as if all went well. Checked with pyinfra 3.10.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from paramiko import SSHException
from pyinfra.api.arguments_typed import PyinfraOperation
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.console import at_the_end
from operations.facts.agents import AgentState
from operations.inventory import machine_name
from operations.ledger import ledger
from operations.remote import Commands, complain, current_state, differs, operation, read, run

# The status command keeps the time itself; this is for a machine that stops answering meanwhile.
_GRACE_SECONDS = 60


def proven(replicas: Collection[str]) -> set[str]:
    """Of these replicas those that answer clients; while pyinfra prepares, all of them."""
    return ledger().serving & set(replicas) if current_state().is_executing else set(replicas)


def failed() -> bool:
    """Whether a replica did not become ready."""
    return bool(ledger().failed)


def unblocked() -> bool:
    """Whether every replica so far became ready. For `_if=`."""
    return not ledger().failed


@operation
def step(
    replica: str, *, members: Collection[str], operation: PyinfraOperation[...], arguments: Mapping[str, Any]
) -> Commands:
    """Another operation on the members of a replica only, unless a replica before it failed.

    rollout.step(
        name="Replica a: load the agent",
        replica="a",
        members=["studio-1", "studio-2"],
        operation=launchd.daemon,
        arguments={"label": "dev.example.agent", "plist": plist},
    )
    """
    if machine_name(host) not in members:
        host.noop(f"not part of replica {replica}")
    elif not unblocked():
        host.noop(f"replica {replica} is left as it is: {_after()}")
    else:
        yield from cast("Any", operation)._inner(**arguments)


@operation
def ready(replica: str, *, on: str, command: Sequence[str], release: str, within_seconds: int) -> Commands:
    """A replica that is ready with this release, by the word of the agent on machine `on`.

    `command` prints the agent's state as JSON; with `--wait SECONDS` it waits for readiness, tells how it goes, and
    ends with 0 when ready. A replica found broken asked for a person; this run is the answer, so waiting begins it
    afresh. A replica that does not become ready is written down.

    rollout.ready(
        name="Replica a: wait until ready",
        replica="a",
        on="studio-1",
        command=["/opt/example/bin/python", "-m", "serving.agent.status", "/opt/example/agent.json"],
        release="agent-1a2b",
        within_seconds=600,
    )
    """
    if machine_name(host) != on:
        host.noop(f"{on} tells how replica {replica} is")
        return
    seen = read(host, AgentState, command=command)
    if _serves(seen) and seen.get("release") == release:
        _write_down(replica, ready=True)
        host.noop(f"replica {replica} is ready with {release}")
        return
    if not unblocked():
        _write_down(replica, ready=False, serves=_serves(seen))
        host.noop(f"replica {replica} is left as it is: {_after()}")
        return
    differs(f"replica {replica}", seen=_told(seen), needed=f"ready with {release}")
    yield FunctionCommand(_awaited, (replica, [*command, "--wait", str(within_seconds)], within_seconds), {})


@operation
def publish(
    *, on: str, replicas: Collection[str], operation: PyinfraOperation[...], arguments: Callable[[set[str]], Any]
) -> Commands:
    """Another operation on machine `on`, with arguments made from the replicas that answer clients by then.

    When none does, nothing is published: what clients have is not made worse.

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
    elif not serving:
        host.noop("no replica answers, so the gateway is left as it is")
    else:
        yield from cast("Any", operation)._inner(**arguments(serving))


@operation
def verdict() -> Commands:
    """Fail the run when a replica did not become ready. Call it last.

    rollout.verdict(name="Verdict")
    """
    speaker = min(current_state().inventory.get_active_hosts(), key=machine_name)
    if not current_state().is_executing or unblocked():
        host.noop("every replica became ready")
    elif host != speaker:
        host.noop(f"{machine_name(speaker)} tells the verdict")
    else:
        yield FunctionCommand(_failed, (), {})


def _awaited(state: State, host: Host, replica: str, command: Sequence[str], within_seconds: int) -> bool:  # noqa: ARG001 - pyinfra's
    reason = f"{machine_name(host)} stopped answering"
    try:
        became_ready, output = run(
            host, shlex.join(command), timeout_seconds=within_seconds + _GRACE_SECONDS, as_root=True, show=True
        )
        # A connection that breaks looks like a command that failed; only asking again tells them apart.
        run(host, "true", timeout_seconds=_GRACE_SECONDS)
        reason = output.stderr or "\n".join(output.stdout_lines[-1:]) or "the status command ended without a word"
    except (OSError, EOFError, SSHException):  # no answer in time is an OSError too
        became_ready = False
    _write_down(replica, ready=became_ready, reason=reason)
    if not became_ready:
        complain(host, f"replica '{replica}' did not become ready: {reason}")
    # Not a failure of this host: what follows must still be left alone, published and told.
    return True


def _failed(state: State, host: Host) -> bool:
    story = ledger().story()
    for line in story:
        complain(host, line)
    at_the_end("\n".join(("", *story)))
    # Nothing follows that a failure must stop, so pyinfra may go on to its table of results; it still ends with 1.
    state.config.FAIL_PERCENT = 100
    return False


def _write_down(replica: str, *, ready: bool, serves: bool = False, reason: str = "") -> None:
    if not current_state().is_executing:
        return
    if ready:
        ledger().ready.add(replica)
    elif reason:
        ledger().failed[replica] = reason
    else:
        ledger().left[replica] = serves


def _after() -> str:
    return f"replica {', '.join(ledger().failed)} did not become ready"


def _serves(seen: Mapping[str, Any]) -> bool:
    # One that drains is proven, and whoever asks it sees by itself that it takes nothing for now.
    return _replica_state(seen) in ("ready", "draining")


def _replica_state(seen: Mapping[str, Any]) -> str | None:
    replica: Mapping[str, Any] = seen.get("replica") or {}
    return replica.get("state")


def _told(seen: Mapping[str, Any]) -> str:
    replica: Mapping[str, Any] = seen.get("replica") or {}
    told = [replica.get("state"), f"with {seen['release']}" if "release" in seen else "", replica.get("reason")]
    return str(seen.get("problem") or " ".join(filter(None, told)) or "an agent that keeps no replica")
