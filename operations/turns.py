"""One turn of a roll: what is done, in order, to the machines of one replica. Every host takes part in every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operations import launchd, macos_update, proof, reversal, rollout, service
from operations.proof import Files


def taken(
    replica: str, *, machines: Sequence[str], steps: Mapping[str, Mapping[str, Any]], record: Mapping[str, str]
) -> None:
    """Register the operations of a turn; `steps` holds the arguments of each of them but its name.

    `drain`, `agents` (of this host), `ready`, `fast`, `back`, `back_proven`, `recorded` and `readmit`, as the
    operations of these names want them, and `macos`, another macOS for this host: a list of one or none, the same on
    all hosts. `record` says where a machine's record is, as `proof.Files` has it.
    """
    files = Files(**record)
    it = f"Replica {replica}:"
    service.drain(replica=replica, name=f"{it} drain", **steps["drain"])
    # Mixed builds form no mesh: all its machines restart together, while nothing of it serves.
    for update in steps["macos"]:
        another: dict[str, Any] = {
            "members": steps["agents"]["members"],
            "operation": macos_update.updated,
            "arguments": update,
        }
        rollout.step(replica=replica, name=f"{it} update macOS together", **another)
    load = f"{it} load agents on {', '.join(machines)}"
    rollout.step(replica=replica, name=load, operation=launchd.daemon, **steps["agents"])
    rollout.ready(replica=replica, name=f"{it} start its ranks together", **steps["ready"])
    service.fast(replica=replica, name=f"{it} measure its speed", **steps["fast"])
    reversal.back(replica=replica, name=f"{it} go back if it is not proven", files=files, **steps["back"])
    reversal.proven(replica=replica, name=f"{it} prove what it went back to", **steps["back_proven"])
    service.readmit(replica=replica, name=f"{it} readmit", **steps["readmit"])
    # Clients do not wait for a disk. A run that ends in between leaves a proven replica that the next one writes down.
    proof.recorded(replica=replica, name=f"{it} write down what is proven", files=files, **steps["recorded"])
