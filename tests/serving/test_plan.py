import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from serving import daemons, layout
from serving.configuration import AgentConfiguration, File, LinksConfiguration, Manifest
from serving.gateway.configuration import GatewayConfiguration, ServedReplica
from serving.gateway.keys import Key, digest, parsed, written
from serving.hidden import references
from serving.plan import Plan
from serving.seen import Seen
from tests.serving.anatomies import decided
from tests.serving.declarations import backend, declared
from tests.serving.labs import all_well, changed, domain

MANIFESTS = {"w": Manifest(files={"config.json": File(size=2, sha256="ab")}, digest="0123456789abcdef")}


DIGESTS = {name: digest(name) for name in ("cluster_token", "gateway_key", "key anna", "key ben")}
OWN = Key(owner="test", sha256=digest("gateway_key"))
ANNA = {"owner": "anna", "secret": {"file": "/keys/anna"}, "names": ["w"], "requests_per_minute": 60}


def plan(
    software: str = "software-2222",
    manifests: dict[str, Manifest] = MANIFESTS,
    digests: dict[str, str] = DIGESTS,
    seen: Mapping[str, Seen] | None = None,
    **changes: object,
) -> Plan:
    names = {"node": "node-1", "gateway": "gateway-1", "software": software}
    packages = {kind: SimpleNamespace(name=name) for kind, name in names.items()}
    cluster, found = declared(**changes), all_well() if seen is None else seen
    return Plan(cluster, found, manifests, packages, decided(cluster, found), digests)


def wrapped(text: str | Mapping[str, str]) -> str:
    return text if isinstance(text, str) else json.dumps(text)


def agent(machine: str, **changes: Any) -> AgentConfiguration:
    return AgentConfiguration.model_validate_json(plan(**changes).agent(machine).files["agent.json"])


def test_the_same_inputs_give_the_same_name_and_other_inputs_another():
    assert plan().agent("m1").path == plan().agent("m1").path
    assert plan().agent("m1").path != plan(software="software-3333").agent("m1").path


def test_a_change_to_one_replica_leaves_the_releases_of_the_other_as_they_are():
    before = {m: plan().agent(m).path for m in ("m1", "m2", "m3", "m4")}
    after = {m: plan(replicas__1__slots=8).agent(m).path for m in before}

    assert [before[m] == after[m] for m in before] == [True, True, False, False]


def test_an_agent_is_told_its_rank_and_its_fellows():
    replica = agent("m2").replica

    assert replica is not None
    assert replica.rank == 1
    assert [(member.machine, member.address) for member in replica.members] == [("m1", "10.0.0.1"), ("m2", "10.0.0.2")]
    assert replica.ring == (("10.213.0.1:32323",), ("10.213.0.2:32324",))
    assert replica.weights_directory == "/opt/cidermill/weights/w-0123456789ab"


def test_jaccl_gets_a_coordinator_on_the_management_lan_and_no_ring():
    replica = agent("m2", replicas__0__transport="jaccl").replica

    assert replica is not None
    assert replica.coordinator == "10.0.0.1:32323"
    assert replica.ring == ()


def test_a_machine_in_no_replica_has_an_agent_that_keeps_no_rank():
    assert agent("m4", replicas=[declared().replicas[0].model_dump()]).replica is None


def test_links_are_told_by_the_domain_of_the_port_the_cable_was_found_in():
    configuration = LinksConfiguration.model_validate_json(plan().links("m2").files["links.json"])

    assert [(c.peer, c.domain_uuid, c.address, c.peer_address) for c in configuration.cables] == [
        ("m1", domain("m2", "m1"), "10.213.0.2", "10.213.0.1"),
        ("m3", domain("m2", "m3"), "10.213.0.13", "10.213.0.14"),
        ("m4", domain("m2", "m4"), "10.213.0.17", "10.213.0.18"),
    ]


@pytest.mark.parametrize("proven", [set(), {"b"}, {"a", "b"}])
def test_the_gateway_lists_the_proven_replicas_and_no_others(proven: set[str]):
    files = plan().gateway(proven).files
    told, litellm = GatewayConfiguration.model_validate_json(files["gateway.json"]), json.loads(files["litellm.yaml"])

    assert {replica.name for replica in told.replicas} == proven
    assert {deployment["model_name"] for deployment in litellm["model_list"]} == ({"w"} if proven else set())


def test_the_gateway_is_told_where_a_replica_answers_and_how_much_it_takes():
    told = GatewayConfiguration.model_validate_json(
        plan(replicas__1__wait_seconds=60).gateway({"b"}).files["gateway.json"]
    )

    assert told.replicas == (
        ServedReplica(
            name="b",
            weights="w",
            url="http://10.0.0.3:7440",
            slots=4,
            context_tokens=8192,
            wait_seconds=60,
            body_bytes=327_680,
            kept_prompts=4,
        ),
    )
    assert told.relay_port == 7442


def test_a_backend_that_is_none_of_ours_is_told_to_the_gateway_alone_and_its_secret_is_a_file_there():
    theirs = backend(secret={"environment": "BIG_KEY"})
    told = plan(gateway__external=[theirs])
    named = replace(told, digests={**DIGESTS, "external big": digest("e")})
    another = replace(told, digests={**DIGESTS, "external big": digest("another")})
    configuration = GatewayConfiguration.model_validate_json(named.gateway({"a"}).files["gateway.json"])
    (one,) = configuration.external

    assert references(told.cluster) == {
        "external big": {"file": None, "environment": "BIG_KEY", "kind": "word", "on": "m1"}
    }
    assert (one.name, one.serves, one.url) == ("big", "qwen3:30b", "http://10.0.0.9:11434/v1")
    assert configuration.external_keys_file == layout.EXTERNAL_KEYS
    assert named.gateway({"a"}).path != another.gateway({"a"}).path
    assert digest("e")[:12] not in configuration.fingerprints
    keys = {"cluster_token": "c", "gateway_key": "g", "external big": "e"}
    assert told.secrets("m1", keys, wrapped)[layout.EXTERNAL_KEYS] == '{"big": "e"}'
    assert layout.EXTERNAL_KEYS not in told.secrets("m2", keys, wrapped)
    assert told.agent("m1").path == plan().agent("m1").path


def test_other_weights_lie_in_another_directory():
    new = MANIFESTS["w"].model_copy(update={"digest": "fedcba9876543210"})

    assert plan(manifests={"w": new}).weights("m1") != plan().weights("m1")


def test_only_the_door_has_the_gateway_and_its_key():
    assert [plan().environments(m) for m in ("m1", "m2")] == [["node", "gateway"], ["node"]]
    keys = {"cluster_token": "c", "gateway_key": "g"}
    assert plan().secrets("m1", keys, wrapped) == {
        layout.TOKEN: "c",
        layout.KEY: "g",
        layout.KEYS: written([OWN]),
        layout.EXTERNAL_KEYS: "{}",
    }
    assert plan().secrets("m2", keys, wrapped) == {layout.TOKEN: "c"}
    assert daemons.GATEWAY not in plan().labels("m2")


def test_the_door_knows_every_key_by_its_digest_and_the_labs_own_without_limits():
    keys = {"cluster_token": "c", "gateway_key": "g"}
    ben = {"owner": "ben", "secret": {"environment": "BEN"}, "expires": "2026-12-31", "tokens_per_minute": 9}
    text = plan(gateway__keys=[ANNA, ben]).secrets("m1", keys, wrapped)[layout.KEYS]

    assert parsed(text) == (
        OWN,
        Key(owner="anna", sha256=digest("key anna"), names=("w",), requests_per_minute=60),
        Key(owner="ben", sha256=digest("key ben"), expires="2026-12-31", tokens_per_minute=9),
    )
    assert [word for word in ("/keys/anna", "BEN") if word in text] == []


def test_a_key_for_weights_is_one_for_all_their_names():
    keys = {"cluster_token": "c", "gateway_key": "g"}
    changes = {"weights__0__also_called": ["gpt-4o", "org/w"]}
    ben = {"owner": "ben", "secret": {"environment": "BEN"}, "names": ["gpt-4o"]}
    text = plan(gateway__keys=[ANNA, ben], **changes).secrets("m1", keys, wrapped)[layout.KEYS]

    assert [key.names for key in parsed(text)] == [None, ("w", "gpt-4o", "org/w"), ("gpt-4o",)]


def test_other_keys_neither_make_another_release_of_the_gateway_nor_of_anything_else():
    digests = DIGESTS | {"gateway_key": digest("another"), "key anna": digest("other")}
    others = plan(gateway__keys=[ANNA], digests=digests)

    assert others.gateway({"a", "b"}).path == plan().gateway({"a", "b"}).path
    assert [others.agent(m).path == plan().agent(m).path for m in ("m1", "m2")] == [True, True]


def test_another_cluster_token_makes_other_releases():
    other = plan(digests=DIGESTS | {"cluster_token": digest("another")})

    assert other.gateway({"a"}).path != plan().gateway({"a"}).path
    assert other.agent("m1").path != plan().agent("m1").path


def test_where_secrets_lie_and_what_they_are_is_told_by_owner():
    told = references(declared(gateway__keys=[ANNA]))

    assert told == {"key anna": {"file": "/keys/anna", "environment": None, "kind": "key", "on": "m1"}}


def test_the_token_of_a_hub_is_a_secret_that_a_mac_which_serves_the_weights_needs():
    hub = {"repository": "a/b", "revision": "main", "token": {"environment": "HF_TOKEN"}, "path": None}
    told = references(declared(**{f"weights__0__{name}": value for name, value in hub.items()}))

    assert told == {"hub token w": {"file": None, "environment": "HF_TOKEN", "kind": "word", "on": "m1"}}


def test_the_agent_of_a_replica_whose_weights_nobody_knows_yet_is_not_laid():
    waiting = replace(plan(), pending={"w"})

    assert [release.kind for release in plan().releases("m1")] == ["links", "agent"]
    assert [release.kind for release in waiting.releases("m1")] == ["links"]


def test_our_programs_run_with_what_is_laid_and_leave_it_as_it_is():
    assert plan().program("serving.supply.carrying") == [
        "/usr/bin/env",
        "PYTHONDONTWRITEBYTECODE=1",
        f"PYTHONPATH={layout.SOFTWARE}/software-2222",
        f"{layout.ENVIRONMENTS}/node-1/bin/python",
        "-m",
        "serving.supply.carrying",
    ]


def test_the_agent_of_a_replica_is_not_loaded_before_the_roll_reaches_it():
    alone = plan(replicas=[declared().replicas[0].model_dump()])

    assert [daemon["label"] for daemon in plan().daemons("m4")] == [daemons.LINKS]
    assert [daemon["label"] for daemon in alone.daemons("m4")] == [daemons.LINKS, daemons.AGENT]


def test_only_the_service_account_can_write_where_it_must_and_nobody_else_reads_its_secrets():
    modes = {path: (owner, mode) for path, owner, _, mode in layout.directories("_cidermill")}

    assert modes[layout.SECRETS] == ("_cidermill", 700)
    assert {path for path, (owner, _) in modes.items() if owner == "_cidermill"} == {
        layout.SECRETS,
        layout.STATE,
        layout.LOGS,
    }


def test_a_rank_is_told_the_layers_that_were_decided_by_the_memory_that_was_found():
    small = {**all_well(), "m4": changed(all_well()["m4"], "mac", memory_bytes=170 * 2**30)}

    told = agent("m4", seen=small, replicas__1__pipeline_layers="by memory").replica

    assert told is not None
    assert told.layers == (9, 3)
    assert told.planned_bytes == pytest.approx((15 * 2**30, 5 * 2**30))


def test_a_rank_is_told_the_layers_that_are_declared():
    told = agent("m4", replicas__1__pipeline_layers=[7, 5]).replica

    assert told is not None
    assert told.layers == (7, 5)


def test_an_even_split_is_not_told():
    replica = agent("m4").replica

    assert replica is not None
    assert (replica.sharding, replica.layers) == ("pipeline", None)


TLS = {"gateway__tls": {"certificate": "/me/lab.pem", "key": "/me/lab.key"}}
PAIR = {"tls certificate": "cert", "tls key": "key"}


def test_a_declared_certificate_goes_to_the_door_alone_as_a_secret():
    keys = {"cluster_token": "c", "gateway_key": "g", **PAIR}

    assert references(declared(**TLS)) == {
        "tls certificate": {"file": "/me/lab.pem", "environment": None, "kind": "public", "on": "m1"},
        "tls key": {"file": "/me/lab.key", "environment": None, "kind": "text", "on": "m1"},
    }
    here = plan(**TLS).secrets("m1", keys, wrapped)
    assert (here[layout.CERTIFICATE], here[layout.CERTIFICATE_KEY]) == ("cert", "key")
    assert plan(**TLS).secrets("m2", keys, wrapped) == {layout.TOKEN: "c"}


def test_another_certificate_makes_another_release_of_the_gateway_and_of_nothing_else():
    def planned(certificate: str) -> Plan:
        return plan(**TLS, digests={**DIGESTS, "tls certificate": digest(certificate), "tls key": digest("key")})

    assert planned("aa").gateway({"a"}).path != planned("bb").gateway({"a"}).path
    assert planned("aa").agent("m1").path == planned("bb").agent("m1").path


def test_the_gateway_is_told_its_names_and_its_bounds():
    changes = {"weights__0__also_called": ["gpt-4o"], "gateway__body_mb": 2}
    told = GatewayConfiguration.model_validate_json(plan(**changes).gateway({"a"}).files["gateway.json"])

    assert [(name.name, name.weights) for name in told.names] == [("w", "w"), ("gpt-4o", "w")]
    assert (told.body_bytes, told.certificate_file) == (2 * 2**20, None)
