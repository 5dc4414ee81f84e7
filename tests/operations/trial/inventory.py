"""One stand-in Mac, of the lab whose directory the environment names."""

import os
from pathlib import Path

from operations.ssh import prompt_transport
from tests.standin.lab import Lab
from tests.standin.state import State

_lab = Lab(State(Path(os.environ["TRIAL_LAB"])))

macs = [
    (
        "mac-4",
        {
            "machine": "mac-4",
            "ssh_hostname": _lab.machine("mac-4").address,
            "ssh_user": "admin",
            "ssh_key": str(_lab.key),
            "ssh_known_hosts_file": str(_lab.known_hosts),
            "ssh_paramiko_connect_kwargs": {"transport_factory": prompt_transport},
        },
    )
]
