"""macOS's packet filter: whether it is on, and the rules of one anchor.

Relies on `pfctl -s info`, which begins with `Status: Enabled` or `Status: Disabled`, and on `pfctl -a ANCHOR -s rules`,
which prints the rules as it normalised them, and "DIOCGETRULES: Invalid argument" for an anchor that is not there. Both
need root, and both mention that the kernel has no ALTQ, which says nothing. Checked against output of macOS 26.5.
"""

from __future__ import annotations

import re
from typing import TypedDict

from pyinfra.api.facts import FactBase

from operations.facts.reading import Answer, answers, asking, bounded, cannot_tell, understood

_PFCTL = "/sbin/pfctl"
_SECONDS = 10
_STATUS = re.compile(r"Status: (Enabled|Disabled)\b")
_NOISE = ("No ALTQ support in kernel", "ALTQ related functions disabled")
_NO_ANCHOR = re.compile(r"^pfctl: (DIOCGETRULES: Invalid argument|Anchor .*(does not exist|not found))", re.MULTILINE)
# With what a line of `-s rules` begins; anything else is not a rule, and must not be taken for one.
_RULE = re.compile(r"(pass|block|match|scrub|anchor|scrub-anchor|dummynet|dummynet-anchor)\b")


class PacketFilterValues(TypedDict):
    """Whether the filter is on, and the rules of the anchor as pfctl prints them; [] when there is no such anchor."""

    enabled: bool
    rules: list[str]


class PacketFilter(FactBase[PacketFilterValues | None]):
    """The packet filter and an anchor's rules; needs root. None only when the machine could not be asked at all."""

    def command(self, anchor: str) -> str:
        """One command for both."""
        return asking(
            info=bounded(_SECONDS, _PFCTL, "-s", "info"),
            rules=bounded(_SECONDS, _PFCTL, "-a", anchor, "-s", "rules"),
        )

    def process(self, output: list[str]) -> PacketFilterValues:
        """Raises FactProcessError for a line that is neither rule nor noise."""
        found = answers(output)
        return {"enabled": _is_enabled(found["info"]), "rules": _rules(found["rules"])}


def _is_enabled(answer: Answer) -> bool:
    what = "whether the packet filter is on"
    words = [word for line in understood(answer, what).lines for word in _STATUS.findall(line)]
    if len(words) != 1:
        raise cannot_tell(what, f"pfctl printed {answer.text!r}")
    return words[0] == "Enabled"


def _rules(answer: Answer) -> list[str]:
    if _NO_ANCHOR.search(answer.text):
        return []
    what = "which rules the packet filter has"
    lines = [line.strip() for line in understood(answer, what).lines]
    rules = [line for line in lines if line and line not in _NOISE]
    for rule in rules:
        if not _RULE.match(rule):
            raise cannot_tell(what, f"pfctl printed {rule!r}")
    return rules
