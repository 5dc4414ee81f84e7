import hashlib

import pytest

from operations import weights
from operations.facts.weights import Receipt, Vouched
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, applied

DIRECTORY = "/opt/example/weights/cider-1"


@pytest.fixture
def source(tmp_path):
    """Two files of weights on the control machine."""
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "model.safetensors").write_bytes(b"right")
    return tmp_path


def manifest(source):
    contents = {path.name: path.read_bytes() for path in source.iterdir()}
    return {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}


def world(files, *more: str):
    """A directory that holds these files, vouched for, and more that are not."""
    vouched = {path: Vouched(size=file["size"], sha256=file["sha256"], changed="1.5") for path, file in files.items()}
    listing = [f"{file['size']} 1.5 ./{path}" for path, file in files.items()] + list(more)
    return {"receipt": printed(receipt=Receipt(files=vouched).model_dump_json(), files="\n".join(listing))}


def test_a_bare_mac_is_sent_every_file_and_vouches_for_each_as_it_arrives(source):
    machine, _ = applied(weights.snapshot, world({}), DIRECTORY, source=source, manifest=manifest(source))

    assert sorted(machine.sent.values()) == [b"right", b"{}"]
    assert [f"{DIRECTORY}/config.json" in command for command in machine.done if "shasum" in command] == [True, False]
    assert sum("receipt.json" in command for command in machine.done) == 2


def test_only_the_damaged_file_is_sent_again(source):
    wanted = manifest(source)
    damaged = wanted | {"model.safetensors": {"size": 5, "sha256": "0" * 64}}
    machine, _ = applied(weights.snapshot, world(damaged), DIRECTORY, source=source, manifest=wanted)

    assert list(machine.sent.values()) == [b"right"]


def test_files_that_are_not_declared_are_removed(source):
    wanted = manifest(source)
    machine, _ = applied(
        weights.snapshot, world(wanted, "9 1.5 ./stale.safetensors"), DIRECTORY, source=source, manifest=wanted
    )

    assert machine.done == [f"rm -f {DIRECTORY}/stale.safetensors"]


def test_weights_as_declared_are_left_alone(source):
    wanted = manifest(source)
    machine, reason = applied(weights.snapshot, world(wanted), DIRECTORY, source=source, manifest=wanted)

    assert (machine.done, reason) == ([], f"{DIRECTORY} holds the 2 files of its manifest")


def test_a_file_that_arrives_damaged_is_not_put_in_place_nor_vouched_for(source):
    fleet = Fleet({"mac-1": world({})}, failing="shasum -a 256 -c")
    fleet.prepare(weights.snapshot, DIRECTORY, source=source, manifest=manifest(source))

    assert not fleet.execute()
    assert not any("receipt.json" in command for command in fleet.machines["mac-1"].done)


def test_a_file_missing_on_the_control_machine_fails_with_its_name_and_leaves_nothing_behind(source):
    wanted = manifest(source) | {"gone.safetensors": {"size": 1, "sha256": "0" * 64}}
    fleet = Fleet({"mac-1": world(manifest(source))})
    fleet.prepare(weights.snapshot, DIRECTORY, source=source, manifest=wanted)

    assert not fleet.execute()
    assert any("cannot send gone.safetensors" in line for line in fleet.said)
    assert fleet.machines["mac-1"].done[-1].startswith("rm -rf /tmp/")
