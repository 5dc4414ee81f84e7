import os
import tarfile

from operations.archive import pack, sha256_of


def tree(directory):
    """A directory with a file, a program and a link."""
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python3.12").write_text("#!/bin/sh\n")
    (directory / "bin" / "python3.12").chmod(0o700)
    (directory / "b.txt").write_text("x\n")
    os.symlink("python3.12", directory / "bin" / "python3")
    return directory


def test_the_same_tree_is_the_same_archive_whenever_and_wherever_it_is_packed(tmp_path):
    for name, moment in (("one", 1), ("two", 10**9)):
        os.utime(tree(tmp_path / name) / "b.txt", (moment, moment))
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")

    assert sha256_of(tmp_path / "one.tar.gz") == sha256_of(tmp_path / "two.tar.gz")


def test_entries_belong_to_root_and_are_open_to_read(tmp_path):
    pack(tree(tmp_path / "one"), tmp_path / "one.tar.gz")
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        entries = {entry.name: (entry.uid, entry.uname, oct(entry.mode)) for entry in tar if not entry.issym()}

    assert entries == {
        "b.txt": (0, "", "0o644"),
        "bin": (0, "", "0o755"),
        "bin/python3.12": (0, "", "0o755"),
    }
