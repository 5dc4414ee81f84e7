"""The border to pyinfra: what comes of a host that is no longer reached."""

from __future__ import annotations

import pytest
from paramiko import SSHClient, SSHException
from pyinfra.api import Inventory, State

from operations.remote import run


@pytest.mark.parametrize("client", [None, SSHClient()], ids=["never connected", "given up"])
def test_a_command_without_a_connection_is_a_lost_connection(client: SSHClient | None):
    inventory = Inventory((["@ssh/10.0.0.1"], {}))
    host = inventory.get_host("@ssh/10.0.0.1")
    host.init(State(inventory))
    host.connector.client = client

    with pytest.raises(SSHException, match="no connection"):
        run(host, "true", timeout_seconds=1)
