"""Who hands which file to whom. Pure.

Machines that lack files are joined, one after another, to one that has them or is about to: over a cable before
anything else, and then to whoever gives to nobody yet. In a full mesh that makes a chain, in which each machine gives
while it still receives, so that many take hardly longer than one; with one machine cabled to all others it makes a
star, whose cables do not disturb each other. A file goes from its nearest holder outwards, in either direction, so
what is spread over several machines comes together. What no machine has comes from outside, to one of them alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One machine's part: files from outside, files it takes from neighbours, and neighbours it gives to."""

    outside: tuple[str, ...] = ()
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    gives_to: tuple[str, ...] = ()


def route(
    files: Mapping[str, int],
    held: Mapping[str, Collection[str]],
    wanted: Sequence[str],
    cables: Collection[frozenset[str]],
    *,
    begun: Mapping[str, int] | None = None,
    room: Mapping[str, int] | None = None,
) -> dict[str, Part]:
    """The part of each machine that takes or gives; empty when none of `wanted` lacks anything.

    `files` are sizes in bytes by path, `held` the whole files of each machine that could be asked, `begun` bytes that
    were begun on it, `room` the bytes free on its disk.
    """
    lacking = [name for name in wanted if not files.keys() <= set(held[name])]
    if not lacking:
        return {}
    begun, room = begun or {}, room or {}

    def has(name: str) -> int:
        return sum(size for path, size in files.items() if path in held[name])

    def worth(name: str) -> tuple[int, int, int]:
        return has(name), begun.get(name, 0), room.get(name, 0)

    needed = {path for name in lacking for path in files.keys() - set(held[name])}
    nowhere = {path for path in needed if not any(path in held[name] for name in held)}
    first = max(lacking, key=worth) if nowhere else ""
    # Those that have all of it lead a chain each. Where none has, the one that lacks least does, and gets the rest.
    full = [name for name in held if files.keys() <= set(held[name])]
    roots = full or [first or max(lacking, key=worth)]
    near = _joined(roots, sorted((n for n in lacking if n not in roots), key=has, reverse=True), cables)
    if not full:
        # Others that hold some of it give, and are given nothing.
        near = _beside(near, [name for name in held if name not in near and needed & set(held[name])], cables)
    return _parts(files, held, lacking, near, first, nowhere)


def _joined(
    roots: Sequence[str], joining: Sequence[str], cables: Collection[frozenset[str]]
) -> dict[str, dict[str, None]]:
    """Neighbours by machine, in the order in which they were joined; trees, one for each root."""
    near: dict[str, dict[str, None]] = {root: {} for root in roots}
    gives = dict.fromkeys(roots, 0)
    left = list(joining)
    while left:
        choices = [(giver, taker) for taker in left for giver in near]
        giver, taker = min(
            choices, key=lambda pair: (frozenset(pair) not in cables, gives[pair[0]], left.index(pair[1]))
        )
        near[giver][taker] = None
        near[taker] = {giver: None}
        gives[giver] += 1
        gives[taker] = 0
        left.remove(taker)
    return near


def _beside(
    near: dict[str, dict[str, None]], helping: Sequence[str], cables: Collection[frozenset[str]]
) -> dict[str, dict[str, None]]:
    """The same neighbours, with each of those that help joined to one that lacks something."""
    joined = {name: dict(neighbours) for name, neighbours in near.items()}
    for name in helping:
        taker = min(near, key=lambda other: (frozenset((name, other)) not in cables, len(joined[other])))
        joined[taker][name] = None
        joined[name] = {taker: None}
    return joined


def _parts(
    files: Mapping[str, int],
    held: Mapping[str, Collection[str]],
    lacking: Sequence[str],
    near: Mapping[str, Mapping[str, None]],
    first: str,
    nowhere: Collection[str],
) -> dict[str, Part]:
    takes: dict[str, dict[str, list[str]]] = {name: {} for name in near}
    for path in files:
        has = [name for name in near if path in held[name]] or ([first] if path in nowhere else [])
        towards = _towards(near, has)
        for name in lacking:
            if name in towards:
                takes[name].setdefault(towards[name], []).append(path)
    gives = {name: tuple(taker for taker in near if name in takes[taker]) for name in near}
    outside = tuple(path for path in files if path in nowhere)
    return {
        name: Part(
            outside if name == first else (),
            {giver: tuple(paths) for giver, paths in takes[name].items()},
            gives[name],
        )
        for name in near
        if takes[name] or gives[name] or name == first
    }


def _towards(near: Mapping[str, Mapping[str, None]], holders: Sequence[str]) -> dict[str, str]:
    """For each machine that can be reached from holders, the neighbour that is one step nearer to one of them."""
    towards: dict[str, str] = {}
    edge, seen = list(holders), set(holders)
    while edge:
        here = edge.pop(0)
        for neighbour in near[here]:
            if neighbour not in seen:
                seen.add(neighbour)
                towards[neighbour] = here
                edge.append(neighbour)
    return towards
