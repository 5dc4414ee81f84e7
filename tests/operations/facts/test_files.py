import hashlib
import os
import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.files import Tree
from tests.operations.answers import printed


def seen(*paths: str):
    """What the real command says of real files, read back by the fact."""
    command = Tree().command(paths=paths)
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return Tree().process(ended.stdout.splitlines())


def test_files_directories_and_links_are_told_apart(tmp_path):
    (tmp_path / "a file").write_text("x\n")
    (tmp_path / "a file").chmod(0o600)
    (tmp_path / "dir").mkdir(mode=0o755)
    os.symlink("dir", tmp_path / "link")
    found = seen(*(str(tmp_path / name) for name in ("a file", "dir", "link", "nothing")))

    assert {
        path.rpartition("/")[2]: (entry["kind"], entry["mode"], entry["target"]) for path, entry in found.items()
    } == {
        "a file": ("file", "600", None),
        "dir": ("directory", "755", None),
        "link": ("link", "777", "dir"),
    }


def test_small_files_are_told_by_their_content_large_ones_are_not(tmp_path):
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    found = seen(str(tmp_path / "small"), str(tmp_path / "large"))

    assert [entry["sha256"] for entry in found.values()] == [hashlib.sha256(b"x").hexdigest(), None]


def test_bsd_stat_is_understood_as_well():
    found = Tree().process(
        printed(tree="path /opt/x\ndirectory root wheel 0755\npath /tmp\ndirectory root wheel 1777\n")
    )

    assert [entry["mode"] for entry in found.values()] == ["755", "1777"]


@pytest.mark.parametrize(
    "text",
    [
        "path /opt/x\n",
        "path /opt/x\npath /opt/y\nfile root wheel 0644\n",
        "path /opt/x\nstat: /opt/x: Permission denied\n",
        "path /opt/x\nfile root wheel rw-r--r--\n",
        "file root wheel 0644\n",
        "target elsewhere\n",
        f"{'ab' * 32}  -\n",
    ],
)
def test_a_path_that_is_not_described_is_not_taken_for_one_that_is_not_there(text):
    with pytest.raises(FactProcessError, match="cannot tell"):
        Tree().process(printed(tree=text))
