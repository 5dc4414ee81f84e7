import hashlib
import plistlib

import pytest
from pyinfra.api.exceptions import OperationValueError

from operations import launchd
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import applied

LABEL = "dev.example.agent"
PLIST = {"Label": LABEL, "ProgramArguments": ["/bin/sleep", "1000"], "KeepAlive": True}
TEXT = plistlib.dumps(PLIST, sort_keys=True).decode()
LOADED = f"job {LABEL}\n{capture('launchctl-print-running.txt')}"
NONE_DISABLED = "disabled services = {\n}\n"


def world(*, text=None, jobs="", disabled=NONE_DISABLED):
    digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
    plists = f"{digest}  /Library/LaunchDaemons/{LABEL}.plist\n" if text else ""
    return {"user": printed(user="0", plists=plists, listing="", jobs=jobs, disabled=disabled)}


def verbs(machine):
    """The launchctl verbs and moves of all commands, in order."""
    words = ("bootout", "mv -f", "enable", "disable", "bootstrap", "rm -f")
    found = [(command.index(word), word) for command in machine.done[-1:] for word in words if f"{word} " in command]
    return [word for _, word in sorted(found)]


def test_on_a_bare_mac_the_plist_is_written_and_bootstrapped():
    machine, _ = applied(launchd.daemon, world(), LABEL, plist=PLIST)

    assert machine.given[0] == TEXT
    assert verbs(machine) == ["mv -f", "bootstrap"]


def test_a_changed_plist_is_replaced_only_while_nothing_is_loaded():
    machine, _ = applied(launchd.daemon, world(text="another", jobs=LOADED), LABEL, plist=PLIST)

    assert verbs(machine) == ["bootout", "mv -f", "bootstrap"]


def test_a_plist_that_a_cut_off_run_left_unloaded_is_bootstrapped_as_it_is():
    machine, _ = applied(launchd.daemon, world(text=TEXT), LABEL, plist=PLIST)

    assert verbs(machine) == ["bootstrap"]


def test_a_daemon_someone_disabled_is_enabled_again():
    disabled = f'disabled services = {{\n\t"{LABEL}" => disabled\n}}\n'
    machine, _ = applied(launchd.daemon, world(text=TEXT, disabled=disabled), LABEL, plist=PLIST)

    assert verbs(machine) == ["enable", "bootstrap"]


def test_a_loaded_daemon_with_this_plist_is_left_alone():
    machine, reason = applied(launchd.daemon, world(text=TEXT, jobs=LOADED), LABEL, plist=PLIST)

    assert (machine.done, reason) == ([], f"{LABEL} is loaded with this plist")


def test_a_daemon_that_is_not_to_run_is_unloaded_and_disabled():
    machine, _ = applied(launchd.daemon, world(text=TEXT, jobs=LOADED), LABEL, plist=PLIST, loaded=False)

    assert verbs(machine) == ["bootout", "disable"]


def test_a_plist_of_another_label_is_refused():
    with pytest.raises(OperationValueError, match=r"its plist is labelled 'dev\.example\.other'"):
        applied(launchd.daemon, world(), LABEL, plist=PLIST | {"Label": "dev.example.other"})


def test_a_daemon_no_longer_declared_is_unloaded_and_its_plist_removed():
    machine, _ = applied(launchd.undeclared, world(text=TEXT, jobs=LOADED), "dev.example.", declared=set())

    assert verbs(machine) == ["bootout", "rm -f"]
    assert f"/Library/LaunchDaemons/{LABEL}.plist" in machine.done[0]


def test_declared_daemons_are_left_alone():
    machine, reason = applied(launchd.undeclared, world(text=TEXT, jobs=LOADED), "dev.example.", declared={LABEL})

    assert (machine.done, reason) == ([], "every daemon under dev.example. is declared")


@pytest.mark.parametrize(
    ("label", "prefix"), [("dev.example.agent", "dev.example."), ("dev.example.", "dev.example."), ("agent", "agent")]
)
def test_one_reading_answers_for_all_labels_of_a_family(label, prefix):
    assert launchd.family(label) == prefix
