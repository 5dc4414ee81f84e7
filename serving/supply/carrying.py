"""The program that brings weights to one Mac, and hands them on: `python -m serving.supply.carrying < ORDER`.

It runs as root within the deploy's own connection, so macOS lets it reach the local network, and ends with it. Lines
on standard output tell how it goes. Ends with 0 when all files are proven and all neighbours have theirs; else with 1
and why on standard error: then what has come is kept, and the next run goes on from there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

from serving.errors import CidermillError, SupplyRefused
from serving.supply.fetching import AT_ONCE, fetch
from serving.supply.giving import Giver
from serving.supply.order import Order
from serving.supply.shelf import PIECE_BYTES, Shelf
from serving.supply.taking import Taker

PATIENCE_SECONDS = 60.0
"""How long a neighbour may be silent: all begin at the same time, but not at the same moment."""
_TELLING_SECONDS = 5.0
_FAREWELL_SECONDS = 3.0
"""For neighbours to hear why nothing more comes."""
_MEGABYTE = 10**6

Say = Callable[[str], None]


def main() -> int:
    """The command; returns its exit code."""
    # Nothing of ours calls what would ask for these; no other library is to find them on either.
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    os.umask(0o022)
    try:
        carry(Order.model_validate_json(sys.stdin.read()), say=_printed)
    except CidermillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def carry(order: Order, *, say: Say, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Do what an order says. Raises SupplyRefused."""
    directory = Path(order.directory)
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(order):
        shelf = Shelf(directory, order.files)
        token = Path(order.token_file).read_bytes().strip()
        giver = Giver(shelf, order.gives_to, token=token, say=say)
        try:
            if order.gives_to:
                _listen(giver, order)
            with _telling(shelf, say):
                _bring(order, shelf, token, say, patience_seconds)
            left = giver.wait(patience_seconds)
        finally:
            giver.close(_FAREWELL_SECONDS)
        if left:
            names = ", ".join(sorted(left))
            raise SupplyRefused(
                f"cannot hand weights '{order.name}' on from {order.machine} to {names}: nothing was heard of it for "
                f"{patience_seconds:.0f} s. See what the deploy says of {names}, then run it again."
            )
    shelf.tidy()


def _bring(order: Order, shelf: Shelf, token: bytes, say: Say, patience_seconds: float) -> None:
    """Everything that is missing, from wherever it comes, at the same time. Raises SupplyRefused."""
    ways: list[Way] = []
    all_takers: list[Taker] = []
    try:
        _copy_twins(shelf, say)
    except OSError as error:
        _give_up(shelf, why := _words(order, error))
        raise SupplyRefused(why) from error
    missing = set(shelf.missing())
    for source in order.sources:
        make = partial(Taker, shelf, source, machine=order.machine, port=order.port, token=token)
        wanted = [path for path in source.files if path in missing]
        takers = [make(say=say, patience_seconds=patience_seconds) for _ in range(_at_once(wanted))]
        all_takers += takers
        ways.append(Way([taker.take for taker in takers], wanted, partial(_ended, takers)))
    if order.hub is not None:
        get = partial(fetch, shelf, order.hub, machine=order.machine, say=say)
        wanted = [path for path in order.hub.files if path in missing]
        ways.append(Way([get] * _at_once(wanted), wanted, _nothing))
    _check(order, missing.difference(*(way.queue for way in ways)))
    stop = Event()
    try:
        together([partial(way.run, worker, stop) for way in ways for worker in way.workers])
    except SupplyRefused as error:
        _give_up(shelf, str(error))
        raise
    except OSError as error:
        _give_up(shelf, why := _words(order, error))
        raise SupplyRefused(why) from error
    finally:
        for taker in all_takers:
            taker.close()


def _copy_twins(shelf: Shelf, say: Say) -> None:
    """What another revision of the weights has brought here already is not fetched again.

    A copy and no hard link: another link changes the change time, by which receipts vouch.
    """
    for path in shelf.missing():
        twin, incoming = shelf.twin(path), shelf.files[path]
        if twin is None:
            continue
        incoming.open()
        incoming.start_over()
        with twin.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                incoming.write(piece)
        if incoming.is_right():
            shelf.placed(path)
            say(f"{path} is copied from {twin.parent.name}, which has the same bytes")
        else:
            incoming.start_over()
            incoming.close()
            say(f"{twin} is not what its receipt says; look at the disk")


@dataclass
class Way:
    """Files that come the same way, and who gets them, several at once."""

    workers: Sequence[Callable[[str], None]]
    queue: list[str]
    ended: Callable[[], None]
    """Called when the last of them is here."""
    _taking: Lock = field(default_factory=Lock)
    _at_work: int = 0

    def __post_init__(self) -> None:
        self._at_work = len(self.workers)

    def run(self, get: Callable[[str], None], stop: Event) -> None:
        """Get files until there is none left, or something went wrong somewhere."""
        try:
            while not stop.is_set() and (path := self._next()) is not None:
                get(path)
        except BaseException:
            stop.set()
            raise
        with self._taking:
            self._at_work -= 1
            is_last = self._at_work == 0
        if is_last and not stop.is_set():
            self.ended()

    def _next(self) -> str | None:
        with self._taking:
            return self.queue.pop(0) if self.queue else None


def together(calls: Sequence[Callable[[], None]]) -> None:
    """Make all calls at the same time; the first failure raises when all have ended."""
    with ThreadPoolExecutor(max(len(calls), 1)) as pool:
        running = [pool.submit(call) for call in calls]
    for each in running:
        each.result()


def _at_once(paths: Sequence[str]) -> int:
    return min(AT_ONCE, max(len(paths), 1))


def _ended(takers: Sequence[Taker]) -> None:
    for taker in takers[1:]:
        taker.close()
    takers[0].done()


def _nothing() -> None:
    pass


def _give_up(shelf: Shelf, why: str) -> None:
    """Tell all who wait for files from here that they will not come."""
    for incoming in shelf.files.values():
        if not incoming.is_proven:
            incoming.fail(why)


def _check(order: Order, lost: Collection[str]) -> None:
    """What was there when the deploy looked, or was sent before, may have gone or changed since."""
    if lost:
        raise SupplyRefused(
            f"cannot bring weights '{order.name}' to {order.machine}: {', '.join(sorted(lost)[:3])} should be there "
            "already and is not, or has changed. Run the deploy again."
        )


def _listen(giver: Giver, order: Order) -> None:
    try:
        at = giver.listen(order.addresses, order.port)
    except OSError as error:
        raise SupplyRefused(
            f"cannot hand weights '{order.name}' on from {order.machine}: port {order.port} cannot be had there "
            f"({error.strerror}). Declare another `supply` in ports=, or end what has it."
        ) from error
    if not at:
        raise SupplyRefused(
            f"cannot hand weights '{order.name}' on from {order.machine}: it has none of the addresses "
            f"{', '.join(order.addresses)}. Look at its network, then run the deploy again."
        )


def _words(order: Order, error: OSError) -> str:
    """Why files could not be written, for a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(order.directory).free
        return (
            f"cannot write weights '{order.name}' on {order.machine}: the disk is full, {free / 10**9:.1f} GB are free "
            f"on the volume of {order.directory}. Make room, then run the deploy again: what has come is kept."
        )
    return (
        f"cannot write weights '{order.name}' on {order.machine}: {error}. Look at its disk, then run the deploy again."
    )


@contextmanager
def _alone(order: Order) -> Generator[None]:
    """One at a time. Raises SupplyRefused when another one is at work."""
    path = Path(f"{order.directory}.lock")
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SupplyRefused(
                f"cannot bring weights '{order.name}' to {order.machine}: another deploy is at it. Wait for its end."
            ) from error
        yield
        path.unlink(missing_ok=True)


@contextmanager
def _telling(shelf: Shelf, say: Say) -> Generator[None]:
    """Tell every few seconds how much has come, and in the end how fast that was."""
    ended, began = Event(), time.monotonic()
    whole, before = sum(each.needed.size for each in shelf.files.values()), _come(shelf)

    def tell() -> None:
        while not ended.wait(_TELLING_SECONDS):
            come = _come(shelf)
            speed = (come - before) / max(time.monotonic() - began, 0.001)
            say(f"{come / _MEGABYTE:.0f} of {whole / _MEGABYTE:.0f} MB, {speed / _MEGABYTE:.0f} MB/s")

    if before < whole:
        Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        brought, seconds = _come(shelf) - before, max(time.monotonic() - began, 0.001)
        if brought:
            say(f"{brought / _MEGABYTE:.1f} MB in {seconds:.1f} s, {brought / _MEGABYTE / seconds:.0f} MB/s")


def _come(shelf: Shelf) -> int:
    return sum(each.come for each in shelf.files.values())


def _printed(text: str) -> None:
    # Whoever listens may have gone: then it ends here, rather than go on where nobody sees it.
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
