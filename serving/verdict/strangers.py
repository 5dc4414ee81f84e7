"""Cables that nobody declared: between machines of the cluster they are loops, to another Mac they are worth a word.

macOS bridges all Thunderbolt ports until something takes them out, without a spanning tree that runs: a loop of cables
then floods the network (80,000 packets a second were measured).
"""

from __future__ import annotations

from collections.abc import Iterator

from serving.cabling import Cable, undeclared
from serving.verdict.finding import Finding
from serving.verdict.view import View


def strangers(view: View) -> Iterator[Finding]:
    """Every cable that is not declared."""
    for cable in undeclared(view.cluster, view.seen):
        yield _undeclared(view, cable)
    if view.told_ports(*view.machines):  # otherwise a stranger may be the machine that could not tell
        for name in view.machines:
            yield from _to_others(view, name)


def _undeclared(view: View, cable: Cable) -> Finding:
    a, b = cable.link.between
    where = " and ".join(f"receptacle {port.receptacle} of {name}" for name, _, port in cable.ends)
    if b in view.cluster.neighbours(a):
        check, needed = f"second cable to {b}", f"one cable between {a} and {b}; a second one is a loop"
        remedy = "Pull one of the two out."
    else:
        check = f"undeclared cable to {b}"
        needed = "declared cables only: while ports are bridged one more closes a loop that floods the network"
        remedy = f'Pull it out, or declare it: {{"between": ["{a}", "{b}"]}} in links=.'
    return Finding(a, check, f"a cable in {where}", needed, remedy, by_hand="cables")


def _to_others(view: View, name: str) -> Iterator[Finding]:
    for port in view.ports(name):
        for peer in port.peers:
            if peer.depth == 1 and peer.domain_uuid is not None and view.machine_with(peer.domain_uuid) is None:
                yield Finding(
                    name,
                    "cable to another Mac",
                    f"receptacle {port.receptacle} holds a cable to a {peer.model} that is not in the inventory",
                    "nothing: it is left alone",
                    "Pull it out if it should not be there, or declare the Mac.",
                    severity="note",
                )
