"""`cidermill remove`: everything that a deploy did to the Macs undone, and looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import click
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.operation import add_op  # pyright: ignore[reportUnknownVariableType] - partial
from pyinfra.api.operations import run_ops
from pyinfra.api.state import State, StateStage

from operations import control, removal
from operations.command.connecting import Connected, connected, console, show_operations
from operations.inventory import machine_name
from operations.rehearsal import rehearsal
from operations.remote import together, working_on
from serving import daemons, layout
from serving.cluster import Cluster

_UNDO = {daemons.LINKS: ("serving.links.daemon", "serving.links.undo")}


def remove_from(inventory: Path, *, weights_too: bool, ask: bool) -> int:
    """Remove Cidermill from every Mac of an inventory; 0 when nothing is left but what is kept on purpose.

    A Mac that cannot be reached, or that would refuse, stops it before anything is changed.
    """
    with connected(inventory) as lab:
        steps = _steps(lab.cluster, keep=[] if weights_too else [layout.WEIGHTS])
        reasons = [f"{name}: {why}" for name, why in lab.unreachable.items()] or _rehearsed(lab, steps)
        if reasons:
            _tell("Nothing was removed.", *reasons)
            return 1
        names = sorted(machine_name(host) for host in lab.state.inventory)
        if not rehearsal().differences:
            _tell(f"Nothing to remove: there is nothing of Cidermill on {', '.join(names)}.")
            return 0
        kept = "weights too" if weights_too else f"all but the weights in {layout.WEIGHTS}"
        question = f"Remove Cidermill from {', '.join(names)}: daemons, account, settings put back, files, {kept}?"
        if ask and not click.confirm(question, err=True):
            return 1
        return _removed(lab, steps, names, kept)


def _steps(cluster: Cluster, *, keep: list[str]) -> list[tuple[Any, dict[str, Any]]]:
    """The operations in order, with their arguments."""
    account = {"account": cluster.account.name, "uid": cluster.account.uid}
    paths = {"paths": [layout.ROOT, layout.LOGS, layout.LINKS_REPORT], "keep": keep}
    record, prefix = {"record": layout.SETTINGS_BEFORE}, {"prefix": daemons.PREFIX}
    return [
        (removal.daemons, {"name": "Remove daemons, and undo what they did", **prefix, "undo": _UNDO}),
        (removal.settings, {"name": "Put settings back", **record}),
        (removal.service_account, {"name": f"Remove account {account['account']}", **account}),
        (removal.files, {"name": "Remove files", **paths}),
        (removal.proven, {"name": "See that nothing is left", **prefix, **account, **record, **paths}),
    ]


def _rehearsed(lab: Connected, steps: Sequence[tuple[Any, dict[str, Any]]]) -> list[str]:
    """Why some operation would refuse on some machine."""
    now = rehearsal()

    def one(host: Host) -> None:
        with now.on(), working_on(host):
            for operation, arguments in steps:
                operation(**arguments)

    together([partial(one, host) for host in lab.state.inventory])
    return [f"{each.host}: {each.refused}" for each in now.differences if each.refused]


def _removed(lab: Connected, steps: Sequence[tuple[Any, dict[str, Any]]], names: Sequence[str], kept: str) -> int:
    show_operations()
    try:
        for operation, arguments in steps:
            cast("Any", add_op)(lab.state, operation, **arguments)
        lab.state.set_stage(StateStage.Execute)
        run_ops(lab.state)
    except PyinfraError as error:
        _tell(str(error))
    failed = _failed(lab.state)
    if failed:
        _tell(f"Not everything was removed from {', '.join(failed)}: the reason is above. Mend it, and run this again.")
        return 1
    gone = control.forgotten(lab.cluster.name)
    _tell(f"Removed from {', '.join(names)}: {kept}. Everything was read again, and nothing else is left.")
    if gone:
        _tell(f"Here {' and '.join(map(str, gone))} went too: a new deploy makes new keys.")
    return 0


def _failed(state: State) -> list[str]:
    return sorted(machine_name(host) for host in state.failed_hosts)


def _tell(*lines: str) -> None:
    for line in lines:
        console(quiet=True).print(line, soft_wrap=True, markup=False)
