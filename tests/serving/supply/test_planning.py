"""A lab's weights as orders, or as refusals with numbers; what cannot be told is never guessed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.configuration import File, Manifest
from serving.seen import Problem
from serving.supply import pinned, planning
from tests.serving.declarations import bent, faults
from tests.serving.supply.hubs import COMMIT, Hub
from tests.serving.supply.macs import Macs

Make = Callable[..., Macs]
MADE = Manifest(files={"config.json": File(size=1, sha256="0" * 64)}, digest="f" * 64)


def test_one_mac_fetches_and_the_others_take_over_their_cables(hub: Hub, macs: Make):
    supply = macs().supply()
    first, second = supply.orders["m1", "w"], supply.orders["m2", "w"]

    assert first.hub is not None
    assert (first.hub.endpoint, first.hub.commit) == (hub.endpoint, COMMIT)
    assert set(first.hub.files) == set(hub.large)
    assert sorted(supply.sent["m1", "w"]["only"]) == [
        "config.json",
        "model.safetensors.index.json",
        "tokenizer_config.json",
    ]
    assert supply.sent["m2", "w"]["only"] == ()
    assert (second.hub, [source.addresses for source in second.sources]) == (None, [("127.213.0.1", "127.0.1.1")])
    assert first.addresses == ("127.213.0.1", "127.0.1.1")


def test_what_is_about_to_happen_is_told_with_sizes_and_ways(macs: Make):
    told = "\n".join(macs(3, links=[("m1", "m2")]).supply().told)

    assert "m1 fetches 28.3 MB from http://127.0.0.1" in told
    assert "m2 takes 28.3 MB from m1 over their cable" in told
    assert "over the management LAN" in told


def test_a_disk_that_does_not_hold_them_is_refused_with_numbers(macs: Make):
    rack = macs(2)
    rack.free_bytes["m2"] = planning.MARGIN_BYTES + 10**7
    (finding,) = rack.supply().findings

    assert str(finding) == (
        "m2: disk for weights: cannot bring 'w' here: 3.2 GB free; needed 3.2 GB: 28.3 MB to come, and 3.2 GB to stay "
        "free.\n    Next: Make room on the volume that holds /opt, then run the deploy again."
    )


def test_what_has_begun_needs_no_room_again(hub: Hub, macs: Make):
    rack = macs(1)
    path = rack.place("m1", planning.directories(rack.known())[1]) / next(iter(hub.large))
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(9 * 10**6))
    rack.free_bytes["m1"] = planning.MARGIN_BYTES + 2 * 10**7

    assert rack.supply().findings == ()


def test_a_full_disk_that_needs_nothing_more_is_no_fault(macs: Make):
    rack = macs(2)
    rack.bring()
    rack.free_bytes["m1"] = 0

    assert rack.supply().findings == ()


def test_a_mac_that_cannot_tell_is_never_said_to_lack_weights(macs: Make):
    rack = macs(2)
    rack.bring()
    rack.away.add("m2")
    supply = rack.supply()

    assert [(each.machine, each.check, each.seen) for each in supply.findings] == [
        ("m2", "weights", "no answer within 120 s")
    ]
    assert (supply.names, dict(supply.orders)) == ((), {})


def test_nothing_travels_while_a_mac_is_not_to_be_reached_and_that_is_told_once(macs: Make):
    rack = macs(2)
    rack.away.add("m2")
    seen = rack.seen()
    seen["m2"] = seen["m2"].model_copy(update={"resources": Problem(problem="no answer within 120 s")})
    supply = planning.supply(rack.cluster, rack.known(), rack.facts(), seen)

    assert (supply.findings, supply.names, dict(supply.sent)) == ((), (), {})


def test_weights_that_no_replica_serves_go_nowhere(macs: Make):
    rack = macs(1)
    unused = rack.cluster.weights[0].model_copy(update={"name": "unused"})
    rack.cluster = rack.cluster.model_copy(update={"weights": (*rack.cluster.weights, unused)})

    assert rack.supply().names == ("w",)


def test_to_quantise_one_mac_gets_the_source_and_nobody_is_given_what_nobody_knows_yet(macs: Make):
    rack = macs(quantise="4bit", quantise_group=32)
    rack.free_bytes["m3"] = 10**15
    supply = rack.supply()
    machine, conversion = supply.conversions["w"]

    assert (machine, supply.pending) == ("m3", {"w"})
    assert (conversion.quantise, conversion.group) == ("4bit", 32)
    assert list(supply.orders) == [("m3", "w")]
    assert supply.orders["m3", "w"].directory == conversion.source
    assert "Deploy once more" in supply.again


def test_what_was_quantised_is_handed_on_like_any_weights(macs: Make, tmp_path):
    rack = macs(2, quantise="4bit")
    pinned.pinning(rack.cluster, tmp_path / "control", "w")(MADE.model_dump_json())
    facts = rack.facts()
    facts["m2"][f"weights {planning.directories(rack.known())[0]}"] = {"config.json": {"size": 1, "sha256": "0" * 64}}
    supply = planning.supply(rack.cluster, rack.known(), facts, rack.seen())

    assert (supply.pending, supply.again) == (frozenset(), "")
    assert [source.machine for source in supply.orders["m1", "w"].sources] == ["m2"]


def test_what_was_quantised_and_is_nowhere_any_more_is_made_again(macs: Make, tmp_path):
    rack = macs(2, quantise="4bit")
    pinned.pinning(rack.cluster, tmp_path / "control", "w")(MADE.model_dump_json())

    assert rack.supply().pending == {"w"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "weights come from a path or from a repository; declare exactly one"),
        ({"path": "/w", "repository": "a/b"}, "weights come from a path or from a repository; declare exactly one"),
        ({"repository": "a/b"}, "no revision of a/b is declared. Name a commit, a tag or a branch"),
        ({"path": "/w", "revision": "main"}, "revision is for weights from a repository; these come from a path"),
        ({"path": "/w", "quantise_group": 32}, "quantise_group is for weights that are quantised to a number of bits"),
    ],
)
def test_a_declaration_that_says_too_little_or_too_much_is_refused(weights: dict[str, object], message: str):
    whole = bent(weights=[{"name": "w", "golden": {"question": "Why?", "answer": "Because"}, **weights}])

    assert f"Value error, {message}" in faults(whole).values()
