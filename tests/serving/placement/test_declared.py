"""Declared replicas on machines as they were found: what is refused, with what would work, and what is advised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from serving.placement.advising import advice, expected
from serving.placement.declared import Placed
from serving.report import refusals
from serving.seen import Problem, Seen
from serving.verdict import Finding, findings
from tests.serving.anatomies import anatomy, decided
from tests.serving.declarations import declared
from tests.serving.labs import all_well, changed

GIB = 2**30
PIPELINE = "replicas__0__sharding"


def found(**memory_gib: int) -> dict[str, Seen]:
    """Four Studios, some of them with other memory."""
    smaller = {name: changed(all_well()[name], "mac", memory_bytes=gib * GIB) for name, gib in memory_gib.items()}
    return all_well() | smaller


def replica_a(weights: Any = None, seen: dict[str, Seen] | None = None, **changes: object) -> Placed:
    placed = decided(declared(**changes), seen, weights)["a"]
    assert isinstance(placed, Placed)
    return placed


def told(weights: Any = None, seen: dict[str, Seen] | None = None, **changes: object) -> list[Finding]:
    cluster, found = declared(**changes), all_well() if seen is None else seen
    return findings(cluster, found, placed=decided(cluster, found, weights))


def test_what_fits_is_not_told():
    assert told() == []


def test_each_machine_that_is_too_small_is_told_with_what_it_gives_what_is_needed_and_what_would_work():
    found_short = told(anatomy(700 * GIB), found(m2=256))

    assert [(f.machine, f.check, f.severity) for f in found_short] == [("m2", "memory for the weights", "error")]
    assert found_short[0].seen.startswith("256 GB let the GPU wire 230.9 GB, of which 207.8 GB are planned with")
    assert found_short[0].needed.startswith("376.6 GB of 'w': 375.8 weights, 0.8 for 8192 tokens in each of 4 slots")
    assert "1 more Mac" in found_short[0].remedy


def test_a_refusal_keeps_the_deploy_from_changing_anything():
    assert [machine for machine, _ in refusals(told(anatomy(1200 * GIB)))] == ["m1", "m2", "m3", "m4"]


def test_an_even_pipeline_on_unequal_machines_is_refused_with_the_split_that_works():
    short = told(anatomy(500 * GIB), found(m2=256), replicas__0__sharding="pipeline")

    assert [(f.machine, f.check) for f in short] == [("m2", "memory for the weights")]
    assert short[0].remedy.startswith("The nearest that works: pipeline_layers='by memory', which is [8, 4].")


def test_layers_by_memory_follow_the_memory_that_was_found():
    by_memory = {"replicas__0__sharding": "pipeline", "replicas__0__pipeline_layers": "by memory"}

    assert replica_a(None, found(m1=192, m2=64), **by_memory).choice.layers == (9, 3)
    assert replica_a(**by_memory).choice.layers == (6, 6)
    assert told(anatomy(500 * GIB), found(m2=256), **by_memory) == []


def test_layers_by_memory_are_those_that_fit_where_a_proportion_of_unequal_ones_does_not():
    plain = anatomy(220 * GIB, layers=6)
    first = replace(plain.layers[0], bytes=plain.layers[0].bytes * 3)
    uneven = replace(plain, layers=(first, *plain.layers[1:]))
    by_memory = {"replicas__0__sharding": "pipeline", "replicas__0__pipeline_layers": "by memory"}

    assert replica_a(uneven, found(m1=256, m2=192), **by_memory).choice.layers == (5, 1)
    assert told(uneven, found(m1=256, m2=192), **by_memory) == []


def test_layers_that_are_not_those_of_the_weights_are_refused_and_nothing_else_is_said_of_them():
    wrong = told(replicas__0__sharding="pipeline", replicas__0__pipeline_layers=[7, 6])

    assert [(f.machine, f.check, f.seen) for f in wrong] == [
        ("m1", "split of the weights", "[7, 6] are 13 layers, 'w' has 12")
    ]
    assert wrong[0].remedy.startswith("The nearest that works: pipeline_layers='by memory', which is [6, 6].")


def test_a_pipeline_that_mlx_lm_does_not_have_is_refused_with_a_split_that_it_has():
    refused = told(anatomy(pipeline=False), replicas__0__sharding="pipeline")

    assert {f.machine for f in refused} == {"m1", "m3"}
    assert "cannot give whole layers of 'w' (llama) to several machines" in refused[0].seen
    assert refused[0].remedy == "The nearest that works: machines [m1, m2], sharding='tensor'."


def test_a_limit_is_advised_only_where_raising_it_would_do():
    assert "wired_limit_mb" in told(anatomy(96 * GIB), found(m1=64, m2=64))[0].remedy
    assert "wired_limit_mb" not in told(anatomy(100 * GIB), found(m1=64, m2=64))[0].remedy


def test_a_limit_that_is_declared_counts_before_the_deploy_has_set_it():
    weights, small = anatomy(96 * GIB), found(m1=64, m2=64)
    raised = {"machines__0__wired_limit_mb": 57344, "machines__1__wired_limit_mb": 57344}

    assert {f.check for f in told(weights, small)} == {"memory for the weights"}
    assert "wired_limit_mb=57344 of m1, wired_limit_mb=57344 of m2" in told(weights, small)[0].remedy
    assert {f.severity for f in told(weights, small, **raised)} == {"drift"}


def test_a_limit_that_was_found_counts_where_none_is_declared():
    limited = changed(found(m1=64)["m1"], "resources", wired_limit_mb=20000)

    assert [f.machine for f in told(anatomy(60 * GIB), found() | {"m1": limited})] == ["m1"]


def test_weights_of_which_nothing_can_be_told_are_refused_once_for_each_replica():
    refused = told(Problem(problem="cannot build a network of type new: Model type new not supported."))

    assert [(f.machine, f.check, f.severity) for f in refused] == [(m, "weights", "error") for m in ("m1", "m3")]
    assert "Model type new not supported" in refused[0].seen


def test_a_machine_that_could_not_be_read_is_taken_as_it_is_declared_and_not_at_all_where_it_is_not():
    mute = {**all_well(), "m2": all_well()["m2"].model_copy(update={"mac": Problem(problem="no answer")})}
    lost = {name: seen for name, seen in all_well().items() if name != "m2"}
    whole = {"machines__1__chip": "Apple M3 Ultra", "machines__1__memory_gb": 512}
    undeclared = {"machines__1__chip": None, "machines__1__memory_gb": None}

    for unread in (mute, lost):
        assert set(decided(declared(**undeclared), unread)) == {"b"}
        assert decided(declared(**whole), unread)["a"] == decided(declared(**whole), all_well())["a"]


def test_a_chip_that_nobody_knows_is_judged_by_its_memory_and_its_speed_is_not_told():
    new = {**all_well(), "m2": changed(all_well()["m2"], "mac", chip="Apple M9", memory_bytes=64 * GIB)}
    placed = replica_a(seen=new)

    assert placed.choice.expected is None
    assert any("nobody knows how fast Apple M9 is" in line for line in advice({"a": placed}))
    assert "how fast, nobody knows" in expected(placed)
    assert [f.machine for f in told(anatomy(200 * GIB), new) if f.check.startswith("memory")] == ["m2"]


def test_another_way_is_advised_only_where_it_is_better_beyond_the_errors_of_the_model():
    slow, alone = replica_a(anatomy(2 * GIB)), declared().model_dump()["replicas"][0]
    alone |= {"machines": ["m1"], "transport": None, "sharding": None}

    (line,) = advice({"a": slow})
    assert line.startswith("note: replica a: as declared (tensor over 2 by ring) ")
    assert "2 copies, each on one Mac" in line
    assert line.endswith("To have that: 2 replicas of one machine each.")
    assert advice({"a": replica_a(anatomy(2 * GIB), replicas__0=alone)}) == []
    assert advice({"a": replica_a(anatomy(20 * GIB))}) == []


def test_what_to_expect_names_bytes_of_every_rank_layers_and_speeds():
    by_memory = {"replicas__0__sharding": "pipeline", "replicas__0__pipeline_layers": "by memory"}
    line = expected(replica_a(None, found(m1=192, m2=64), **by_memory))

    assert line.startswith("16.1 GB + 5.4 GB of weights in rank order, 9 + 3 layers, at most ")
    assert "with 4 conversations of 8192 tokens" in line
    assert "tokens per second for one conversation" in line
