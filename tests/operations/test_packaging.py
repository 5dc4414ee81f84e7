import subprocess
import sys
from pathlib import Path

import pytest

from operations import packaging
from operations.packaging import CannotPackage, Package
from operations.platforms import APPLE, Target

PROJECT = Path(__file__).parents[2]
STUDIO = Target(APPLE, "3.12", "26.0")


def named(target=STUDIO, group="node", **more):
    return packaging.environment(PROJECT, group=group, target=target, **more).name


def test_the_same_lock_and_target_have_the_same_name():
    assert named() == named()


@pytest.mark.parametrize(
    "other",
    [Target(APPLE, "3.11", "26.0"), Target(APPLE, "3.12", "27.0"), Target("x86_64-manylinux_2_36", "3.12")],
    ids=["python", "macos", "platform"],
)
def test_another_target_has_another_name(other):
    assert named(other) != named()


def test_what_a_wheel_must_be_matters_on_a_mac_only():
    linux = Target("x86_64-manylinux_2_36", "3.12")
    wheels = {"mlx-metal": "macosx_26"}

    assert named(mac_wheels=wheels) != named()
    assert named(linux, mac_wheels=wheels) == named(linux)


def test_a_group_that_does_not_exist_is_told_as_uv_tells_it():
    with pytest.raises(CannotPackage, match=r"`uv export --frozen` ended with 2 and said:\n.*nothing-such"):
        named(group="nothing-such")


def test_a_package_is_built_once_and_whole(tmp_path):
    built: list[Path] = []
    package = Package("node-1a2b", built.append, tmp_path)

    assert package.archive() == package.archive() == tmp_path / "node-1a2b.tar.gz"
    assert len(built) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["node-1a2b.tar.gz"]


def test_a_build_that_fails_leaves_nothing_behind(tmp_path):
    def fill(tree: Path) -> None:
        (tree / "half").write_text("")
        raise CannotPackage("no")

    with pytest.raises(CannotPackage):
        Package("node-1a2b", fill, tmp_path).archive()

    assert list(tmp_path.iterdir()) == []


AS_PYINFRA_DOES = """
from gevent import get_hub, monkey

monkey.patch_all()
get_hub()

import resource
import sys
from pathlib import Path

from operations.packaging import Package

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def fill(tree):
    for number in range(300):
        (tree / str(number)).mkdir()


Package("node-1a2b", fill, Path(sys.argv[1])).archive()
"""


def test_a_package_may_have_more_directories_than_a_shell_allows_for_open_files(tmp_path):
    command = [sys.executable, "-c", AS_PYINFRA_DOES, str(tmp_path)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["node-1a2b.tar.gz"]


def test_our_software_is_named_by_what_is_in_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "a.py").write_text("x = 1\n")
    before = packaging.software(tmp_path, package="serving").name
    (tmp_path / "README.md").write_text("new words\n")
    same = packaging.software(tmp_path, package="serving").name
    (tmp_path / "serving" / "a.py").write_text("x = 2\n")

    assert before == same != packaging.software(tmp_path, package="serving").name


def test_our_software_is_our_package_and_nothing_else(tmp_path):
    packaging.software(PROJECT, package="serving").fill(tmp_path)

    assert (tmp_path / "serving" / "cluster.py").read_text() == (PROJECT / "serving" / "cluster.py").read_text()
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"serving", "cidermill"}
