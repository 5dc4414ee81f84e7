import json
from pathlib import Path

from serving.report import COLUMNS, below, document, endpoint, explained, notes, refusals, rows, tasks, variables
from serving.seen import Problem
from serving.verdict import Finding, findings
from tests.serving.declarations import declared
from tests.serving.labs import all_well, changed

UNWELL = [
    Finding("m2", "cable to m3", "no port of m2 sees m3", "a cable", "Plug it in.", by_hand="cables"),
    Finding("m2", "sleep", "sleep 1", "sleep 0", "Run the deploy.", "drift"),
    Finding("m2", "RDMA", "disabled", "enabled", "Enable it in recoveryOS.", by_hand="recovery"),
    Finding("m2", "RDMA", "disabled", "enabled on all", "Enable it in recoveryOS.", by_hand="recovery"),
    Finding("m3", "FileVault", "on", "someone who knows", "Turn it off.", "note"),
]


def test_a_row_tells_what_a_mac_is_and_what_it_serves():
    row = dict(zip(COLUMNS, rows(declared(), all_well())[0], strict=True))

    assert row == {
        "Mac": "m1",
        "is": "Apple M3 Ultra (Mac15,14)",
        "memory": "512 GB",
        "macOS": "26.3 (25D125)",
        "RDMA": "enabled",
        "cables": "3 at 80 Gb/s",
        "settings": "as declared",
        "serves": "rank 0 of a, gateway",
        "verdict": "ok",
    }


def test_a_mac_that_cannot_tell_says_so_in_its_row():
    mute = all_well()["m2"].model_copy(
        update={"mac": Problem(problem="no answer"), "rdma": Problem(problem="no answer")}
    )

    row = rows(declared(), {**all_well(), "m2": mute})[1]

    assert row[1] == "cannot tell"
    assert row[4] == "cannot tell"


def test_a_row_counts_the_gravest_kind_and_the_settings_that_differ():
    row = dict(zip(COLUMNS, rows(declared(), all_well(), UNWELL)[1], strict=True))
    noted = dict(zip(COLUMNS, rows(declared(), all_well(), UNWELL)[2], strict=True))

    assert (row["settings"], row["verdict"]) == ("1 differs", "3 errors")
    assert (noted["settings"], noted["verdict"]) == ("as declared", "ok")


def test_rows_fit_a_console_of_130_characters():
    drifting = {name: changed(seen, "settings", power={"sleep": 1}) for name, seen in all_well().items()}
    table = [COLUMNS, *rows(declared(), drifting)]

    assert sum(max(map(len, column)) + 2 for column in zip(*table, strict=True)) <= 130


def test_what_only_a_person_can_do_is_told_once_per_mac_recovery_before_cables():
    assert tasks(UNWELL) == {"m2": ["Enable it in recoveryOS.", "Plug it in."]}


def test_findings_are_told_in_full_by_machine_and_then_what_to_do_there():
    told = explained(UNWELL)

    assert told.index("error  cable to m3") < told.index("drift  sleep") < told.index("m3\n    note ")
    assert told.count("can be told when the errors are mended") == 1
    assert told.index("drift  sleep") < told.index("can be told when") < told.index("m3\n    note ")
    assert told.endswith("m2\n    1. Enable it in recoveryOS.\n    2. Plug it in.\n")
    assert explained([]) == ""


def test_a_deploy_is_refused_for_errors_alone_and_told_what_to_do_by_hand():
    assert [text for _, text in refusals(UNWELL) if "sleep" in text or "FileVault" in text] == []
    assert "1. Enable it in recoveryOS." in refusals(UNWELL)[-1][1]
    assert refusals([finding for finding in UNWELL if finding.severity != "error"]) == []
    assert [line.partition(":")[2].strip() for line in notes(UNWELL)] == ["m3: FileVault: on. Turn it off."]


def test_the_document_is_plain_json_with_the_gravest_verdict_of_each_machine():
    told = json.loads(json.dumps(document(declared(), all_well(), UNWELL)))

    assert (told["lab"], told["verdict"]) == ("test", "error")
    assert [machine["verdict"] for machine in told["machines"]] == ["ok", "error", "note", "ok"]
    assert [machine["compared"] for machine in told["machines"]] == [True, False, True, True]
    assert told["machines"][0]["cables"][0] == {"peer": "m2", "receptacle": 3, "interface": "en4", "speed": "80 Gb/s"}
    assert told["findings"][1]["severity"] == "drift"
    assert told["tasks"] == tasks(UNWELL)


def test_a_lab_that_is_well_has_an_empty_document():
    told = document(declared(), all_well(), findings(declared(), all_well()))

    assert (told["verdict"], told["findings"], told["tasks"]) == ("ok", [], {})


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


def test_whose_keys_there_are_is_told_and_nothing_else_of_them():
    keys = [
        {"owner": "anna", "secret": {"file": "/keys/anna"}, "expires": "2026-12-31"},
        {"owner": "ben", "secret": {"environment": "BEN"}, "tokens_per_minute": 9},
    ]

    assert below(declared(gateway__keys=keys), UNWELL)[0] == "keys: test, anna (until 2026-12-31), ben"
    assert below(declared(), UNWELL) == notes(UNWELL)
