from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from serving.links.before import restoring
from serving.links.decision import Decision, converging, decide, left
from serving.links.observation import (
    Before,
    Clock,
    Fabric,
    Filter,
    Held,
    Interface,
    Kept,
    Port,
    PortBefore,
    Seen,
    Trial,
    Unreadable,
)
from tests.serving.links.imagined import RULES, WITHIN, configuration

TOLD = configuration(Path("/nowhere"))
EVERYTHING = configuration(Path("/nowhere"), filter_rules=RULES, wired_limit_mb=1000)
CLOCK = Clock("b1", 500.0, 9000.0)
PORTS = {"D-1": Port("1", "en2"), "D-2": Port("2", "en3")}
OURS, OLD, FOREIGN = (IPv4Interface(a) for a in ("10.213.0.1/30", "10.213.0.9/30", "169.254.9.9/16"))
NOW_DONE = Interface(up=True, active=True, addresses=(OURS,))
AS_IT_WAS = PortBefore(bridged=True, up=True, addresses=())


def seen(bridged: tuple[str, ...] = ("en2",), limit: Any = None, filtered: Any = None, **ports: Interface) -> Seen:
    three = Interface(up=True, active=True, addresses=(IPv4Interface("10.213.0.5/30"),))
    others = {"en0": Interface(up=False, active=False, addresses=()), "en3": three}
    bridge = Interface(up=True, active=True, addresses=(), members=bridged)
    return Seen(Fabric({"en2": NOW_DONE, **others, **ports, "bridge0": bridge}, PORTS), None, limit, filtered)


def lines(decision: Decision) -> list[str]:
    return [" ".join(change.arguments[1:]) for change in decision.changes]


def trial(deadline: float = 510.0, boot: str = "b1", release: str = "links-1", wall: float = 9010.0) -> Trial:
    before = Before(boot=boot, ports={"en2": AS_IT_WAS})
    return Trial(release=release, deadline=deadline, wall_deadline=wall, before=before)


WAYS = list(product([False, True], [False, True], product([False, True], repeat=3)))


@pytest.mark.parametrize(("bridged", "up", "there"), WAYS)
def test_from_every_state_of_a_port_the_shortest_way_leads_to_what_is_declared(
    bridged: bool, up: bool, there: tuple[bool, bool, bool]
):
    addresses = tuple(address for address, is_there in zip((FOREIGN, OLD, OURS), there, strict=True) if is_there)
    members = ("en2", "en9") if bridged else ("en9",)
    looked = seen(members, en2=Interface(up=up, active=True, addresses=addresses))

    said = [" ".join(c.arguments[1:]) for c in converging(TOLD, looked, Before(boot="b1"), None)]

    assert said == [
        *(["bridge0 deletem en2"] if bridged else []),
        *(["en2 inet 10.213.0.9 -alias"] if OLD in addresses else []),
        *(["en2 inet 10.213.0.1 netmask 255.255.255.252 alias"] if OURS not in addresses else []),
        *(["en2 up"] if bridged or not up else []),
    ]


FILTERS = list(product([False, True], [None, "other", RULES], [(), ("printed",)], [None, "", "7"], [("printed",), ()]))


@pytest.mark.parametrize(("enabled", "rules", "printed", "token", "shown"), FILTERS)
def test_the_filter_is_loaded_and_enabled_exactly_when_it_is_not(
    enabled: bool, rules: str | None, printed: tuple[str, ...], token: str | None, shown: tuple[str, ...]
):
    held = Held(boot="b1", rules=rules, printed=printed, token=token)
    looked = replace(seen(()), filter=Filter(enabled=enabled, evaluated=True, rules=shown), wired_limit_mb=1000)

    changes = converging(EVERYTHING, looked, Before(boot="b1"), held)

    loads, enables = (
        [c for c in changes if c.arguments[-2:] == ("-f", "-")],
        [c for c in changes if "-E" in c.arguments],
    )
    assert len(loads) == (0 if rules == RULES and printed == shown else 1)
    assert len(enables) == (0 if enabled and token is not None else 1)
    assert changes == [*loads, *enables]


@pytest.mark.parametrize("limit", [0, 999, 1000, None, Unreadable("no")])
def test_the_limit_is_set_when_it_is_another(limit: Any):
    changes = converging(
        configuration(Path("/n"), cables=(), wired_limit_mb=1000), seen((), limit), Before(boot="b"), None
    )

    assert [c.arguments[1] for c in changes] == (["iogpu.wired_limit_mb=1000"] if limit in (0, 999) else [])


STATES: list[tuple[Kept, str, str]] = [
    (Kept(), "unconfirmed", "changes and begins its time"),
    (Kept(trial=trial()), "unconfirmed", "changes"),
    (Kept(trial=trial(500)), "unconfirmed", "goes back"),
    (Kept(trial=trial(499)), "unconfirmed", "goes back"),
    (Kept(trial=trial(0, "b0")), "unconfirmed", "changes"),
    (Kept(trial=trial(9999, "b0", wall=9000)), "unconfirmed", "is back"),
    (Kept(inherited=trial(1, release="links-0")), "unconfirmed", "changes and begins its time"),
    (Kept(confirmed=True), "confirmed", "changes"),
    (Kept(confirmed=True, trial=trial(1)), "confirmed", "changes"),
    (Kept(confirmed=True, inherited=trial(1)), "confirmed", "changes"),
    (Kept(reverted=True), "reverted", "nothing"),
    (Kept(reverted=True, trial=trial()), "reverted", "nothing"),
    (Kept(reverted=True, confirmed=True), "reverted", "nothing"),
]


@pytest.mark.parametrize(("kept", "state", "what"), STATES)
def test_what_a_release_may_do(kept: Kept, state: str, what: str):
    decision = decide(TOLD, "links-1", seen(), kept, CLOCK)

    expected = {
        "changes": ["bridge0 deletem en2", "en2 up"],
        "changes and begins its time": ["bridge0 deletem en2", "en2 up"],
        "goes back": ["en2 inet 10.213.0.1 -alias"],
    }
    assert decision.state == state
    assert lines(decision) == expected.get(what, [])
    assert decision.is_back == (what == "is back")
    assert (decision.trial is not None) == (state == "unconfirmed")
    if what == "changes and begins its time":
        assert decision.trial is not None
        assert (decision.trial.deadline, decision.trial.wall_deadline) == (500 + WITHIN, 9000 + WITHIN)


def test_a_release_that_finds_everything_done_begins_no_time():
    assert decide(TOLD, "links-1", seen(()), Kept(), CLOCK).trial is None


def test_a_release_that_finds_everything_done_by_an_unconfirmed_one_does():
    begun = decide(TOLD, "links-1", seen(()), Kept(inherited=trial(1, release="links-0")), CLOCK).trial

    assert begun is not None
    assert begun.before.ports["en2"] == AS_IT_WAS


def test_after_a_reboot_the_deadline_is_never_later_than_the_first_nor_further_away_than_declared():
    soon = decide(TOLD, "links-1", seen(), Kept(trial=trial(1, "b0", wall=9007)), CLOCK).trial
    clock_set_back = decide(TOLD, "links-1", seen(), Kept(trial=trial(1, "b0", wall=99999)), CLOCK).trial

    assert soon is not None
    assert clock_set_back is not None
    assert (left(soon, CLOCK), soon.wall_deadline) == (7, 9007)
    assert left(clock_set_back, CLOCK) == WITHIN


def test_the_record_is_of_what_was_there_before_and_is_not_made_again():
    first = decide(TOLD, "links-1", seen(en2=Interface(up=True, active=True, addresses=(FOREIGN,))), Kept(), CLOCK)
    assert first.before is not None
    later = decide(TOLD, "links-1", seen(()), Kept(before=first.before, trial=first.trial), CLOCK)

    assert first.before.ports["en2"] == PortBefore(bridged=True, up=True, addresses=("169.254.9.9/16",))
    assert set(first.before.ports) == {"en2", "en3"}
    assert later.before == first.before


def test_what_cannot_be_read_is_neither_changed_nor_taken_for_done():
    unread = Seen(Unreadable("no ifconfig"), Unreadable("no route"), Unreadable("no sysctl"), Unreadable("no pfctl"))
    over = Kept(trial=trial(1))

    assert decide(EVERYTHING, "links-1", unread, Kept(confirmed=True), CLOCK).changes == ()
    assert not decide(EVERYTHING, "links-1", unread, over, CLOCK).is_back
    assert decide(EVERYTHING, "links-1", unread, over, CLOCK).untold == ("no ifconfig",)


@pytest.mark.parametrize(("was_bridged", "was_up", "is_bridged", "is_up"), list(product([False, True], repeat=4)))
def test_the_way_back_ends_where_it_began(was_bridged: bool, was_up: bool, is_bridged: bool, is_up: bool):
    before = Before(boot="b1", ports={"en2": PortBefore(bridged=was_bridged, up=was_up, addresses=("10.213.0.9/30",))})
    now = Interface(up=is_up, active=True, addresses=(OURS, FOREIGN))

    said = [" ".join(c.arguments[1:]) for c in restoring(before, seen(("en2",) if is_bridged else (), en2=now), None)]

    assert said[:2] == ["en2 inet 10.213.0.1 -alias", "en2 inet 10.213.0.9 netmask 255.255.255.252 alias"]
    if was_bridged and not is_bridged:
        assert said[2:] == ["bridge0 addm en2", "en2 up"]
    elif is_bridged or was_up == is_up:
        assert said[2:] == []
    else:
        assert said[2:] == ["en2 up" if was_up else "en2 down"]
