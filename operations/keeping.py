"""What a machine keeps to go back to, and what goes: releases by their age, and all that none of them needs any more.

Of each kind of release the present one stays, what was proven last, and then up to a declared number: those that were
proven, the youngest first, before those that were only tried and taken back. A directory that releases are linked to
stays as long as one of them is. Of weights only those go that this machine's own history tells of, and that no release
needs that stays; with them goes what lies beside them. What was begun of weights and did not get whole goes as soon as
they are not in use.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from pyinfra.api.host import Host
from pyinfra.context import host

from operations.facts.environment import LaidAt, Releases
from operations.facts.files import Tree
from operations.facts.texts import Texts
from operations.remote import Commands, differs, operation, read

_GOOD = ("proven", "went back", "let go")
"""Outcomes whose release had proven itself; what was only tried has no line."""
_BEGUN = ".partial"
_BESIDE = ("", ".receipt.json", _BEGUN)
"""What belongs to a weights directory."""


@operation
def kept(
    root: str,
    *,
    number: int,
    present: Collection[str],
    linked: Sequence[str],
    weights: Collection[str],
    weights_root: str,
    history: str,
) -> Commands:
    """Nothing of before but so many releases of each kind under `root`, and what they need.

    `present` are the names of releases in use, `weights` the directories of weights in use below `weights_root`,
    `linked` the roots of what releases are linked to, and `history` the file of what was proven.

    keeping.kept(
        "/opt/example/releases",
        name="Remove what is no longer kept",
        number=3,
        present={"agent-1a2b"},
        linked=["/opt/example/environments"],
        weights={"/opt/example/weights/w-3c4d"},
        weights_root="/opt/example/weights",
        history="/opt/example/history.jsonl",
    )
    """
    receipts, times = read(host, Releases, root=root), read(host, LaidAt, root=root)
    lines = parsed(read(host, Texts, paths=[history])[history])
    good = proven(lines)
    old = out_of_use(times, number, {*present, *good[-1:]}, good)
    staying = [receipt for name, receipt in receipts.items() if name not in old and receipt is not None]
    targets = {target for receipt in staying for target in receipt.get("links", {}).values()}
    loose = [path for path in chain(*(_laid(host, each) for each in linked)) if path not in targets]
    unneeded = unneeded_weights(lines, old, weights)
    gone = _there(host, [f"{path}{ending}" for path in unneeded for ending in _BESIDE])
    begun = abandoned(read(host, LaidAt, root=weights_root), weights_root, weights)
    going = list(dict.fromkeys([*(f"{root}/{name}" for name in old), *loose, *gone, *begun]))
    if not going:
        host.noop(f"of each daemon no more than {number} releases are there")
        return
    for path in going:
        differs(path, seen="there", needed="nothing that is no longer kept")
    yield shlex.join(("rm", "-rf", *going))


def proven(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The releases that a history tells were proven, the last one of them last; also those that were gone back to."""
    good = [str(line["release"]) for line in lines if line.get("outcome") in _GOOD and line.get("release")]
    return list(dict.fromkeys(reversed(good)))[::-1]


def out_of_use(
    times: Mapping[str, int], number: int, present: Collection[str], good: Collection[str] = ()
) -> list[str]:
    """The releases that go: of each kind all but those that are present, and others up to the number.

    Those in `good`, which were proven, are kept before all others. A kind whose releases are never proven by
    themselves is kept by age alone. `times` is when each was laid; a kind is the name up to its last dash.
    """
    going: list[str] = []
    for kind in sorted({name.rpartition("-")[0] for name in times}):
        ours = [name for name in times if name.rpartition("-")[0] == kind]
        ours.sort(key=lambda name: (name not in present, name not in good, -times[name], name))
        going += sorted(name for name in ours[number:] if name not in present)
    return going


def unneeded_weights(lines: Sequence[Mapping[str, Any]], old: Collection[str], present: Collection[str]) -> list[str]:
    """Directories of weights that the history tells of and that only releases needed that go, or have gone."""
    told = [line for line in lines if line.get("weights_directory")]
    needed = {line["weights_directory"] for line in told if line.get("release") not in old} | set(present)
    return sorted({line["weights_directory"] for line in told} - needed)


def abandoned(names: Collection[str], root: str, present: Collection[str]) -> list[str]:
    """Of the directories under a root those that hold what came of weights, not whole, which are not in use."""
    begun = (name for name in sorted(names) if name.endswith(_BEGUN))
    return [f"{root}/{name}" for name in begun if f"{root}/{name.removesuffix(_BEGUN)}" not in present]


def parsed(text: str | None) -> list[Mapping[str, Any]]:
    """The lines of a history that are whole."""
    found: list[Mapping[str, Any]] = []
    for line in (text or "").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue  # cut off by a power loss
        if isinstance(told, dict):
            found.append(told)  # pyright: ignore[reportUnknownArgumentType]  # JSON
    return found


def _laid(on: Host, root: str) -> list[str]:
    """What is laid whole under a root; what is being laid has no receipt yet."""
    return [f"{root}/{name}" for name, receipt in read(on, Releases, root=root).items() if receipt is not None]


def _there(on: Host, paths: Sequence[str]) -> list[str]:
    return sorted(read(on, Tree, paths=list(paths))) if paths else []
