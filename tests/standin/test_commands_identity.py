"""sw_vers, uname, sysctl and the hardware overview, against captured output."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.standin.commands import COMMANDS, available
from tests.standin.commands.desk import STUDIO, Desk
from tests.standin.mac import Reply

SW_VERS, UNAME, SYSCTL = "/usr/bin/sw_vers", "/usr/bin/uname", "/usr/sbin/sysctl"
PROFILER = "/usr/sbin/system_profiler"
LIMIT = "iogpu.wired_limit_mb"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_sw_vers_prints_name_version_and_build(desk: Desk) -> None:
    assert desk.run(SW_VERS).stdout == "ProductName:\t\tmacOS\nProductVersion:\t\t26.3\nBuildVersion:\t\t25D125\n"
    assert desk.run(SW_VERS, "-productVersion").stdout == "26.3\n"
    assert desk.run(SW_VERS, "--buildVersion").stdout == "25D125\n"


def test_sw_vers_follows_the_rack(desk: Desk) -> None:
    desk.change(macos="26.1", build="25B78")

    assert desk.run(SW_VERS, "-productVersion").stdout == "26.1\n"


def test_uname_names_darwin_and_the_chips_kernel(desk: Desk) -> None:
    desk.change(chip="Apple M4 Max", macos="26.5")
    whole = desk.run(UNAME, "-a").stdout

    assert whole == (
        "Darwin mac-1.local 25.5.0 Darwin Kernel Version 25.5.0: Tue Apr 14 21:52:16 PDT 2026; "
        "root:xnu-12377.120.99.0.7~25/RELEASE_ARM64_T6041 arm64\n"
    )
    assert desk.run(UNAME).stdout == "Darwin\n"
    assert desk.run(UNAME, "-m", "-s").stdout == "Darwin arm64\n"
    assert desk.run(UNAME, "-r").stdout == "25.5.0\n"


def test_sysctl_prints_captured_lines(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "PDT+7")
    time.tzset()
    names = "hw.model hw.memsize hw.pagesize hw.ncpu machdep.cpu.brand_string iogpu.wired_limit_mb kern.boottime"
    printed = desk.run(SYSCTL, *names.split()).stdout
    monkeypatch.undo()
    time.tzset()

    assert printed == (
        "hw.model: Mac15,14\n"
        "hw.memsize: 549755813888\n"
        "hw.pagesize: 16384\n"
        "hw.ncpu: 32\n"
        "machdep.cpu.brand_string: Apple M3 Ultra\n"
        "iogpu.wired_limit_mb: 0\n"
        "kern.boottime: { sec = 1790153387, usec = 566452 } Wed Sep 23 01:49:47 2026\n"
    )


def test_sysctl_n_prints_values_only(desk: Desk) -> None:
    assert desk.run(SYSCTL, "-n", "kern.bootsessionuuid").stdout == f"{desk.mac.boot.session_uuid}\n"
    assert desk.run(SYSCTL, "-n", "kern.memorystatus_vm_pressure_level").stdout == "1\n"
    assert "(encrypted)" in desk.run(SYSCTL, "-n", "vm.swapusage").stdout


def test_sysctl_names_the_kinds_of_cores(desk: Desk) -> None:
    desk.change(chip="Apple M5 Max")

    assert desk.run(SYSCTL, "hw.perflevel0.physicalcpu", "hw.perflevel0.name", "hw.perflevel1.name").stdout == (
        "hw.perflevel0.physicalcpu: 6\nhw.perflevel0.name: Super\nhw.perflevel1.name: Performance\n"
    )


def test_an_unknown_oid_fails_and_the_known_ones_still_print(desk: Desk) -> None:
    assert desk.run(SYSCTL, "hw.foo", "hw.model") == Reply(
        stdout="hw.model: Mac15,14\n", stderr="sysctl: unknown oid 'hw.foo'\n", code=1
    )


def test_the_wired_limit_is_set_by_root_and_lost_at_reboot(desk: Desk) -> None:
    first = desk.sudo(SYSCTL, f"{LIMIT}=460800")
    second = desk.sudo(SYSCTL, "-w", f"{LIMIT}=400000")
    set_to = desk.run(SYSCTL, "-n", LIMIT).stdout
    desk.reboot()

    assert first == Reply(stdout=f"{LIMIT}: 0 -> 460800\n")
    assert second == Reply(stdout=f"{LIMIT}: 460800 -> 400000\n")
    assert set_to == "400000\n"
    assert desk.run(SYSCTL, "-n", LIMIT).stdout == "0\n"


@pytest.mark.parametrize(
    ("setting", "uid", "named"),
    [
        (f"{LIMIT}=1", 501, "Operation not permitted"),
        (f"{LIMIT}=much", 0, "invalid integer"),
        ("hw.model=Mac1,1", 0, "read only"),
    ],
)
def test_what_may_not_be_set_is_refused(desk: Desk, setting: str, uid: int, named: str) -> None:
    reply = desk.run(SYSCTL, setting, uid=uid)

    assert reply.code == 1
    assert named in reply.stderr
    assert desk.run(SYSCTL, "-n", LIMIT).stdout == "0\n"


def test_the_hardware_overview_in_json_has_apples_layout(desk: Desk) -> None:
    printed = desk.run(PROFILER, "SPHardwareDataType", "-json").stdout
    overview = json.loads(printed)["SPHardwareDataType"][0]

    assert printed.startswith('{\n  "SPHardwareDataType" : [\n    {\n      "_name" : "hardware_overview",\n')
    assert overview["machine_model"] == "Mac15,14"
    assert overview["physical_memory"] == "512 GB"
    assert overview["number_processors"] == "proc 32:24:8"
    assert overview["activation_lock_status"] == "activation_lock_disabled"


def test_from_26_4_on_the_processors_have_a_fourth_field(desk: Desk) -> None:
    desk.change(macos="26.4.1")
    overview = json.loads(desk.run(PROFILER, "SPHardwareDataType", "-json").stdout)["SPHardwareDataType"][0]

    assert overview["number_processors"].count(":") == 3


def test_the_hardware_overview_in_text(desk: Desk) -> None:
    desk.change(title="Mac mini", model="Mac16,10", chip="Apple M4", memory_bytes=16 << 30)
    printed = desk.run(PROFILER, "SPHardwareDataType").stdout

    for line in ("Model Name: Mac mini", "Model Identifier: Mac16,10", "Chip: Apple M4", "Memory: 16 GB"):
        assert f"\n      {line}\n" in printed


@pytest.mark.parametrize(
    "argv",
    [
        (SW_VERS, "-nonsense"),
        (UNAME, "-x"),
        (SYSCTL,),
        (SYSCTL, "-e", "hw.model"),
        (PROFILER,),
        (PROFILER, "SPUSBDataType"),
        (PROFILER, "SPHardwareDataType", "-xml"),
    ],
)
def test_what_is_not_known_is_refused_by_name(desk: Desk, argv: tuple[str, ...]) -> None:
    reply = desk.run(*argv)

    assert reply.code == 64
    assert "does not know" in reply.stderr


def test_an_unknown_chip_is_an_error_that_names_it(desk: Desk) -> None:
    desk.change(chip="Apple M9")

    with pytest.raises(LookupError, match="Apple M9"):
        desk.run(SYSCTL, "hw.ncpu")


def test_macos_26_1_has_no_rdma_tools_and_every_other_command(desk: Desk) -> None:
    desk.change(macos="26.1")
    missing = [path for path in COMMANDS if not available(path, desk.mac.machine)]

    assert sorted(missing) == ["/usr/bin/ibv_devices", "/usr/bin/ibv_devinfo", "/usr/bin/rdma_ctl"]
    assert all(available(path, STUDIO) for path in COMMANDS)
    assert not available("/usr/bin/no-such-command", STUDIO)
