"""A broken inventory is told whole, before any connection. Through the command line, as a person meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.cluster import Cluster
from tests.deploy.running import ROOT, Run, deploy
from tests.serving.declarations import bent

BROKEN = {
    "misspelt field": (bent(machines__0__adress="10.0.0.9"), ["machines/0/adress: Extra inputs"]),
    "no address": (bent(machines__1={"name": "m2"}), ["machines/1/address: Field required"]),
    "host name for address": (bent(machines__2__address="m3.local"), ["machines/2/address: "]),
    "two of one name": (
        bent(machines__1__name="m1"),
        ["machines/1/name: 'm1' is declared twice", "replicas/0/machines: no machine 'm2'"],
    ),
    "cable to nowhere": (bent(links__5__between=["m3", "m7"]), ["links/5/between: no machine 'm7'"]),
    "no transport": (
        bent(replicas__0__transport=None, replicas__1__sharding=None),
        ["replicas/0/transport: ", "replicas/1/sharding: "],
    ),
    "transport any": (bent(replicas__0__transport="any"), ["replicas/0/transport: "]),
    "unknown weights": (
        bent(replicas__1__weights="v", gateway__machine="m8"),
        ["replicas/1/weights: no weights 'v'", "gateway/machine: no machine 'm8'"],
    ),
    "gateway on the agent's port": (bent(gateway__port=7440), ["gateway/port: 7440 is the agent port as well"]),
    "numbers as words": (
        bent(replicas__0__slots="four", weights__0__path="weights"),
        ["replicas/0/slots: ", "weights/0/path: "],
    ),
    "addresses of the lan on cables": (bent(thunderbolt__network="10.0.0.0/16"), ["thunderbolt/network: "]),
}


@pytest.fixture
def run_with(tmp_path: Path):
    def run(declaration: dict[str, object]) -> Run:
        inventory = tmp_path / "broken.py"
        inventory.write_text(
            "from operations.inventory import declare, hosts\nfrom serving.cluster import Cluster\n\n"
            f"macs = hosts(declare(Cluster, **{declaration!r}))\n"
        )
        return deploy(inventory)

    return run


@pytest.mark.parametrize(("declaration", "faults"), BROKEN.values(), ids=BROKEN)
def test_all_faults_are_told_at_once_and_nothing_is_connected_to(run_with, declaration, faults):
    run = run_with(declaration)

    assert run.code == 1
    assert [fault for fault in faults if fault not in run.output] == []
    assert "Connecting" not in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("name", ["lab", "local"])
def test_the_inventories_people_copy_are_right(name: str):
    loaded: dict[str, object] = {}
    exec(compile((ROOT / "inventories" / f"{name}.py").read_text(), name, "exec"), loaded)  # noqa: S102  # as pyinfra does

    assert isinstance(loaded["cluster"], Cluster)
    assert loaded["cluster"].name == name


def test_the_manual_shows_every_field():
    manual = (ROOT / "inventories" / "lab.py").read_text()

    def fields(of: dict[str, object]) -> set[str]:
        named = set(of.get("properties", {}))
        return named.union(*(fields(inner) for inner in of.get("$defs", {}).values()))

    assert {
        name for name in fields(Cluster.model_json_schema()) if f'"{name}"' not in manual and f"{name}=" not in manual
    } == set()
