import json

import pytest

from operations import links
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, applied

RELEASE, CONFIRMED, REPORT = "links-1a2b", "/opt/example/links/confirmed", "/var/run/example-links.json"
COMMAND = ["/opt/example/bin/python", "-m", "confirm", "/opt/example/releases/links-1a2b/links.json"]
ARGUMENTS = {"release": RELEASE, "confirmed": CONFIRMED, "report": REPORT, "within_seconds": 15}


def world(confirmed: str | None = RELEASE, **report: object):
    told = {"release": RELEASE, "state": "confirmed", "problems": []} | report
    texts = f"path {REPORT}\n {json.dumps(told)}\n\n"
    return {"texts": printed(texts=texts + (f"path {CONFIRMED}\n {confirmed}\n\n" if confirmed else ""))}


def test_a_confirmed_release_without_problems_is_left_alone():
    machine, reason = applied(links.confirmed, world(), COMMAND, **ARGUMENTS)

    assert (machine.done, reason) == ([], "links-1a2b is confirmed, and reports no problem")


@pytest.mark.parametrize(
    "seen",
    [
        world(confirmed=None, state="unconfirmed"),
        world(confirmed="links-0000"),
        world(state="reverted"),
        world(release="links-0000"),
        world(problems=["en3 has no carrier"]),
        {"texts": printed(texts=f"path {REPORT}\n {{\n\n")},
    ],
    ids=["never", "another release", "taken back", "daemon of another release", "a problem", "half a report"],
)
def test_anything_else_is_confirmed_with_the_time_there_is(seen):
    machine, _ = applied(links.confirmed, seen, COMMAND, **ARGUMENTS)

    assert machine.done[0].startswith("/opt/example/bin/python -m confirm")
    assert "--within 15" in machine.done[0]


def test_a_confirmation_that_fails_fails_the_machine_and_tells_what_becomes_of_it():
    fleet = Fleet({"mac-1": world(confirmed=None)}, failing="confirm")
    fleet.prepare(links.confirmed, COMMAND, **ARGUMENTS)

    assert not fleet.execute()
    assert any("It puts back by itself what it changed, within 15 s" in line for line in fleet.said)
