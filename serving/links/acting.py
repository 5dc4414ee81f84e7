"""Making changes: each one by itself, what came of it remembered, and our hold on the packet filter written down."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

from serving.errors import LinksUnreadable
from serving.links import reading
from serving.links.commands import ENABLE, FLUSH, LOAD, RELEASE, RULES, Answer, Command, done
from serving.links.keeping import StateDirectory
from serving.links.observation import Change, Clock, Held
from serving.links.report import Did
from serving.links.times import utc

_REMEMBERED = 20
_NOT_OURS_ANY_MORE = ("pf not enabled", "token invalid")
"""What pfctl says of a reference that somebody else has ended, by switching the filter off."""


class Hands:
    """What changes a machine. `failed` is what went wrong at the last try, by subject."""

    def __init__(self, command: Command, files: StateDirectory, did: Iterable[Did] = ()) -> None:
        self._command = command
        self._files = files
        self.did = deque(did, maxlen=_REMEMBERED)
        self.changes = 0
        self.failed: dict[str, str] = {}

    def make(self, changes: Iterable[Change], held: Held | None, clock: Clock) -> None:
        """Make all changes; where one fails, those after it on the same subject wait for the next time."""
        self.failed = {}
        held = held or Held(boot=clock.boot)
        for change in changes:
            if change.subject in self.failed:
                continue
            try:
                held = self._make(change, held)
            except LinksUnreadable as error:
                self.failed[change.subject] = str(error)
                continue
            what = " ".join(change.arguments)
            logging.info("%s", what)
            self.did.append(Did(at=utc(clock.wall), what=what))
            self.changes += 1

    def _make(self, change: Change, held: Held) -> Held:
        if change.arguments[: len(RELEASE)] == RELEASE:
            self._release(change)
            return self._hold(held, token=None)
        answer = done(self._command, change.arguments, change.text)
        if change.arguments == ENABLE:
            return self._hold(held, token=_token(answer))
        if change.arguments == FLUSH:
            return self._hold(held, rules=None, printed=())
        if change.arguments == LOAD:
            printed = reading.rules(done(self._command, RULES).output)
            return self._hold(held, rules=change.text, printed=printed)
        return held

    def _release(self, change: Change) -> None:
        answer = self._command(change.arguments, "")
        if answer.code != 0 and not any(words in answer.errors for words in _NOT_OURS_ANY_MORE):
            raise LinksUnreadable(f"cannot release our reference to the packet filter: {answer.errors.strip()}.")

    def _hold(self, held: Held, **changes: object) -> Held:
        changed = held.model_copy(update=changes)
        self._files.hold(changed)
        return changed


def _token(answer: Answer) -> str:
    token = reading.token(answer.output + answer.errors)
    if not token:
        logging.warning("pfctl -E told no token: our reference cannot be released before a reboot")
    return token
