"""The gateway as its clients see it, and how one takes over from another.

Two daemons do it by turns: the new one is loaded beside the old one, proves itself in private, and takes clients from
the same socket; only then is the old one told to end, and finishes what it has. One that does not prove itself goes,
and the old one has never stopped.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pyinfra.api.host import Host
from pyinfra.context import host

from operations import launchd
from operations.attempts import attempt, performed
from operations.facts.agents import AgentState
from operations.facts.launchd import LaunchDaemons
from operations.ledger import ledger
from operations.remote import Commands, current_state, differs, operation, read, run

_GRACE_SECONDS = 60


@operation
def switched(
    labels: tuple[str, str],
    *,
    plist: Mapping[str, Any],
    command: Sequence[str],
    release: str,
    within_seconds: int,
    drain_seconds: int,
) -> Commands:
    """One of two daemons with this plist, whichever its label, and not the other one.

    `command` says whether the gateway of `release` answers; with `--private` clients need not reach it, and with
    `--wait SECONDS` it waits. What went wrong is written down, and the one that was there stays.

    gateway.switched(
        ("dev.example.gateway", "dev.example.gateway-2"),
        name="Publish: load the gateway",
        plist={"Label": "dev.example.gateway", "ProgramArguments": ["/opt/example/gateway-1a2b/run"]},
        command=["/opt/example/bin/python", "-m", "serving.gateway.status", "/opt/example/gateway.json"],
        release="gateway-1a2b",
        within_seconds=120,
        drain_seconds=120,
    )
    """
    seen = read(host, LaunchDaemons, prefix=launchd.family(labels[0]))
    plists = {label: {**plist, "Label": label} for label in labels}
    here = [label for label in labels if label in seen and (seen[label]["loaded"] or seen[label]["plist_sha256"])]
    wanted = [label for label in here if launchd.is_loaded(seen, label, plists[label])]
    if wanted and here == wanted[:1]:
        host.noop(f"{wanted[0]} is loaded with this plist")
        return
    differs(labels[0], seen=f"{', '.join(here) or 'no gateway'}, not {release} alone", needed=release)
    if not current_state().is_executing:
        yield "nothing is done while it is planned"
        return
    new = wanted[0] if wanted else next((label for label in labels if label not in here), labels[1])
    switch = partial(
        _switched,
        new=new,
        others=[label for label in here if label != new],
        plist=plists[new],
        command=command,
        within_seconds=within_seconds,
        drain_seconds=drain_seconds,
    )
    yield attempt("the gateway", switch)


def _switched(
    on: Host,
    *,
    new: str,
    others: Sequence[str],
    plist: Mapping[str, Any],
    command: Sequence[str],
    within_seconds: int,
    drain_seconds: int,
) -> str:
    loading, ending = within_seconds + _GRACE_SECONDS, drain_seconds + 2 * _GRACE_SECONDS
    why = performed(on, launchd.commands(on, new, plist), ending)
    if not why:
        proven, output = run(
            on,
            shlex.join([*command, "--private", "--wait", str(within_seconds)]),
            timeout_seconds=loading,
            as_root=True,
        )
        why = "" if proven else "; ".join(output.stdout_lines[-1:]) or output.stderr or "it did not answer"
    if why:
        serving = f"{', '.join(others)} was never stopped and serves" if others else "there is none beside it"
        gone = performed(on, [launchd.removed(new)], ending)
        return f"the new gateway does not answer, so it goes again; {serving}: {why} {gone}".strip()
    return performed(on, [launchd.removed(label) for label in others], ending)


@operation
def answering(command: Sequence[str], *, within_seconds: int) -> Commands:
    """A gateway that answers a client.

    `command` prints JSON whose `state` is "ready" when it does; with `--wait SECONDS` it waits for that first.

    gateway.answering(
        name="Publish: wait until the gateway answers",
        command=["/opt/example/bin/python", "-m", "serving.gateway.status", "/opt/example/gateway.json"],
        within_seconds=120,
    )
    """
    if current_state().is_executing and "the gateway" in ledger().failed:
        host.noop("the gateway is as it was: see above")
        return
    state = read(host, AgentState, command=command)
    if state.get("state") == "ready":
        host.noop("the gateway answers")
        return
    differs("gateway", seen=str(state.get("problem") or state.get("state") or "silent"), needed="answering")
    yield shlex.join((*command, "--wait", str(within_seconds)))
