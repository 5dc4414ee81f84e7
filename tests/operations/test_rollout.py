import json

import pytest

from operations import files, rollout
from tests.operations.answers import printed
from tests.operations.fleet_of_fakes import Fleet

REPLICAS = {"a": ["mac-1", "mac-2"], "b": ["mac-3"]}
STATUS = ["/opt/example/status"]


def world(state: str | None, release: str = "agent-old"):
    """A machine without directories, whose agent says this of its replica; None for no agent at all."""
    said = json.dumps({"release": release, "replica": {"state": state}}) if state else ("", 127)
    return {"tree": printed(tree=""), "state": printed(state=said)}


def rolled(worlds, failing=None) -> tuple[Fleet, bool]:
    """A whole roll over both replicas: the fleet afterwards, and whether the run succeeded."""
    fleet = Fleet(worlds, failing)
    for replica, members in REPLICAS.items():
        fleet.prepare(
            rollout.step,
            replica,
            members=members,
            operation=files.directories,
            arguments={"wanted": [(f"/changed-{replica}", "root", "wheel", 755)]},
        )
        fleet.prepare(
            rollout.ready,
            replica,
            on=members[0],
            command=STATUS,
            release="agent-new",
            within_seconds=30,
        )
    fleet.prepare(
        rollout.publish,
        on="mac-1",
        replicas=list(REPLICAS),
        operation=files.directories,
        arguments=lambda proven: {"wanted": [(f"/published-{'-'.join(sorted(proven))}", "root", "wheel", 755)]},
    )
    fleet.prepare(rollout.verdict)
    return fleet, fleet.execute()


def done(fleet, word):
    """(machine, command) of every command with this word in it."""
    return [(name, command) for name, machine in fleet.machines.items() for command in machine.done if word in command]


OLD = {"mac-1": world("ready"), "mac-2": world(None), "mac-3": world("ready")}
NEW = {"mac-1": world("ready", "agent-new"), "mac-2": world(None), "mac-3": world("ready", "agent-new")}
FAILING = f"{STATUS[0]} --wait"


def test_each_step_touches_the_members_of_its_replica_only():
    fleet, succeeded = rolled(OLD)

    assert succeeded
    assert [name for name, _ in done(fleet, "/changed-a")] == ["mac-1", "mac-2"]
    assert [name for name, _ in done(fleet, "/changed-b")] == ["mac-3"]


def test_readiness_is_waited_for_on_rank_0_and_then_all_is_published():
    fleet, _ = rolled(OLD)

    assert [name for name, _ in done(fleet, "--wait 30")] == ["mac-1", "mac-3"]
    assert [name for name, _ in done(fleet, "/published-a-b")] == ["mac-1"]


def test_a_replica_that_somebody_drains_is_proven_and_published_and_not_waited_for():
    fleet, succeeded = rolled(NEW | {"mac-1": world("draining", "agent-new")})

    assert succeeded
    assert done(fleet, "--wait") == []
    assert [name for name, _ in done(fleet, "/published-a-b")] == ["mac-1"]


def test_a_replica_that_is_ready_with_its_release_is_not_waited_for():
    fleet, succeeded = rolled(NEW)

    assert succeeded
    assert done(fleet, "--wait") == []
    assert "replica a is ready with agent-new" in "\n".join(fleet.said)


def test_after_a_failure_the_next_replica_is_left_alone_and_what_serves_is_published():
    fleet, succeeded = rolled(OLD, failing=FAILING)

    assert not succeeded
    assert done(fleet, "/changed-b") == []
    assert [name for name, _ in done(fleet, "/published-b")] == ["mac-1"]


def test_the_verdict_tells_the_whole_story_once():
    fleet, _ = rolled(OLD, failing=FAILING)
    said = "\n".join(fleet.said)

    assert "replica 'a' did not become ready: it failed" in said
    assert "replica 'b' was left as it is: 'a' did not become ready. 'b' still serves." in said
    assert "Clients are served by b." in said
    assert said.count("Repair 'a', then run the deploy again.") == 1


def test_when_nobody_serves_what_clients_have_is_left_as_it_is():
    fleet, succeeded = rolled(OLD | {"mac-3": world("loading")}, failing=FAILING)

    assert not succeeded
    assert done(fleet, "/published") == []
    assert "no replica answers, so the gateway is left as it is" in "\n".join(fleet.said)


@pytest.mark.parametrize("state", [None, "loading", "failed", "broken"])
def test_a_replica_that_is_not_ready_yet_is_waited_for(state):
    fleet, _ = rolled(NEW | {"mac-1": world(state, "agent-new")})

    assert [name for name, _ in done(fleet, "--wait")] == ["mac-1"]


def test_while_pyinfra_prepares_nothing_is_written_down_and_all_counts_as_proven():
    fleet = Fleet(OLD)
    fleet.prepare(
        rollout.publish,
        on="mac-1",
        replicas=["a", "b"],
        operation=files.directories,
        arguments=lambda proven: {"wanted": [(f"/published-{'-'.join(sorted(proven))}", "root", "wheel", 755)]},
    )
    (planned,) = {meta.operation_meta.will_change for ops in fleet.state.ops.values() for meta in ops.values()} - {
        False
    }

    assert planned
    assert fleet.machines["mac-1"].done == []
