"""What a revision leads to: asked once, kept, and compared with what the hub says of each file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.configuration import File, Manifest
from serving.errors import SupplyRefused
from serving.hidden import hub_token
from serving.supply import pinned
from tests.serving.supply.conftest import SMALL
from tests.serving.supply.hubs import COMMIT, REPOSITORY, Hub, serving
from tests.serving.supply.macs import Macs, lab

Make = Callable[..., Macs]


def test_a_revision_is_asked_for_once_and_only_what_mlx_lm_loads_is_taken(hub: Hub, macs: Make):
    rack = macs(1)
    first = rack.known()["w"]
    asked = len(hub.asked)
    again = rack.known()["w"]

    assert first.snapshot is not None
    assert first.snapshot.commit == COMMIT
    assert {"README.md", ".gitattributes"}.isdisjoint(first.manifest.files)
    assert hub.of_large() == 0
    assert (again, len(hub.asked)) == (first, asked)


def test_small_files_are_here_for_whoever_reads_the_config(hub: Hub, macs: Make):
    known = macs(1).known()["w"]

    assert sorted(known.here) == ["config.json", "model.safetensors.index.json", "tokenizer_config.json"]
    assert (known.directory / "config.json").read_bytes() == hub.small["config.json"]


def test_a_hub_that_is_away_is_not_missed_when_it_has_been_asked(macs: Make, tmp_path: Path):
    with serving(Hub({"model.safetensors": b"x" * 100}, dict(SMALL))) as gone:
        cluster = lab(1, repository=REPOSITORY, revision="main", endpoint=gone.endpoint)
        before = pinned.known(cluster, tmp_path, {})

    assert pinned.known(cluster, tmp_path, {}) == before


def test_a_hub_that_is_away_is_named_when_it_is_asked_first(tmp_path: Path):
    cluster = lab(1, repository=REPOSITORY, revision="main", endpoint="http://127.0.0.1:9")

    with pytest.raises(SupplyRefused, match=r"cannot ask http://127.0.0.1:9 for 'orchard/cider' at revision 'main'"):
        pinned.known(cluster, tmp_path, {})


def test_another_revision_is_asked_for_anew(hub: Hub, macs: Make, tmp_path: Path):
    macs(1).known()
    asked = len(hub.asked)
    macs(1, revision="v2").known()

    assert any("/revision/v2" in line for line in hub.asked[asked:])


def test_another_endpoint_makes_no_other_weights(hub: Hub, macs: Make, tmp_path: Path):
    before = macs(1).known()["w"]
    with serving(Hub(hub.large, hub.small)) as mirror:
        after = macs(1, endpoint=mirror.endpoint).known()["w"]

    assert after.manifest == before.manifest
    assert after.snapshot is not None
    assert after.snapshot.endpoint == mirror.endpoint
    assert mirror.asked == []


def test_small_files_that_were_lost_here_are_asked_for_at_the_same_commit(hub: Hub, macs: Make, tmp_path: Path):
    rack = macs(1)
    before = rack.known()["w"]
    shutil.rmtree(before.directory)
    asked = len(hub.asked)
    after = rack.known()["w"]

    assert after.manifest == before.manifest
    assert any(f"/revision/{COMMIT}" in line for line in hub.asked[asked:])


def test_a_small_file_that_is_not_what_git_calls_it_is_refused(hub: Hub, macs: Make):
    hub.wrong["config.json"] = 1

    with pytest.raises(SupplyRefused, match=r"cannot use config\.json of 'orchard/cider': what came has git's SHA-1"):
        macs(1).known()


def test_a_repository_without_weights_is_refused(hub: Hub, macs: Make):
    del hub.small["tokenizer_config.json"]

    with pytest.raises(SupplyRefused, match=r"seen no tokenizer_config\.json, needed what mlx-lm loads"):
        macs(1).known()


def test_a_token_is_shown_to_the_hub_and_not_to_where_the_bytes_lie(hub: Hub, macs: Make, tmp_path: Path):
    hub.token = "hf_secret"
    rack = macs(1)

    with pytest.raises(SupplyRefused, match="Check the name, the revision, the token"):
        rack.known()
    pinned.known(rack.cluster, tmp_path / "control", {hub_token("w"): "hf_secret"})
    supply = rack.supply()
    order = supply.orders["m1", "w"]
    assert order.hub is not None
    supply.orders["m1", "w"] = order.model_copy(update={"hub": order.hub.model_copy(update={"token": "hf_secret"})})

    assert rack.bring(supply) == {}
    assert set(hub.told_the_store) == {""}
    assert not any("hf_secret" in path.read_text() for path in (tmp_path / "control").rglob("*.json"))


def test_what_came_of_quantising_is_known_from_then_on(hub: Hub, macs: Make, tmp_path: Path):
    rack = macs(1, quantise="4bit")
    made = Manifest(files={"config.json": File(size=1, sha256="0" * 64)}, digest="f" * 64)
    before = rack.known()["w"]
    pinned.pinning(rack.cluster, tmp_path / "control", "w")(made.model_dump_json())
    after = rack.known()["w"]
    otherwise = macs(1, quantise="8bit").known()["w"]

    assert (before.is_pending, after.is_pending, otherwise.is_pending) == (True, False, True)
    assert after.manifest == made


def test_a_pin_that_cannot_be_read_is_told_and_not_passed_over(hub: Hub, macs: Make, tmp_path: Path):
    rack = macs(1)
    rack.known()
    (tmp_path / "control" / "test.weights" / "w" / "repository.json").write_text("{")

    with pytest.raises(SupplyRefused, match=r"cannot read .*repository\.json"):
        rack.known()
