"""Weights from a hub to Macs and from Mac to Mac, over real sockets; and everything that goes wrong on the way."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from serving.supply import fetching
from serving.supply.order import Order, Source
from serving.supply.shelf import PIECE_BYTES, Incoming
from tests.serving.supply.conftest import SIZE
from tests.serving.supply.hubs import Hub
from tests.serving.supply.macs import Macs, process

FIRST = "model-00001-of-00003.safetensors"
Make = Callable[..., Macs]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries are for hubs that have enough of us."""
    monkeypatch.setattr(fetching, "_LONGEST_PAUSE_SECONDS", 0.01)


def taken(hub: Hub) -> dict[str, bytes]:
    """What mlx-lm loads of the repository."""
    return {name: data for name, data in hub.files.items() if not name.startswith(".") and not name.endswith(".md")}


def test_every_mac_gets_every_file_and_no_byte_is_fetched_twice(hub: Hub, macs: Make):
    rack = macs()

    assert rack.bring() == {}
    assert [rack.content(name) == taken(hub) for name in rack.names] == [True] * 4
    assert hub.of_large() == sum(map(len, hub.large.values()))
    assert rack.supply().names == ()


def test_the_deploy_believes_what_the_program_vouches_for(hub: Hub, macs: Make):
    rack = macs(2)
    rack.bring()
    listing = next(iter(rack.facts()["m2"].values()))

    assert {path: file["sha256"] for path, file in listing.items()} == {
        path: file.sha256 for path, file in rack.known()["w"].manifest.files.items()
    }


def test_a_fetch_that_is_cut_half_way_goes_on_where_it_was(hub: Hub, macs: Make):
    hub.cut_at[FIRST] = [SIZE // 2, 1000]
    rack = macs(1)

    assert rack.bring() == {}
    assert rack.content("m1") == taken(hub)
    assert hub.served[FIRST] <= len(hub.large[FIRST]) + PIECE_BYTES
    assert any("was cut at" in line for line in rack.said["m1"])


def test_what_came_before_the_hub_went_away_is_there_for_the_next_deploy(hub: Hub, macs: Make):
    hub.cut_at[FIRST] = [SIZE // 2, *([0] * 20)]
    rack = macs(2)
    failed = rack.bring()

    assert "cannot ask" in failed["m1"]
    assert "m1 does not hand it on: cannot ask" in failed["m2"]

    hub.cut_at.clear()
    supply = rack.supply()

    assert supply.orders["m1", "w"].hub is not None, "the Mac that has begun goes on"
    assert rack.bring(supply) == {}
    assert rack.content("m2") == taken(hub)
    assert hub.served[FIRST] == len(hub.large[FIRST])
    assert hub.of_large() == sum(map(len, hub.large.values()))


def test_a_hub_that_knows_no_ranges_sends_the_whole_file_again(hub: Hub, macs: Make):
    hub.cut_at[FIRST], hub.without_ranges = [SIZE // 2], True
    rack = macs(1)

    assert rack.bring() == {}
    assert rack.content("m1") == taken(hub)


def test_a_file_that_comes_wrong_is_fetched_once_more(hub: Hub, macs: Make):
    hub.wrong[FIRST] = 1
    rack = macs(3)

    assert rack.bring() == {}
    assert [rack.content(name) == taken(hub) for name in rack.names] == [True] * 3
    assert any(f"{FIRST} came out wrong" in line for line in rack.said["m1"])


def test_a_file_that_stays_wrong_is_refused_with_its_name_the_mac_and_both_hashes_and_is_nowhere(hub: Hub, macs: Make):
    hub.wrong[FIRST] = 2
    rack = macs(2)
    failed = rack.bring()

    needed = rack.known()["w"].manifest.files[FIRST].sha256
    assert f"cannot use {FIRST} of 'orchard/cider' on m1" in failed["m1"]
    assert needed in failed["m1"]
    assert FIRST not in rack.content("m1")
    assert FIRST not in rack.content("m2")
    assert hub.served[FIRST] == 2 * len(hub.large[FIRST])


def test_a_mac_that_joins_later_gets_all_from_its_neighbour(hub: Hub, macs: Make):
    rack = macs(3)
    rack.bring()
    rack.forget("m3")
    before = hub.of_large()
    supply = rack.supply()

    assert [source.machine for source in supply.orders["m3", "w"].sources] == ["m1"]
    assert rack.bring(supply) == {}
    assert rack.content("m3") == taken(hub)
    assert hub.of_large() == before


def test_what_is_spread_over_several_macs_comes_together_without_the_hub(hub: Hub, macs: Make):
    rack = macs(2)
    rack.bring()
    directory = next(iter(rack.supply().sent.values()))["directory"]
    rack.place("m1", directory).joinpath(FIRST).unlink()
    rack.place("m2", directory).joinpath("model-00002-of-00003.safetensors").unlink()
    before = hub.of_large()

    assert rack.bring() == {}
    assert [rack.content(name) == taken(hub) for name in rack.names] == [True, True]
    assert hub.of_large() == before


def test_without_a_cable_it_goes_over_the_management_lan(hub: Hub, macs: Make):
    rack = macs(2, links=[])

    assert rack.bring() == {}
    assert rack.content("m2") == taken(hub)
    assert "takes from m1 at 127.0.1.1" in rack.said["m2"]


def test_a_cable_that_is_declared_and_does_not_answer_is_told_of(hub: Hub, macs: Make):
    rack = macs(2)
    supply = rack.supply()
    order = supply.orders["m1", "w"]
    # What is declared of the cable is not an address here, as on a Mac whose cable is out.
    supply.orders["m1", "w"] = order.model_copy(update={"addresses": ("192.0.2.1", "127.0.1.1")})

    assert rack.bring(supply) == {}
    assert any("192.0.2.1 is not an address of this Mac now" in line for line in rack.said["m1"])
    assert any("takes from m1 at 127.0.1.1, not over the faster way" in line for line in rack.said["m2"])


def test_a_full_disk_is_told_and_what_came_is_kept(hub: Hub, macs: Make, monkeypatch: pytest.MonkeyPatch):
    rack, room, write = macs(1), SIZE, Incoming.write

    def writes(self: Incoming, piece: bytes) -> None:
        if self.come + len(piece) > room // 2:
            raise OSError(28, os.strerror(28))
        write(self, piece)

    with monkeypatch.context() as full:
        full.setattr(Incoming, "write", writes)
        failed = rack.bring()
    before = hub.of_large()

    assert "the disk is full" in failed["m1"]
    assert "what has come is kept" in failed["m1"]
    assert rack.bring() == {}
    assert rack.content("m1") == taken(hub)
    assert before > 0


def test_who_does_not_know_the_clusters_token_gets_nothing(hub: Hub, macs: Make, tmp_path):
    rack = macs(2)
    supply = rack.supply()
    rack.send("m1", supply.sent["m1", "w"])
    giver = process(rack.here(supply.orders["m1", "w"]))
    stranger = rack.here(supply.orders["m2", "w"])
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed")
    taker = process(stranger.model_copy(update={"token_file": str(wrong)}))
    _, told = taker.communicate(timeout=120)
    giver.kill()
    refused, _ = giver.communicate()

    assert "does not know the cluster's token" in refused
    assert "whose token is not the cluster's" in told
    assert FIRST not in rack.content("m2")


def test_processes_of_their_own_bring_weights_over_their_cable(hub: Hub, macs: Make):
    rack = macs(2)
    supply = rack.supply()
    rack.send("m1", supply.sent["m1", "w"])
    running = [process(rack.here(supply.orders[name, "w"])) for name in rack.names]
    ended = [each.communicate(timeout=120) for each in running]

    assert [each.returncode for each in running] == [0, 0], ended
    assert rack.content("m2") == taken(hub)
    assert "takes from m1 at 127.213.0.1" in ended[1][0]


def test_a_neighbour_that_never_comes_is_named(hub: Hub, macs: Make):
    rack = macs(2)
    rack.patience_seconds = 1.0
    failed = rack.bring(but=frozenset({"m2"}))

    assert "cannot hand weights 'w' on from m1 to m2: nothing was heard of it" in failed["m1"]


def test_a_neighbour_that_is_gone_is_named(hub: Hub, macs: Make):
    rack = macs(2)
    rack.patience_seconds = 1.0
    failed = rack.bring(but=frozenset({"m1"}))

    assert "m1 has not answered at 127.213.0.1, 127.0.1.1" in failed["m2"]


def test_a_receipt_of_other_bytes_does_not_stand_for_a_file(hub: Hub, macs: Make):
    rack = macs(1)
    rack.bring()
    directory = next(iter(rack.supply().sent.values()))["directory"]
    path = rack.place("m1", directory) / FIRST
    path.write_bytes(b"x" * path.stat().st_size)

    assert rack.supply().names == ("w",)
    assert rack.bring() == {}
    assert rack.content("m1") == taken(hub)


def test_what_another_revision_has_brought_already_is_not_fetched_again(hub: Hub, macs: Make):
    macs(2).bring()
    before = hub.of_large()
    hub.small["config.json"] += b" "
    rack = macs(2, revision="v2")

    assert rack.bring() == {}
    assert rack.content("m2") == taken(hub)
    assert hub.of_large() == before
    assert any("which has the same bytes" in line for line in rack.said["m1"])


def test_an_order_shows_no_token_when_it_is_printed(hub: Hub, macs: Make):
    order = macs(1).supply().orders["m1", "w"]
    assert order.hub is not None
    with_token = order.model_copy(update={"hub": order.hub.model_copy(update={"token": "hf_secret"})})

    assert "hf_secret" not in repr(with_token)
    assert isinstance(with_token, Order)
    assert Source.model_fields.keys() == {"machine", "addresses", "files"}
