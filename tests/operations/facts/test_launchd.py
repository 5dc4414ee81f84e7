import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.launchd import LaunchDaemons
from tests.operations.answers import capture, printed

PLIST = f"{'a' * 64}  /Library/LaunchDaemons/dev.example.agent.plist\n"
LOADED = f"job dev.example.agent\n{capture('launchctl-print-running.txt')}"


def daemons(user="0", plists=PLIST, jobs=LOADED, disabled="launchctl-print-disabled.txt"):
    fact = LaunchDaemons()
    fact.command(prefix="dev.example.")
    return fact.process(printed(user=user, plists=plists, listing="", jobs=jobs, disabled=capture(disabled)))


def test_a_running_daemon_is_told_by_its_own_lines_not_by_nested_ones():
    assert daemons()["dev.example.agent"] == {
        "plist_sha256": "a" * 64,
        "loaded": True,
        "pid": 1219,
        "state": "running",
        "last_exit": "1",
        "disabled": False,
    }


def test_a_job_that_never_ran_has_no_pid():
    fact = LaunchDaemons()
    fact.command(prefix="org.halite.")
    jobs = f"job org.halite.live-probe\n{capture('launchctl-print-not-running.txt')}"
    found = fact.process(printed(user="0", plists="", listing="", jobs=jobs, disabled="disabled services = {\n}\n"))

    assert found["org.halite.live-probe"] == {
        "plist_sha256": None,
        "loaded": True,
        "pid": None,
        "state": "not running",
        "last_exit": "(never exited)",
        "disabled": False,
    }


def test_a_plist_that_is_not_loaded():
    assert daemons(jobs="")["dev.example.agent"]["state"] == "not loaded"


def test_a_job_that_went_away_while_it_was_asked_for_is_not_loaded():
    gone = 'job dev.example.agent\nBad request.\nCould not find service "dev.example.agent" in domain for system\n'

    assert not daemons(jobs=gone)["dev.example.agent"]["loaded"]


def test_what_was_disabled_is_remembered_without_a_plist():
    assert daemons()["dev.example.old"]["disabled"]


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("plists", "shasum: /Library/LaunchDaemons/dev.example.agent.plist: Permission denied\n"),
        ("jobs", "job dev.example.agent\nsomething else\n"),
        ("jobs", LOADED.replace("pid = 1219", "pid = many")),
    ],
)
def test_what_launchctl_and_shasum_do_not_print_is_not_guessed(section, text):
    with pytest.raises(FactProcessError, match=r"cannot tell (how|which)"):
        daemons(**{section: text})


def test_overrides_of_another_shape_are_not_guessed():
    with pytest.raises(FactProcessError, match="cannot tell which daemons are disabled"):
        daemons(disabled="uname-26.3.txt")


def test_an_ordinary_user_cannot_tell():
    with pytest.raises(FactProcessError, match="needs root"):
        daemons(user="501")
