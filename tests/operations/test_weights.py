import hashlib
import json
import shlex

import pytest
from pyinfra.api.hiddenvalue import HiddenValue

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


ORDER = json.dumps({"directory": DIRECTORY, "hub": {"repository": "a/b", "token": None}})
PROGRAM = ["/opt/example/bin/python", "-m", "example.carrying"]


def test_with_only_some_to_be_sent_the_others_are_left_to_other_means(source):
    machine, _ = applied(
        weights.snapshot, world({}), DIRECTORY, source=source, manifest=manifest(source), only=["config.json"]
    )

    assert list(machine.sent.values()) == [b"{}"]


def test_a_mac_that_gets_all_from_its_neighbours_is_sent_nothing(source):
    machine, reason = applied(weights.snapshot, world({}), DIRECTORY, source=source, manifest=manifest(source), only=[])

    assert (machine.done, reason) == ([], f"{DIRECTORY} gets what it lacks from elsewhere")


def test_a_mac_that_weights_do_not_concern_says_so():
    machine, reason = applied(weights.brought, {}, "w", order=None, command=PROGRAM)

    assert (machine.done, reason) == ([], "weights w are not on their way here or from here")


def test_the_hubs_token_goes_by_standard_input_and_by_nothing_else():
    fleet = Fleet({"mac-1": {}})
    fleet.prepare(weights.brought, "w", order=ORDER, command=PROGRAM, token=HiddenValue("hf_secret"))
    went_well = fleet.execute()
    machine = fleet.machines["mac-1"]

    assert went_well
    assert machine.done == [shlex.join(PROGRAM)]
    assert json.loads(machine.given[0] or "")["hub"]["token"] == "hf_secret"
    assert not any("hf_secret" in line for line in fleet.said)


def test_a_program_that_fails_fails_the_run_with_its_own_words():
    fleet = Fleet({"mac-1": {}}, failing="example.carrying")
    fleet.prepare(weights.brought, "w", order=ORDER, command=PROGRAM)

    assert not fleet.execute()
    assert any("it failed" in line for line in fleet.said)


def test_what_came_of_quantising_is_pinned_and_the_source_removed_after_that():
    pinned: list[str] = []
    fleet = Fleet(
        {"mac-1": {}}, behaviour=lambda _, text: (True, ['{"files": {}}']) if text == "cat /w/r.json" else None
    )
    fleet.prepare(
        weights.quantised, "w", order="{}", command=PROGRAM, result="/w/r.json", spent=["/w/source"], pin=pinned.append
    )
    went_well = fleet.execute()

    assert went_well
    assert pinned == ['{"files": {}}']
    assert fleet.machines["mac-1"].done == [shlex.join(PROGRAM), "cat /w/r.json", "rm -rf /w/r.json /w/source"]


def test_a_source_stays_as_long_as_nobody_knows_what_came_of_it():
    pinned: list[str] = []
    fleet = Fleet({"mac-1": {}}, failing="cat /w/r.json")
    fleet.prepare(
        weights.quantised, "w", order="{}", command=PROGRAM, result="/w/r.json", spent=["/w/source"], pin=pinned.append
    )

    assert not fleet.execute()
    assert pinned == []
    assert not any("rm -rf" in command for command in fleet.machines["mac-1"].done)
