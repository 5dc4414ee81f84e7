"""One Mac on its way to another macOS: what is begun on it, and what is believed of what follows.

softwareupdate ends with 0 when a password is refused, and when nobody offers a label. So only two things count: another
boot session, and the build that runs in it. Checked against macOS 26.3 to 26.7, by what others recorded of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.api.host import Host

from operations.detached import UNDER_WAY, Followed, begun, followed, following
from operations.facts.macos import Mac
from operations.facts.network import Network
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.facts.updates import SOFTWAREUPDATE, log
from operations.returning import Clock, Kinds, Line

MENDED: Kinds = {"mac": Mac, "ports": ThunderboltPorts, "rdma": Rdma, "network": Network}
"""What is read of a Mac that has restarted, until nothing of it is wrong."""

What = Literal["install", "fetch"]

_PAUSE_SECONDS = 2
_ANSWER_SECONDS, _MENDED_SECONDS = 30, 90
# One command is followed for so long at most; then it is asked again, so that a dead connection is noticed.
_FOLLOWED_SECONDS, _GRACE_SECONDS = 600, 60
# After softwareupdate has ended the Mac restarts soon, or never; after it has refused, a moment is left to be sure.
_BEGINS_SECONDS, _LIED_SECONDS = 600, 60
_REFUSALS = ("Failed to authenticate", "No such update", "No updates are available", "Error downloading updates")


class UpdateFailed(Exception):
    """A Mac did not come to another macOS; its text is meant for a person."""


@dataclass(frozen=True)
class Wanted:
    """One macOS for one Mac, and how long each part may take; without a label softwareupdate is at it already."""

    version: str
    build: str
    label: str | None
    directory: str
    install_seconds: int
    clock: Clock
    user: str | None = None
    password: HiddenValue | None = None
    restart_seconds: int = 0
    mended_seconds: int = 0
    unmended: Callable[[Mapping[str, Any]], list[str]] = field(default=lambda _: [], repr=False)
    replica: str | None = None

    @property
    def named(self) -> str:
        """As people call it."""
        return f"macOS {self.version} ({self.build})"


class Updating:
    """One Mac on its way to another macOS."""

    def __init__(self, host: Host, wanted: Wanted) -> None:
        self._host = host
        self._wanted = wanted
        self._clock = wanted.clock
        self._line = Line(host)
        self._install_until = self._clock.now() + wanted.install_seconds

    def fetch(self) -> None:
        """Download it, and see that softwareupdate says so."""
        self._begin("fetch", [SOFTWAREUPDATE, "--download", str(self._wanted.label)])
        while (how := self._follow("fetch")) is None:
            self._clock.pause(_PAUSE_SECONDS)
        if not any(line.startswith("Downloaded: ") for line in how.lines):
            raise UpdateFailed(
                f"cannot fetch {self._wanted.named} on {self._host.name}: {_told(how)}, needed 'Downloaded'. Nothing "
                "was restarted. Look whether the Mac reaches Apple's servers, then run the deploy again."
            )

    def update(self) -> None:
        """Install it, see the Mac restart, and see that all of it is as it was."""
        before = self._look()
        if before is None:
            raise UpdateFailed(f"cannot update {self._host.name}: it does not answer ({self._silence}).")
        if self._wanted.label is not None:
            asked = ["--install", self._wanted.label, "--restart", "--user", str(self._wanted.user), "--stdinpass"]
            self._begin("install", [SOFTWAREUPDATE, *asked], stdin=_plain(self._wanted.password))
        now = None
        while now is None:
            how = self._follow("install")
            now = self._restarted(before["boot_session"], how)
        if now["build"] != self._wanted.build:
            raise UpdateFailed(
                f"cannot update {self._host.name}: it restarted and runs macOS {now['macos']} ({now['build']}), needed "
                f"{self._wanted.named}. Read /var/log/install.log there, then run the deploy again."
            )
        self._host.log(f"{self._wanted.named} runs; its cables and RDMA are looked at until they are as they were")
        self._mended()

    def _begin(self, what: What, command: list[str], stdin: str | None = None) -> None:
        """Begin a softwareupdate, unless the same is under way; nobody begins it twice."""
        output = self._line.tell(begun(self._log(what), command), timeout_seconds=_ANSWER_SECONDS, stdin=stdin)
        if output is None:
            raise UpdateFailed(
                f"cannot begin softwareupdate on {self._host.name}: {self._silence}. Run the deploy again: it finds "
                "out whether it was begun."
            )
        said = f"goes on: {UNDER_WAY}" if UNDER_WAY in output.stdout_lines else "begun"
        self._host.log(f"softwareupdate {said}; what it says is kept in {self._log(what)}")

    def _follow(self, what: What) -> Followed | None:
        """How softwareupdate ended; None when the connection was lost meanwhile."""
        while True:
            left = self._install_until - self._clock.now()
            seconds = max(1, min(_FOLLOWED_SECONDS, int(left)))
            command = following(self._log(what), seconds)
            output = self._line.tell(command, timeout_seconds=seconds + _GRACE_SECONDS, show=True)
            how = followed(output.stdout_lines) if output else None
            if how is not None and how.state != "goes on":
                return how
            if left <= 0:
                raise UpdateFailed(
                    f"cannot wait any longer for {self._wanted.named} on {self._host.name}: it is not there after "
                    f"{self._wanted.install_seconds} s; {_told(how)}. It goes on by itself. Run the deploy "
                    "again to wait for it, or declare a longer install_within_seconds."
                )
            if how is None:
                return None

    def _restarted(self, before: str, how: Followed | None) -> Mapping[str, Any] | None:
        """The Mac after its restart; None when only the connection was lost, and softwareupdate may go on."""
        begins = _LIED_SECONDS if how is not None and _refused(how) else _BEGINS_SECONDS
        stays_until, away_until = self._clock.now() + begins, None
        while True:
            now, at = self._look(), self._clock.now()
            if now is not None and (now["boot_session"] != before or how is None):
                return now if now["boot_session"] != before else None
            away_until = None if now is not None else away_until or at + self._wanted.restart_seconds
            if at >= (away_until or stays_until):
                raise UpdateFailed(self._never_back(now, how, begins))
            self._clock.pause(_PAUSE_SECONDS)

    def _never_back(self, now: Mapping[str, Any] | None, how: Followed | None, waited: int) -> str:
        if now is None:
            return (
                f"cannot tell what became of {self._host.name}: it went away to restart for {self._wanted.named}, and "
                f"has not answered for {self._wanted.restart_seconds} s ({self._silence}). Look at its "
                "screen; it may wait there for a password, or need its power taken away for ten seconds. Then run the "
                "deploy again."
            )
        return (
            f"cannot update {self._host.name} to {self._wanted.named}: {_told(how)}, and the Mac has not restarted "
            f"within {waited} s; it runs macOS {now['macos']} ({now['build']}) as before. When it speaks of "
            f"authentication, correct the password of volume_owner. All of it is in {self._log('install')} there."
        )

    def _mended(self) -> None:
        end = self._clock.now() + self._wanted.mended_seconds
        while wrong := self._wrong():
            if self._clock.now() >= end:
                raise UpdateFailed(
                    f"cannot go on with {self._host.name}: it runs {self._wanted.named}, but "
                    f"{self._wanted.mended_seconds} s after its restart not all is as it was: "
                    f"{'; '.join(wrong)}. Mend it, then run the deploy again."
                )
            self._clock.pause(_PAUSE_SECONDS)

    def _wrong(self) -> list[str]:
        read_now = self._line.ask(MENDED, timeout_seconds=_MENDED_SECONDS)
        return [f"no answer: {self._silence}"] if read_now is None else self._wanted.unmended(read_now)

    def _look(self) -> Mapping[str, Any] | None:
        """Which boot of which macOS this is; None when the Mac does not answer, or cannot tell."""
        told = self._line.ask({"mac": Mac}, timeout_seconds=_ANSWER_SECONDS)
        return None if told is None or "problem" in told["mac"] else told["mac"]

    @property
    def _silence(self) -> str:
        return self._line.silence or "it cannot tell what runs on it"

    def _log(self, what: What) -> str:
        return log(self._wanted.directory, what, self._wanted.build)


def _plain(password: HiddenValue | None) -> str | None:
    return None if password is None else f"{password.unmask()}\n"


def _refused(how: Followed) -> bool:
    return bool(how.code) or any(word in line for line in how.lines for word in _REFUSALS)


def _told(how: Followed | None) -> str:
    if how is None:
        return "nothing was heard of softwareupdate"
    return f"softwareupdate {f'ended with {how.code}' if how.code is not None else how.state} and said: {how.words}"
