from __future__ import annotations

from typing import Any

import pytest

from serving import filtering
from serving.transport import ring_hosts
from tests.serving.declarations import declared
from tests.standin.packet_filter import FilterRule, read_rules

LINE = "block return in quick proto tcp from any to any port { 7440, 7443, 32323:32324, 7441 }"


def text(machine: str = "m1", **changes: Any) -> str:
    said = filtering.rules(declared(**changes), machine)
    assert said is not None
    return said


def verdict(rules: str, source: str, port: int, interface: str = "en0") -> str:
    """What pf says of a packet to a port: the first rule that speaks of it decides, none lets it pass."""
    found = read_rules(rules)

    def speaks(rule: FilterRule) -> bool:
        named = rule.source == "any" or source in found.tables[rule.source[1:-1]]
        low, high = rule.ports or (0, 65535)
        return rule.interface in ("", interface) and named and low <= port <= high

    return next((rule.action for rule in found.rules if speaks(rule)), "pass")


def test_the_whole_of_it():
    assert text().splitlines()[1:] == [
        "pass in quick on lo0 proto tcp from any to any port { 7440, 7443, 32323:32324, 7441 } flags any no state",
        "pass in quick proto tcp from <cidermill> to any port { 7440, 7443, 32323:32324 } flags any no state",
        LINE,
    ]


def test_every_address_of_the_cluster_may_come_and_the_networks_declared():
    (table,) = read_rules(text(packet_filter__also_from=["10.9.0.0/24"])).tables.values()

    assert {"10.0.0.1", "10.0.0.4", "10.213.0.1", "10.213.0.22", "10.9.0.0/24"} <= set(table)
    assert len(table) == 4 + 2 * 6 + 1


@pytest.mark.parametrize("port", [7440, 7443, 32323, 32324])
def test_machines_reach_agent_and_ranks_and_nobody_else_does(port: int):
    assert verdict(text(), "10.0.0.3", port) == "pass"
    assert verdict(text(), "10.213.0.2", port, "en5") == "pass"
    assert verdict(text(), "192.168.1.9", port) == "block return"


def test_the_rank_itself_is_reached_from_its_own_machine_only():
    assert verdict(text(), "10.0.0.3", 7441) == "block return"
    assert verdict(text(), "127.0.0.1", 7441, "lo0") == "pass"


@pytest.mark.parametrize("port", [22, 4000, 5900, 32325, 7439])
def test_whatever_else_the_machine_does_is_left_alone(port: int):
    assert verdict(text(), "192.168.1.9", port) == "pass"


def test_all_that_is_filtered_is_incoming_tcp_to_named_ports():
    assert all(rule.tcp and rule.ports for rule in read_rules(text()).rules)


def test_connections_older_than_the_rules_go_on():
    assert {(rule.flags, rule.state) for rule in read_rules(text()).rules if rule.action == "pass"} == {("any", "no")}


def test_every_port_that_a_ring_binds_is_open_to_its_ranks():
    cluster = declared()
    bound = [host.rpartition(":")[2] for hosts in ring_hosts(cluster, cluster.replicas[0]) for host in hosts]

    assert {verdict(text(), "10.213.0.2", int(port)) for port in bound} == {"pass"}
    assert {verdict(text(), "10.9.9.9", int(port)) for port in bound} == {"block return"}


def test_jaccl_has_one_port():
    jaccl = text(replicas__0__transport="jaccl", replicas__0__sharding="tensor")

    assert "port { 7440, 7443, 32323, 7441 }" in jaccl


def test_a_machine_without_ranks_guards_its_agent_and_its_weights():
    alone = text("m4", replicas__1__machines=["m3"], replicas__1__transport=None, replicas__1__sharding=None)

    assert "port { 7440, 7443, 7441 }" in alone
    assert "32323" not in alone


def test_another_replica_changes_nothing_here():
    assert text("m1") == text("m1", replicas__1__transport="jaccl")


def test_unmanaged_means_no_rules():
    assert filtering.rules(declared(packet_filter=None), "m1") is None
