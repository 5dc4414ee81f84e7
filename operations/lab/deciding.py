"""What a deploy does to a lab that was judged: its plan and its roll, and what each operation is told on one machine.

Here packages are made and secrets are read, since releases are named by both; on no Mac is anything done yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyinfra.api.hiddenvalue import HiddenValue

from operations import control, fleet, launchd, packaging, pythons
from operations.lab.judging import Judged
from operations.packaging import Package
from operations.pythons import Python
from serving import forecast, layout, report, roll, updating, versions
from serving.hidden import CLUSTER_TOKEN, GATEWAY_KEY, hub_token
from serving.plan import Plan
from serving.roll import Roll
from serving.supply import pinned


def decided(lab: Judged, machine: str) -> Decided:
    """What a deploy does, as one machine takes part in it."""
    python = pythons.python_for(
        machine, lab.facts[machine], declared=lab.cluster.python.model_dump(), root=layout.PYTHON
    )
    packages = packaging.packages(target=python.target, package="serving", mac_wheels=versions.JACCL_WHEEL)
    keys = control.kept_secrets(lab.cluster.name, [CLUSTER_TOKEN, GATEWAY_KEY], given=lab.given)
    plan = Plan(
        cluster=lab.cluster,
        seen=lab.seen,
        manifests=pinned.manifests(lab.known),
        packages=packages,
        placed=lab.placed,
        digests=control.digests(keys),
        pending=lab.supply.pending,
    )
    rolling = fleet.once(roll.of, plan, lab.facts, launchd.differing)
    return Decided(lab, machine, python, packages, keys, plan, rolling)


@dataclass(frozen=True)
class Decided:
    """A deploy on one machine; the plan and the roll are the same on all of them."""

    lab: Judged
    machine: str
    python: Python
    packages: Mapping[str, Package]
    keys: Mapping[str, HiddenValue]
    plan: Plan
    roll: Roll

    @property
    def told(self) -> list[str]:
        """What is about to be done, in lines."""
        return [*self.lab.supply.told, *fleet.once(forecast.lines, self.roll, self.lab.measured)]

    @property
    def interpreter(self) -> dict[str, Any]:
        """The Python to lay."""
        return {"package": self.python.package, "version": self.python.target.python}

    def environments(self) -> Iterator[dict[str, Any]]:
        """The environments to lay, and by what each is proven."""
        for kind in self.plan.environments(self.machine):
            laid = {"package": self.packages[kind], "python": self.python.path, **versions.PROOF[kind]}
            yield {"name": f"Lay the {kind} environment", **laid}

    @property
    def software(self) -> dict[str, Any]:
        """Our own modules."""
        package, python = self.packages["software"], self.plan.interpreter("node")
        return {"package": package, "python": python, **versions.PROOF["software"]}

    @property
    def secrets(self) -> dict[str, HiddenValue]:
        """By path."""
        return self.plan.secrets(self.machine, self.keys, control.hidden)

    def sent(self) -> Iterator[dict[str, Any]]:
        """Weights that come from here."""
        for name, sent in self.lab.supply.sent_to(self.machine):
            yield {"name": f"Send weights {name}", **sent}

    def brought(self) -> Iterator[dict[str, Any]]:
        """Weights that come from the hub or from other Macs; all machines take part in each."""
        command = self.plan.program("serving.supply.carrying")
        for name in self.lab.supply.names:
            told = {"order": self.lab.supply.order(self.machine, name), "token": self.keys.get(hub_token(name))}
            yield {"weights": name, "name": f"Bring weights {name}", "command": command, **told}

    def quantised(self) -> Iterator[dict[str, Any]]:
        """Weights that are made here out of others; all machines take part in each."""
        command = self.plan.program("serving.supply.quantising")
        for name in sorted(self.lab.supply.pending):
            pin = pinned.pinning(self.lab.cluster, control.DIRECTORY, name)
            made = self.lab.supply.conversion(self.machine, name)
            yield {"weights": name, "name": f"Quantise {name}", "command": command, "pin": pin, **made}

    @cached_property
    def update(self) -> list[dict[str, Any]]:
        """Another macOS, if one is declared."""
        return updating.update(self.lab.cluster, self.lab.seen, self.machine, self.keys)

    @property
    def client_file(self) -> Path:
        """What clients source."""
        return control.client_file(self.lab.cluster.name)

    @property
    def clients(self) -> dict[str, Any]:
        """What is written there."""
        variables = report.variables(self.lab.cluster, self.keys[GATEWAY_KEY])
        return {"path": self.client_file, "variables": variables}

    @property
    def closing(self) -> str:
        """What is told last, when all went well."""
        return self.lab.supply.again or report.endpoint(self.lab.cluster, self.client_file)
