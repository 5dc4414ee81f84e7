"""What a rank says of reductions, from their rounds, and that ranks which meet time them in step."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.rank.collective import LARGE_BYTES, SMALL_BYTES, collective
from serving.rank.status import Collective, RankStatus
from tests.serving.rank.ranks import serving


def test_a_small_reduction_tells_the_price_of_meeting_and_a_large_one_how_fast_bytes_go():
    told = collective([30e-6, 20e-6, 40e-6], [1030e-6, 5e-3, 1e-3])

    assert told.seconds == 30e-6
    assert told.bytes_per_second == pytest.approx(LARGE_BYTES / 1e-3)
    assert told.spread == pytest.approx(1 / 3)
    assert (told.small_bytes, told.large_bytes) == (SMALL_BYTES, LARGE_BYTES)


def test_of_a_large_one_that_took_no_longer_nothing_is_said():
    assert collective([30e-6], [20e-6]).bytes_per_second is None


def test_an_agent_passes_over_what_the_status_of_a_newer_rank_has_beside():
    told = '{"machine": "mac-1", "generation": 1, "pid": 7, "phase": "loading", "horoscope": "good"}'

    assert RankStatus.model_validate_json(told).phase == "loading"


def test_ranks_that_met_have_both_timed_reductions_and_one_alone_has_not(tmp_path: Path):
    for count in (2, 1):
        directory = tmp_path / str(count)
        directory.mkdir()
        with serving(directory, count) as replica:
            seen = [rank.status.collective for rank in replica if rank.status]

        assert [type(each) for each in seen] == ([Collective] * 2 if count == 2 else [type(None)])
        for each in filter(None, seen):
            assert each.seconds > 0
