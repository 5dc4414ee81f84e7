"""Whatever happens to an imagined Mac and its daemon, and in whatever order: the promises hold."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serving.links.commands import Answer
from serving.links.keeping import StateDirectory
from tests.serving.links.imagined import RULES, WITHIN, Mac, Port, Time, configuration, links

CABLED = ("en2", "en3")
FOREIGN = ("10.9.9.9", "0xffffff00")


class DeadMan(RuleBasedStateMachine):
    @initialize(bridged=st.booleans(), limit=st.sampled_from([0, 777]), on=st.booleans())
    def begin(self, bridged: bool, limit: int, on: bool) -> None:
        self.directory = Path(tempfile.mkdtemp())
        ports = {name: Port(addresses=[FOREIGN] if name == "en4" else []) for name in ("en2", "en3", "en4")}
        self.mac, self.time = Mac(["en2", "en3", "en4"] if bridged else ["en4"], **ports), Time()
        self.mac.wired, self.mac.filter.enabled = limit, on
        self.before = self.state()
        self.told = configuration(self.directory, filter_rules=RULES, wired_limit_mb=1000)
        self.release, self.confirmed = 1, 0
        self.deadline: float | None = None
        self.vouched: set[tuple[str, str]] = set()
        """Ports and addresses of a confirmed release in this boot; a later one that goes back leaves them."""
        self.start_daemon()

    def state(self) -> object:
        pf = self.mac.filter
        return self.mac.wired, pf.rules, pf.enabled, tuple(pf.tokens)

    def start_daemon(self) -> None:
        self.daemon = links(self.mac, self.told, self.time, f"links-{self.release}")

    def is_confirmed(self) -> bool:
        return self.confirmed == self.release

    @rule(seconds=st.sampled_from([0.5, 4.5, 20.0, WITHIN / 2, WITHIN]))
    def time_passes_and_the_daemon_looks(self, seconds: float) -> None:
        self.time.passes(seconds)
        self.look()

    @rule()
    def look(self) -> None:
        is_over = self.deadline is not None and self.time.wall >= self.deadline
        report = self.daemon.converge()
        changed = self.touched()
        assert is_over or not self.mac.ipv6_first
        self.mac.ipv6_first.clear()
        if self.is_confirmed():
            self.deadline = None
            self.vouched = set(self.given())
            assert report.state == "confirmed"
        elif changed and self.deadline is None and report.state == "unconfirmed":
            self.deadline = self.time.wall + WITHIN

    def given(self) -> list[tuple[str, str]]:
        """The addresses of our kind, each with its port."""
        ports = {name: self.mac.ports[name].addresses for name in CABLED}
        return [(name, address) for name, each in ports.items() for address, mask in each if mask == "0xfffffffc"]

    def touched(self) -> bool:
        """Whether anything was changed since this was asked last; nothing but cabled ports ever is."""
        changes, self.mac.ran = [line.split() for line in self.mac.changes()], []
        for words in changes:
            is_port = words[0] in CABLED or (words[0] == "bridge0" and words[2] in CABLED)
            assert is_port or words[0].startswith(("iogpu.wired_limit_mb=", "-")), words
        assert self.mac.ports["en4"].addresses == [FOREIGN]
        assert "en4" in self.mac.members
        return bool(changes)

    @rule()
    def control_machine_confirms(self) -> None:
        files = StateDirectory(self.directory / "links")
        if not files.kept(f"links-{self.release}", f"b{self.mac.boot}").reverted:
            files.confirm(f"links-{self.release}")
            self.confirmed = self.release

    @rule()
    def control_machine_has_it_tried_again(self) -> None:
        files = StateDirectory(self.directory / "links")
        if files.kept(f"links-{self.release}", f"b{self.mac.boot}").reverted:
            files.try_again()
            self.deadline = None

    @rule()
    def another_release_is_loaded(self) -> None:
        if self.release < 4:
            self.release, self.deadline = self.release + 1, None
            self.start_daemon()

    @rule()
    def daemon_restarts(self) -> None:
        self.start_daemon()

    @rule(seconds=st.sampled_from([5.0, WITHIN]))
    def mac_restarts(self, seconds: float) -> None:
        self.time.passes(seconds)
        self.time.monotonic = 7.0
        self.mac.restart()
        self.mac.ports["en4"].addresses.append(FOREIGN)
        self.before = self.state()
        self.vouched.clear()
        self.start_daemon()

    @rule(name=st.sampled_from(CABLED))
    def macos_takes_a_port_back(self, name: str) -> None:
        if name not in self.mac.members:
            self.mac.members.append(name)

    @rule(name=st.sampled_from(CABLED))
    def addresses_are_lost(self, name: str) -> None:
        self.mac.ports[name].addresses.clear()

    @rule(name=st.sampled_from(CABLED))
    def cable_goes_out_or_in(self, name: str) -> None:
        self.mac.ports[name].cabled = not self.mac.ports[name].cabled

    @rule()
    def rules_are_flushed(self) -> None:
        self.mac.filter.rules = ""

    @rule()
    def a_command_fails_for_a_while(self) -> None:
        for part in ("-a", "deletem", "SPThunderbolt", "-s info"):
            self.mac.fails = {part: Answer(1, "", "no")}
            self.look()
        self.mac.fails = {}

    @invariant()
    def no_unconfirmed_change_outlives_its_deadline(self) -> None:
        if self.deadline is None or self.is_confirmed() or self.time.wall < self.deadline:
            return
        # The daemon sleeps no longer than until the deadline; two looks, because the second one proves the first.
        self.daemon.converge()
        assert self.daemon.converge().state == "reverted"
        assert self.vouched.issuperset(self.given())

    @invariant()
    def a_confirmed_release_converges_whatever_was_wrong(self) -> None:
        if self.is_confirmed():
            self.time.passes(9)
            self.look()
            assert not set(CABLED) & set(self.mac.members)
            assert (self.mac.wired, self.mac.filter.rules, self.mac.filter.enabled) == (1000, RULES.upper(), True)
            assert all(self.mac.ports[name].addresses for name in CABLED)

    @invariant()
    def at_most_one_reference_to_the_filter_is_held(self) -> None:
        assert len(self.mac.filter.tokens) <= 1

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


TestDeadMan = DeadMan.TestCase
TestDeadMan.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
