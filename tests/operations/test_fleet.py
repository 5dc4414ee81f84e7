import subprocess
import sys
from pathlib import Path

import pytest
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_state

from operations import fleet
from tests.operations.answers import capture, printed
from tests.operations.fleet_of_fakes import Fleet

ROOT = Path(__file__).parents[2]
STUDIO = {
    "macos": printed(
        macos=capture("sw_vers-26.3.txt"), hardware=capture("sysctl-m3-ultra.txt"), kernel=capture("uname-26.3.txt")
    ),
    "ports": printed(ports=capture("thunderbolt-no-cable.json"), interfaces=capture("networksetup-m3-ultra.txt")),
    "status": printed(
        status="enabled\n",
        devices=capture("ibv_devices-three.txt"),
        ports=capture("ibv_devinfo-one-active.txt"),
    ),
    "python": printed(python='{"version": "3.12.4", "platform": "darwin-arm64", "libc": ["", ""]}'),
}
AT = {
    "interpreter": "/usr/local/bin/python3",
    "anchor": "com.apple/example",
    "account": {"account": "_example", "uid": 341},
    "directories": ["/opt/example"],
    "laid": ["/opt/example/releases"],
    "aged": ["/opt/example/releases"],
    "secrets": ["/opt/example/token"],
    "weights": [],
    "daemons": "dev.example.",
    "texts": [["/opt/example/text"]],
}
REFUSING = """
from operations import fleet
from pyinfra.operations import server

from tests.operations.test_fleet import AT

seen = fleet.look(lambda _: AT)
fleet.refuse([(name, f"{name}: {facts['mac']['problem']}") for name, facts in seen.items()])
server.shell(name="Change something", commands=["touch {touched}"])
"""


def looked(worlds):
    """What all hosts see of each other."""
    fakes = Fleet(worlds)
    with ctx_state.use(fakes.state):
        return fleet.look(lambda _: AT), fleet.look(lambda _: AT)


def test_all_machines_and_subjects_are_read_once():
    seen, again = looked({"mac-1": STUDIO, "mac-2": STUDIO})

    assert seen is again
    assert seen.keys() == {"mac-1", "mac-2"}
    assert seen["mac-1"].keys() >= {"mac", "ports", "rdma", "network", "settings", "packet_filter", "resources"}
    assert seen["mac-1"]["mac"]["chip"] == "Apple M3 Ultra"


def test_what_was_never_answered_is_a_problem_of_its_own_subject():
    seen, _ = looked({"mac-1": STUDIO})

    assert "cannot read the answers" in seen["mac-1"]["settings"]["problem"]
    assert seen["mac-1"]["interpreter"]["version"] == "3.12.4"


def test_a_machine_without_a_connection_tells_that_of_every_subject():
    fakes = Fleet({"mac-1": STUDIO, "mac-2": STUDIO})
    with ctx_state.use(fakes.state):
        fleet.cannot_reach({"mac-2": "cannot connect: timed out"})
        seen = fleet.look(lambda _: AT)

    assert {told["problem"] for told in seen["mac-2"].values()} == {"cannot connect: timed out"}
    assert seen["mac-1"]["mac"]["chip"] == "Apple M3 Ultra"


def test_what_cannot_be_told_of_one_machine_is_a_problem_there_and_nowhere_else():
    old = STUDIO | {"status": printed(status="unknown option\n", devices="", ports="")}
    seen, _ = looked({"mac-1": STUDIO, "mac-2": old})

    assert seen["mac-1"]["rdma"]["status"] == "enabled"
    assert "cannot tell whether RDMA is enabled" in seen["mac-2"]["rdma"]["problem"]


def test_nobody_is_asked_whether_to_go_on_without_a_host_that_fails():
    fakes = Fleet({"mac-1": STUDIO, "mac-2": STUDIO})
    fakes.state.should_raise_failed_hosts = lambda _: pytest.fail("somebody was asked")
    with ctx_state.use(fakes.state):
        fleet.look(lambda _: AT)

    with pytest.raises(PyinfraError, match="of hosts failed"):
        fakes.state.fail_hosts(set(list(fakes.state.inventory)[1:]))


def test_no_faults_are_no_refusal():
    with ctx_state.use(Fleet({"mac-1": STUDIO}).state):
        fleet.refuse([])


def test_an_error_of_the_kind_that_is_meant_for_people_is_a_refusal_in_its_own_words_and_others_are_not():
    def refuses() -> None:
        raise LookupError("cannot ask the hub. Look at the network.")

    with ctx_state.use(Fleet({"mac-1": STUDIO}).state):
        with pytest.raises(
            fleet.Refusal, match=r"nothing was changed:\n    cannot ask the hub\. Look at the network\."
        ):
            fleet.checked(LookupError, refuses)
        with pytest.raises(LookupError):
            fleet.checked(ValueError, refuses)


def test_what_was_worked_out_once_is_not_worked_out_again():
    times: list[int] = []

    def works() -> int:
        times.append(1)
        return len(times)

    with ctx_state.use(Fleet({"mac-1": STUDIO}).state):
        assert [fleet.checked(LookupError, works) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("how", ["--dry", "-y"])
def test_a_refusal_is_told_once_and_changes_nothing(tmp_path, how):
    touched = tmp_path / "touched"
    (tmp_path / "deploy.py").write_text(REFUSING.replace("{touched}", str(touched)))
    ended = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), how, "@local", tmp_path / "deploy.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, touched.exists()) == (1, False)
    assert ended.stderr.count("@local: ") == 1
    assert "Traceback" not in ended.stderr
