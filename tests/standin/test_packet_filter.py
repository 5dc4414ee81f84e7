"""pf's rules as values: what is understood, how it is printed, what is refused."""

from __future__ import annotations

import pytest

from tests.standin.packet_filter import FilterSyntaxError, read_rules

WRITTEN = """\
# who may come in
table <cidermill> const { 10.74.0.12, 10.9.0.0/16,
    10.74.0.11 }
pass in quick on lo0 all
pass in quick proto tcp from <cidermill> to any port { 7440, 32323:32330 }
pass in quick proto tcp from 10.74.0.0/24 to any port 22 \\
    no state
pass in quick proto tcp from 10.74.0.9/32 to any port 4000
block return in quick proto tcp from any to any port { 7440 32323:32330 }
block drop in quick proto tcp from any to any port 7441
"""
PRINTED = """\
pass in quick on lo0 all flags S/SA keep state
pass in quick proto tcp from <cidermill> to any port = 7440 flags S/SA keep state
pass in quick proto tcp from <cidermill> to any port 32323:32330 flags S/SA keep state
pass in quick inet proto tcp from 10.74.0.0/24 to any port = ssh no state
pass in quick inet proto tcp from 10.74.0.9 to any port = terabase flags S/SA keep state
block return in quick proto tcp from any to any port = 7440
block return in quick proto tcp from any to any port 32323:32330
block drop in quick proto tcp from any to any port = 7441
"""


def test_rules_are_printed_one_for_each_range_of_ports() -> None:
    found = read_rules(WRITTEN)

    assert "".join(f"{rule}\n" for rule in found.rules) == PRINTED
    assert found.tables == {"cidermill": ["10.74.0.12", "10.9.0.0/16", "10.74.0.11"]}


def test_what_is_printed_is_read_again_as_the_same() -> None:
    assert read_rules(PRINTED).rules == read_rules(WRITTEN).rules


@pytest.mark.parametrize(
    "statement",
    [
        "pass out quick all",
        "pass in all",
        "pass in quick proto udp from any to any port 53",
        "pass in quick from any to any port 7440",
        "pass in quick proto tcp from any to any port 70000",
        "pass in quick proto tcp from any to any port { 1",
        "block in quick proto tcp from nowhere to any",
        "block return in quick all keep state",
        "table cidermill const { 10.0.0.1 }",
        "table <cidermill> const { 10.0.0.1/33 }",
        "anything",
    ],
)
def test_anything_else_is_an_error_on_its_line(statement: str) -> None:
    with pytest.raises(FilterSyntaxError) as refused:
        read_rules(f"# first\npass in quick on lo0 all\n{statement}\n")

    assert refused.value.numbers == [3]
