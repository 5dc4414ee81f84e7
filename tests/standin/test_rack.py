from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from tests.standin.lab import Lab
from tests.standin.rack import default_rack, read_rack, write_rack
from tests.standin.state import State
from tests.standin.unavailable import LabUnavailable


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


def test_what_an_aborted_run_of_another_version_left_is_no_lab_that_is_up(tmp_path: Path) -> None:
    (tmp_path / "healthy.json").write_text("{}")
    (tmp_path / "rack.json").write_text('{"machines": {"mac-1": {"name": "mac-1", "ports": {}, "new": 1}}}')
    (tmp_path / "mac-1.pid").write_text("4194305")  # above pid_max
    lab = Lab(State(tmp_path))

    assert not lab.is_up()
    with pytest.raises(LabUnavailable, match="another version of the stand-ins wrote it"):
        lab.rack()
