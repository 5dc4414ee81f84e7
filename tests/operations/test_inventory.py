import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pyinfra.api.exceptions import InventoryError

from operations.inventory import declare, hosts

ROOT = Path(__file__).parents[2]
BAD = """
from operations.inventory import declare
from serving.declared import Ports

ports = declare(Ports, agent="many", rank=70000)
macs = ["192.0.2.1"]
"""


class Machine(BaseModel):
    """A machine as an inventory declares it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    address: str = "192.0.2.1"
    via: str = "ssh"
    ssh_user: str | None = None
    ssh_key: str | None = None
    ssh_known_hosts_file: str | None = None


class Lab(BaseModel):
    """A declaration of machines."""

    machines: Annotated[tuple[Machine, ...], Field(min_length=1)]


def test_all_faults_are_told_at_once_each_beginning_with_its_path():
    with pytest.raises(InventoryError) as refused:
        declare(Lab, machines=[{"name": 3}, {"name": "b", "adress": "x"}])

    assert str(refused.value).splitlines()[1:] == [
        "    machines/0/name: Input should be a valid string",
        "    machines/1/adress: Extra inputs are not permitted",
    ]


def test_a_list_that_is_empty_is_told_to_be_so():
    with pytest.raises(InventoryError, match="machines: Tuple should have at least 1 item"):
        declare(Lab, machines=[])


def test_a_machine_over_ssh_is_reached_at_its_address_by_its_name():
    ((name, data),) = hosts(Lab(machines=(Machine(name="a", ssh_user="admin", ssh_key="~/key"),)))

    assert (name, data["machine"], data["ssh_hostname"], data["ssh_user"]) == ("a", "a", "192.0.2.1", "admin")
    assert data["ssh_key"] == str(Path.home() / "key")
    assert "ssh_known_hosts_file" not in data


def test_the_machine_one_types_on_keeps_its_name():
    ((name, data),) = hosts(Lab(machines=(Machine(name="this-mac", via="local"),)))

    assert (name, data["machine"]) == ("@local", "this-mac")


def test_every_host_carries_the_whole_declaration():
    lab = Lab(machines=(Machine(name="a"), Machine(name="b")))

    assert {Lab.model_validate_json(data["declaration"]) == lab for _, data in hosts(lab)} == {True}


def test_a_bad_inventory_ends_pyinfra_cleanly_before_any_connection(tmp_path):
    (tmp_path / "bad.py").write_text(BAD)
    ended = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", tmp_path / "bad.py", "exec", "--", "true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "    agent: Input should be a valid integer" in ended.stderr
    assert "    rank: Input should be less than or equal to 65535" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Connecting" not in ended.stderr
