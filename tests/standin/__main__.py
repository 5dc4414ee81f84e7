"""`python -m tests.standin up | down | status | fault NAME MACHINE | mend NAME MACHINE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields

from tests.standin.fault import is_in
from tests.standin.faults import FAULTS
from tests.standin.lab import Lab
from tests.standin.rack import default_rack
from tests.standin.unavailable import LabUnavailable, refuse_unfit_machine


def main() -> int:
    """Run one command; what cannot be done is one sentence on standard error and exit code 1."""
    arguments = _parser().parse_args()
    try:
        refuse_unfit_machine()
        return arguments.run(Lab(), arguments)
    except LabUnavailable as reason:
        print(reason, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description="Four stand-in Macs on this machine.")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, summary in (
        ("up", _up, "bring the Macs up; nothing to do when they are"),
        ("down", _down, "take them down, and everything they left"),
        ("status", _status, "what they are and whether they answer"),
    ):
        verbs.add_parser(name, help=summary).set_defaults(run=run)
    for name, run, summary in (("fault", _fault, "put a fault in"), ("mend", _fault, "take it out")):
        verb = verbs.add_parser(
            name, help=summary, epilog=_known_faults(), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        verb.add_argument("name", metavar="NAME")
        verb.add_argument("machine", metavar="MACHINE")
        verb.set_defaults(run=run, verb=name)
    return parser


def _up(lab: Lab, arguments: argparse.Namespace) -> int:
    from tests.standin.assembly import assemble  # what it needs takes longer to import than the others take to run

    with lab.files.locked():
        if lab.is_up():
            names = [name for name in lab.rack().machines if lab.is_on(name)]
        else:
            assemble(lab.files, default_rack())
            names = list(lab.rack().machines)
        for name in names:
            lab.wait_until_on(name)
    return _status(lab, arguments)


def _down(lab: Lab, _: argparse.Namespace) -> int:
    from tests.standin.assembly import disassemble

    with lab.files.locked():
        disassemble(lab.files)
    return 0


def _status(lab: Lab, _: argparse.Namespace) -> int:
    if not lab.is_up():
        print("the lab is down")
        return 1
    rows = [("MAC", "ADDRESS", "MACOS", "POWER", "SSH", "FAULTS")]
    for name, machine in lab.rack().machines.items():
        power = "on" if lab.is_on(name) else "off"
        ssh = "answers" if lab.answers(name) else "silent"
        rows.append((name, machine.address, machine.macos, power, ssh, ", ".join(_differences(lab, name)) or "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _differences(lab: Lab, name: str) -> Iterable[str]:
    rack, healthy = lab.rack(), lab.files.healthy()
    now, then = rack.machines[name], healthy.machines[name]
    for field in fields(now):
        if getattr(now, field.name) != getattr(then, field.name):
            yield f"{field.name} {getattr(now, field.name)}"
    yield from (fault for fault, entry in FAULTS.items() if is_in(lab, name, entry))
    yield from (
        f"cable {dict(cable.ends)[name]} too many"
        for cable in rack.cables[len(healthy.cables) :]
        if name in dict(cable.ends)
    )
    for cable, was in zip(rack.cables, healthy.cables, strict=False):  # a fault may have added one
        if cable != was and name in dict(cable.ends):
            yield f"cable {dict(cable.ends)[name]} " + (f"{cable.speed_gbps} Gb/s" if cable.present else "out")


def _fault(lab: Lab, arguments: argparse.Namespace) -> int:
    if arguments.name not in FAULTS:
        raise LabUnavailable(f"cannot put {arguments.name!r} in: there is no such fault.\n{_known_faults()}")
    if not lab.is_up():
        raise LabUnavailable("cannot change a stand-in Mac: the lab is down. Try: python -m tests.standin up")
    if arguments.machine not in lab.rack().machines:
        known = ", ".join(lab.rack().machines)
        raise LabUnavailable(f"cannot find {arguments.machine!r}: the rack has {known}.")
    getattr(lab, arguments.verb)(arguments.name, arguments.machine)
    return 0


def _known_faults() -> str:
    width = max(map(len, FAULTS))
    return "\n".join(["faults:", *(f"  {name.ljust(width)}  {fault.summary}" for name, fault in FAULTS.items())])


if __name__ == "__main__":
    sys.exit(main())
