"""Faults that macOS or people make, on a Mac that looks as if something was deployed to it: seen, then mended whole."""

from __future__ import annotations

import plistlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.standin import kernel
from tests.standin.conftest import Remote, wait_for
from tests.standin.lab import Lab, LabUnavailable
from tests.standin.snapshot import differing
from tests.standin.test_faults import fault

pytestmark = pytest.mark.lab

MAC, PORT, ADDRESS = "mac-2", "en3", "10.99.7.2"
AGENT, ANCHOR = "dev.cidermill.agent", "com.apple/cidermill"
PLIST = f"/Library/LaunchDaemons/{AGENT}.plist"
LAUNCHCTL, DSCL, PFCTL, IFCONFIG = "/bin/launchctl", "/usr/bin/dscl", "/sbin/pfctl", "/sbin/ifconfig"
PMSET, SYSTEMSETUP, SYSCTL = "/usr/bin/pmset", "/usr/sbin/systemsetup", "/usr/sbin/sysctl"
SOFTWAREUPDATE, DEFAULTS = "/usr/sbin/softwareupdate", "/usr/bin/defaults"
UPDATES = "/Library/Preferences/com.apple.SoftwareUpdate"
FIREWALL = "/usr/libexec/ApplicationFirewall/socketfilterfw"
OPEN, SHUT, SILENT = 7440, 7441, 7442
RULES = """\
table <macs> const {{ {address} }}
pass in quick proto tcp from <macs> to any port 7440
block return in quick proto tcp from any to any port {{ 7440:7441 }}
block drop in quick proto tcp from any to any port 7442
"""
DRESSING = [
    (DSCL, ".", "-create", "/Users/_cidermill", "UserShell", "/usr/bin/false"),
    (LAUNCHCTL, "bootstrap", "system", PLIST),
    (PMSET, "-a", "sleep", "0", "autorestart", "1"),
    (SYSTEMSETUP, "-setrestartfreeze", "on"),
    (SOFTWAREUPDATE, "--schedule", "off"),
    (DEFAULTS, "write", UPDATES, "AutomaticallyInstallMacOSUpdates", "-bool", "false"),
    (SYSCTL, "iogpu.wired_limit_mb=400000"),
    (IFCONFIG, "bridge0", "deletem", PORT),
    (IFCONFIG, PORT, "up"),
    (IFCONFIG, PORT, "inet", f"{ADDRESS}/30", "alias"),
    (PFCTL, "-a", ANCHOR, "-f", "/private/tmp/rules"),
    (PFCTL, "-E"),
]
UNDRESSING = [
    (PFCTL, "-d"),
    (PFCTL, "-a", ANCHOR, "-F", "all"),
    (IFCONFIG, PORT, "inet", ADDRESS, "-alias"),
    (IFCONFIG, "bridge0", "addm", PORT),
    (SYSCTL, "iogpu.wired_limit_mb=0"),
    (PMSET, "-a", "sleep", "1", "autorestart", "0"),
    (SYSTEMSETUP, "-setrestartfreeze", "off"),
    (SOFTWAREUPDATE, "--schedule", "on"),
    (DEFAULTS, "delete", UPDATES, "AutomaticallyInstallMacOSUpdates"),
    (LAUNCHCTL, "bootout", f"system/{AGENT}"),
    (DSCL, ".", "-delete", "/Users/_cidermill"),
]


@pytest.fixture(scope="module")
def dressed(lab: Lab) -> Iterator[Lab]:
    """mac-2 with what a deploy leaves: a daemon, an account, a secret, weights, settings, an address, a filter."""
    root = lab.root(MAC)
    job = {"Label": AGENT, "ProgramArguments": ["/bin/sleep", "1000"], "RunAtLoad": True}
    (root / PLIST.lstrip("/")).write_bytes(plistlib.dumps(job))
    (root / PLIST.lstrip("/")).chmod(0o644)
    for path, mode in (("secrets/cluster.token", 0o600), ("weights/w/model.safetensors", 0o644)):
        file = root / "opt/cidermill" / path
        file.parent.mkdir(parents=True)
        file.write_text("x")
        file.chmod(mode)
    (root / "private/tmp/rules").write_text(RULES.format(address=lab.machine("mac-1").address))
    for argv in DRESSING:
        assert lab.call(MAC, *argv).code == 0
    yield lab
    for argv in UNDRESSING:
        lab.call(MAC, *argv)
    for path in (PLIST, "/opt/cidermill/secrets/cluster.token", "/opt/cidermill/weights/w/model.safetensors"):
        (root / path.lstrip("/")).unlink()


def shows(lab: Lab, *argv: str) -> str:
    reply = lab.call(MAC, *argv)
    return reply.stdout + reply.stderr


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("account-shell", (DSCL, ".", "-read", "/Users/_cidermill", "UserShell"), "UserShell: /bin/zsh"),
        ("agent-unloaded", (LAUNCHCTL, "print", f"system/{AGENT}"), "Could not find service"),
        ("autorestart-off", (PMSET, "-g", "custom"), " autorestart          0\n"),
        ("filevault-on", ("/usr/bin/fdesetup", "status"), "FileVault is On."),
        ("firewall-on", (FIREWALL, "--getglobalstate"), "Firewall is enabled. (State = 1)"),
        ("protection-domains-spent", ("/usr/sbin/ioclasscount", "AppleThunderboltRDMAProtectionDomain"), " = 11\n"),
        ("restart-freeze-off", (SYSTEMSETUP, "-getrestartfreeze"), "Restart After Freeze: Off"),
        ("sleep-on", (PMSET, "-g", "custom"), " sleep                1\n"),
        ("stray-daemon", (LAUNCHCTL, "list"), "\tdev.cidermill.old\n"),
        ("updates-on", (SOFTWAREUPDATE, "--schedule"), "is turned on"),
        ("updates-on", (DEFAULTS, "read", UPDATES, "AutomaticallyInstallMacOSUpdates"), "1\n"),
        ("wired-limit-lost", (SYSCTL, "iogpu.wired_limit_mb"), "iogpu.wired_limit_mb: 0\n"),
        ("port-bridged", (IFCONFIG, "bridge0"), f"member: {PORT} "),
    ],
)
def test_a_setting_that_slipped_is_seen_and_comes_back_as_it_was(
    dressed: Lab, name: str, question: tuple[str, ...], answer: str
) -> None:
    before, was = dressed.tree(MAC), shows(dressed, *question)

    with fault(dressed, name, MAC):
        assert answer in shows(dressed, *question)

    after = dressed.tree(MAC)
    agent = f"launchd/{AGENT}"  # a job that was loaded again has another pid
    assert set(differing(before, after)) <= {agent}
    if name not in ("agent-unloaded", "port-bridged"):
        assert shows(dressed, *question) == was


def test_a_lost_address_is_gone_until_it_is_mended(dressed: Lab) -> None:
    with fault(dressed, "address-lost", MAC):
        assert "inet " not in shows(dressed, IFCONFIG, PORT)

    assert f"inet {ADDRESS} netmask 0xfffffffc" in shows(dressed, IFCONFIG, PORT)


def test_a_bridged_port_comes_out_again_with_its_address(dressed: Lab) -> None:
    with fault(dressed, "port-bridged", MAC):
        assert "PROMISC" in shows(dressed, IFCONFIG, PORT)

    assert f"member: {PORT} " not in shows(dressed, IFCONFIG, "bridge0")
    assert f"inet {ADDRESS} " in shows(dressed, IFCONFIG, PORT)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("plist-edited", PLIST),
        ("secret-open", "/opt/cidermill/secrets/cluster.token"),
        ("weights-missing", "/opt/cidermill/weights/w/model.safetensors"),
    ],
)
def test_a_file_that_somebody_touched_is_another_and_then_the_same(dressed: Lab, name: str, path: str) -> None:
    before = dressed.tree(MAC)

    with fault(dressed, name, MAC):
        during = dressed.tree(MAC)

    assert during.get(path) != before[path]
    assert differing(before, dressed.tree(MAC)) == {}


def test_a_fault_put_in_twice_is_mended_once(dressed: Lab) -> None:
    before = dressed.tree(MAC)

    with fault(dressed, "sleep-on", MAC), fault(dressed, "sleep-on", MAC):
        assert " sleep                1\n" in shows(dressed, PMSET, "-g", "custom")

    assert differing(before, dressed.tree(MAC)) == {}


def test_a_fault_that_finds_nothing_to_break_says_so(lab: Lab) -> None:
    with pytest.raises(LabUnavailable, match=r"on mac-3: there is no dev\.cidermill\.agent\.plist"):
        lab.fault("plist-edited", "mac-3")


def test_a_full_disk_shows_and_takes_no_more(lab: Lab, connect: Callable[[str], Remote]) -> None:
    remote = connect("mac-3")

    with fault(lab, "disk-full", "mac-3"):
        available = int(remote.run("df -k /opt").stdout.splitlines()[1].split()[3])
        refused = remote.run("fallocate -l 70M /Users/Shared/big; rm -f /Users/Shared/big")

    assert 60_000 < available <= 65_536
    assert "No space left on device" in refused.stderr
    assert int(remote.run("df -k /opt").stdout.splitlines()[1].split()[3]) > 1 << 30


def test_a_clock_that_is_off_shows_in_date(lab: Lab, connect: Callable[[str], Remote]) -> None:
    with fault(lab, "clock-off", "mac-3"):
        ahead = int(connect("mac-3").run("date -u +%s").stdout) - time.time()

    assert 80 < ahead <= 90
    assert abs(int(connect("mac-3").run("date -u +%s").stdout) - time.time()) < 5


def test_a_wedged_driver_is_ended_by_an_alarm_while_others_answer(lab: Lab, connect: Callable[[str], Remote]) -> None:
    bounded = "perl -e 'alarm shift; exec @ARGV' 1 ibv_devinfo; echo $?"

    with fault(lab, "rdma-wedged", "mac-3"):
        hung = connect("mac-3").run(bounded)
        other = connect("mac-3").run("ibv_devices")

    assert hung.stdout.split()[-1] == "142"
    assert "rdma_en2" in other.stdout
    assert connect("mac-3").run(bounded).stdout.split()[-1] == "0"


def test_a_cut_management_network_hangs_and_leaves_the_cables(lab: Lab) -> None:
    with fault(lab, "management-cut", "mac-3"):
        assert not lab.answers("mac-3")
        assert wait_for(lambda: "status: inactive" in lab.call("mac-3", IFCONFIG, "en0").stdout)
        assert (
            "receptacle_connected"
            in lab.call("mac-3", "/usr/sbin/system_profiler", "SPThunderboltDataType", "-json").stdout
        )

    assert lab.answers("mac-3")


@pytest.fixture
def doors(dressed: Lab) -> Iterator[dict[int, socket.socket]]:
    """Servers on mac-2, behind its filter."""
    with kernel.inside_network(dressed.pid1(MAC)):
        opened = {port: socket.create_server(("0.0.0.0", port)) for port in (OPEN, SHUT, SILENT)}
    yield opened
    for server in opened.values():
        server.close()


def knock(lab: Lab, port: int, machine: str | None = None) -> socket.socket | str:
    """A connection to mac-2 from a Mac, or from the Linux machine; or how it was refused."""
    if machine is None:
        client = socket.socket()
    else:
        with kernel.inside_network(lab.pid1(machine)):
            client = socket.socket()
    client.settimeout(1)
    try:
        client.connect((lab.machine(MAC).address, port))
    except OSError as refused:
        client.close()
        return type(refused).__name__
    return client


def outcome(lab: Lab, port: int, machine: str | None = None) -> str:
    knocked = knock(lab, port, machine)
    if isinstance(knocked, str):
        return knocked
    knocked.close()
    return "open"


def test_the_filter_lets_in_whom_it_names_and_resets_or_drops_the_rest(
    dressed: Lab, doors: dict[int, socket.socket]
) -> None:
    assert outcome(dressed, OPEN, "mac-1") == "open"
    assert outcome(dressed, OPEN, "mac-4") == "ConnectionRefusedError"
    assert outcome(dressed, OPEN) == "ConnectionRefusedError"
    assert outcome(dressed, SHUT, "mac-1") == "ConnectionRefusedError"
    assert outcome(dressed, SILENT, "mac-1") == "TimeoutError"
    assert dressed.answers(MAC)


@pytest.mark.parametrize("name", ["filter-off", "filter-flushed"])
def test_a_filter_that_is_off_or_empty_lets_everybody_in(
    dressed: Lab, doors: dict[int, socket.socket], name: str
) -> None:
    rules = shows(dressed, PFCTL, "-a", ANCHOR, "-s", "rules")

    with fault(dressed, name, MAC):
        assert outcome(dressed, OPEN) == outcome(dressed, SILENT) == "open"

    assert shows(dressed, PFCTL, "-a", ANCHOR, "-s", "rules") == rules
    assert outcome(dressed, OPEN) == "ConnectionRefusedError"
    assert outcome(dressed, OPEN, "mac-1") == "open"


def test_a_connection_that_was_let_in_outlives_other_rules_and_one_older_than_the_filter_does_not(
    dressed: Lab, doors: dict[int, socket.socket]
) -> None:
    with fault(dressed, "filter-off", MAC):
        older = knock(dressed, OPEN, "mac-1")
        older_end, _ = doors[OPEN].accept()
    let_in = knock(dressed, OPEN, "mac-1")
    let_in_end, _ = doors[OPEN].accept()
    assert isinstance(older, socket.socket)
    assert isinstance(let_in, socket.socket)
    dressed.call(MAC, PFCTL, "-a", ANCHOR, "-f", "/private/tmp/rules")
    let_in.send(b"x")
    older.send(b"x")

    assert let_in_end.recv(1) == b"x"
    with pytest.raises(ConnectionResetError):
        older.recv(1)
    for end in (older, older_end, let_in, let_in_end):
        end.close()
