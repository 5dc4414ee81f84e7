import re
import tomllib

import pytest

from serving import versions
from tests import readme
from tests.readme import ROOT

LOCKED = {each["name"]: each["version"] for each in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}


def test_the_first_command_deploys_and_the_second_tests():
    first, second, *_ = readme.commands()

    assert first == "pip install uv && uv run pyinfra -y inventories/standin.py deploy.py"
    assert second == "pip install uv && uv run --all-groups pytest"


def test_the_gate_calls_the_readmes_test_command():
    assert readme.commands()[1].partition("&& ")[2] in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`([a-z.][a-z./]*/|[a-z]+\.py|inventories/[a-z]+\.py)`", readme.TEXT)))
)
def test_what_it_names_is_there(path: str):
    assert any((ROOT / folder / path).exists() for folder in ("", "inventories", "operations", "tests"))


def test_versions_are_the_locked_ones():
    checked = {
        name: version for proof in versions.PROOF.values() for name, version in proof.get("versions", {}).items()
    }

    assert checked == {name: LOCKED[name] for name in checked}
    assert checked.keys() >= {"mlx", "mlx-lm", "litellm"}
