"""Another macOS for a Mac: fetched while it serves, installed as its volume owner, and seen to run.

It goes on when the connection is lost or the run is ended, and is found again by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyinfra.api.command import FunctionCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.facts.macos import Mac
from operations.ledger import ledger
from operations.remote import Commands, complain, differs, operation, read
from operations.returning import Clock
from operations.updating import UpdateFailed, Updating, Wanted

CLOCK = Clock()


@operation
def fetched(
    build: str, *, version: str, label: str | None, directory: str, within_seconds: int, clock: Clock = CLOCK
) -> Commands:
    """A macOS that is downloaded, so that a Mac serves nobody for less long when it is installed.

    macos_update.fetched(
        "25G229",
        name="Fetch macOS",
        version="26.7",
        label="macOS Tahoe 26.7-25G229",
        directory="/opt/example/macos",
        within_seconds=7200,
    )
    """
    wanted = Wanted(version, build, label, directory, within_seconds, clock)
    if _runs(wanted) or label is None:
        host.noop(f"{wanted.named} runs, or is being installed")
        return
    differs("macOS", seen="another", needed=f"{wanted.named}, downloaded")
    yield FunctionCommand(_fetch, (wanted,), {})


@operation
def updated(
    build: str,
    *,
    version: str,
    label: str | None,
    directory: str,
    user: str | None,
    password: HiddenValue | None,
    install_within_seconds: int,
    restart_within_seconds: int,
    mended_within_seconds: int,
    unmended: Callable[[Mapping[str, Any]], list[str]],
    replica: str | None = None,
    clock: Clock = CLOCK,
) -> Commands:
    """A macOS that runs, after a restart, on a Mac whose cables and RDMA are as they were.

    Meant for all Macs of a replica at the same time, while they serve nothing. `label` is exactly what `softwareupdate
    --list` names, None for a Mac whose update is under way or that runs it; `user` is a volume owner. What
    softwareupdate says is kept in `directory`. `unmended` tells what is still wrong with the Mac, by what each fact of
    `operations.updating.MENDED` says of it after its restart. A failure is written down for `replica`, or fails the run
    where there is none.

    macos_update.updated(
        "25G229",
        name="Update macOS",
        version="26.7",
        label="macOS Tahoe 26.7-25G229",
        directory="/opt/example/macos",
        user="admin",
        password=HiddenValue(password),
        install_within_seconds=7200,
        restart_within_seconds=3600,
        mended_within_seconds=600,
        unmended=lambda read: [],
    )
    """
    wanted = Wanted(
        version,
        build,
        label,
        directory,
        install_within_seconds,
        clock,
        user,
        password,
        restart_within_seconds,
        mended_within_seconds,
        unmended,
        replica,
    )
    if _runs(wanted):
        host.noop(f"{wanted.named} runs")
        return
    if label is not None and (user is None or password is None):
        raise OperationError(f"cannot install {wanted.named} on {host.name}: no volume owner is known. Declare one.")
    differs("macOS", seen="another", needed=wanted.named)
    yield FunctionCommand(_update, (wanted,), {})


def _runs(wanted: Wanted) -> bool:
    return read(host, Mac)["build"] == wanted.build


def _fetch(state: State, host: Host, wanted: Wanted) -> bool:  # noqa: ARG001 - pyinfra's
    return _ended(host, wanted, Updating(host, wanted).fetch)


def _update(state: State, host: Host, wanted: Wanted) -> bool:  # noqa: ARG001 - pyinfra's
    return _ended(host, wanted, Updating(host, wanted).update)


def _ended(host: Host, wanted: Wanted, act: Callable[[], None]) -> bool:
    try:
        act()
    except UpdateFailed as failure:
        complain(host, str(failure))
        if wanted.replica is None:
            return False
        # Not a failure of this host: what follows must still be left alone, published and told.
        failed = ledger().failed
        failed[wanted.replica] = "; ".join(filter(None, (failed.get(wanted.replica), str(failure))))
    return True
