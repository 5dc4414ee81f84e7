"""Which Mac is due for the declared macOS, by which label; and all that keeps one from it, before anything changes."""

from __future__ import annotations

from typing import Any

import pytest

from serving.hidden import VOLUME_OWNER, references
from serving.report import refusals
from serving.seen import Offer, Problem, Seen, Updates
from serving.updating import fetch, is_spare, update
from serving.verdict import Finding, findings
from serving.verdict.mended import unmended
from serving.verdict.updates import Due, due
from tests.serving.declarations import declared
from tests.serving.labs import all_well, changed, idle, with_interface, with_ports

OWNER = {"user": "admin", "password": {"environment": "MACS"}}
WANTED = {"version": "26.4", "build": "25E246", "volume_owner": OWNER}
LABEL = "macOS Tahoe 26.4-25E246"


def lab(**changes: Any):
    return declared(macos={"update": {**WANTED, **changes}})


def offer(label: str = LABEL, version: str = "26.4", *, title: str = "", restart: bool = True) -> Offer:
    title = title or label.rpartition("-")[0]
    return Offer(label=label, title=title, version=version, size_kib=3039632, restart=restart)


NEWEST = offer("macOS 27-26A428", "27")
SAFARI = offer("Safari27.0TahoeAuto-27.0", "27.0", title="Safari", restart=False)
OFFERED = Updates(
    offered=(SAFARI, offer(), NEWEST), volume_owner=True, secure_token=True, under_way=None, on_mains=True
)


def waiting(**changes: Any) -> dict[str, Seen]:
    """All Macs with the older macOS, and the newer one on offer; `m1` otherwise in what is offered it."""
    offered = {name: seen.model_copy(update={"updates": OFFERED}) for name, seen in all_well().items()}
    return {**offered, "m1": changed(offered["m1"], "updates", **changes)}


def found_due(seen: Seen) -> Due | None:
    return due(lab().machine("m1"), lab().macos.update, seen)


def there(seen: Seen) -> Seen:
    """The same Mac once it runs the declared macOS."""
    runs = changed(seen, "mac", macos="26.4", build="25E246")
    return runs.model_copy(update={"updates": OFFERED.model_copy(update={"offered": None})})


def told(seen: dict[str, Seen], name: str = "m1", **changes: Any) -> list[Finding]:
    return [finding for finding in findings(lab(**changes), seen) if finding.machine == name]


def test_a_mac_with_an_older_macos_is_due_by_the_exact_label():
    assert found_due(waiting()["m2"]) == Due(LABEL)


def test_it_is_drift_that_the_deploy_puts_right_with_the_others_of_its_replica_and_cannot_be_undone():
    (drift,) = told(waiting(), "m2")

    assert (drift.check, drift.severity, drift.seen, drift.needed) == (
        "macOS",
        "drift",
        "26.3 (25D125)",
        "26.4 (25E246)",
    )
    assert "restarts the Mac, together with m1. It cannot be undone." in drift.remedy


def test_that_the_gateway_goes_away_with_its_mac_is_told():
    drift, note = told(waiting())

    assert (drift.severity, note.severity, note.check) == ("drift", "note", "gateway")


def test_a_mac_that_runs_it_has_nothing_to_do():
    seen = {name: there(looked) for name, looked in waiting().items()}

    assert findings(lab(), seen) == []
    assert found_due(seen["m1"]) is None


def test_of_a_replica_that_was_left_half_way_the_rest_is_due_and_its_builds_are_no_error():
    seen = waiting() | {"m2": there(waiting()["m2"])}

    assert told(seen, "m2") == []
    assert found_due(seen["m1"]) == Due(LABEL)
    assert [finding for finding in findings(lab(), seen) if finding.severity == "error"] == []


def test_without_a_declared_macos_nothing_of_it_is_said():
    assert findings(declared(), waiting()) == []
    assert due(declared().machine("m1"), None, waiting()["m1"]) is None


def test_a_macos_that_is_too_old_to_be_served_with_is_brought_along():
    old = changed(waiting()["m2"], "mac", macos="26.1", build="25B78")

    assert [(f.check, f.severity) for f in told(waiting() | {"m2": old}, "m2")] == [("macOS", "drift")]


@pytest.mark.parametrize(
    ("macos", "build", "word"),
    [
        ("26.5.1", "25F80", "never taken back"),
        ("26.4.1", "25E253", "never taken back"),
        ("26.4", "25E2247", "never taken back"),
        ("27.0", "26A428", "never taken back"),
        ("15.7", "24G222", "one major version"),
        ("26.4.1", "25E246", "Correct version and build"),
        ("26.5", "25D125", "Correct version and build"),
        ("26.3", "25F80", "Correct version and build"),
        ("next", "25D125", "Correct version and build"),
    ],
)
def test_no_way_leads_from_a_newer_macos_another_major_or_a_build_that_cannot_be(macos, build, word):
    seen = waiting() | {"m2": changed(waiting()["m2"], "mac", macos=macos, build=build)}
    (error,) = told(seen, "m2")

    assert (error.check, error.severity, error.seen) == ("macOS", "error", f"{macos} ({build})")
    assert word in error.remedy
    assert found_due(seen["m2"]) is None


HINDRANCES: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing on offer": ({"offered": ()}, "softwareupdate offers no macOS", "--full-installer-version 26.4"),
    "only a newer one on offer": ({"offered": (NEWEST,)}, "offers 'macOS 27-26A428'", "Only the newest"),
    "another build of that version": ({"offered": (offer("macOS Tahoe 26.4-25E999"),)}, "25E999", "Declare the"),
    "that build under another version": ({"offered": (offer(version="26.5"),)}, LABEL, "Declare the"),
    "two that fit": ({"offered": (offer(), offer("macOS Tahoe 26.4 again-25E246"))}, "several offers fit", "Look"),
    "a label of something else": ({"offered": (offer("Safari-25E246", title="Safari"),)}, "is no macOS", "Look"),
    "one that restarts nothing": ({"offered": (offer(restart=False),)}, "is no macOS", "Look"),
    "an account that owns nothing": ({"volume_owner": False}, "'admin' is no volume owner", "diskutil apfs listUsers"),
    "an account without a token": ({"secure_token": False}, "'admin' has no secure token", "secureTokenStatus"),
    "somebody else's update": ({"under_way": "another"}, "another softwareupdate is under way", "Let it end"),
    "a battery": ({"on_mains": False}, "on its battery", "Plug its power in"),
}


@pytest.mark.parametrize(("changes", "word", "remedy"), HINDRANCES.values(), ids=HINDRANCES)
def test_what_stands_in_the_way_is_refused_by_name_before_anything(changes, word, remedy):
    seen = waiting(**changes)
    (error,) = told(seen)

    assert (error.check, error.severity) == ("macOS update", "error")
    assert word in error.seen
    assert remedy in error.remedy
    assert found_due(seen["m1"]) is None
    assert refusals(findings(lab(), seen))[0][0] == "m1"


def test_a_mac_with_filevault_on_is_refused_also_where_filevault_is_only_told():
    seen = waiting() | {"m2": changed(waiting()["m2"], "settings", file_vault=True)}
    errors = [finding for finding in told(seen, "m2") if finding.severity == "error"]

    assert [error.check for error in errors] == ["macOS update"]
    assert "stop at its unlock screen" in errors[0].seen


def test_a_mac_that_cannot_tell_about_filevault_is_refused():
    seen = waiting()
    blind = seen["m2"].model_copy(update={"settings": Problem(problem="cannot tell how this Mac is set")})
    errors = [f for f in told(seen | {"m2": blind}, "m2") if f.check == "macOS update"]

    assert [error.seen for error in errors] == ["cannot tell whether FileVault is on"]


def test_a_full_disk_is_refused():
    seen = waiting() | {"m2": changed(waiting()["m2"], "resources", disk_free_bytes=19 * 2**30)}

    assert [f.seen for f in told(seen, "m2") if f.check == "macOS update"] == ["19.0 GiB free"]


@pytest.mark.parametrize("updates", [None, Problem(problem="cannot tell which macOS is offered: no network")])
def test_a_mac_that_cannot_tell_what_is_offered_is_refused(updates):
    seen = waiting()
    blind = seen["m2"].model_copy(update={"updates": updates})

    assert [f.severity for f in told(seen | {"m2": blind}, "m2") if f.check == "macOS update"] == ["error"]


def test_the_machine_one_types_on_is_not_restarted_under_the_deploy():
    cluster = declared(machines__0__via="local", macos={"update": WANTED})
    (error,) = [finding for finding in findings(cluster, waiting()) if finding.machine == "m1"]

    assert "it is the machine you type on" in error.seen
    assert due(cluster.machine("m1"), cluster.macos.update, waiting()["m1"]) is None


def test_all_that_stands_in_the_way_is_told_at_once():
    seen = waiting(offered=(), volume_owner=False, on_mains=False)

    assert len(told(seen)) == 3


def test_without_a_volume_owner_it_is_refused_with_what_to_type():
    cluster = lab(volume_owner=None)
    seen = waiting(volume_owner=None, secure_token=None)
    (error,) = [finding for finding in findings(cluster, seen) if finding.machine == "m1"]

    assert f"sudo softwareupdate --install '{LABEL}' --restart" in error.remedy
    assert error.by_hand == "settings"


def test_an_update_of_ours_that_is_under_way_is_gone_on_with_whatever_is_offered_meanwhile():
    seen = waiting(under_way="install", offered=())

    assert found_due(seen["m1"]) == Due(None)
    assert [f.severity for f in told(seen)] == ["drift", "note"]


def test_a_download_of_ours_that_is_under_way_needs_the_label_all_the_same():
    assert found_due(waiting(under_way="fetch")["m1"]) == Due(LABEL)
    assert found_due(waiting(under_way="fetch", offered=())["m1"]) is None


def test_the_password_is_asked_for_only_while_a_mac_is_due():
    done = {name: there(looked) for name, looked in waiting().items()}
    one = done | {"m3": waiting()["m3"]}

    assert references(lab(), done) == {}
    assert references(lab(volume_owner=None), one) == {}
    assert references(lab(), one) == {
        VOLUME_OWNER: {"file": None, "environment": "MACS", "kind": "line", "on": "m3"},
    }


def test_the_deploy_takes_the_same_steps_on_all_machines_and_has_a_label_for_those_that_are_due():
    seen = waiting() | {"m2": there(waiting()["m2"])}
    cluster = lab(install_within_seconds=600)
    (first,), (second,) = (update(cluster, seen, name, {VOLUME_OWNER: "word"}) for name in ("m1", "m2"))

    assert (first["label"], second["label"]) == (LABEL, None)
    assert (first["user"], first["password"], first["replica"]) == ("admin", "word", "a")
    assert first["unmended"](vars(seen["m1"])) == []
    assert [fetched["within_seconds"] for fetched in fetch(cluster, seen, "m2")] == [600]


def test_where_none_is_declared_the_deploy_takes_no_step():
    assert (fetch(declared(), waiting(), "m1"), update(declared(), waiting(), "m1", {})) == ([], [])


def test_a_mac_without_a_replica_is_a_spare():
    cluster = declared(replicas__1__machines=["m3"], replicas__1__transport=None, replicas__1__sharding=None)

    assert [is_spare(cluster, name) for name in ("m1", "m3", "m4")] == [False, False, True]


def read_of(seen: Seen) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in ("mac", "ports", "rdma", "network")}


def test_a_mac_is_mended_when_all_its_own_ends_are_as_they_were_whatever_was_seen_of_others():
    seen = all_well()
    before = seen | {"m2": with_interface(seen["m2"], "en4", up=False, active=False, ipv4=())}

    assert unmended(declared(), before, "m1", read_of(seen["m1"])) == []


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (with_interface(all_well()["m1"], "en4", active=False), ["cable to m2"]),
        (with_interface(all_well()["m1"], "en4", ipv4=()), ["port towards m2: en4 has no IPv4 address"]),
        (changed(all_well()["m1"], "network", bridge=("en4",)), ["port towards m2: en4 is in bridge0"]),
        (changed(all_well()["m1"], "rdma", status="disabled", devices=(), ports={}), ["RDMA: rdma_ctl status says"]),
        (
            changed(all_well()["m1"], "rdma", ports={"rdma_en5": "PORT_ACTIVE", "rdma_en6": "PORT_ACTIVE"}),
            ["RDMA towards m2: rdma_en4 is not PORT_ACTIVE"],
        ),
        (
            with_ports(all_well()["m1"], idle(all_well()["m1"].ports[0]), *all_well()["m1"].ports[1:]),
            ["cable to m2: no port of m1 has it"],
        ),
    ],
    ids=("no carrier", "no address", "bridged", "RDMA off", "an RDMA port down", "a peer that is away"),
)
def test_a_mac_is_not_mended_before(now, words):
    told = "\n".join(unmended(declared(), all_well(), "m1", read_of(now)))

    for word in words:
        assert word in told


def test_a_mac_that_cannot_tell_is_not_mended():
    read = read_of(all_well()["m1"]) | {"rdma": Problem(problem="cannot tell whether RDMA is enabled")}

    assert any("cannot tell whether RDMA is enabled" in each for each in unmended(declared(), all_well(), "m1", read))


def test_without_rdma_the_cables_alone_are_waited_for():
    cluster = declared(thunderbolt__rdma=None)
    off = changed(all_well()["m1"], "rdma", status="absent", devices=(), ports={})

    assert unmended(cluster, all_well(), "m1", read_of(off)) == []
