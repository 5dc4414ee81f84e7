from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

from tests.standin.rack import default_rack, read_rack, write_rack


def test_any_two_macs_of_the_default_rack_share_one_cable() -> None:
    rack = default_rack()

    pairs = Counter(frozenset(dict(cable.ends)) for cable in rack.cables)

    assert pairs == Counter(map(frozenset, combinations(rack.machines, 2)))


def test_no_receptacle_holds_two_cables_and_the_one_next_to_ethernet_holds_none() -> None:
    ends = [end for cable in default_rack().cables for end in cable.ends]

    assert len(set(ends)) == len(ends)
    assert all(2 <= receptacle <= 6 for _, receptacle in ends)


def test_a_rack_read_back_is_the_rack_written(tmp_path: Path) -> None:
    rack = default_rack()
    write_rack(tmp_path / "rack.json", rack)

    assert read_rack(tmp_path / "rack.json") == rack
    assert [file.name for file in tmp_path.iterdir()] == ["rack.json"]
