"""Two worlds: serving knows clusters, operations knows Macs; only deploy.py and the console command know both."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {"serving": {"pyinfra", "operations", "tests"}, "operations": {"serving", "tests"}}
BOTH = [ROOT / "operations" / name for name in ("command", "lab")]
FILES = [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """The top-level packages a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_neither_world_imports_the_other(path: Path):
    forbidden = FORBIDDEN[path.relative_to(ROOT).parts[0]]

    both = any(path.is_relative_to(room) for room in BOTH)

    assert not imported(path) & (forbidden - {"serving"} if both else forbidden)


def test_deploy_reads_as_a_table_of_contents():
    assert len((ROOT / "deploy.py").read_text().splitlines()) < 80


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_production_code_never_knows_that_it_is_on_a_stand_in(path: Path):
    assert "standin" not in path.read_text().lower().replace("-", "")


def test_no_file_has_grown_into_two_subjects():
    grown = [path for path in FILES if len(path.read_text().splitlines()) > 400]

    assert grown == []
