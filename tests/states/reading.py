"""From what commands print on the Macs of a lab to what is seen, by the facts that read real Macs, and the verdict.

The commands are those the facts ask for: a fact's shell text is taken apart, each command of it is answered, and the
answers come back between the marks that a Mac's own perl would print.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from itertools import islice
from typing import Any

from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

from operations.facts.macos import Mac
from operations.facts.network import Network
from operations.facts.packet_filter import PacketFilter
from operations.facts.resources import Resources
from operations.facts.settings import Settings
from operations.facts.thunderbolt import Rdma, ThunderboltPorts
from operations.facts.updates import MacUpdates
from serving import seen
from serving.layout import FILTER_ANCHOR
from serving.looking import updates
from serving.verdict import Finding, findings
from tests.serving.anatomies import anatomy, decided
from tests.states.lab import GIB, Lab, Output
from tests.states.outputs import NOW, output

Mangle = Callable[[str, str, Output], Output]
"""Of what a Mac's command prints, something else: takes machine, command, and text with exit code."""
Cut = Callable[[str, str, list[str]], list[str]]
"""Of all that comes back for one fact, something else: takes machine, subject and lines."""


FACTS: dict[str, tuple[type[FactBase[Any]], dict[str, str]]] = {
    "mac": (Mac, {}),
    "ports": (ThunderboltPorts, {}),
    "rdma": (Rdma, {}),
    "network": (Network, {}),
    "settings": (Settings, {}),
    "packet_filter": (PacketFilter, {"anchor": FILTER_ANCHOR}),
    "resources": (Resources, {}),
}
"""What is read of every Mac, under the names of `serving.seen`."""


def verdict(lab: Lab, seen_now: dict[str, seen.Seen] | None = None) -> list[Finding]:
    """The verdict on a lab."""
    found, size = looked(lab) if seen_now is None else seen_now, int(lab.weights_gib * GIB)
    weights = anatomy(size, layers=24)
    return findings(lab.cluster, found, {"w": size}, decided(lab.cluster, found, weights))


def looked(lab: Lab, mangle: Mangle | None = None, cut: Cut | None = None) -> dict[str, seen.Seen]:
    """Everything read off every Mac."""
    return seen.lab({name: _read(lab, name, mangle, cut) for name in lab.macs})


def printed(lab: Lab) -> dict[tuple[str, str], str]:
    """What each command prints, by machine and command."""
    texts: dict[tuple[str, str], str] = {}

    def note(machine: str, command: str, said: Output) -> Output:
        texts[machine, command] = said[0]
        return said

    looked(lab, mangle=note)
    return texts


def _read(lab: Lab, name: str, mangle: Mangle | None, cut: Cut | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for subject, (kind, arguments) in _facts(lab).items():
        fact = kind()
        if isinstance(fact, Resources):
            fact.clock = lambda: float(NOW)
        lines = _answered(lab, name, str(fact.command(**arguments)), mangle)
        try:
            values[subject] = fact.process(cut(name, subject, lines) if cut else lines)
        except FactProcessError as error:
            values[subject] = {"problem": str(error)}
    return values


def _facts(lab: Lab) -> dict[str, tuple[type[FactBase[Any]], dict[str, Any]]]:
    """What is read of these Macs: about another macOS only where one is declared."""
    asking = updates(lab.cluster)
    return FACTS | ({"updates": (MacUpdates, asking)} if asking else {})


def _answered(lab: Lab, name: str, command: str, mangle: Mangle | None) -> list[str]:
    """The lines that come back for one fact's command."""
    lines: list[str] = []
    for mark, argv in asked(command):
        text, code = output(lab, name, argv)
        if mangle:
            text, code = mangle(name, " ".join(argv), (text, code))
        lines += [mark, *text.splitlines(), "", f"@@ {code}"]
    return lines


def asked(command: str) -> list[tuple[str, tuple[str, ...]]]:
    """(mark, words) of each command that a fact's shell text asks for."""
    head, _, tail = command.partition("; /usr/bin/perl -e ")
    mark = head.rpartition("echo ")[2].strip("'")
    words = iter(shlex.split(tail)[1:])
    found: list[tuple[str, tuple[str, ...]]] = []
    while next(words, None):
        count = int(next(words))
        found.append((mark, tuple(islice(words, count))))
        mark = next(words, "")
    return found
