from __future__ import annotations

from pathlib import Path

import pytest

from serving.agent.domains import LIMIT, Ledger, LedgerFile, exhausted, parse_count
from serving.api import RankReport
from serving.rank.status import Phase
from tests.serving.replicas import status


def ended(generation: int, phase: Phase | None, exit_code: int | None) -> RankReport:
    told = None if phase is None else status(0, phase, generation)
    return RankReport(generation=generation, living=False, status=told, exit_code=exit_code)


def used(ledger: Ledger, generation: int, phase: Phase | None, exit_code: int | None, *, stopped: bool) -> Ledger:
    return ledger.let_in(generation).ended(ended(generation, phase, exit_code), stopped=stopped)


def test_a_rank_that_ends_cleanly_gives_back_what_it_had():
    ledger = used(Ledger(boot="b"), 1, "serving", -15, stopped=True)

    assert (ledger.spent, ledger.unclean, ledger.report().left) == (1, (), LIMIT)


@pytest.mark.parametrize(
    ("phase", "exit_code", "stopped", "clean"),
    [
        ("serving", -15, True, True),
        ("ended", 70, False, True),
        ("loading", None, True, True),
        ("serving", -9, False, False),
        ("serving", -11, False, False),
        ("serving", None, False, False),
        ("joining", -15, True, False),
        ("refused", 76, False, False),
        (None, 1, False, False),
    ],
)
def test_what_counts_as_clean(phase: Phase | None, exit_code: int | None, stopped: bool, clean: bool):
    assert used(Ledger(boot="b"), 1, phase, exit_code, stopped=stopped).unclean == (() if clean else (1,))


def test_a_rank_whose_end_nobody_saw_is_not_clean():
    assert Ledger(boot="b").let_in(3).ended(None, stopped=False).unclean == (3,)


def test_a_rank_is_counted_once():
    assert Ledger(boot="b").let_in(1).let_in(1).spent == 1


def test_a_living_rank_has_not_ended():
    living = Ledger(boot="b").let_in(1)

    assert living.ended(RankReport(generation=1, living=True), stopped=False) == living


def test_when_none_is_left_the_machine_has_to_be_restarted():
    ledger = Ledger(boot="b")
    for generation in range(LIMIT - 1):
        ledger = used(ledger, generation, "refused", 76, stopped=False)

    assert exhausted("mac-1", ledger) == ""
    assert exhausted("mac-1", used(ledger, 99, "refused", 76, stopped=False)) == (
        "mac-1 may have no RDMA protection domain left: 11 ranks have not ended cleanly since its boot, a device has "
        "11. Restart mac-1"
    )


def test_the_kernels_own_count_is_better_evidence():
    ledger = Ledger(boot="b", spent=11, unclean=tuple(range(11)))

    assert exhausted("mac-1", ledger.counted(0)) == ""
    assert ledger.counted(3).report().left == LIMIT - 3
    assert used(ledger.counted(3), 12, "refused", 76, stopped=False).report().left == LIMIT - 12


def test_the_count_is_read_from_what_ioclasscount_prints():
    assert parse_count("AppleThunderboltRDMAProtectionDomain = 4\n") == 4
    assert parse_count("no such class\n") is None


def test_the_ledger_outlives_the_agent_and_not_the_boot(tmp_path: Path):
    first = LedgerFile(tmp_path / "domains.json", "b1")
    first.write(first.ledger.let_in(1))

    assert LedgerFile(tmp_path / "domains.json", "b1").ledger.open == 1
    assert LedgerFile(tmp_path / "domains.json", "b2").ledger == Ledger(boot="b2")


def test_a_ledger_that_cannot_be_written_is_kept_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    kept = LedgerFile(tmp_path / "missing" / "domains.json", "b1")
    kept.write(kept.ledger.let_in(1))

    assert kept.ledger.spent == 1
    assert "It is kept in memory" in caplog.text
