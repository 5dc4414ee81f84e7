import hashlib
import json

import pytest
from pyinfra.api.exceptions import OperationError, OperationValueError

from operations import releases
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import applied

ROOT = "/opt/example/releases"
PATH = f"{ROOT}/agent-1a2b"
LINKS = {"environment": "/opt/example/environments/node-3c4d"}
FILES = {"agent.json": "{}\n"}
RECEIPT = {"links": LINKS, "files": {"agent.json": hashlib.sha256(b"{}\n").hexdigest()}}


def world(**laid: object):
    return {"laid": printed(laid="".join(f"directory {ROOT}/{n}/\n{json.dumps(r)}\n" for n, r in laid.items()))}


def test_a_release_is_prepared_under_another_name_and_moved_into_place_whole():
    machine, _ = applied(releases.release, world(), PATH, links=LINKS, files=FILES)
    linked, written, moved = machine.done

    assert f'ln -s {LINKS["environment"]} "$new"/environment' in linked
    assert (f"{PATH}.new/agent.json" in written, machine.given[1]) == (True, "{}\n")
    assert 'mv "$new" "$final"' in moved


def test_a_release_that_is_laid_is_left_alone():
    machine, reason = applied(releases.release, world(**{"agent-1a2b": RECEIPT}), PATH, links=LINKS, files=FILES)

    assert (machine.done, reason) == ([], "agent-1a2b is laid")


def test_a_release_never_changes():
    with pytest.raises(OperationError, match="it is there with other content"):
        applied(releases.release, world(**{"agent-1a2b": RECEIPT}), PATH, links=LINKS, files={"agent.json": "[]\n"})


@pytest.mark.parametrize("name", ["../agent.json", "/etc/passwd", "", ".hidden"])
def test_a_name_that_leads_out_of_the_release_is_refused(name):
    with pytest.raises(OperationValueError, match="is not a plain file name"):
        applied(releases.release, world(), PATH, links={}, files={name: "x\n"})


def test_what_is_not_kept_is_removed():
    laid = world(**{"agent-1a2b": RECEIPT, "agent-0000": RECEIPT, "agent-2222.new": RECEIPT})
    machine, _ = applied(releases.collected, laid, ROOT, keep={"agent-1a2b"})

    assert machine.done == [f"rm -rf {ROOT}/agent-0000 {ROOT}/agent-2222.new"]


def test_nothing_out_of_use_is_nothing_to_do():
    machine, reason = applied(releases.collected, world(**{"agent-1a2b": RECEIPT}), ROOT, keep={"agent-1a2b"})

    assert (machine.done, reason) == ([], f"nothing in {ROOT} is out of use")
