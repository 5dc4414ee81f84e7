"""`cidermill doctor`: everything a deploy looks at and everything it would change, told and not touched.

The deploy file itself is rehearsed, so what the doctor calls well is what a deploy would leave alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from operations import control, fleet, headless
from operations.command.connecting import Connected, connected, console
from operations.console import drawn
from operations.inventory import machine_name
from operations.rehearsal import Difference, rehearsal
from serving import certificate, daemons, layout, report, seen, verdict, versions
from serving.anatomy.keeping import anatomies
from serving.cluster import Cluster
from serving.errors import CidermillError
from serving.hidden import hub_tokens, references
from serving.measuring import receipts, regressing
from serving.placement import declared as placing
from serving.supply import pinned, planning
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
    # The deploy file has worked these out already.
    looked = fleet.once(seen.lab, fleet.looked(lab.state))
    tokens = control.words(hub_tokens(lab.cluster))
    known = fleet.checked(CidermillError, pinned.known, lab.cluster, control.DIRECTORY, tokens)
    placed = fleet.once(placing.placed, lab.cluster, looked, fleet.once(anatomies, lab.cluster, known))
    sizes = planning.sizes(lab.cluster, known)
    supply = fleet.once(planning.supply, lab.cluster, known, fleet.looked(lab.state), looked)
    judged = [
        *fleet.once(verdict.findings, lab.cluster, looked, sizes, placed),
        *supply.findings,
        *_secrets(lab.cluster, looked),
    ]
    names = {host.name: machine_name(host) for host in hosts}
    digests = {name: manifest.digest for name, manifest in pinned.manifests(known).items()}
    kept = receipts.read(control.receipts(lab.cluster.name))
    measured = regressing.findings(lab.cluster, looked, kept, digests, versions.node())
    found = [*judged, *measured, *_drift(_causes(lab.cluster, rehearsal().differences, names, judged), names, judged)]
    order = [machine.name for machine in lab.cluster.machines]
    return looked, sorted(found, key=lambda finding: order.index(finding.machine))


def _secrets(cluster: Cluster, looked: Mapping[str, seen.Seen]) -> Iterator[Finding]:
    """What is given by reference and cannot be used; a deploy refuses it, and its rehearsal ends there silently."""
    for machine, fault in [*control.unusable(references(cluster, looked)), *certificate.refusals(cluster)]:
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
