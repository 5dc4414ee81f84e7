import plistlib
import subprocess
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError, OperationError, OperationValueError

from operations import removal
from operations.leftover import Leftover, StagedPlists, removing
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet, applied
from tests.operations.test_headless import DESKTOP, RECORD, SERVER, changes, read, texts

PREFIX, LINKS, AGENT = "dev.example.", "dev.example.links", "dev.example.agent"
PYTHON, DAEMON, UNDO = (
    "/opt/example/releases/links-1/environment/bin/python",
    "example.links.daemon",
    "example.links.undo",
)
PLIST = {
    "Label": LINKS,
    "ProgramArguments": [PYTHON, "-m", DAEMON, "/opt/example/releases/links-1/links.json"],
    "EnvironmentVariables": {"PYTHONPATH": "/opt/example/releases/links-1/software"},
}
NOBODY = (capture("dscl-no-record.txt"), 56)


def daemons(*labels, disabled=()):
    plists = "".join(f"{'a' * 64}  /Library/LaunchDaemons/{label}.plist\n" for label in labels)
    rows = "".join(f'\t"{label}" => disabled\n' for label in disabled)
    return printed(user="0", plists=plists, listing="", jobs="", disabled=f"disabled services = {{\n{rows}}}\n")


def plist(**change):
    text = plistlib.dumps(PLIST | change).decode()
    lines = "".join(f" {line}\n" for line in text.splitlines())
    return printed(texts=f"path /Library/LaunchDaemons/{LINKS}.plist\n{lines}")


def account(user=NOBODY, group=NOBODY):
    return {"user": printed(user=user, group=group, uids="root 0\n", gids="wheel 0\n")}


THERE = printed(tree=f"path {PYTHON}\nlink root wheel 755\ntarget /usr/local/bin/python3\n")
NOT_THERE = printed(tree="")
NONE_STAGED = printed(staged="")
LOADED = {"user": daemons(AGENT, LINKS), "staged": NONE_STAGED, "texts": plist(), "tree": THERE}
OURS = account(capture("dscl-user.txt"), capture("dscl-group.txt"))
WHOSE = {"uid": 341, "real_name": "Example service"}


def test_every_daemon_of_the_family_is_unloaded_before_its_plist_goes():
    machine, _ = applied(removal.daemons, LOADED, PREFIX)

    assert [f"label={AGENT}" in machine.done[0], f"label={LINKS}" in machine.done[1]] == [True, True]
    assert all(0 < each.index("launchctl bootout") < each.index('rm -f "$plist"') for each in machine.done)


def test_what_a_daemon_did_is_undone_by_its_own_software_while_nothing_does_it_again():
    machine, _ = applied(removal.daemons, LOADED, PREFIX, undo={LINKS: (DAEMON, UNDO)})
    undo = (
        "/usr/bin/env PYTHONPATH=/opt/example/releases/links-1/software "
        f"{PYTHON} -m {UNDO} /opt/example/releases/links-1/links.json"
    )

    assert undo not in machine.done[0]
    assert machine.done[1].index("launchctl bootout") < machine.done[1].index(undo)
    assert machine.done[1].index(undo) < machine.done[1].index('rm -f "$plist"')
    assert machine.done[1].lstrip().startswith("set -eu")


def test_what_cannot_be_undone_any_more_is_told_with_what_to_do(caplog):
    caplog.set_level("INFO", logger="pyinfra")
    machine, _ = applied(removal.daemons, LOADED | {"tree": NOT_THERE}, PREFIX, undo={LINKS: (DAEMON, UNDO)})

    assert UNDO not in "".join(machine.done)
    assert [f"{PYTHON} is gone" in line and "restart this Mac" in line for line in caplog.messages].count(True) == 1


def test_a_daemon_that_runs_something_else_is_not_undone_by_guessing():
    world = LOADED | {"texts": plist(ProgramArguments=["/bin/sleep", "1"])}
    with pytest.raises(OperationError, match=r"cannot undo what dev\.example\.links did on .*'/bin/sleep 1', needed"):
        applied(removal.daemons, world, PREFIX, undo={LINKS: (DAEMON, UNDO)})


def test_a_plist_that_cannot_be_read_is_told():
    world = LOADED | {"texts": printed(texts=f"path /Library/LaunchDaemons/{LINKS}.plist\n <plist><dict>\n")}
    with pytest.raises(OperationError, match="its plist cannot be read"):
        applied(removal.daemons, world, PREFIX, undo={LINKS: (DAEMON, UNDO)})


def test_a_label_that_was_disabled_is_enabled_again_and_what_stays_of_that_is_told(caplog):
    caplog.set_level("INFO", logger="pyinfra")
    machine, _ = applied(removal.daemons, {"user": daemons(disabled=[AGENT]), "staged": NONE_STAGED}, PREFIX)

    assert 'launchctl enable "system/$label"' in machine.done[0]
    assert any("launchd keeps a note that dev.example.agent is enabled" in line for line in caplog.messages)


def test_a_plist_that_a_cut_off_run_staged_goes_as_well():
    staged = f"/Library/LaunchDaemons/.{AGENT}.plist.new"
    machine, _ = applied(removal.daemons, {"user": daemons(), "staged": printed(staged=f"{staged}\n")}, PREFIX)

    assert machine.done == [f"rm -f {staged}"]


def test_without_a_daemon_there_is_nothing_to_do():
    machine, reason = applied(removal.daemons, {"user": daemons(), "staged": NONE_STAGED}, PREFIX)

    assert (machine.done, reason) == ([], "nothing to do: no daemon under dev.example.")


def test_a_staged_plist_of_another_place_is_never_believed():
    fact = StagedPlists()
    fact.command(prefix=PREFIX)
    with pytest.raises(FactProcessError, match="were not asked about"):
        fact.process(printed(staged="/Library/LaunchDaemons/.dev.example./../../x.plist.new\n"))


def test_settings_are_put_back_and_the_record_goes_last():
    record = '{"power/sleep": 1, "updates/schedule": true, "updates/AutoUpdate": null, "power/disksleep": 0}'
    world = {"user": read(SERVER, schedule="off", updates=False), "texts": texts(record)}
    fleet = Fleet({"mac-1": world})
    fleet.prepare(removal.settings, RECORD)
    machine = fleet.machines["mac-1"]
    assert not fleet.execute()  # the world does not change, so nothing can be read back

    assert changes(machine) == [
        "/usr/bin/pmset -c sleep 1",
        "/usr/sbin/softwareupdate --schedule on",
        "/usr/bin/defaults delete /Library/Preferences/com.apple.commerce AutoUpdate",
    ]
    assert any("cannot set sleep on @fake/mac-1" in line for line in fleet.said)
    assert "rm" not in [command.split()[0] for command in machine.done]


def test_once_all_is_as_recorded_only_the_record_goes():
    world = {"user": read(DESKTOP), "texts": texts('{"power/sleep": 1}')}
    machine, _ = applied(removal.settings, world, RECORD)

    assert machine.done == [f"rm -f {RECORD} {RECORD}.new"]


def test_without_a_record_no_setting_is_touched():
    machine, reason = applied(removal.settings, {"user": read(SERVER), "texts": texts()}, RECORD)

    assert (machine.done, reason) == ([], f"nothing to do: there is no record at {RECORD}")


def test_what_cannot_be_put_back_is_told_with_the_reason(caplog):
    caplog.set_level("INFO", logger="pyinfra")
    world = {"user": read(SERVER), "texts": texts('{"remote_login": false, "power/gone": 1}')}
    machine, _ = applied(removal.settings, world, RECORD)

    assert machine.done == [f"rm -f {RECORD} {RECORD}.new"]
    assert any("remote login was off before and stays on" in line for line in caplog.messages)
    assert any("gone cannot be put back: this Mac no longer has that setting" in line for line in caplog.messages)


def test_the_account_goes_before_its_group():
    machine, _ = applied(removal.service_account, OURS, "_example", **WHOSE)

    assert ["dscl . -delete /Users/_example" in machine.done[0], len(machine.done)] == [True, 2]
    assert "dscl . -delete /Groups/_example" in machine.done[1]


def test_without_an_account_there_is_nothing_to_do():
    machine, reason = applied(removal.service_account, account(), "_example", **WHOSE)

    assert (machine.done, reason) == ([], "nothing to do: there is no account _example")


@pytest.mark.parametrize(
    ("was", "found", "key"),
    [("UniqueID: 341", "UniqueID: 501", "UniqueID"), ("Example service", "Somebody", "RealName")],
)
def test_an_account_that_is_not_ours_is_left_alone(was, found, key):
    world = account(capture("dscl-user.txt").replace(was, found), capture("dscl-group.txt"))
    with pytest.raises(OperationError, match=f"cannot remove user _example on @fake/mac-1: its {key} is"):
        applied(removal.service_account, world, "_example", **WHOSE)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/opt", "/opt/", "/var/log", "/Library", "/Users/admin", "opt/example", "/opt/homebrew"),
        *(
            "/opt/homebrew/bin",
            "/opt/example/../x",
            "/opt//example",
            "/opt/example/",
            "/opt/ex ample",
            "/opt/.",
            "/opt/*",
        ),
        *("/opt/example\n/", "/System/x/y", "/usr/local/bin/x", "/opt/$HOME"),
    ],
)
def test_a_path_that_is_not_plainly_ours_is_refused(path):
    with pytest.raises(OperationValueError, match="cannot remove"):
        applied(removal.files, {}, [path])


@pytest.mark.parametrize("keep", ["/opt/example", "/opt/other/weights", "/opt/example/../weights", ""])
def test_what_is_kept_must_be_inside(keep):
    with pytest.raises(OperationValueError, match="cannot keep"):
        applied(removal.files, {}, ["/opt/example"], keep=[keep])


def test_what_the_mac_names_is_removed():
    world = {"leftover": printed(leftover="path /opt/example/state\nlink /opt/example/old\n")}
    machine, _ = applied(removal.files, world, ["/opt/example"], keep=["/opt/example/weights"])

    assert "for path in /opt/example/state /opt/example/old; do" in machine.done[0]


def test_with_nothing_but_what_is_kept_there_is_nothing_to_do():
    world = {"leftover": printed(leftover="")}
    machine, reason = applied(removal.files, world, ["/opt/example"], keep=["/opt/example/weights"])

    expected = "nothing to do: none of /opt/example is there, and /opt/example/weights is kept"
    assert (machine.done, reason) == ([], expected)


@pytest.mark.parametrize(
    "line",
    [
        "path /etc",
        "path /opt/example2",
        "path /opt/example/weights",
        "path /opt/example/weights/a",
        "b",
        "link /",
        "link /opt/example/weights",
    ],
)
def test_a_path_nobody_asked_about_is_never_believed(line):
    with pytest.raises(FactProcessError, match="was not asked about"):
        left(["/opt/example"], ["/opt/example/weights"]).process(printed(leftover=f"{line}\n"))


def left(paths, keep=()):
    fact = Leftover()
    fact.command(paths=[str(path) for path in paths], keep=[str(path) for path in keep])
    return fact


def looked(paths, keep=()):
    """The fact's own command, run here."""
    fact = Leftover()
    command = fact.command(paths=[str(path) for path in paths], keep=[str(path) for path in keep])
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return fact.process(ended.stdout.splitlines())


@pytest.fixture
def example(tmp_path: Path) -> Path:
    root = tmp_path / "example"
    for folder in ("weights/cider-1", "state", ".hidden", "links", "empty"):
        (root / folder).mkdir(parents=True)
    for file in ("weights/cider-1/model.safetensors", "state/a b", ".hidden/x", "..odd", "plain"):
        (root / file).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").write_text("x")
    (root / "links/out").symlink_to(tmp_path / "elsewhere")
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    return root


def test_everything_goes_but_what_is_kept_and_what_leads_there(example: Path):
    keep = [example / "weights/cider-1"]
    subprocess.run(["/bin/sh", "-c", removing(looked([example], keep))], check=True)

    kept = ["weights", "weights/cider-1", "weights/cider-1/model.safetensors"]
    assert sorted(str(path.relative_to(example)) for path in example.rglob("*")) == kept
    assert (example.parent / "elsewhere/precious").exists()
    assert looked([example], keep) == []


def test_without_anything_kept_the_directory_itself_goes(example: Path):
    subprocess.run(["/bin/sh", "-c", removing(looked([example], [example / "not-there"]))], check=True)

    assert not example.exists()
    assert (example.parent / "elsewhere/precious").exists()


def test_of_a_directory_that_is_a_link_only_the_link_goes(example: Path, tmp_path: Path):
    (tmp_path / "moved").symlink_to(example)
    found = looked([tmp_path / "moved"], [tmp_path / "moved/weights"])
    subprocess.run(["/bin/sh", "-c", removing(found)], check=True)

    assert found == [{"path": str(tmp_path / "moved"), "kind": "link"}]
    assert not (tmp_path / "moved").is_symlink()
    assert (example / "plain").exists()


def test_a_link_in_the_place_of_what_is_kept_is_kept_itself(example: Path, tmp_path: Path):
    (example / "weights").rename(tmp_path / "volume")
    (example / "weights").symlink_to(tmp_path / "volume")
    subprocess.run(["/bin/sh", "-c", removing(looked([example], [example / "weights"]))], check=True)

    assert [path.name for path in example.iterdir()] == ["weights"]
    assert (example / "weights/cider-1/model.safetensors").exists()


class InTurn(dict[str, list[str]]):
    """A world where several facts begin with the same section: it answers them in turn."""

    def __init__(self, users, world) -> None:
        super().__init__(world)
        self.users = iter(users)

    def __getitem__(self, section: str) -> list[str]:
        return next(self.users) if section == "user" else super().__getitem__(section)


def proof(users, **world):
    empty = {"staged": NONE_STAGED, "texts": texts(), "leftover": printed(leftover="")}
    fleet = Fleet({"mac-1": InTurn(users, {**empty, **world})})
    where = {"record": RECORD, "paths": ["/opt/example"], "keep": ["/opt/example/weights"]}
    fleet.prepare(removal.proven, PREFIX, account="_example", uid=341, **where)
    return fleet.execute(), fleet.said


def test_it_is_proven_that_nothing_is_left():
    succeeded, said = proof([account()["user"], daemons()])

    assert succeeded
    assert any("noop: nothing is left, and /opt/example/weights is kept" in line for line in said)


def test_everything_that_is_left_is_named_and_fails_the_run():
    left = {"leftover": printed(leftover="path /opt/example/state\n"), "texts": texts('{"power/sleep": 1}')}
    succeeded, said = proof([OURS["user"], daemons(LINKS)], **left, staged=printed(staged=""))

    assert not succeeded
    assert [line.partition("left: ")[2].partition("\x1b")[0] for line in said if "left: " in line] == [
        f"daemon {LINKS}",
        "user _example",
        "group _example",
        f"settings that are not put back, by {RECORD}",
        "/opt/example/state",
    ]


def test_what_cannot_be_read_is_not_proven():
    succeeded, said = proof([account()["user"], daemons()], leftover=printed(leftover=("sh: no", 1)))

    assert not succeeded
    assert any("Leftover could not be read" in line for line in said)
