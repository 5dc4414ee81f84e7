"""Connecting to a lab without pyinfra's own command line: the same inventory file, the same connections.

Checked with pyinfra 3.10.
"""

from __future__ import annotations

import logging
import runpy
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from pyinfra.api.config import Config
from pyinfra.api.connect import disconnect_all
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State, StateStage
from pyinfra.context import ctx_config, ctx_inventory, ctx_state
from pyinfra_cli.log import setup_logging  # pyright: ignore - without stubs
from rich.console import Console

from operations.console import wide
from operations.inventory import machine_name
from operations.remote import together
from serving.cluster import Cluster


@dataclass(frozen=True)
class Connected:
    """A lab and the connections to its machines; `unreachable` says by machine why there is none."""

    cluster: Cluster
    state: State
    unreachable: dict[str, str]


@contextmanager
def connected(inventory: Path) -> Generator[Connected, None, None]:
    """Connect to every machine of an inventory file, as far as that goes, and disconnect in the end.

    An inventory that cannot be used ends the command with its faults.
    """
    declared = executed(inventory)
    # As config.py has it for pyinfra's own command line: what is read and changed belongs to root.
    config = Config(SUDO=True, FAIL_PERCENT=0)
    hosts = cast("Any", Inventory)((declared["macs"], {}))
    state = State(hosts, config)
    anywhere = cast("Any", (ctx_state, ctx_config, ctx_inventory))
    for context, value in zip(anywhere, (state, config, hosts), strict=True):
        context.set(value)
    unreachable: dict[str, str] = {}
    state.set_stage(StateStage.Connect)
    together([partial(_connect, host, state, unreachable) for host in hosts])
    state.set_stage(StateStage.Prepare)
    try:
        yield Connected(declared["cluster"], state, unreachable)
    finally:
        disconnect_all(state)


def executed(inventory: Path) -> dict[str, Any]:
    """What an inventory file declares, without connecting to anything."""
    try:
        declared = runpy.run_path(str(inventory))
    except PyinfraError as error:
        raise SystemExit(f"cannot use {inventory}: {error}") from error
    missing = {"cluster", "macs"} - declared.keys()
    if missing:
        raise SystemExit(f"cannot use {inventory}: it has no {', '.join(sorted(missing))}. See inventories/lab.py.")
    return declared


def _connect(host: Host, state: State, unreachable: dict[str, str]) -> None:
    try:
        cast("Any", host).connect(show_errors=False, raise_exceptions=True)
    except ConnectError as error:
        unreachable[machine_name(host)] = f"cannot connect: {error.args[0]}"
    else:
        state.activate_host(host)


def show_operations() -> None:
    """From now on tell of operations on standard error, as pyinfra's own command line does."""
    cast("Any", setup_logging)(logging.INFO, None)


def console(*, quiet: bool = False) -> Console:
    """Where a command tells its findings, or, quietly, how it goes."""
    return wide(Console(highlight=False, file=sys.stderr if quiet else sys.stdout))
