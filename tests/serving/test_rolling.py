"""The order of a roll, from what serves and what is declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from serving.errors import RecordUnreadable
from serving.record import Proven, Record, history, parsed, proven
from serving.rolling import Turn, turns
from tests.serving.declarations import VALID, declared

OTHER = {"name": "v", "path": "/weights/v", "golden": {"question": "Who?", "answer": "Me"}}


def serving(**replicas: str) -> tuple[Proven, ...]:
    """Replicas that serve, by name: `a="m1 m2"`; weights other than w after a colon."""
    made = []
    for name, told in replicas.items():
        machines, _, weights = told.partition(":")
        members = tuple(machines.split())
        releases = dict.fromkeys(members, "agent-old")
        made.append(Proven(name, members, weights or "w", "/weights/w-1", releases, "2026-01-01", 12.0))
    return tuple(made)


def wanted(**replicas: str) -> dict[str, Any]:
    """Replicas that are declared, in the same words, in this order."""
    listed = []
    for name, told in replicas.items():
        machines, _, weights = told.partition(":")
        members = machines.split()
        together = {"transport": "ring", "sharding": "tensor"} if len(members) > 1 else {}
        listed.append({"name": name, "machines": members, "weights": weights or "w", **together})
    return {"replicas": listed, "weights": [declared().weights[0].model_dump(), OTHER]}


def rolled(old: Iterable[Proven], wish: dict[str, Any], changed: str = "m1 m2 m3 m4") -> list[Turn]:
    return list(turns(declared(**wish), tuple(old), changed.split()))


def order(rolled: Iterable[Turn]) -> list[tuple[str, str, str, str]]:
    """Name, who is drained, whose agents change, who serves meanwhile."""
    return [
        (each.name, " ".join(d.name for d in each.drained), " ".join(each.machines), " ".join(each.remaining))
        for each in rolled
        if each.changes
    ]


PAIRS = {"a": "m1 m2", "b": "m3 m4"}


def test_two_that_change_take_turns_and_each_serves_for_the_other():
    assert order(rolled(serving(**PAIRS), wanted(**PAIRS))) == [
        ("a", "a", "m1 m2", "b"),
        ("b", "b", "m3 m4", "a"),
    ]


def test_nothing_changed_is_nothing_rolled():
    turned = rolled(serving(**PAIRS), wanted(**PAIRS), changed="")

    assert order(turned) == []
    assert [(each.name, each.machines) for each in turned] == [("a", ("m1", "m2")), ("b", ("m3", "m4"))]


def test_one_that_stays_is_seen_ready_before_any_other_is_taken_down():
    turned = rolled(serving(**PAIRS), wanted(**PAIRS), changed="m1 m2")

    assert [(each.name, each.changes) for each in turned] == [("b", False), ("a", True)]
    assert order(turned) == [("a", "a", "m1 m2", "b")]


def test_one_whose_agents_change_in_part_is_changed_whole():
    assert order(rolled(serving(**PAIRS), wanted(**PAIRS), changed="m4")) == [("b", "b", "m3 m4", "a")]


def test_what_is_new_comes_before_anything_is_taken_down():
    assert order(rolled(serving(a="m1 m2"), wanted(a="m1 m2", c="m3"))) == [
        ("c", "", "m3", "a"),
        ("a", "a", "m1 m2", "c"),
    ]


def test_a_mac_that_changes_replica_is_drained_in_the_old_one_and_the_other_serves_meanwhile():
    assert order(rolled(serving(a="m1 m2", b="m3"), wanted(a="m1", b="m2 m3"), changed="m1 m2 m3")) == [
        ("a", "a", "m1", "b"),
        ("b", "b", "m2 m3", "a"),
    ]


def test_a_mac_that_comes_to_no_replica_is_let_go_with_the_turn_of_the_one_it_leaves():
    (turn,) = rolled(serving(a="m1 m2"), wanted(a="m1"), changed="m1 m2")

    assert (turn.machines, turn.let_go) == (("m1", "m2"), ("m2",))


def test_one_that_is_split_is_drained_once_and_its_halves_come_one_after_the_other():
    turned = rolled(serving(ab="m1 m2 m3 m4"), wanted(**PAIRS))

    assert order(turned) == [("a", "ab", "m1 m2", ""), ("b", "", "m3 m4", "a")]
    assert [turn.held for turn in turned] == [("w",), ()]


def test_two_that_become_one_leave_nobody_meanwhile_and_that_is_said():
    (turn,) = rolled(serving(**PAIRS), wanted(ab="m1 m2 m3 m4"))

    assert ([each.name for each in turn.drained], turn.remaining, turn.held) == (["a", "b"], (), ("w",))


def test_one_that_is_no_longer_declared_ends_when_all_others_are_ready():
    assert order(rolled(serving(a="m1 m2", b="m3 m4"), wanted(a="m1 m2"))) == [
        ("a", "a", "m1 m2", "b"),
        ("b", "b", "m3 m4", "a"),
    ]


def test_the_last_one_of_its_weights_is_changed_while_others_of_them_serve():
    # Beginning with b would leave v to nobody; c comes up first.
    old, wish = serving(a="m1", b="m2:v"), wanted(b="m2:v", c="m3:v", a="m1")

    assert [name for name, *_ in order(rolled(old, wish, changed="m1 m2 m3"))] == ["c", "b", "a"]


def test_three_of_unequal_size_leave_two_all_the_time():
    three = {"a": "m1", "b": "m2 m3", "c": "m4"}
    turned = rolled(serving(**three), wanted(**three))

    assert [each.name for each in turned] == ["a", "b", "c"]
    assert {len(each.remaining) for each in turned} == {2}


def test_one_that_is_not_known_to_serve_is_drained_nowhere():
    (turn, *_) = rolled((), wanted(**PAIRS))

    assert (turn.drained, turn.remaining, turn.held) == ((), (), ())


def record(replica: str, machines: str, **told: Any) -> Record:
    directory = {"weights_directory": "/weights/w-1"}
    return Record(
        replica=replica, machines=tuple(machines.split()), weights="w", release="agent-1", **directory, **told
    )


def test_a_replica_is_proven_as_long_as_all_its_macs_say_so():
    whole = {"m1": record("a", "m1 m2", seconds=3.0), "m2": record("a", "m1 m2"), "m3": record("b", "m3")}
    half = {**whole, "m2": record("c", "m2")}

    assert [(each.name, each.machines, each.seconds) for each in proven(whole)] == [
        ("a", ("m1", "m2"), 3.0),
        ("b", ("m3",), None),
    ]
    assert [each.name for each in proven(half)] == ["b", "c"]
    assert [each.name for each in proven({**whole, "m2": None})] == ["b"]


def test_one_whose_mac_was_taken_out_of_the_lab_serves_until_it_is_changed():
    (left,) = proven({"m1": record("a", "m1 m2")})
    alone = {"machines": [VALID["machines"][0]], "links": []}
    (turn,) = rolled([left], wanted(a="m1") | alone, changed="m1")

    assert ([each.name for each in turn.drained], turn.machines, turn.held) == (["a"], ("m1",), ("w",))


def test_a_record_of_a_later_version_is_read_and_a_damaged_one_is_refused():
    told = record("a", "m1").model_dump_json()

    assert parsed("m1", told.replace("{", '{"mood": "good", ', 1)) == record("a", "m1")
    assert parsed("m1", None) is None
    with pytest.raises(RecordUnreadable, match="cannot tell what m1 serves"):
        parsed("m1", '{"replica": ')


def test_a_line_of_history_that_was_cut_off_is_left_out():
    line = '{"at": "2026", "outcome": "proven", "replica": "a", "release": "agent-1"}'

    assert [each.release for each in history(f"{line}\n{line[:20]}\n{line}\n")] == ["agent-1", "agent-1"]
    assert history(None) == []
