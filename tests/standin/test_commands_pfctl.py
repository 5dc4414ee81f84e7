"""pfctl, against what macOS 26.5.2 prints; what is in force is read from the desk's network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.standin.commands.desk import Desk
from tests.standin.mac import Reply

PFCTL, ANCHOR = "/sbin/pfctl", "com.apple/cidermill"
ALTQ = "No ALTQ support in kernel\nALTQ related functions disabled\n"
RULES = b"table <c> const { 10.74.0.12 10.74.0.3 }\npass in quick proto tcp from <c> to any port 7440\n"
PRINTED = "pass in quick proto tcp from <c> to any port = 7440 flags S/SA keep state\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def enabled(desk: Desk) -> str:
    """`pfctl -E`; returns the token."""
    said = desk.sudo(PFCTL, "-E").stderr
    found = re.fullmatch(rf"{ALTQ}pf enabled\nToken : (\d+)\n", said)
    assert found is not None
    return found[1]


def load(desk: Desk, rules: bytes = RULES, anchor: str = ANCHOR) -> Reply:
    return desk.run(PFCTL, "-a", anchor, "-f", "-", uid=0, stdin=rules)


def status(desk: Desk) -> str:
    return desk.sudo(PFCTL, "-s", "info").stdout.splitlines()[0]


def said(reply: Reply) -> tuple[int, str]:
    return reply.code, reply.stderr.removeprefix(ALTQ)


def test_the_filter_is_off_at_first_and_asks_for_root(desk: Desk) -> None:
    assert desk.run(PFCTL, "-s", "info") == Reply(stderr="pfctl: /dev/pf: Permission denied\n", code=1)
    assert status(desk) == "Status: Disabled                              Debug: Urgent"
    assert desk.sudo(PFCTL, "-s", "References").stdout == "No pf starter references held\n"


def test_references_keep_it_on_until_the_last_is_released(desk: Desk) -> None:
    load(desk)
    first, second = enabled(desk), enabled(desk)
    listed = desk.sudo(PFCTL, "-s", "References").stdout.splitlines()
    one = said(desk.sudo(PFCTL, "-X", first))
    in_force = desk.network.filter
    last = said(desk.sudo(PFCTL, "-X", second))

    assert listed[:2] == ["TOKENS:", "PID      Process Name                 TOKEN                    TIMESTAMP"]
    assert [line.split()[2] for line in listed[2:]] == [second, first]
    assert one == (0, "disable request successful. 1 more pf enable reference(s) remaining, pf still enabled.\n")
    assert in_force is not None
    assert last == (0, "pf disabled\n")
    assert desk.network.filter is None
    assert status(desk).startswith("Status: Disabled for 0 days 00:00:0")


def test_a_token_that_is_not_held_is_refused_in_two_ways(desk: Desk) -> None:
    while_off = said(desk.sudo(PFCTL, "-X", "7"))
    enabled(desk)

    assert while_off == (1, "pfctl: pf not enabled\n")
    assert said(desk.sudo(PFCTL, "-X", "7")) == (1, "pfctl: pf: token invalid\n")


def test_switching_it_off_without_asking_forgets_every_reference(desk: Desk) -> None:
    token = enabled(desk)
    off = said(desk.sudo(PFCTL, "-d"))
    again = said(desk.sudo(PFCTL, "-d"))
    desk.sudo(PFCTL, "-e")

    assert (off, again) == ((0, "pf disabled\n"), (1, "pfctl: pf not enabled\n"))
    assert said(desk.sudo(PFCTL, "-e")) == (1, "pfctl: pf already enabled\n")
    assert said(desk.sudo(PFCTL, "-X", token)) == (1, "pfctl: pf: token invalid\n")


def test_an_anchor_below_com_apple_is_loaded_shown_and_in_force(desk: Desk) -> None:
    enabled(desk)
    loaded = load(desk)

    assert loaded.code == 0
    assert loaded.stderr.startswith(f"{ALTQ}pfctl: Use of -f option, could result in flushing of rules\n")
    assert desk.sudo(PFCTL, "-a", ANCHOR, "-s", "rules").stdout == PRINTED
    assert desk.sudo(PFCTL, "-a", ANCHOR, "-t", "c", "-T", "show").stdout == "   10.74.0.3\n   10.74.0.12\n"
    assert desk.sudo(PFCTL, "-a", "com.apple", "-s", "Anchors").stdout.splitlines()[-1] == f"  {ANCHOR}"
    assert [rule.ports for rule in desk.network.filter or []] == [(7440, 7440)]


@pytest.mark.parametrize("anchor", ["cidermill", "com.apple", "com.apple/cidermill/deeper"])
def test_an_anchor_elsewhere_is_loaded_and_filters_nothing(desk: Desk, anchor: str) -> None:
    enabled(desk)
    load(desk, anchor=anchor)

    assert desk.sudo(PFCTL, "-a", anchor, "-s", "rules").stdout.endswith(PRINTED)
    assert desk.network.filter == []


def test_flushing_the_main_ruleset_leaves_no_anchor_in_force(desk: Desk, tmp_path: Path) -> None:
    enabled(desk)
    load(desk)
    flushed = desk.sudo(PFCTL, "-F", "rules")
    after = desk.network.filter
    main = tmp_path / "pf.conf"
    main.write_text('scrub-anchor "com.apple/*"\nanchor "com.apple/*"\n')
    desk.sudo(PFCTL, "-f", str(main))

    assert said(flushed) == (0, "rules cleared\n")
    assert after == []
    assert desk.network.filter


def test_a_flushed_anchor_is_gone(desk: Desk) -> None:
    load(desk)
    flushed = said(desk.sudo(PFCTL, "-a", ANCHOR, "-F", "all"))

    assert flushed == (0, "rules cleared\nnat cleared\ndummynet cleared\n1 tables deleted.\n")
    assert said(desk.sudo(PFCTL, "-a", ANCHOR, "-s", "rules")) == (0, "pfctl: DIOCGETRULES: Invalid argument\n")
    assert said(desk.sudo(PFCTL, "-a", ANCHOR, "-t", "c", "-T", "show")) == (255, "pfctl: Table does not exist.\n")


def test_a_syntax_error_names_file_and_line_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    load(desk)
    file = tmp_path / "rules"
    file.write_text("\npass out quick all\n")
    wrong = desk.sudo(PFCTL, "-a", ANCHOR, "-f", str(file))

    assert wrong.code == 1
    assert f"\n{file}:2: syntax error\npfctl: Syntax error in config file: pf rules not loaded\n" in wrong.stderr
    assert "\nstdin:1: syntax error\n" in load(desk, b"nonsense\n").stderr
    assert desk.sudo(PFCTL, "-a", ANCHOR, "-s", "rules").stdout == PRINTED


def test_a_dry_run_loads_nothing(desk: Desk) -> None:
    parsed = desk.run(PFCTL, "-n", "-a", ANCHOR, "-f", "-", uid=0, stdin=RULES)

    assert parsed.code == 0
    assert desk.sudo(PFCTL, "-a", ANCHOR, "-s", "rules").stdout == ""


def test_a_reboot_forgets_rules_and_references(desk: Desk) -> None:
    enabled(desk)
    load(desk)
    desk.reboot()

    assert status(desk).startswith("Status: Disabled ")
    assert desk.sudo(PFCTL, "-a", ANCHOR, "-s", "rules").stdout == ""


def test_connections_let_in_before_are_forgotten_with_the_states(desk: Desk) -> None:
    enabled(desk)
    load(desk)
    before = desk.network.filter_generation
    desk.sudo(PFCTL, "-F", "states")

    assert desk.network.filter_generation == before + 1


@pytest.mark.parametrize("argv", [(), ("-x",), ("-s", "labels"), ("-F", "nat"), ("-t", "c", "-T", "add"), ("word",)])
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    reply = desk.sudo(PFCTL, *argv)

    assert reply.code == 64
    assert "does not know" in reply.stderr
