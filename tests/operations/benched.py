"""A bench of one replica on hosts that answer what they are told; a process of its own, as the command patches gevent.

python -m tests.operations.benched DIRECTORY: one line of JSON, `{"measured": ..., "asked": [...]}` or `{"why": ...}`.
What the Mac says is in `world.json` there: `state`, `agent`, and `samples`, one after the other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyinfra.context import ctx_state

from operations.command.bench import NotMeasured, _Lab, _measured  # pyright: ignore[reportPrivateUsage]
from operations.command.connecting import Connected, console
from serving import layout
from serving.measuring.receipts import NONE
from serving.record import Proven
from serving.supply.pinned import Known
from serving.weights import manifest
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet, Machine
from tests.serving.declarations import declared
from tests.serving.labs import all_well
from tests.weights import PATH

RELEASE = "agent-0000"


def main(directory: Path) -> None:
    told: dict[str, Any] = json.loads((directory / "world.json").read_text())
    asked: list[Any] = []

    def behaviour(machine: Machine, text: str) -> tuple[bool, list[str]] | None:
        if "serving.agent.measure" not in text:
            return None
        asked.append([machine.name, json.loads(machine.given[-1] or "")])
        said = told["samples"].pop(0)
        return (False, [said]) if isinstance(said, str) else (True, [json.dumps(said)])

    path = f"path {layout.RELEASES}/{RELEASE}/agent.json"
    world = {
        "texts": printed(texts=f"{path}\n {told['agent']}"),
        "state": printed(state=json.dumps(told["state"])),
    }
    fleet = Fleet(dict.fromkeys(all_well(), world), behaviour=behaviour)
    cluster = declared(weights__0__path=str(PATH))
    proven = Proven("a", ("m1", "m2"), "w", "/weights", {"m1": RELEASE, "m2": RELEASE}, "", None)
    known = {"w": Known("w", manifest(PATH), PATH, ())}
    serving = {} if told.get("unproven") else {"a": proven}
    with ctx_state.use(fleet.state):
        lab = _Lab(Connected(cluster, fleet.state, {}), all_well(), serving, NONE, known, console(quiet=True))
        try:
            measured = _measured(lab, cluster.replicas[0])
        except NotMeasured as why:
            print(json.dumps({"why": str(why), "asked": asked}))
        else:
            print(json.dumps({"measured": measured.model_dump(mode="json"), "asked": asked}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
