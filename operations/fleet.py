"""The whole fleet seen at once, before any operation exists, and a way to refuse it.

pyinfra runs the deploy file once for each host, all at the same time in greenlets. The first to ask reads every
machine; the others wait for the same answer. So each of them comes to the same verdict, and when that is a refusal
pyinfra prints it once and ends with 1 before it has changed anything. Checked with pyinfra 3.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra.api.exceptions import DeployError, FactProcessError
from pyinfra.api.facts import FactBase
from pyinfra.api.host import Host
from pyinfra.api.state import State

from operations.facts.environment import Interpreter
from operations.facts.macos import Mac
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.inventory import machine_name
from operations.remote import current_state, run, together

Seen = dict[str, dict[str, Any]]

# Longer than all the limits inside one fact together: past it the machine itself does not answer.
_SILENCE_SECONDS = 60

_looks: WeakKeyDictionary[State, Seen] = WeakKeyDictionary()
# pyinfra has patched this to wait without stopping other greenlets.
_looking = Lock()


def look(*, interpreter: str | None = None) -> Seen:
    """For each connected machine by name: `mac`, `ports`, `rdma`, and `interpreter` when a path is given.

    Each is what the fact of that subject returns, or `{"problem": text}` when the machine could not tell. Machines
    left out with `--limit` are not there. All machines and subjects are read at the same time, once in a run.
    """
    state = current_state()
    with _looking:
        if state not in _looks:
            _looks[state] = _read_all(state, interpreter)
        return _looks[state]


def refuse(faults: Sequence[str]) -> None:
    """Raise pyinfra's DeployError with all faults, if there are any: one message, exit code 1, nothing changed."""
    if faults:
        listed = "\n".join(f"    {fault}" for fault in faults)
        raise DeployError(f"nothing was changed:\n{listed}")


def _read_all(state: State, interpreter: str | None) -> Seen:
    subjects: dict[str, tuple[type[FactBase[Any]], Mapping[str, str]]] = {
        "mac": (Mac, {}),
        "ports": (ThunderboltPorts, {}),
        "rdma": (Rdma, {}),
    }
    if interpreter is not None:
        subjects["interpreter"] = (Interpreter, {"path": interpreter})
    hosts = state.inventory.get_active_hosts()
    seen: Seen = {machine_name(host): {} for host in hosts}

    def read(host: Host, subject: str) -> None:
        fact, arguments = subjects[subject]
        seen[machine_name(host)][subject] = _read(host, fact(), arguments)

    together([partial(read, host, subject) for host in hosts for subject in subjects])
    return seen


def _read(host: Host, fact: FactBase[Any], arguments: Mapping[str, str]) -> Any:
    # Not `host.get_fact`: that fails the host and gives a default, and the reason is lost in the log.
    try:
        succeeded, output = run(host, str(fact.command(**arguments)), timeout_seconds=_SILENCE_SECONDS)
        if succeeded:
            return fact.process(output.stdout_lines)
    except TimeoutError:
        return {"problem": f"no answer within {_SILENCE_SECONDS} s"}
    except (OSError, SSHException, FactProcessError) as error:
        return {"problem": str(error)}
    return {"problem": output.stderr or "the command failed without a word"}
