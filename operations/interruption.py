"""Ctrl-C: a run that a person ends tells what it leaves behind, and ends with 130 as whatever a shell interrupts.

pyinfra's own answer is a 0, on which a script goes on as if everything were as declared. And it disconnects in the
greenlets that operations run in, so that who presses Ctrl-C while every machine is busy waits for them, for minutes.
Checked with pyinfra 3.10 and gevent 26.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, cast

import gevent
from pyinfra.api.state import State
from pyinfra.context import ctx_state

from operations import console
from operations.ledger import ledger

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a shell for what SIGINT has ended."""
_READABLE = 1


def told() -> None:
    """From now on, tell what is left behind when a person interrupts."""
    signal.signal(signal.SIGINT, _interrupted)
    _wake_the_loop()


def _wake_the_loop() -> None:
    """Have gevent's loop look for signals when one comes: it may be about to wait where Python sees none."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # Without a reference of the loop's: by itself it is nothing to wait for.
    watcher = cast("Any", gevent).get_hub().loop.io(reader, _READABLE, ref=False)
    watcher.start(os.read, reader, 4096)


def _interrupted(*_: object) -> None:
    # Who asks again means it: no word, no disconnecting.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    state: State | None = ctx_state.get()
    console.aside("\n".join(("", *_left(state))))
    _end(state)


def _end(state: State | None) -> None:
    """Raise SystemExit where the command runs, and not where the signal came: a thread would drop it and go on."""
    hub = cast("Any", gevent).get_hub()
    command, ending = hub.parent, SystemExit(INTERRUPTED)
    is_here = cast("Any", gevent).getcurrent() is command
    if not is_here:
        hub.loop.run_callback(command.throw, ending)
    if state is not None and state.initialised:
        # After that, since pyinfra takes a step that was killed for one that is done. One that were left alone would
        # take the broken connection for a lost one, and make another.
        state.pool.kill(block=False)
    if is_here:
        raise ending


def _left(state: State | None) -> Iterator[str]:
    if state is None or not state.is_executing:
        yield "Interrupted: nothing was changed on any Mac."
        return
    yield "Interrupted. A command that was running on a Mac may still come to its end there; nothing else is begun."
    yield from ledger().left_behind()
    yield "Run the deploy again: it finishes what was begun, or takes it back where what was before is declared again."
