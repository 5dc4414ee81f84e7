import pytest

from serving.seen import Problem, Seen
from serving.verdict import Finding, findings
from tests.serving.anatomies import anatomy, decided
from tests.serving.declarations import declared
from tests.serving.labs import all_well, changed, domain, idle, port, with_interface, with_ports


def verdict(cluster=None, **unwell: Seen) -> list[Finding]:
    return findings(cluster or declared(), {**all_well(), **unwell})


def well(name: str) -> Seen:
    return all_well()[name]


def test_a_lab_as_declared_has_no_findings():
    assert verdict() == []


def test_an_old_macos_is_named_with_what_is_needed_and_the_rest_is_not_blamed_on_rdma():
    old = changed(
        changed(well("m3"), "mac", macos="26.1", build="25B78"), "rdma", status="absent", devices=(), ports={}
    )

    told = verdict(m3=old)

    assert [(f.machine, f.check, f.seen) for f in told] == [
        ("m3", "macOS", "26.1 (25B78)"),
        ("m3", "macOS build", "26.1 (25B78)"),
    ]
    assert told[0].needed == "26.3 or newer"


def test_a_point_release_is_not_older_than_its_minor():
    newer = {name: changed(seen, "mac", macos="26.3.1") for name, seen in all_well().items()}

    assert findings(declared(), newer) == []


@pytest.mark.parametrize("version", ["", "macOS", "26.x", "26..3"])
def test_a_version_that_is_none_never_passes(version):
    assert any(f.check == "macOS" for f in verdict(m1=changed(well("m1"), "mac", macos=version)))


def test_rdma_off_tells_the_recovery_steps_and_is_blamed_on_that_machine_alone():
    off = changed(well("m2"), "rdma", status="disabled", devices=(), ports={})
    down = changed(
        well("m1"), "rdma", ports={"rdma_en4": "PORT_DOWN", "rdma_en5": "PORT_ACTIVE", "rdma_en6": "PORT_ACTIVE"}
    )

    told = verdict(m1=down, m2=off)

    assert [(f.machine, f.check) for f in told] == [("m2", "RDMA")]
    assert "rdma_ctl enable" in told[0].remedy
    assert "start-up options" in told[0].remedy


def test_a_port_that_is_down_with_rdma_on_at_both_ends_is_told():
    down = changed(
        well("m1"), "rdma", ports={"rdma_en4": "PORT_DOWN", "rdma_en5": "PORT_ACTIVE", "rdma_en6": "PORT_ACTIVE"}
    )

    told = verdict(m1=down)

    assert [(f.machine, f.check, f.seen) for f in told] == [("m1", "RDMA towards m2", "rdma_en4 is PORT_DOWN")]


def test_a_wedged_driver_is_told():
    told = verdict(m4=changed(well("m4"), "rdma", problem="ibv_devinfo did not answer within 10 s"))

    assert [(f.machine, f.seen) for f in told] == [("m4", "ibv_devinfo did not answer within 10 s")]


def test_a_missing_cable_is_told_once_on_the_machine_the_link_names_first():
    without = [
        with_ports(well(n), *(idle(p) if p.domain_uuid == domain(n, o) else p for p in well(n).ports))
        for n, o in (("m1", "m2"), ("m2", "m1"))
    ]

    told = verdict(m1=without[0], m2=without[1])

    assert [(f.machine, f.check, f.by_hand) for f in told] == [("m1", "cable to m2", "cables")]
    assert "replica 'a' needs it for its ring" in told[0].needed


def test_a_slow_cable_is_told_with_its_receptacle():
    slow = with_ports(well("m1"), port("m1", "m2", 3, "40 Gb/s"), *well("m1").ports[1:])

    told = verdict(m1=slow)

    assert [(f.machine, f.check, f.seen, f.needed) for f in told] == [
        ("m1", "cable to m2", "40 Gb/s in receptacle 3", "80 Gb/s")
    ]


def test_a_peer_behind_a_dock_is_not_a_cable():
    nested = well("m1").ports[0].peers[0].model_copy(update={"depth": 2})
    behind = well("m1").ports[0].model_copy(update={"peers": (nested,)})

    told = verdict(m1=with_ports(well("m1"), behind, *well("m1").ports[1:]))

    assert [(f.machine, f.check) for f in told] == [("m1", "cable to m2")]


def test_an_m4_mini_is_refused_for_its_thunderbolt_4():
    told = verdict(m2=changed(well("m2"), "mac", chip="Apple M4", model="Mac16,10"))

    assert [(f.machine, f.check) for f in told] == [("m2", "Thunderbolt")]
    assert "Thunderbolt 4" in told[0].seen


def test_a_chip_nobody_knows_must_prove_itself_by_a_port():
    unknown = changed(well("m2"), "mac", chip="Apple M9")
    slow = [p.model_copy(update={"speed": "40 Gb/s"}) for p in unknown.ports]
    free = idle(port("m2", "nobody", 6)).model_copy(update={"speed": "Up to 40 Gb/s"})

    assert verdict(m2=unknown) == []
    assert [(f.machine, f.check) for f in verdict(m2=with_ports(unknown, *slow, free))] == [("m2", "Thunderbolt")]
    assert all(f.check.startswith("cable") for f in verdict(m2=with_ports(unknown, *slow)))


def test_mixed_builds_in_one_replica_are_refused_on_the_older_machine():
    told = verdict(m2=changed(well("m2"), "mac", macos="26.4", build="25E200"))

    assert [(f.machine, f.check) for f in told] == [("m1", "macOS build")]


def test_other_memory_than_declared_is_told():
    cluster = declared(machines__0__memory_gb=256)

    assert [(f.machine, f.check, f.seen) for f in verdict(cluster)] == [("m1", "memory", "512 GB")]


@pytest.mark.parametrize("subject", ["mac", "ports", "rdma", "network", "settings", "packet_filter", "resources"])
def test_what_could_not_be_read_is_never_good(subject):
    told = verdict(m3=well("m3").model_copy(update={subject: Problem(problem="cannot tell: it printed nothing")}))

    assert [(f.machine, f.seen) for f in told] == [("m3", "cannot tell: it printed nothing")]


def test_a_machine_without_links_needs_neither_cables_nor_rdma():
    alone = {"name": "c", "machines": ["m1"], "weights": "w"}
    cluster = declared(replicas=[alone], links=[], machines=[{"name": "m1", "address": "10.0.0.1"}])
    mute = Problem(problem="cannot tell")
    bare = well("m1").model_copy(update={"ports": mute, "rdma": mute, "network": mute})

    assert findings(cluster, {"m1": bare}) == []


def test_what_nothing_is_declared_of_need_not_be_readable():
    mute = Problem(problem="cannot tell")
    cluster = declared(thunderbolt__rdma=None, headless=None, packet_filter=None)

    assert (
        verdict(cluster, m2=well("m2").model_copy(update=dict.fromkeys(("rdma", "settings", "packet_filter"), mute)))
        == []
    )


def test_a_machine_that_does_not_answer_at_all_says_so_once():
    mute = Problem(problem="no answer within 60 s")
    silent = dict.fromkeys(("mac", "ports", "rdma", "network", "settings", "packet_filter", "resources"), mute)

    told = verdict(m2=well("m2").model_copy(update=silent))

    assert [(f.machine, f.check, f.seen) for f in told] == [("m2", "connection", "no answer within 60 s")]


def test_before_the_first_deploy_a_lab_has_drift_and_no_error():
    raw = {
        name: changed(changed(seen, "network", bridge=("en4", "en5", "en6")), "packet_filter", enabled=False, rules=())
        for name, seen in all_well().items()
    }

    assert {f.severity for f in findings(declared(), raw)} == {"drift"}


def test_only_reads_that_macos_forbids_ask_for_full_disk_access():
    forbidden = well("m1").model_copy(update={"settings": Problem(problem="cannot tell: Operation not permitted")})

    assert [(f.by_hand, "full disk access" in f.remedy) for f in verdict(m1=forbidden)] == [("settings", True)]


def test_an_address_of_the_cables_network_elsewhere_is_an_error():
    taken = with_interface(well("m2"), "en9", ipv4=("10.213.0.99/24",))

    assert [(f.check, f.severity) for f in verdict(m2=taken)] == [("addresses of en9", "error")]


def test_memory_is_judged_only_where_a_replica_was_placed():
    cluster = declared()
    large = decided(cluster, weights=anatomy(1200 * 2**30))

    assert findings(cluster, all_well()) == []
    assert findings(cluster, all_well(), placed=decided(cluster)) == []
    assert {f.check for f in findings(cluster, all_well(), placed=large)} == {"memory for the weights"}


def test_the_largest_wired_limit_is_named_with_the_refusal():
    told = verdict(declared(machines__0__wired_limit_mb=500_000))

    assert [(f.check, f.severity) for f in told] == [("wired limit", "error"), ("wired limit", "drift")]
    assert "at most 491520 MB" in told[0].needed


def test_a_system_python_that_is_too_old_is_refused():
    cluster = declared(python={"kind": "system", "path": "/usr/local/bin/python3"})
    old = well("m1").model_copy(update={"interpreter": well("m1").interpreter.model_copy(update={"version": "3.9.6"})})

    assert [(f.machine, f.check, f.seen) for f in verdict(cluster, m1=old)] == [("m1", "Python", "3.9.6")]


def test_a_machine_that_was_not_looked_at_is_not_taken_for_good():
    seen = all_well()
    del seen["m3"]

    assert [(f.machine, f.check) for f in findings(declared(), seen)] == [("m3", "connection")]
