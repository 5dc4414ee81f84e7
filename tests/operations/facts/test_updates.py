import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.updates import MacUpdates
from tests.operations.answers import capture, printed
from tests.operations.facts.good import UPDATES

MACOS = {
    "label": "macOS Tahoe 26.7-25G229",
    "title": "macOS Tahoe 26.7",
    "version": "26.7",
    "size_kib": 3039632,
    "restart": True,
}


def asked(user: str | None = "admin") -> MacUpdates:
    fact = MacUpdates()
    fact.command(build="25G229", directory="/opt/example/macos", user=user)
    return fact


def read(user: str | None = "admin", **sections: str | tuple[str, int]):
    return asked(user).process(printed(**UPDATES | sections))


def test_offers_and_owner_are_read_whole():
    seen = read()
    offered = seen["offered"] or []

    assert [offer["label"] for offer in offered] == [
        "Safari27.0TahoeAuto-27.0",
        "macOS Tahoe 26.7-25G229",
        "macOS 27-26A428",
    ]
    assert offered[1] == MACOS
    assert offered[0]["restart"] is False
    assert (seen["volume_owner"], seen["secure_token"], seen["under_way"], seen["on_mains"]) == (True, True, None, True)


def test_nothing_new_is_no_offer():
    assert read(offers=capture("softwareupdate-list-none.txt"))["offered"] == []


def test_a_mac_that_runs_the_build_asks_nobody():
    assert read(offers="that build runs\n")["offered"] is None


def test_without_an_account_nobody_is_asked_about_one():
    seen = asked(None).process(printed(**{name: UPDATES[name] for name in list(UPDATES)[:5]}))

    assert (seen["volume_owner"], seen["secure_token"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "owns", "token"),
    [
        ({"token": "sysadminctl[1:2] Secure token is DISABLED for user A\n"}, True, False),
        ({"token": "sysadminctl[1:2] Unknown user admin\n"}, True, False),
        ({"record": ("<dscl_cmd> DS Error: -14136 (eDSRecordNotFound)\n", 56)}, False, True),
        ({"record": "GeneratedUID: 00000000-1C2D-4B6A-9F0E-7A1B2C3D4E5F\n"}, False, True),
        ({"owners": capture("diskutil-list-users.txt").replace("Owner: Yes\n|\n", "Owner: No\n|\n")}, False, True),
    ],
)
def test_an_account_owns_the_volume_and_has_a_token_each_by_its_own_command(changes, owns, token):
    seen = read(**changes)

    assert (seen["volume_owner"], seen["secure_token"]) == (owns, token)


@pytest.mark.parametrize(
    ("install", "fetch", "running", "what"),
    [
        ("held\n", "free\n", "611\n", "install"),
        ("held\n", "held\n", ("", 1), "install"),
        ("free\n", "held\n", "611\n", "fetch"),
        ("free\n", "free\n", "611\n612\n", "another"),
        ("free\n", "free\n", ("", 1), None),
    ],
)
def test_an_update_under_way_is_ours_while_its_log_is_locked(install, fetch, running, what):
    assert read(install=install, fetch=fetch, running=running)["under_way"] == what


def test_a_battery_is_not_mains():
    assert read(source="Now drawing from 'Battery Power'\n -InternalBattery-0\t96%;\n")["on_mains"] is False


@pytest.mark.parametrize(
    ("section", "text", "words"),
    [
        ("offers", "", "which macOS is offered"),
        ("offers", "Can't connect to the Apple Software Update server.\n", "which macOS is offered"),
        ("offers", ("", 142), "did not answer in time"),
        ("offers", capture("softwareupdate-list.txt").rpartition("\tTitle")[0], "which macOS is offered"),
        ("offers", capture("softwareupdate-list.txt").replace("KiB", " bytes"), "which macOS is offered"),
        ("offers", capture("softwareupdate-list.txt").partition("* Label")[0], "which macOS is offered"),
        ("token", "", "secure token"),
        ("token", "Secure token is UNKNOWN for user A\n", "secure token"),
        ("owners", ("could not find disk\n", 1), "who owns the volume"),
        ("owners", "Cryptographic users for disk3s1s1 (0 found)\n", "who owns the volume"),
        ("owners", "+-- 5FDF1E5A-1C2D-4B6A-9F0E-7A1B2C3D4E5F\n    Volume Owner: Maybe\n", "who owns the volume"),
        ("record", "No such key: GeneratedUID\n", "who owns the volume"),
        ("running", ("pgrep: cannot allocate memory\n", 3), "whether a softwareupdate is under way"),
        ("running", "softwareupdate\n", "whether a softwareupdate is under way"),
        ("install", "perhaps\n", "whether a softwareupdate is under way"),
        ("source", "Now drawing from 'Solar Power'\n", "where its power comes from"),
        ("source", "", "where its power comes from"),
    ],
)
def test_what_is_not_understood_is_not_guessed(section, text, words):
    with pytest.raises(FactProcessError, match=f"cannot tell .*{words}|cannot tell {words}"):
        read(**{section: text})
