"""What is kept to go back to, and what goes: values first, then a machine."""

from __future__ import annotations

import json
from typing import Any

from operations import keeping
from operations.keeping import abandoned, out_of_use, parsed, unneeded_weights
from operations.keeping import proven as proven_by
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import applied

ROOT, ENVIRONMENTS = "/opt/example/releases", "/opt/example/environments"
AGES = {"agent-1": 1, "agent-2": 2, "agent-3": 3, "agent-4": 4, "links-1": 1, "gateway-9": 9}


def proven(release: str, weights: str) -> dict[str, Any]:
    return {"outcome": "proven", "release": release, "weights_directory": weights}


def test_of_each_kind_the_youngest_stay():
    assert out_of_use(AGES, 2, {"agent-4"}) == ["agent-1", "agent-2"]


def test_what_is_in_use_stays_however_old_it_is():
    # Going back is declaring an old release: it was laid long ago.
    assert out_of_use(AGES, 2, {"agent-1"}) == ["agent-2", "agent-3"]
    assert out_of_use(AGES, 2, {"agent-1", "agent-2", "agent-3"}) == ["agent-4"]


def test_what_was_proven_stays_before_what_was_only_tried():
    # agent-1 was proven; 2 and 3 were tried and taken back; 4 is proven now.
    assert out_of_use(AGES, 2, {"agent-4"}, ["agent-1", "agent-4"]) == ["agent-2", "agent-3"]
    assert out_of_use(AGES, 3, {"agent-4"}, ["agent-1", "agent-4"]) == ["agent-2"]


def test_daemons_that_are_never_proven_by_themselves_are_kept_by_age():
    ages = {"links-1": 1, "links-2": 2, "links-3": 3}

    assert out_of_use(ages, 2, {"links-3"}, ["agent-1"]) == ["links-1"]


def test_the_last_proven_is_the_one_that_was_last_told_of():
    lines = [proven("agent-1", "/w"), proven("agent-2", "/w"), {"outcome": "went back", "release": "agent-1"}]

    assert proven_by(lines) == ["agent-2", "agent-1"]
    assert proven_by([{"outcome": "tried", "release": "agent-9"}, {"outcome": "proven"}]) == []


def test_weights_go_with_the_last_release_that_needs_them():
    lines = [proven("agent-1", "/w/old"), proven("agent-2", "/w/shared"), proven("agent-3", "/w/shared")]

    assert unneeded_weights(lines, {"agent-1"}, {"/w/new"}) == ["/w/old"]
    assert unneeded_weights(lines, {"agent-1", "agent-2"}, ()) == ["/w/old"]
    assert unneeded_weights(lines, {"agent-1"}, {"/w/old"}) == []


def test_weights_that_no_history_tells_of_are_nobodys_to_remove():
    assert unneeded_weights([], {"agent-1"}, ()) == []


def test_a_line_that_was_cut_off_says_nothing():
    assert parsed('{"release": "a"}\n{"rel') == [{"release": "a"}]
    assert parsed(None) == []


def world(releases: list[str], history: list[dict[str, Any]], environments: list[str], there: list[str]):
    receipts = {name: {"links": {"environment": f"{ENVIRONMENTS}/node-{name[-1]}"}, "files": {}} for name in releases}
    laid = "".join(f"directory {ROOT}/{name}/\n{json.dumps(receipt)}\n" for name, receipt in receipts.items())
    laid += "".join(f"directory {ENVIRONMENTS}/{name}/\n{json.dumps({'package': name})}\n" for name in environments)
    lines = "".join(f" {json.dumps(line)}\n" for line in history)
    return {
        "laid": printed(laid=laid),
        "laid_at": printed(laid_at="".join(f"{AGES[name]} {name}\n" for name in releases)),
        "texts": printed(texts=f"path /opt/example/history\n{lines}"),
        "tree": printed(tree="".join(f"path {path}\ndirectory root wheel 755\n" for path in there)),
    }


def kept(world: Any):
    more = {"linked": [], "weights": {"/w/4"}, "weights_root": "/w", "history": "/opt/example/history"}
    return applied(keeping.kept, world, ROOT, number=2, present={"agent-4"}, **more)


def test_what_is_no_longer_kept_is_removed_with_the_weights_that_only_it_needed():
    history = [proven(f"agent-{n}", f"/w/{n}") for n in (1, 2, 3, 4)]
    machine, _ = kept(world(["agent-1", "agent-2", "agent-3", "agent-4"], history, [], ["/w/1"]))

    assert machine.done == [f"rm -rf {ROOT}/agent-1 {ROOT}/agent-2 /w/1"]


def test_a_release_that_was_tried_and_taken_back_does_not_push_out_the_last_proven_one_nor_its_weights():
    history = [proven("agent-1", "/w/1"), proven("agent-4", "/w/4")]
    machine, _ = kept(world(["agent-1", "agent-2", "agent-3", "agent-4"], history, [], []))

    assert machine.done == [f"rm -rf {ROOT}/agent-2 {ROOT}/agent-3"]


def test_what_lies_beside_weights_goes_with_them():
    history = [proven(f"agent-{n}", f"/w/{n}") for n in (1, 3, 4)]
    machine, _ = kept(world(["agent-1", "agent-3", "agent-4"], history, [], ["/w/1", "/w/1.receipt.json"]))

    assert machine.done == [f"rm -rf {ROOT}/agent-1 /w/1 /w/1.receipt.json"]


def test_what_was_begun_of_weights_that_are_not_in_use_goes_and_what_came_whole_stays():
    names = ["w-1", "w-1.partial", "w-2.partial", "mine"]

    assert abandoned(names, "/w", {"/w/w-2"}) == ["/w/w-1.partial"]


def test_as_many_as_are_kept_are_nothing_to_do():
    machine, reason = kept(world(["agent-3", "agent-4"], [proven("agent-3", "/w/3")], [], []))

    assert (machine.done, reason) == ([], "of each daemon no more than 2 releases are there")
