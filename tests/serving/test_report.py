from pathlib import Path

from serving.report import COLUMNS, endpoint, rows, variables
from serving.seen import Problem
from tests.serving.declarations import declared
from tests.serving.labs import all_well


def test_a_row_tells_what_a_mac_is_and_what_it_serves():
    row = dict(zip(COLUMNS, rows(declared(), all_well())[0], strict=True))

    assert row == {
        "Mac": "m1",
        "is": "Apple M3 Ultra (Mac15,14)",
        "memory": "512 GB",
        "macOS": "26.3 (25D125)",
        "RDMA": "enabled",
        "cables": "3 at 80 Gb/s",
        "serves": "rank 0 of replica a, the gateway",
    }


def test_a_mac_that_cannot_tell_says_so_in_its_row():
    mute = all_well()["m2"].model_copy(
        update={"mac": Problem(problem="no answer"), "rdma": Problem(problem="no answer")}
    )

    row = rows(declared(), {**all_well(), "m2": mute})[1]

    assert row[1] == "cannot tell"
    assert row[4] == "cannot tell"


def test_macs_are_told_in_the_order_they_are_declared():
    backwards = dict(reversed(all_well().items()))

    assert [row[0] for row in rows(declared(), backwards)] == ["m1", "m2", "m3", "m4"]


def test_the_line_to_try_it_with_holds_no_key_and_stands_on_one_line():
    told = endpoint(declared(), Path(".cidermill/test.env"))

    line = next(line for line in told.splitlines() if "curl" in line)
    assert line.startswith("source .cidermill/test.env && curl ")
    assert '"Authorization: Bearer $OPENAI_API_KEY"' in line
    assert "Why?" in line


def test_clients_of_both_kinds_are_told_the_same_door():
    told = variables(declared(), "the-key")

    assert told["OPENAI_BASE_URL"] == "http://10.0.0.1:4000/v1"
    assert told["ANTHROPIC_BASE_URL"] == "http://10.0.0.1:4000"
    assert told["OPENAI_API_KEY"] == told["ANTHROPIC_AUTH_TOKEN"] == "the-key"
