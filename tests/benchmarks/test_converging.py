from pathlib import Path

import pytest
import yaml
from rich.console import Console

from tests.benchmarks.result import Result, Wrong, settled, table, verdict

CHECKS = Path(__file__).with_name("checks.yml")
GOOD = Result(hosts=10, empty=[1.0, 2.0, 9.0], deploy=[3.0, 3.6, 9.0], ansible=[30.0])


def test_medians_count_and_each_mac_has_its_share():
    assert GOOD.allowed == pytest.approx(1.5 * 2.0 + 0.06 * 10)
    assert GOOD.is_within
    assert GOOD.times_faster == pytest.approx(30.0 / 3.6)
    assert GOOD.is_faster


def test_a_bound_that_is_missed_says_so():
    slow = Result(hosts=10, empty=[2.0], deploy=[3.7], ansible=[18.0])

    assert [line.partition(":")[0] for line in verdict(slow)] == ["MISSED", "MISSED"]
    assert [line.partition(":")[0] for line in verdict(GOOD)] == ["held", "held"]


def test_the_table_shows_every_run():
    console = Console(width=160)
    with console.capture() as shown:
        console.print(table(GOOD))

    assert [line.split()[-3:] for line in shown.get().splitlines() if "empty deploy" in line] == [
        ["1.00", "2.00", "9.00"]
    ]


@pytest.mark.parametrize("row", ["32      31        -       1", "32      -         1       31"])
def test_a_run_that_changed_or_failed_something_is_not_timed(row):
    settled("    Grand total   -       -         -       -           \n")
    settled("    Grand total   641     -         -       641         \n")

    with pytest.raises(Wrong, match="this one did not say so"):
        settled(f"    Grand total   {row}\n")


def test_the_playbook_changes_nothing_and_judges_what_it_asks():
    (play,) = yaml.safe_load(CHECKS.read_text())

    for task in play["tasks"]:
        module = next(name for name in task if name.startswith("ansible.builtin."))
        assert module.rpartition(".")[2] in {"command", "stat", "slurp", "find"}
        assert task.get("changed_when", module != "ansible.builtin.command") is not None
        assert "failed_when" in task or task["name"] == "Remote Login"
