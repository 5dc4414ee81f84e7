"""One rank of a replica, started by its agent: `python -m serving.rank.process SPEC.json`.

It compares the weights with their manifest, makes sure the declared transport is in this MLX build, says `checked` and
waits for one line on its standard input: all ranks of a generation must join within seconds of each other (MLX 0.32.4:
four or five connection attempts, then an exception, while the listening side waits for ever). Then it initialises the
transport strictly, compares size and rank, times a few reductions, and runs mlx-lm's server. It never falls back to
anything.

SIGTERM keeps its default disposition: nothing else ends a process that waits inside native code, and there is nothing
to put in order first. The kernel takes back sockets, memory and, on macOS, what Metal had wired; to end by SIGKILL is
reported to leak wired memory until a reboot. Files are replaced whole, so none is left half written. End of standard
input before joining means that the agent is gone, and ends it too; once it has joined, a rank serves on for the next
agent.

A thread beats four times a second from the start, so that a process that is stopped can be told from a loop that waits
for another rank. Two things hold it up: imports for a moment, and joining, where MLX 0.32.4 waits for the other ranks
without letting any Python run.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from serving.errors import TransportRefused, WeightsDamaged
from serving.rank.status import Collective, Exit, RankSpec, RankStatus, StatusFile, Ticks, ending
from serving.rank.weights_check import verify
from serving.transport import environment

_STEERING = ("MLX_", "JACCL_")
"""Prefixes of the variables that steer MLX; one that is left over can turn a rank into a replica of one."""

_BEAT_SECONDS = 0.25


def main(path: str) -> int:
    """Run the rank that a RankSpec describes; returns an exit code, or never when it serves."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    spec = RankSpec.model_validate_json(Path(path).read_text())
    ticks = Ticks(spec.tick_file)
    Thread(target=_beat, args=(ticks,), daemon=True).start()
    status = StatusFile(
        spec.status_file,
        RankStatus(machine=spec.machine, generation=spec.generation, pid=os.getpid(), phase="checking"),
    )
    _end_with_every_thread(status)
    _set_environment(spec)
    refusal = _check(spec, status)
    if refusal is not None:
        return refusal
    # Takes seconds, so it belongs before the connect window; it opens nothing.
    from serving.rank import loop

    status.report(phase="checked", digest=spec.replica.manifest.digest, mlx=version("mlx"), mlx_lm=version("mlx-lm"))
    refusal = _wait_to_be_let_in(status) or _join(spec, status)
    if refusal is not None:
        return refusal
    loop.serve(spec.replica, status, ticks)
    return Exit.GENERATION_ENDED


def _beat(ticks: Ticks) -> None:
    ended = Event()  # never set: the thread ends with the process
    while not ended.wait(_BEAT_SECONDS):
        ticks.beat()


def _end_with_every_thread(status: StatusFile) -> None:
    """An exception in the main thread ends the process; Python would wait for mlx-lm's other threads for ever."""

    def end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        with ending(Exit.GENERATION_ENDED):
            sys.__excepthook__(kind, error, traceback)
            status.report(phase="ended", reason=f"{kind.__name__}: {error}")

    sys.excepthook = end


def _set_environment(spec: RankSpec) -> None:
    for name in [name for name in os.environ if name.startswith(_STEERING)]:
        del os.environ[name]
    os.environ["HF_HUB_OFFLINE"] = "1"
    replica = spec.replica
    if replica.transport is not None and spec.transport_file is not None:
        os.environ |= environment(replica.transport, replica.rank, spec.transport_file, replica.coordinator)


def _check(spec: RankSpec, status: StatusFile) -> Exit | None:
    replica = spec.replica
    try:
        verify(replica.weights, spec.machine, Path(replica.weights_directory), replica.manifest)
        _require(replica.transport, spec.machine)
    except WeightsDamaged as refusal:
        status.report(phase="refused", curable=False, reason=str(refusal))
        return Exit.WEIGHTS_DAMAGED
    except TransportRefused as refusal:
        status.report(phase="refused", curable=False, reason=str(refusal))
        return Exit.TRANSPORT_REFUSED
    return None


def _require(transport: str | None, machine: str) -> None:
    import mlx.core as mx

    backend = _backend(transport)
    if backend is not None and not mx.distributed.is_available(backend):
        raise TransportRefused(
            f"cannot use {transport} on {machine}: {transport} is not in this MLX build (mlx {version('mlx')}, "
            f"{sys.platform}). JACCL needs the wheel for macOS 26 and macOS 26.2 or newer; declare transport='ring' "
            "to use TCP."
        )


def _backend(transport: str | None) -> str | None:
    # jaccl-ring is MLX's jaccl with MLX_JACCL_RING set.
    return "jaccl" if transport == "jaccl-ring" else transport


def _wait_to_be_let_in(status: StatusFile) -> Exit | None:
    if sys.stdin.buffer.readline():
        return None
    status.report(phase="ended", reason="its agent went away before the ranks were let in")
    return Exit.ABANDONED


def _join(spec: RankSpec, status: StatusFile) -> Exit | None:
    import mlx.core as mx

    replica, size, rank = spec.replica, 1, 0
    status.report(phase="joining")
    backend = _backend(replica.transport)
    if backend is not None:
        try:
            mx.distributed.init(strict=True, backend=backend)
        except (RuntimeError, ValueError) as error:
            return _not_joined(spec, status, str(error))
        # What mlx-lm will get when it asks for "any".
        group = mx.distributed.init()
        size, rank = group.size(), group.rank()
    if (size, rank) != (len(replica.members), replica.rank):
        return _not_joined(
            spec, status, f"seen rank {rank} of {size}, needed rank {replica.rank} of {len(replica.members)}"
        )
    try:
        reduction = None if backend is None else _collective()
    except RuntimeError as error:
        return _not_joined(spec, status, f"the first reduction failed: {error}")
    status.report(phase="loading", transport=replica.transport, size=size, rank=rank, collective=reduction)
    return None


def _collective() -> Collective:
    from serving.rank import collective  # loads MLX

    return collective.measured()


def _not_joined(spec: RankSpec, status: StatusFile, seen: str) -> Exit:
    replica = spec.replica
    status.report(
        phase="refused", reason=f"cannot join replica '{replica.name}' on {spec.machine} by {replica.transport}: {seen}"
    )
    return Exit.NOT_JOINED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
