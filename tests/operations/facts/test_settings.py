import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.settings import UPDATE_KEYS, Settings
from tests.operations.answers import capture, printed
from tests.operations.facts.good import NEVER_WRITTEN, SETTINGS


def read(**sections: str | tuple[str, int]):
    return Settings().process(printed(**SETTINGS | sections))


def test_a_headless_mini_is_read_whole():
    seen = read()

    assert seen["power"] == {
        "Sleep On Power Button": 1,
        "lowpowermode": 0,
        "standby": 0,
        "ttyskeepawake": 1,
        "powernap": 0,
        "displaysleep": 0,
        "womp": 1,
        "networkoversleep": 0,
        "sleep": 0,
        "tcpkeepalive": 1,
        "autorestart": 1,
        "disksleep": 0,
        "SleepServices": 0,
        "disablesleep": 1,
    }
    assert seen["updates"] == {
        "schedule": False,
        "AutomaticCheckEnabled": False,
        "AutomaticDownload": None,
        "AutomaticallyInstallMacOSUpdates": False,
        "ConfigDataInstall": True,
        "CriticalUpdateInstall": False,
        "AutoUpdate": False,
    }
    assert seen["updates"].keys() == {"schedule", *UPDATE_KEYS}
    assert (seen["restart_after_freeze"], seen["remote_login"]) == (True, True)
    assert (seen["file_vault"], seen["application_firewall"]) == (False, False)


def test_only_what_holds_on_mains_counts_and_paths_are_no_settings():
    power = read(custom=capture("pmset-custom-laptop.txt"), live="Currently in use:\n sleep 1\n")["power"]

    assert power == {"Sleep On Power Button": 1, "powermode": 2, "sleep": 0}


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("Restart After Freeze: On\n", True),
        ("Restart After Freeze: Off\n", False),
        ("### Error:-99 File:/AppleInternal/Library/x.m Line:379\nRestart After Freeze: On\n", True),
        ("Restart After Freeze: Not supported on this machine.\n", None),
    ],
)
def test_a_restart_after_a_freeze_is_told_by_its_sentence(sentence, value):
    assert read(freeze=sentence)["restart_after_freeze"] is value


@pytest.mark.parametrize(
    ("disabled", "job", "on"),
    [
        ("disabled services = {\n}\n", SETTINGS["ssh"], True),
        ('disabled services = {\n\t"com.openssh.sshd" => enabled\n}\n', SETTINGS["ssh"], True),
        ('disabled services = {\n\t"com.openssh.sshd" => disabled\n}\n', SETTINGS["ssh"], False),
        ("disabled services = {\n}\n", ("Bad request.\nCould not find service\n", 113), False),
    ],
)
def test_remote_login_is_on_while_it_is_loaded_and_will_be_again(disabled, job, on):
    assert read(disabled=disabled, ssh=job)["remote_login"] is on


@pytest.mark.parametrize(("text", "value"), [("1", True), ("0", False), ("YES", True)])
def test_a_key_of_updates_is_on_or_off(text, value):
    assert read(store=f"{{\n    AutoUpdate = {text};\n}}\n")["updates"]["AutoUpdate"] is value


@pytest.mark.parametrize(
    "store", [NEVER_WRITTEN, "{\n}\n", "{\n    Other =     {\n        AutoUpdate = 1;\n    };\n}\n"]
)
def test_a_key_of_updates_was_never_written(store):
    assert read(store=store)["updates"]["AutoUpdate"] is None


@pytest.mark.parametrize(("state", "on"), [(0, False), (1, True), (2, True)])
def test_a_firewall_that_blocks_everything_is_on(state, on):
    assert read(firewall=f"Firewall is whatever. (State = {state})\n")["application_firewall"] is on


@pytest.mark.parametrize(
    ("section", "text", "words"),
    [
        ("user", "501\n", "needs root"),
        ("custom", "", "how this Mac sleeps"),
        ("custom", "Battery Power:\n sleep 1\n", "how this Mac sleeps"),
        ("custom", "AC Power:\n sleep never\n", "how this Mac sleeps"),
        ("custom", " sleep 1\n", "how this Mac sleeps"),
        ("live", "", "whether sleep is disabled"),
        (
            "live",
            "System-wide power settings:\n SleepDisabled\t\tyes\nCurrently in use:\n",
            "whether sleep is disabled",
        ),
        ("freeze", "You need administrator access to run this tool... exiting!\n", "after a freeze"),
        ("freeze", "", "after a freeze"),
        ("schedule", "Automatic checking for updates is turned sideways\n", "looks for updates"),
        ("store", "{\n    AutoUpdate = 2;\n}\n", "how AutoUpdate is set in /Library/Preferences/com.apple.commerce"),
        ("store", "{\n    AutoUpdate =     (\n    );\n}\n", "how AutoUpdate is set"),
        ("store", "{\n    AutoUpdate = 1;\n    AutoUpdate = 0;\n}\n", "what is set in"),
        ("store", "{\n    AutoUpdate = 1;\n", "what is set in /Library/Preferences/com.apple.commerce"),
        ("store", "\n", "what is set in /Library/Preferences/com.apple.commerce"),
        ("updates", ("", 142), "did not answer in time"),
        ("disabled", "nothing of the kind\n", "which daemons are disabled"),
        ("ssh", ("Operation not permitted\n", 1), "whether Remote Login is on"),
        ("ssh", "something else\n", "whether Remote Login is on"),
        ("file_vault", "Encryption in progress\n", "whether FileVault is on"),
        ("firewall", "Firewall is on.\n", "application firewall"),
        ("firewall", ("", 127), "Is it a Mac?"),
    ],
)
def test_a_sentence_apples_tools_do_not_say_is_not_guessed(section, text, words):
    with pytest.raises(FactProcessError, match=f"cannot tell .*{words}"):
        read(**{section: text})
