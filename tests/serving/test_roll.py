"""What a roll does on each machine, and how it is told beforehand: from a plan, records and what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from serving import daemons, forecast, layout, looking
from serving.configuration import AgentConfiguration
from serving.errors import RecordUnreadable
from serving.record import Record
from serving.roll import Roll, of
from tests.serving.measuring.receipts import kept, receipt, replica
from tests.serving.test_plan import plan
from tests.serving.test_updates import WANTED, waiting

MACHINES = ("m1", "m2", "m3", "m4")
PAIRS = {"a": ("m1", "m2"), "b": ("m3", "m4")}


def record(name: str, members: tuple[str, ...], **told: Any) -> Record:
    lies = {"weights_directory": "/opt/cidermill/weights/w-old"}
    return Record(replica=name, machines=members, weights="w", release="agent-0000", seconds=12.0, **{**lies, **told})


RECORDS: dict[str, Record | None] = {m: record(name, members) for name, members in PAIRS.items() for m in members}
NONE: dict[str, Record | None] = dict.fromkeys(MACHINES)


def roll(records: dict[str, Record | None] = RECORDS, changed: tuple[str, ...] = MACHINES, **changes: object) -> Roll:
    return Roll(plan(**changes), records, frozenset(changed))


def steps(rolled: Roll, turn: int = 0, machine: str = "m1") -> dict[str, Any]:
    return rolled.steps(rolled.turns[turn], machine)


def test_a_turn_drains_rank_0_under_the_deploys_name_and_for_a_short_time():
    drain = steps(roll(rolling__drain_seconds=30))["drain"]
    mine = drain["on"]["m1"]

    assert (list(drain["on"]), drain["changes"], drain["within_seconds"]) == (["m1"], True, 30)
    assert mine["order"][-4:] == ["--by", "deploy", "--for", "360"]
    assert mine["wait"][-2:] == ["--wait", "30"]
    assert "serving.agent.speed" in mine["speed"]


def test_what_is_begun_is_held_back_until_it_is_proven_and_then_readmitted_by_the_same_name():
    mine = steps(roll())

    assert mine["ready"]["holding"] == ["--held-by", "deploy", "--for", "360"]
    assert mine["readmit"]["command"][-2:] == ["--by", "deploy"]


def test_a_replica_that_stays_is_not_held_back_and_only_has_to_be_ready():
    mine = steps(roll(changed=()))

    assert mine["ready"]["holding"] == []
    assert mine["drain"]["changes"] is False


def test_every_machine_of_a_turn_changes_to_its_own_agent():
    rolled = roll()
    agents = {name: steps(rolled, 0, name)["agents"] for name in ("m1", "m2")}

    assert {each["members"] for each in agents.values()} == {("m1", "m2")}
    assert agents["m1"]["arguments"] == rolled.plan.agent_daemon("m1")
    assert agents["m2"]["arguments"] == rolled.plan.agent_daemon("m2")


def test_what_it_goes_back_to_is_asked_by_its_own_release():
    back = steps(roll())["back_proven"]["on"]["m1"]

    assert (back["replica"], back["release"]) == ("a", "agent-0000")
    assert f"{layout.RELEASES}/agent-0000/agent.json" in back["wait"]
    assert back["wait"][-4:] == ["--held-by", "deploy", "--for", "360"]


def test_one_whose_rank_0_was_taken_out_of_the_lab_is_asked_by_nobody():
    gone = {"m2": record("a", ("m9", "m2")), "m3": RECORDS["m3"], "m4": RECORDS["m4"]}
    mine = steps(roll(records=gone, changed=("m1", "m2")), 1)

    assert mine["back_proven"]["on"] == {}
    assert list(mine["drain"]["on"]) == ["m1"]


def test_what_is_written_down_names_the_release_the_weights_and_what_both_need():
    rolled = roll()
    told = steps(rolled)["recorded"]["records"]["m2"]

    assert told["release"] == rolled.plan.agent("m2").name
    assert told["machines"] == ["m1", "m2"]
    assert told["weights_directory"] == "/opt/cidermill/weights/w-0123456789ab"
    assert told["environments"] == ["/opt/cidermill/environments/node-1", "/opt/cidermill/software/software-2222"]
    assert {"since", "seconds", "speed"} & told.keys() == set()
    assert Record.model_validate(told).replica == "a"


def test_a_mac_that_leaves_is_given_an_agent_without_a_rank_in_the_turn_of_its_replica_and_no_record():
    alone = {"name": "b", "machines": ["m3"], "weights": "w"}
    rolled = roll(replicas__1=alone, changed=("m3", "m4"))
    number = [turn.name for turn in rolled.turns].index("b")
    mine = steps(rolled, number, "m4")
    path = rolled.plan.agent("m4").files["agent.json"]

    assert mine["agents"]["members"] == ("m3", "m4")
    assert AgentConfiguration.model_validate_json(path).replica is None
    assert mine["recorded"]["records"]["m4"] is None
    # Loaded early it would end a rank of a replica that serves.
    assert [each["label"] for each in rolled.early_daemons("m4")] == [daemons.LINKS]


def test_a_mac_that_serves_nothing_gets_its_agent_early():
    alone = {"name": "b", "machines": ["m3"], "weights": "w"}
    rolled = roll(records=NONE, replicas__1=alone)

    assert [each["label"] for each in rolled.early_daemons("m4")] == [daemons.LINKS, daemons.AGENT]


def test_speed_is_compared_with_what_was_measured_then_if_it_cannot_be_now():
    before = {"tokens_per_second": 20.0, "of": "x"}
    records = {**RECORDS, "m1": record("a", PAIRS["a"], speed=before)}

    assert steps(roll(records=records))["fast"]["before"] == before
    assert steps(roll())["fast"]["before"] is None


PAIR = {"machines": ["m1", "m2"], "transport": "ring", "sharding": "tensor", "context_tokens": 4096}
ONE = {"replicas": [{"name": "a", "weights": "w", **PAIR}]}
SAME = {"weights_directory": "/opt/cidermill/weights/w-0123456789ab", "context_tokens": 4096}


def alone(**told: Any) -> Roll:
    records = {name: record("a", PAIRS["a"], **{**SAME, **told}) for name in PAIRS["a"]}
    return roll(records={**NONE, **records}, changed=PAIRS["a"], **ONE)


def test_nobody_waits_for_answers_that_go_on_after_the_turn_of_the_only_replica():
    assert steps(alone())["drain"]["waits"] is False
    assert "go on with the pause's end" in "\n".join(forecast.lines(alone()))


@pytest.mark.parametrize(
    "told", [{"weights_directory": "/opt/cidermill/weights/w-old"}, {"context_tokens": 8192}, {"context_tokens": None}]
)
def test_answers_that_could_not_go_on_are_waited_for(told: dict[str, Any]):
    assert steps(alone(**told))["drain"]["waits"] is True


def test_answers_that_go_on_elsewhere_are_waited_for():
    assert steps(roll())["drain"]["waits"] is True


KNOWN: dict[str, Any] = {"speed": {"tokens_per_second": 20.03, "of": "x"}}
"""A replica whose speed was written down when it was proven."""


def test_the_only_replica_works_until_its_agent_ends_when_its_speed_is_written_down():
    known, unknown = (steps(rolled)["drain"]["on"]["m1"] for rolled in (alone(**KNOWN), alone()))

    assert (known["speed"], known["works_until_restart"], known["order"][-1]) == (None, True, "--from-restart")
    assert "serving.agent.speed" in unknown["speed"]
    assert (unknown["works_until_restart"], "--from-restart" in unknown["order"]) == (False, False)
    assert "takes requests until its agent ends" in "\n".join(forecast.lines(alone(**KNOWN)))


def test_the_only_replica_works_no_longer_where_its_answers_could_not_go_on():
    other = alone(weights_directory="/opt/cidermill/weights/w-old", **KNOWN)

    assert "--from-restart" not in steps(other)["drain"]["on"]["m1"]["order"]


@pytest.mark.parametrize(("least", "enough"), [(0.8, 16.03), (None, 0.01)])
def test_the_only_replica_is_held_no_longer_than_until_it_has_its_share_of_that_speed(
    least: float | None, enough: float
):
    records = {name: record("a", PAIRS["a"], **SAME, **KNOWN) for name in PAIRS["a"]}
    rolled = roll(records={**NONE, **records}, changed=PAIRS["a"], rolling__least_speed=least, **ONE)

    assert steps(rolled)["ready"]["until_speed"] == enough
    assert steps(alone())["ready"]["until_speed"] is None
    assert steps(roll())["ready"]["until_speed"] is None


def test_a_turn_in_which_a_replica_ends_has_the_same_steps():
    rolled = roll(**ONE)
    here, ending = (steps(rolled, number) for number, _ in enumerate(rolled.turns))

    assert [turn.replica for turn in rolled.turns][1] is None
    assert {step: set(arguments) for step, arguments in ending.items()} == {
        step: set(arguments) for step, arguments in here.items()
    }


def test_what_is_kept_is_what_is_in_use_here():
    rolled = roll(releases__kept=5)
    door, other = rolled.kept("m1"), rolled.kept("m2")

    assert door["number"] == 5
    assert {name.partition("-")[0] for name in door["present"]} == {"links", "agent", "gateway"}
    assert {name.partition("-")[0] for name in other["present"]} == {"links", "agent"}
    assert "/opt/cidermill/weights/w-old" in other["weights"]


def test_the_roll_comes_from_what_was_looked_at():
    text = RECORDS["m1"].model_dump_json() if RECORDS["m1"] else ""
    texts = f"texts {layout.SERVES}"
    told = {name: {layout.SERVES: text if name in ("m1", "m2") else None} for name in MACHINES}
    facts = {name: {texts: told[name], "daemons": {}} for name in MACHINES}
    rolled = of(plan(), facts, lambda _, wanted: frozenset(wanted))

    assert [each.name for each in rolled.before] == ["a"]
    assert rolled.changed == set(MACHINES)
    with pytest.raises(RecordUnreadable, match="cannot tell what m1 serves"):
        looking.records({"m1": {texts: {layout.SERVES: "{"}}})


def told(rolled: Roll) -> str:
    return "\n".join(forecast.lines(rolled))


def test_nothing_that_changes_is_nothing_told():
    assert forecast.lines(roll(changed=())) == []


def test_a_gateway_that_moves_is_told_with_its_new_address_though_no_replica_changes():
    stays = roll(changed=(), gateway__machine="m3")
    moves = replace(stays, doors=("m1",))
    waits = replace(moves, plan=replace(moves.plan, pending={"w"}))

    assert "The gateway moves from m1 to m3." in told(moves)
    assert told(moves).rstrip().endswith("the new address: http://10.0.0.3:4000/v1")
    assert "The gateway moves from m1 to m3." in told(replace(roll(gateway__machine="m3"), doors=("m1",)))
    assert (told(stays), told(replace(stays, doors=("m3",))), told(waits)) == ("", "", "")


def newer_macos(*doors: str, **changes: object) -> str:
    """What is told where every Mac is due for another macOS, and a gateway is on these."""
    due = replace(plan(macos={"update": WANTED}, **changes), seen=waiting())
    return told(Roll(due, RECORDS, frozenset(MACHINES), doors))


def test_a_newer_macos_is_told_for_all_macs_of_a_replica_together():
    assert "   m1, m2: macOS 26.4 (25E246), all together, with a restart of each, at most 10800 s" in newer_macos("m1")


def test_it_is_told_what_clients_meet_while_the_gateways_own_mac_restarts():
    told = newer_macos("m3")

    assert "m3 carries the gateway: while it restarts clients reach nothing, and answers through it break off" in told
    assert told.count("carries the gateway") == 1


def test_macs_without_a_replica_are_told_after_all_turns():
    alone = json.loads(plan().cluster.model_dump_json())["replicas"][:1]
    text = newer_macos("m4", replicas=alone)

    assert "m3, m4: macOS 26.4 (25E246), when all replicas are proven, with a restart" in text
    assert text.index("1. replica a") < text.index("m3, m4: macOS") < text.index("m4 carries the gateway")


def test_a_gateway_is_where_one_of_its_two_daemons_is_loaded():
    seen = {"m1": {daemons.GATEWAYS[1]: {"loaded": True}}, "m2": {daemons.GATEWAY: {"loaded": False}}, "m3": {}}

    assert looking.doors({name: {"daemons": told} for name, told in seen.items()}) == ("m1",)


def test_the_forecast_tells_each_macs_way_the_pause_and_who_serves_meanwhile():
    rolled = roll(rolling__drain_seconds=45)
    text = told(rolled)

    assert text.index("1. replica a on m1, m2") < text.index("2. replica b on m3, m4")
    assert "drain a: takes nothing new; answers under way have 45 s" in text
    assert f"m2: agent agent-0000 → {rolled.plan.agent('m2').name}" in text
    assert "expect of a: 10.7 GB + 10.7 GB of weights in rank order, at most " in text
    assert "transport ring, weights w (0123456789ab) on every Mac, the golden question, at least 80% of its" in text
    assert "pause of a: about 12 s, as last time, at most 600 s; meanwhile b (4 slots) serves" in text
    assert "if it is not proven: back to a (agent-0000) by itself" in text
    assert "the last 3 releases stay" in text


def test_the_forecast_tells_what_was_measured_of_what_is_rolled_and_of_receipts_that_cannot_be_read():
    measured = replica(digest=plan().manifests["w"].digest)
    text = "\n".join(forecast.lines(roll(), replace(kept(receipt(measured)), problems=("cannot read x.json",))))

    assert "measured of a: 50.0 tokens/s after prompts of 256 tokens" in text
    assert "on 2026-11-20)" in text
    assert "measured of b" not in text
    assert "note: cannot read x.json" in text


def test_the_forecast_of_an_only_replica_tells_that_requests_wait_and_for_how_long():
    alone = json.loads(plan().cluster.model_dump_json())["replicas"][:1]
    text = told(roll(replicas=alone, changed=("m1", "m2"), records={**RECORDS, "m3": None, "m4": None}))

    assert "nobody serves meanwhile; requests for w wait at the gateway, up to 300 s, and are answered after" in text


def test_the_forecast_of_a_first_deploy_tells_that_there_is_nothing_to_go_back_to():
    assert "there is nothing proven to go back to" in told(roll(records=NONE))


def test_the_forecast_tells_which_mac_leaves():
    alone = {"name": "b", "machines": ["m3"], "weights": "w"}

    assert "m4: leaves its replica: agent-0000 → agent-" in told(roll(replicas__1=alone))


def test_nothing_is_rolled_or_published_while_nobody_knows_what_quantising_makes_of_weights():
    rolled = roll()
    waiting = replace(rolled, plan=replace(rolled.plan, pending={"w"}))

    assert ([turn.name for turn in rolled.taken], rolled.published) == (["a", "b"], ["a", "b"])
    assert (waiting.taken, waiting.published, forecast.lines(waiting)) == ((), [], [])
