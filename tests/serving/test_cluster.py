import pytest
from pydantic import ValidationError

from serving.cluster import Cluster
from tests.serving.declarations import backend, bent, declared, faults

SECOND = {"name": "v", "path": "/weights/v", "golden": {"question": "Who?", "answer": "Me"}}
REFUSED = {
    "a lab with a space": (bent(name="my lab"), {"name": "pattern"}),
    "a field misspelt": (bent(machines__0__adress="10.0.0.1"), {"machines/0/adress": "Extra inputs"}),
    "an address that is none": (bent(machines__1__address="m2.local"), {"machines/1/address": "m2.local"}),
    "a number as text": (bent(replicas__0__slots="4"), {"replicas/0/slots": "valid integer"}),
    "two machines of one name": (bent(machines__1__name="m1"), {"machines/1/name": "'m1' is declared twice"}),
    "two machines at one address": (bent(machines__1__address="10.0.0.1"), {"machines/1/address": "declared twice"}),
    "a link to nowhere": (bent(links__0__between=["m1", "m9"]), {"links/0/between": "no machine 'm9'"}),
    "a link to itself": (bent(links__0__between=["m1", "m1"]), {"links/0/between": "linked to itself"}),
    "a second cable": (bent(links__1__between=["m2", "m1"]), {"links/1/between": "would be a loop"}),
    "no transport": (bent(replicas__0__transport=None), {"replicas/0/transport": "none is chosen for you"}),
    "a transport for one": (bent(replicas__0__machines=["m1"]), {"replicas/0/transport": "needs no transport"}),
    "layers without a pipeline": (
        bent(replicas__0__pipeline_layers="by memory"),
        {"replicas/0/pipeline_layers": "only sharding 'pipeline' gives whole layers to machines; 'tensor' is declared"},
    ),
    "layers for other machines": (
        bent(replicas__1__pipeline_layers=[4, 4, 4]),
        {"replicas/1/pipeline_layers": "3 numbers for 2 machines. Give one for each, in rank order"},
    ),
    "unknown transport": (
        bent(replicas__0__transport="any"),
        {"replicas/0/transport": "'jaccl', 'jaccl-ring' or 'ring'"},
    ),
    "unknown weights": (bent(replicas__0__weights="v"), {"replicas/0/weights": "no weights 'v'"}),
    "a machine twice": (bent(replicas__1__machines=["m2", "m3"]), {"replicas/1/machines": "belongs to replica 'a'"}),
    "gateway nowhere": (bent(gateway__machine="m9"), {"gateway/machine": "no machine 'm9'"}),
    "a key of the lab itself": (
        bent(gateway__keys=[{"owner": "test", "secret": {"file": "/k"}}]),
        {"gateway/keys/0/owner": "'test' is the lab itself"},
    ),
    "two keys of one owner": (
        bent(gateway__keys=[{"owner": "anna", "secret": {"file": each}} for each in ("/k", "/l")]),
        {"gateway/keys/1/owner": "'anna' is declared twice"},
    ),
    "a key for names that nobody serves": (
        bent(gateway__keys=[{"owner": "anna", "secret": {"file": "/k"}, "names": ["w", "v"]}]),
        {"gateway/keys/0/names": "no name 'v'"},
    ),
    "a key for no names": (
        bent(gateway__keys=[{"owner": "anna", "secret": {"file": "/k"}, "names": []}]),
        {"gateway/keys/0/names": "at least 1 item"},
    ),
    "a secret in two places": (
        bent(gateway__keys=[{"owner": "anna", "secret": {"file": "/k", "environment": "K"}}]),
        {"gateway/keys/0/secret": "either in a file or in an environment variable; declare exactly one"},
    ),
    "a secret nowhere": (
        bent(gateway__keys=[{"owner": "anna", "secret": {}}]),
        {"gateway/keys/0/secret": "declare exactly one"},
    ),
    "a secret itself": (
        bent(gateway__keys=[{"owner": "anna", "secret": "sk-1234"}]),
        {"gateway/keys/0/secret": "valid dictionary"},
    ),
    "a key's file that depends on where one is": (
        bent(gateway__keys=[{"owner": "anna", "secret": {"file": "keys/anna"}}]),
        {"gateway/keys/0/secret/file": "should match pattern"},
    ),
    "limits and a day that are none": (
        bent(
            gateway__keys=[
                {"owner": "anna", "secret": {"file": "/k"}, "requests_per_minute": 0, "expires": "2026-02-30"}
            ]
        ),
        {"gateway/keys/0/requests_per_minute": "greater than or equal to 1", "gateway/keys/0/expires": "out of range"},
    ),
    "ports that meet": (bent(gateway__port=7440), {"gateway/port": "the agent port as well"}),
    "the relay's port taken": (bent(ports={"relay": 7441}), {"ports/relay": "'7441' is declared twice"}),
    "a backend in a name that is taken": (
        bent(gateway__external=[backend(name="w")]),
        {"gateway/external/0/name": "'w' is declared twice"},
    ),
    "a backend in a name that weights are called by": (
        bent(gateway__external=[backend(name="gpt-4o")], weights__0__also_called=["gpt-4o"]),
        {"gateway/external/0/name": "'gpt-4o' is declared twice"},
    ),
    "two backends of one name": (
        bent(gateway__external=[backend(), backend()]),
        {"gateway/external/1/name": "'big' is declared twice"},
    ),
    "a backend for unknown weights": (
        bent(gateway__external=[backend(use="when no replica can", instead_of=["v"])]),
        {"gateway/external/0/instead_of": "no weights 'v'"},
    ),
    "a backend for no weights": (
        bent(gateway__external=[backend(use="when no replica can")]),
        {"gateway/external/0/instead_of": "no weights are declared that it answers for"},
    ),
    "a backend by name for weights": (
        bent(gateway__external=[backend(instead_of=["w"])]),
        {"gateway/external/0/instead_of": "it is asked by its own name only"},
    ),
    "a backend with a password in its address": (
        bent(gateway__external=[backend(url="http://me:sesame@h/v1")]),
        {"gateway/external/0/url": "pattern"},
    ),
    "a backend at half an address": (
        bent(gateway__external=[backend(url="10.0.0.9:11434/v1")]),
        {"gateway/external/0/url": "pattern"},
    ),
    "a backend with a secret in two places": (
        bent(gateway__external=[backend(secret={"file": "/k", "environment": "K"})]),
        {"gateway/external/0/secret": "declare exactly one"},
    ),
    "a backend with a secret nowhere": (
        bent(gateway__external=[backend(secret={})]),
        {"gateway/external/0/secret": "declare exactly one"},
    ),
    "a name of other weights": (
        bent(weights__1=SECOND, weights__0__also_called=["gpt-4o", "v"]),
        {"weights/0/also_called/1": "'v' is a name of weights 'v' already; a name leads to one only"},
    ),
    "a name twice": (
        bent(weights__1=SECOND | {"also_called": ["gpt-4o"]}, weights__0__also_called=["gpt-4o", "gpt-4o"]),
        {"weights/0/also_called/1": "name of weights 'w' already", "weights/1/also_called/0": "of weights 'w' already"},
    ),
    "a name with a space": (bent(weights__0__also_called=["gpt 4"]), {"weights/0/also_called/0": "pattern"}),
    "a price below nothing": (
        bent(weights__0__price={"prompt_per_million": -1, "answer_per_million": 0}),
        {"weights/0/price/prompt_per_million": "greater than or equal to 0"},
    ),
    "a macOS without its build": (
        bent(macos={"update": {"version": "26.4"}}),
        {"macos/update/build": "Field required"},
    ),
    "a build that is none": (
        bent(macos={"update": {"version": "26.4", "build": "26.4"}}),
        {"macos/update/build": "pattern"},
    ),
    "a macOS older than the oldest": (
        bent(macos={"at_least": "26.4.1", "update": {"version": "26.4", "build": "25E246"}}),
        {"macos": "an update to 26.4 would be older than at_least, 26.4.1"},
    ),
    "a volume owner's password itself": (
        bent(
            macos={
                "update": {"version": "26.4", "build": "25E246", "volume_owner": {"user": "admin", "password": "word"}}
            }
        ),
        {"macos/update/volume_owner/password": "valid dictionary"},
    ),
    "no body at all": (bent(gateway__body_mb=0), {"gateway/body_mb": "greater than or equal to 1"}),
    "a certificate without its key": (
        bent(gateway__tls={"certificate": "/tls/lab.pem"}),
        {"gateway/tls/key": "Field required"},
    ),
    "too few addresses": (bent(thunderbolt__network="10.9.0.0/29"), {"thunderbolt/network": "holds 2 cables; 6"}),
    "addresses in use": (bent(thunderbolt__network="10.0.0.0/24"), {"thunderbolt/network": "management address"}),
}


@pytest.mark.parametrize(("data", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_fault_is_told_with_its_path(data, expected):
    told = faults(data)

    for path, words in expected.items():
        assert words in told[path]


def test_all_faults_are_told_at_once_those_of_one_field_and_those_between_fields():
    data = bent(
        machines__3__address="nowhere", links__0__between=["m1", "m9"], replicas__0__weights="v", gateway__port=0
    )

    assert set(faults(data)) == {
        "machines/3/address",
        "links/0/between",
        "replicas/0/weights",
        "replicas/0/machines",
        "gateway/port",
    }


def test_a_machine_with_a_fault_of_its_own_still_counts_as_declared():
    assert set(faults(bent(machines__0__address="nowhere"))) == {"machines/0/address"}


def test_a_key_may_be_for_weights_for_another_name_of_theirs_and_for_a_backend_by_its_name():
    keys = [{"owner": "anna", "secret": {"file": "/k"}, "names": ["w", "gpt-4o", "big"]}]

    assert faults(bent(weights__0__also_called=["gpt-4o"], gateway__keys=keys, gateway__external=[backend()])) == {}


def test_a_backend_that_only_stands_in_has_no_name_for_a_key():
    keys = [{"owner": "anna", "secret": {"file": "/k"}, "names": ["big"]}]
    instead = backend(use="when no replica can", instead_of=["w"])
    told = faults(bent(gateway__keys=keys, gateway__external=[instead]))

    assert "no name 'big' is declared" in told["gateway/keys/0/names"]


def test_jaccl_needs_every_pair_cabled():
    data = bent(
        replicas=[
            {
                "name": "a",
                "machines": ["m1", "m2", "m3", "m4"],
                "weights": "w",
                "transport": "jaccl",
                "sharding": "tensor",
            }
        ]
    )
    data["links"] = data["links"][:-1]

    assert faults(data) == {
        "replicas/0/machines": "'m3' has no link to 'm4', which transport 'jaccl' needs. "
        "Add the cable to links=, or change the machines"
    }


def test_a_ring_needs_its_neighbours_cabled_in_the_order_of_its_ranks():
    ring = {"name": "a", "weights": "w", "transport": "ring", "sharding": "pipeline"}
    square = [{"between": pair} for pair in (["m1", "m2"], ["m2", "m3"], ["m3", "m4"], ["m4", "m1"])]
    around = bent(replicas=[ring | {"machines": ["m1", "m2", "m3", "m4"]}], links=square)
    across = bent(replicas=[ring | {"machines": ["m1", "m3", "m2", "m4"]}], links=square)

    assert faults(around) == {}
    assert "'m1' has no link to 'm3'" in faults(across)["replicas/0/machines"]
    assert "'m2' has no link to 'm4'" in faults(across)["replicas/0/machines"]


def test_it_goes_through_json_unchanged():
    cluster = declared()

    assert Cluster.model_validate_json(cluster.model_dump_json()) == cluster


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        declared().name = "other"  # pyright: ignore[reportAttributeAccessIssue]
