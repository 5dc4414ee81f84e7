"""`cidermill doctor`: everything a deploy looks at and everything it would change, told and not touched.

The deploy file itself is rehearsed, so what the doctor calls well is what a deploy would leave alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from operations import fleet, headless
from operations.command.connecting import Connected, connected, console
from operations.console import drawn
from operations.inventory import machine_name
from operations.lab import judging
from operations.rehearsal import Difference, rehearsal
from serving import daemons, layout, report, seen, versions
from serving.cluster import Cluster
from serving.measuring import regressing
from serving.supply import pinned
from serving.verdict import Finding

DEPLOY_FILE = "deploy.py"


def examine(inventory: Path, *, as_json: bool) -> int:
    """Print the findings on a lab, as a report or as JSON; 0 when it is as declared, else 1."""
    with connected(inventory) as lab, console(quiet=True).status(f"Examining {len(lab.cluster.machines)} Macs"):
        try:
            looked, findings = _findings(lab)
        except fleet.Refusal as refusal:
            raise SystemExit(str(refusal)) from refusal
    if as_json:
        print(json.dumps(report.document(lab.cluster, looked, findings), indent=2))
    else:
        _print(lab, looked, findings)
    return 1 if any(finding.severity != "note" for finding in findings) else 0


def _findings(lab: Connected) -> tuple[dict[str, seen.Seen], list[Finding]]:
    hosts = list(lab.state.inventory)
    fleet.cannot_reach(lab.unreachable)
    fleet.rehearse(DEPLOY_FILE, [host for host in hosts if host.connected] or hosts[:1])
    looked = judging.judged(lab.cluster)  # as the deploy file has just done
    judged = [*looked.findings, *_secrets(looked.unusable)]
    names = {host.name: machine_name(host) for host in hosts}
    digests = {name: manifest.digest for name, manifest in pinned.manifests(looked.known).items()}
    measured = regressing.findings(lab.cluster, looked.seen, looked.measured, digests, versions.node())
    found = [*judged, *measured, *_drift(_causes(lab.cluster, rehearsal().differences, names, judged), names, judged)]
    order = [machine.name for machine in lab.cluster.machines]
    return looked.seen, sorted(found, key=lambda finding: order.index(finding.machine))


def _secrets(unusable: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """What is given by reference and cannot be used; a deploy refuses it, and its rehearsal ends there silently."""
    for machine, fault in unusable:
        yield Finding(machine, "secrets", fault.rstrip("."), "every declared secret", "See above.")


def _causes(
    cluster: Cluster, differences: Sequence[Difference], names: dict[str, str], judged: Sequence[Finding]
) -> list[Difference]:
    """The differences without those that only follow from what is wrong at the other end of a cable."""
    unwell = {finding.machine for finding in judged if finding.severity == "error"}
    beside = {name for name in names.values() if unwell.intersection(cluster.neighbours(name))}
    return [each for each in differences if not (names[each.host] in beside and _is_about_cables(each))]


def _is_about_cables(difference: Difference) -> bool:
    return difference.check in (daemons.LINKS, "network") or difference.check.startswith("release links-")


def _drift(differences: Sequence[Difference], names: dict[str, str], judged: Sequence[Finding]) -> Iterator[Finding]:
    """What the deploy would change and the verdict does not know of."""
    known = {(finding.machine, finding.check) for finding in judged}
    bare = {
        each.host for each in differences if each.check == f"directory {layout.RELEASES}" and each.seen == "missing"
    }
    for host in sorted(bare):
        yield Finding(names[host], "Cidermill", "not deployed yet", "a deploy", "Run the deploy.", "drift")
    for each in differences:
        machine = names[each.host]
        # What the operation for settings would change the verdict tells in words of its own, all of it.
        if each.host in bare or (machine, each.check) in known or each.operation == headless.NAME:
            continue
        if each.refused:
            yield Finding(machine, each.operation, each.refused, "a machine it can work on", "See above.", "error")
        else:
            remedy = f"The next deploy puts it right ({each.operation[:1].lower()}{each.operation[1:]})."
            yield Finding(machine, each.check, each.seen, each.needed, remedy, "drift")


def _print(lab: Connected, looked: dict[str, seen.Seen], findings: list[Finding]) -> None:
    out = console()
    out.print(drawn(report.COLUMNS, report.rows(lab.cluster, looked, findings)))
    out.print(report.explained(findings), soft_wrap=True, markup=False)
