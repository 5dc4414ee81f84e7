import textwrap
from pathlib import Path

import pytest
from pyinfra.context import ctx_state

from operations import fleet
from operations.rehearsal import rehearsal
from operations.remote import together
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet

DEPLOY = """
from pyinfra import host
from pyinfra.api import HiddenValue
from operations import files, secrets

files.directories([("/opt/a", "root", "wheel", 755)], name="Make a directory")
files.directories([("/opt/b", "root", "wheel", 755)], name="Make another")
"""


def tree(*paths: str, mode: int = 755):
    return {"tree": printed(tree="".join(f"path {path}\ndirectory root wheel {mode}\n" for path in paths))}


@pytest.fixture
def deploy_file(tmp_path: Path) -> str:
    path = tmp_path / "deploy.py"
    path.write_text(DEPLOY)
    return str(path)


def rehearsed(worlds, deploy_file: str, text: str | None = None):
    if text is not None:
        Path(deploy_file).write_text(textwrap.dedent(text))
    fakes = Fleet(worlds)
    with ctx_state.use(fakes.state):
        is_settled = fleet.settled(deploy_file)
        return fakes, is_settled, rehearsal()


def test_where_nothing_would_change_the_lab_is_settled(deploy_file):
    _, is_settled, found = rehearsed({"m1": tree("/opt/a", "/opt/b"), "m2": tree("/opt/a", "/opt/b")}, deploy_file)

    assert (is_settled, found.differences) == (True, [])


def test_one_difference_on_one_machine_is_named_and_unsettles_the_lab(deploy_file):
    worlds = {"m1": tree("/opt/a", "/opt/b"), "m2": tree("/opt/a")}
    fakes, is_settled, found = rehearsed(worlds, deploy_file)

    assert not is_settled
    assert [(d.host, d.operation, d.check, d.seen, d.needed) for d in found.differences] == [
        ("@fake/m2", "Make another", "directory /opt/b", "missing", "root:wheel 755")
    ]
    assert [machine.done for machine in fakes.machines.values()] == [[], []]


def test_an_operation_that_would_refuse_tells_why(deploy_file):
    world = {"tree": printed(tree="path /opt/a\nfile root wheel 644\n")}
    _, is_settled, found = rehearsed({"m1": world}, deploy_file)

    assert not is_settled
    assert "there is a file" in found.differences[0].refused


def test_what_could_not_be_read_is_not_settled(deploy_file):
    _, is_settled, found = rehearsed({"m1": {"tree": printed(tree=("stat: no", 1))}}, deploy_file)

    assert not is_settled
    assert all(difference.refused for difference in found.differences)


def test_once_settled_operations_are_not_registered_and_before_they_are(deploy_file):
    settled, _, _ = rehearsed({"m1": tree("/opt/a", "/opt/b")}, deploy_file)
    unsettled, _, _ = rehearsed({"m1": tree()}, deploy_file)
    from operations import files

    for fakes in (settled, unsettled):
        fakes.prepare(files.directories, [("/opt/c", "root", "wheel", 755)])

    assert [len(fakes.state.get_op_order()) for fakes in (settled, unsettled)] == [0, 1]


def test_a_condition_that_does_not_hold_leaves_the_operation_out(deploy_file):
    text = """
        from operations import files
        files.directories([("/opt/a", "root", "wheel", 755)], name="Make a directory", _if=lambda: False)
    """
    _, is_settled, _ = rehearsed({"m1": tree()}, deploy_file, text)

    assert is_settled


def test_the_file_is_rehearsed_once_for_all_machines(deploy_file):
    fakes = Fleet({"m1": tree("/opt/a"), "m2": tree("/opt/a")})
    with ctx_state.use(fakes.state):
        fleet.settled(deploy_file)
        fleet.settled(deploy_file)

        assert len(rehearsal().differences) == 2


def test_only_the_greenlets_that_rehearse_are_in_the_rehearsal(deploy_file):
    seen = []
    fakes = Fleet({"m1": tree("/opt/a", "/opt/b")})
    Path(deploy_file).write_text("import gevent; gevent.sleep(0.01)")

    def elsewhere():
        seen.append(rehearsal().is_on)

    with ctx_state.use(fakes.state):
        together([lambda: fleet.rehearse(deploy_file, list(fakes.state.inventory)), elsewhere])

    assert seen == [False]
