"""Which Mac it is and what runs on it: macOS, chip, memory, Thunderbolt generation, Python, one build per replica."""

from __future__ import annotations

from collections.abc import Iterator

from serving.seen import Interpreter, Mac, Problem
from serving.verdict.finding import Finding
from serving.verdict.view import View, is_older, numbers

_UPDATE = "Update it: `softwareupdate --list`, then install the exact label it names. Then run the deploy again."
_OLDEST_PYTHON = "3.11"


def identity(view: View) -> Iterator[Finding]:
    """What each Mac is, against what is declared of it."""
    for name in view.machines:
        mac = view.mac(name)
        if mac is not None:
            yield from _macos(view, name, mac)
            yield from _hardware(view, name, mac)
    yield from _thunderbolt(view)
    yield from _interpreters(view)
    yield from _builds(view)


def _macos(view: View, name: str, mac: Mac) -> Iterator[Finding]:
    # With an update declared, `macos` tells of every version that is not that one.
    if view.cluster.macos and not view.update and view.is_too_old(name):
        needed = f"{view.cluster.macos.at_least} or newer"
        yield Finding(name, "macOS", f"{mac.macos} ({mac.build})", needed, _UPDATE)


def _hardware(view: View, name: str, mac: Mac) -> Iterator[Finding]:
    declared = view.cluster.machine(name)
    if declared.chip is not None and declared.chip != mac.chip:
        seen = f"{mac.chip} ({mac.model})"
        yield Finding(name, "chip", seen, declared.chip, "Correct chip= or address= in the inventory.")
    if declared.memory_gb is not None and declared.memory_gb != mac.memory_gb:
        needed = f"{declared.memory_gb} GB"
        yield Finding(name, "memory", f"{mac.memory_gb} GB", needed, "Correct memory_gb= or address= in the inventory.")


def _thunderbolt(view: View) -> Iterator[Finding]:
    for name in view.linked:
        if view.needs_thunderbolt5 and (slow := view.slow_thunderbolt(name)):
            remedy = (
                "Take its links out of the inventory and give it a replica of its own, or use a Mac with Thunderbolt 5."
            )
            yield Finding(name, "Thunderbolt", slow, "Thunderbolt 5 on a machine with links", remedy)


def _interpreters(view: View) -> Iterator[Finding]:
    path = view.cluster.system_python
    for name in view.machines if path else ():
        interpreter = view.seen[name].interpreter
        if isinstance(interpreter, Problem) and interpreter == view.seen[name].mac:
            continue  # the machine tells nothing at all, and that is told
        if isinstance(interpreter, Interpreter):
            seen = interpreter.version if is_older(interpreter.version, _OLDEST_PYTHON) else None
        else:
            seen = interpreter.problem if interpreter else "cannot tell: it was not looked for"
        if seen is not None:
            needed = f"a Python of at least {_OLDEST_PYTHON} at {path}"
            yield Finding(name, "Python", seen, needed, 'Install it there, or declare python={"kind": "managed"}.')


def _builds(view: View) -> Iterator[Finding]:
    # With an update declared, every machine comes to the same build, or `macos` tells why it does not.
    for replica in () if view.update else view.cluster.replicas:
        macs = {name: mac for name in replica.machines if (mac := view.mac(name))}
        if len({mac.build for mac in macs.values()}) < 2:
            continue
        newest = max(macs.values(), key=lambda mac: (numbers(mac.macos), mac.build))
        for name, mac in macs.items():
            if mac.build != newest.build:
                yield Finding(
                    name,
                    "macOS build",
                    f"{mac.macos} ({mac.build})",
                    f"{newest.macos} ({newest.build}), as on the rest of replica '{replica.name}'",
                    "Bring all machines of the replica to one build: mixed builds do not form a mesh.",
                )
