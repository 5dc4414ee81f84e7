import json
import stat
import subprocess

import pytest
from pyinfra.api.exceptions import OperationError, OperationValueError
from pyinfra.context import ctx_host, ctx_state

from operations import before, headless
from operations.facts.settings import UPDATE_KEYS
from operations.headless import wanted_values
from operations.rehearsal import rehearsal
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, applied

RECORD = "/opt/example/before/settings.json"
DESKTOP = {"sleep": 1, "disksleep": 10, "standby": 0, "displaysleep": 10, "powernap": 1, "womp": 0, "autorestart": 0}
SERVER = DESKTOP | {"sleep": 0, "disksleep": 0, "womp": 1, "autorestart": 1}
WANTED = {
    "sleep": False,
    "restart_after_power_loss": True,
    "restart_after_freeze": True,
    "wake_on_network": True,
    "automatic_updates": False,
    "remote_login": True,
    "file_vault": "told",
    "application_firewall": "off",
    "clock_within_seconds": 30,
}


def read(power, *, freeze="Off", schedule="on", updates=None, ssh=True, firewall=1):
    """What the fact of the settings prints."""
    rows = "".join(f" {name:<20} {value}\n" for name, value in power.items())
    job = "system/com.openssh.sshd = {\n}\n" if ssh else ("Bad request.\n", 113)
    written = "".join(f"    {key} = {int(updates)};\n" for key in UPDATE_KEYS) if updates is not None else ""
    domain = f"{{\n{written}}}\n" if written else ("Domain DOMAIN does not exist\n", 1)
    return printed(
        user="0",
        custom=f"AC Power:\n{rows}",
        live=f"System-wide power settings:\nCurrently in use:\n{rows}",
        freeze=f"Restart After Freeze: {freeze}\n",
        schedule=f"Automatic checking for updates is turned {schedule}\n",
        disabled="disabled services = {\n}\n",
        ssh=job,
        file_vault="FileVault is Off.\n",
        firewall=f"Firewall is told by its state. (State = {firewall})\n",
        updates=domain,
        store=domain,
    )


def texts(record=None):
    if record is None:
        return printed(texts="")
    return printed(texts=f"path {RECORD}\n" + "".join(f" {line}\n" for line in record.splitlines()))


WRONG = {"user": read(DESKTOP), "texts": texts()}
RIGHT = {"user": read(SERVER, freeze="On", schedule="off", updates=False, firewall=0)}


def changes(machine):
    """The changes of all commands, in order."""
    lines = [line for command in machine.done for line in command.splitlines()]
    return [line.partition("change ")[2] for line in lines if "change /" in line]


def test_a_desktop_becomes_a_server():
    machine, _ = applied(headless.settings, WRONG, WANTED, record=RECORD)

    assert changes(machine) == [
        "/usr/bin/pmset -c sleep 0 disksleep 0 autorestart 1 womp 1",
        "/usr/sbin/systemsetup -setrestartfreeze on",
        "/usr/sbin/softwareupdate --schedule off",
        "/usr/libexec/ApplicationFirewall/socketfilterfw --setglobalstate off",
        *(f"/usr/bin/defaults write {domain} {key} -bool false" for key, domain in UPDATE_KEYS.items()),
    ]


def test_what_was_there_is_put_on_record_in_the_same_command_and_before_any_change():
    machine, _ = applied(headless.settings, WRONG, WANTED, record=RECORD)
    command = machine.done[0]

    assert command.index('mv -f "$record.new" "$record"') < command.index("/usr/bin/pmset")
    assert json.loads(machine.given[0]) == {
        "power/sleep": 1,
        "power/disksleep": 10,
        "power/autorestart": 0,
        "power/womp": 0,
        "restart_after_freeze": False,
        "updates/schedule": True,
        **{f"updates/{key}": None for key in UPDATE_KEYS},
        "application_firewall": True,
    }


def test_what_is_on_record_is_never_taken_from_a_mac_that_we_have_changed():
    world = {"user": read(SERVER | {"sleep": 5, "womp": 0}), "texts": texts('{\n  "power/sleep": 1\n}\n')}
    machine, _ = applied(headless.settings, world, {"sleep": False, "wake_on_network": True}, record=RECORD)

    assert json.loads(machine.given[0]) == {"power/sleep": 1, "power/womp": 0}


def test_nothing_is_written_when_all_of_it_is_on_record():
    world = {"user": read(SERVER | {"sleep": 5}), "texts": texts('{"power/sleep": 1}\n')}
    machine, _ = applied(headless.settings, world, {"sleep": False}, record=RECORD)

    assert RECORD not in machine.done[0]
    assert changes(machine) == ["/usr/bin/pmset -c sleep 0"]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"power/sleep": "1"}', '{"power/sleep": 0.5}'])
def test_a_damaged_record_is_not_taken_for_none(record):
    world = WRONG | {"texts": texts(record)}
    with pytest.raises(OperationError, match=r"cannot tell what .* had before"):
        applied(headless.settings, world, WANTED, record=RECORD)


def test_a_server_is_left_alone():
    machine, reason = applied(headless.settings, RIGHT, WANTED, record=RECORD)

    assert (machine.done, reason) == ([], "as declared: 15 settings")


@pytest.mark.parametrize("unmanaged", [{}, dict.fromkeys(WANTED), {"application_firewall": "told"}])
def test_what_is_not_managed_is_neither_compared_nor_changed(unmanaged):
    machine, reason = applied(headless.settings, WRONG, unmanaged, record=RECORD)

    assert (machine.done, reason) == ([], "no setting of this Mac is managed")


def test_what_this_mac_does_not_have_is_told_once_and_left_out(caplog):
    power = {name: value for name, value in SERVER.items() if name != "autorestart"}
    world = {"user": read(power, freeze="Not supported on this machine.")}
    wanted = {"restart_after_power_loss": True, "restart_after_freeze": True, "wake_on_network": True}
    caplog.set_level("INFO", logger="pyinfra")
    machine, reason = applied(headless.settings, world, wanted, record=RECORD)

    assert (machine.done, reason) == ([], "as declared: 1 settings")
    assert [line.partition("] ")[2] for line in caplog.messages if "left out" in line] == [
        "this Mac has no setting autorestart: it is left out",
        "this Mac has no setting restart after freeze: it is left out",
    ]


def test_remote_login_is_loaded_where_it_is_not():
    world = {"user": read(SERVER, ssh=False), "texts": texts()}
    machine, _ = applied(headless.settings, world, {"remote_login": True}, record=RECORD)

    assert changes(machine) == [
        "/bin/launchctl enable system/com.openssh.sshd",
        "/bin/launchctl bootstrap system /System/Library/LaunchDaemons/ssh.plist",
    ]


def test_a_setting_that_did_not_take_fails_with_what_was_seen_and_needed():
    fleet = Fleet({"mac-1": WRONG})
    fleet.prepare(headless.settings, {"sleep": False, "automatic_updates": False}, record=RECORD)

    assert not fleet.execute()
    assert any("cannot set sleep on @fake/mac-1" in line and "it is 1, needed 0" in line for line in fleet.said)
    assert any("updates: AutoUpdate" in line and "it is never set, needed off" in line for line in fleet.said)


def test_settings_that_cannot_be_read_again_fail_without_a_traceback():
    class Once(dict[str, list[str]]):
        def __getitem__(self, section):
            return self.pop(section, printed(user="501"))

    fleet = Fleet({"mac-1": Once(WRONG)})
    fleet.prepare(headless.settings, {"sleep": False}, record=RECORD)
    # Preparing reads as well: give it back what that took.
    fleet.machines["mac-1"].world = Once(WRONG)

    assert not fleet.execute()
    assert any("cannot tell whether the settings took" in line for line in fleet.said)
    assert not any("Traceback" in line for line in fleet.said)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"sleep": True}, "cannot set sleep to True: needed False"),
        ({"application_firewall": "on"}, "cannot set application_firewall to 'on': needed 'off'"),
        ({"remote_login": False}, "cannot set remote_login to False: needed True"),
        ({"slepp": False}, "cannot set slepp to False: needed one of sleep, restart_after_power_loss"),
    ],
)
def test_what_cannot_be_wanted_is_refused(wanted, message):
    with pytest.raises(OperationValueError, match=message):
        wanted_values(wanted)


def ran(script, text=""):
    return subprocess.run(["/bin/sh", "-c", script], input=text, capture_output=True, text=True, check=False)


def test_a_change_that_fails_is_told_and_does_not_keep_the_others_from_being_made(tmp_path):
    script = headless.setting({"power/sleep": 0, "updates/schedule": False})
    mark = tmp_path / "made"
    ended = ran(script.replace("/usr/bin/pmset", "/bin/false").replace("/usr/sbin/softwareupdate", f"touch {mark}; :"))

    assert (ended.returncode, mark.exists()) == (1, True)
    assert "cannot run /bin/false -c sleep 0: it ended with 1" in ended.stderr


def test_the_record_is_its_owners_alone_and_whole(tmp_path):
    record = tmp_path / "settings.json"
    keeping = before.kept(str(record), known={"power/sleep": 1}, seen={"power/sleep": 0, "power/womp": 0})
    assert keeping
    ended = ran(*keeping)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(record.read_text()) == {"power/sleep": 1, "power/womp": 0}
    assert stat.filemode(record.stat().st_mode) == "-rw-------"
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_nothing_is_changed_when_the_record_cannot_be_kept(tmp_path):
    (tmp_path / "settings.json.new").mkdir()
    keeping = before.kept(str(tmp_path / "settings.json"), known={}, seen={"power/sleep": 1})
    assert keeping
    ended = ran(f"{keeping[0]}\ntouch {tmp_path}/changed", keeping[1])

    assert (ended.returncode, (tmp_path / "changed").exists()) == (1, False)
    assert "so nothing was changed" in ended.stderr


def test_values_are_told_as_people_call_them():
    assert [headless.word(value) for value in (None, True, False, 10, 0)] == ["never set", "on", "off", "10", "0"]
    assert headless.shown("restart_after_freeze") == "restart after freeze"


def test_a_rehearsal_names_every_difference():
    fleet = Fleet({"mac-1": WRONG})
    (host,) = fleet.state.inventory
    with ctx_state.use(fleet.state), ctx_host.use(host), rehearsal().on():
        headless.settings({"sleep": False, "application_firewall": "off"}, name="Keep awake", record=RECORD)
        found = rehearsal().differences

    assert [(each.operation, each.check, each.seen, each.needed) for each in found] == [
        ("Keep awake", "sleep", "1", "0"),
        ("Keep awake", "disksleep", "10", "0"),
        ("Keep awake", "application firewall", "on", "off"),
    ]
