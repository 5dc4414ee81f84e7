import hashlib

import pytest
from pyinfra.api.exceptions import OperationValueError
from pyinfra.api.hiddenvalue import HiddenValue

from operations import secrets
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, applied

PATH = "/opt/example/token"
OTHER = "/opt/example/key"
CONTENTS = {PATH: HiddenValue("sesame")}
OWNED = {"owner": "_example", "group": "_example"}
DIGEST = hashlib.sha256(b"sesame\n").hexdigest()


def world(*lines: str):
    return {"tree": printed(tree="".join(f"{line}\n" for line in lines))}


def test_the_content_goes_by_standard_input_and_into_place_whole():
    machine, _ = applied(secrets.secrets, world(), CONTENTS, **OWNED)

    assert machine.given == ["sesame\n"]
    assert machine.done[0].index("umask 077") < machine.done[0].index("cat >") < machine.done[0].index("mv -f")


def test_the_content_is_nowhere_else():
    fleet = Fleet({"mac-1": world()})
    fleet.prepare(secrets.secrets, CONTENTS, **OWNED)
    fleet.execute()
    operations = [repr(meta.__dict__) for meta in fleet.state.op_meta.values()]

    assert "sesame" not in "".join([*fleet.machines["mac-1"].done, *fleet.said, *operations])


def test_a_secret_in_place_is_left_alone():
    machine, reason = applied(
        secrets.secrets, world(f"path {PATH}", "file _example _example 600", f"{DIGEST}  -"), CONTENTS, **OWNED
    )

    assert (machine.done, reason) == ([], f"{PATH} is up to date")


@pytest.mark.parametrize(
    "entry", ["file _example _example 644", "file root wheel 600", "link root wheel 755"], ids=["mode", "owner", "kind"]
)
def test_a_secret_that_others_could_read_or_change_is_written_again(entry):
    machine, _ = applied(secrets.secrets, world(f"path {PATH}", entry, f"{DIGEST}  -"), CONTENTS, **OWNED)

    assert len(machine.done) == 1


def test_of_several_only_the_wrong_one_is_written():
    right = (f"path {PATH}", "file _example _example 600", f"{DIGEST}  -")
    machine, _ = applied(secrets.secrets, world(*right), CONTENTS | {OTHER: HiddenValue("open")}, **OWNED)

    assert machine.given == ["open\n"]


@pytest.mark.parametrize("content", ["sesame", HiddenValue("")], ids=["bare text", "nothing"])
def test_text_that_pyinfra_would_print_is_refused(content):
    with pytest.raises(OperationValueError, match="not text in a HiddenValue") as refused:
        applied(secrets.secrets, world(), {PATH: content}, **OWNED)

    assert "sesame" not in str(refused.value)
