from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standin.conftest import Outcome, Remote
from tests.standin.lab import Lab
from tests.standin.mac import INSIDE, Memory

pytestmark = pytest.mark.lab


@pytest.fixture
def memory(lab: Lab) -> Iterator[Memory]:
    directory = lab.root("mac-1") / INSIDE.relative_to("/") / "memory"
    yield Memory(directory)
    (directory / "sudo.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sudo -H -n id -un", Outcome(0, "root\n", "")),
        ("sudo -n -u nobody id -un", Outcome(0, "nobody\n", "")),
        ("sudo -n -g staff id -gn", Outcome(0, "staff\n", "")),
        ("sudo -n sh -c 'exit 5'", Outcome(5, "", "")),
        ("sudo -n sh -c 'echo err >&2'", Outcome(0, "", "err\n")),
        ("sudo -n COLOUR='a b' sh -c 'echo $COLOUR'", Outcome(0, "a b\n", "")),
        ("KEPT=no sudo -n sh -c 'echo ${KEPT-gone}'", Outcome(0, "gone\n", "")),
        ("KEPT=yes sudo -n -E sh -c 'echo ${KEPT-gone}'", Outcome(0, "yes\n", "")),
        ("sudo -n sh -c 'echo $HOME $SUDO_USER $SUDO_UID:$SUDO_GID'", Outcome(0, "/Users/admin admin 501:20\n", "")),
        ("sudo -n nosuchtool", Outcome(1, "", "sudo: nosuchtool: command not found\n")),
        ("sudo -n -u nosuchuser id", Outcome(1, "", "sudo: unknown user nosuchuser\n")),
        ("sudo --unheard id", Outcome(1, "", "sudo: unsupported option --unheard\n")),
        ("sudo -n -u nobody sudo -n id", Outcome(1, "", "sudo: a password is required\n")),
    ],
)
def test_sudo_answers_as_on_a_mac(mac_1: Remote, command: str, expected: Outcome) -> None:
    assert mac_1.run(command) == expected


def test_sudo_passes_arguments_and_standard_input_unchanged(mac_1: Remote) -> None:
    words = ["two words", "quo'te", '"', "$HOME", "*", ""]

    outcome = mac_1.run(f'sudo -n sh -c \'cat; printf "%s|" "$@"\' sh {shlex.join(words)}', stdin="typed\n")

    assert outcome.stdout == "typed\n" + "".join(f"{word}|" for word in words)


def test_sudo_refuses_when_it_would_have_to_ask(mac_1: Remote, memory: Memory) -> None:
    memory.write("sudo", {"asks_password": True})

    assert mac_1.run("sudo -n true") == Outcome(1, "", "sudo: a password is required\n")


def test_root_cannot_change_the_sealed_system_nor_reach_the_linux_machine(mac_1: Remote) -> None:
    for command, reason in {
        "touch /usr/bin/x": "Read-only file system",
        "mkdir /x": "Read-only file system",
        "mount -o remount,rw /": "permission denied",
        "mknod /private/var/root/disk b 254 0": "Operation not permitted",
    }.items():
        outcome = mac_1.run(f"sudo -n {command}")

        assert outcome.code != 0
        assert reason in outcome.stderr


def test_the_linux_machine_is_not_to_be_seen(lab: Lab) -> None:
    root = lab.root("mac-1")

    assert not (root / Path(__file__).parents[2].relative_to("/")).exists()
    assert not (root / "home").exists()
    assert not (root / "usr/bin/apt").exists()
    assert not (root / "usr/bin/timeout").exists()
