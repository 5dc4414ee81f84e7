import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.packet_filter import PacketFilter
from tests.operations.answers import printed
from tests.operations.facts.good import PACKET_FILTER

NOISE = "No ALTQ support in kernel\nALTQ related functions disabled\n"


def packet_filter(**sections: str | tuple[str, int]):
    return PacketFilter().process(printed(**PACKET_FILTER | sections))


def test_the_rules_are_what_pfctl_prints_without_its_noise():
    assert packet_filter() == {
        "enabled": True,
        "rules": [
            "pass in quick on lo0 proto tcp from any to any port = 8800 flags any no state",
            "block return in quick proto tcp from any to any port = 8800",
        ],
    }


def test_a_filter_that_is_off_is_told():
    off = "Status: Disabled                              Debug: Urgent\n"

    assert packet_filter(info=f"{NOISE}{off}")["enabled"] is False


@pytest.mark.parametrize(
    "rules",
    [
        NOISE,
        f"{NOISE}pfctl: DIOCGETRULES: Invalid argument\n",
        ("pfctl: Anchor 'com.apple/example' does not exist.\n", 1),
    ],
)
def test_an_anchor_that_is_not_there_has_no_rules(rules):
    assert packet_filter(rules=rules)["rules"] == []


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("info", ("pfctl: /dev/pf: Permission denied\n", 1)),
        ("info", NOISE),
        ("info", "Status: Perhaps\n"),
        ("info", "Status: Enabled\nStatus: Disabled\n"),
        ("rules", ("pfctl: /dev/pf: Permission denied\n", 1)),
        ("rules", "pfctl: something else\n"),
        ("rules", "passing by\n"),
    ],
)
def test_what_is_neither_rule_nor_noise_is_not_guessed(section, text):
    with pytest.raises(FactProcessError, match=r"cannot tell (whether the packet filter is on|which rules)"):
        packet_filter(**{section: text})
