import pytest
from pyinfra.api.exceptions import OperationError

from operations import files
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import applied

WANTED = [("/opt/example", "root", "wheel", 755), ("/opt/example/state", "_example", "_example", 700)]


def world(*entries: str):
    return {"tree": printed(tree="".join(f"{entry}\n" for entry in entries))}


def test_only_what_is_missing_or_wrong_is_made():
    seen = world("path /opt/example", "directory root wheel 775")
    machine, _ = applied(files.directories, seen, WANTED)

    assert machine.done[0].split(" && ") == [
        "install -d -o root -g wheel -m 755 /opt/example",
        "install -d -o _example -g _example -m 700 /opt/example/state",
    ]


def test_directories_as_declared_are_left_alone():
    seen = world(
        *("path /opt/example", "directory root wheel 0755"),
        *("path /opt/example/state", "directory _example _example 0700"),
    )
    machine, reason = applied(files.directories, seen, WANTED)

    assert (machine.done, reason) == ([], "all 2 directories are as declared")


def test_a_file_in_the_place_of_a_directory_is_not_removed():
    with pytest.raises(OperationError, match=r"cannot make directory /opt/example on .*: there is a file"):
        applied(files.directories, world("path /opt/example", "file root wheel 644"), WANTED)
