import pytest

from operations import environment
from operations.packaging import CannotPackage, Package
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, applied

ROOT = "/opt/example/environments"
WANTED = {"python": "/usr/local/bin/python3", "imports": ["mlx.core"], "versions": {"mlx": "0.32.4"}}
BARE = {"laid": printed(laid="")}
LAID = {"laid": printed(laid=f'directory {ROOT}/node-1a2b/\n{{"package": "node-1a2b"}}\n')}
HALF_LAID = {"laid": printed(laid=f"directory {ROOT}/node-1a2b/\n")}


def package(cache, name="node-1a2b"):
    return Package(name, lambda tree: (tree / "mlx.py").write_text("x = 1\n"), cache)


def test_a_package_is_sent_privately_and_laid_under_its_own_name(tmp_path):
    machine, _ = applied(environment.environment, BARE, ROOT, package=package(tmp_path), **WANTED)
    made, script = machine.done

    assert made.startswith("umask 077 && mkdir /tmp/")
    assert [path.rpartition("/")[2] for path in machine.sent] == ["node-1a2b.tar.gz"]
    for step in (f"final={ROOT}/node-1a2b", "shasum -a 256 -c", "-m venv", "import_module", 'mv "$new" "$final"'):
        assert step in script


def test_the_receipt_is_written_after_the_proof_and_before_the_move(tmp_path):
    machine, _ = applied(environment.environment, BARE, ROOT, package=package(tmp_path), **WANTED)
    script = machine.done[-1]

    assert script.index("import_module") < script.index(".receipt.json") < script.index('mv "$new" "$final"')


def test_what_is_laid_is_neither_built_nor_sent(tmp_path):
    machine, reason = applied(environment.environment, LAID, ROOT, package=package(tmp_path), **WANTED)

    assert (machine.done, machine.sent, reason) == ([], {}, "node-1a2b is laid")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_receipt_was_not_laid_by_us_and_is_not_overwritten(tmp_path):
    machine, _ = applied(environment.environment, HALF_LAID, ROOT, package=package(tmp_path), **WANTED)

    assert '[ ! -e "$final" ]' in machine.done[-1]


def test_preparing_builds_nothing(tmp_path):
    Fleet({"mac-1": BARE}).prepare(environment.environment, ROOT, package=package(tmp_path), **WANTED)

    assert list(tmp_path.iterdir()) == []


def test_a_package_that_cannot_be_built_fails_the_step_with_the_reason(tmp_path):
    def fill(_):
        raise CannotPackage("cannot use mlx-metal: its wheel is for macosx_15_0.")

    fleet = Fleet({"mac-1": BARE})
    fleet.prepare(environment.environment, ROOT, package=Package("node-1a2b", fill, tmp_path), **WANTED)

    assert not fleet.execute()
    assert any("cannot use mlx-metal" in line for line in fleet.said)


def test_software_is_proven_with_the_environment_it_will_run_in(tmp_path):
    machine, _ = applied(
        environment.software,
        BARE,
        ROOT,
        package=package(tmp_path),
        python="/opt/e/bin/python",
        imports=["serving.agent.daemon"],
    )

    assert 'PYTHONPATH="$new" /opt/e/bin/python -c' in machine.done[-1]


@pytest.mark.parametrize(("world", "commands"), [(BARE, 2), (LAID, 0)])
def test_a_python_of_our_own_is_laid_once(tmp_path, world, commands):
    machine, _ = applied(environment.interpreter, world, ROOT, package=package(tmp_path), version="3.12")

    assert len(machine.done) == commands


def test_without_a_python_of_our_own_there_is_nothing_to_lay():
    machine, reason = applied(environment.interpreter, {}, ROOT, package=None, version="3.12")

    assert (machine.done, reason) == ([], "the Python declared is one that is there")
