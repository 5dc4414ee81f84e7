"""The verdict in words for a person: a row per Mac, every finding in full, and what to do at which Mac; or as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar, get_args

from serving import verdict
from serving.cabling import cables
from serving.cluster import Cluster
from serving.seen import Mac, Problem, Rdma, Seen
from serving.verdict import ByHand, Finding, Severity
from serving.verdict.settings import NAMES as SETTINGS

K = TypeVar("K")

COLUMNS = ("Mac", "is", "memory", "macOS", "RDMA", "cables", "settings", "serves", "verdict")
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_BY_HAND: tuple[ByHand, ...] = get_args(ByHand)
_NOT_COMPARED = "    What else a deploy would change there can be told when the errors are mended.\n"
_GREETING = "To do at the Macs themselves, in this order:"


def rows(
    cluster: Cluster, seen: Mapping[str, Seen], findings: Sequence[Finding] | None = None
) -> list[tuple[str, ...]]:
    """One row per machine under COLUMNS; the verdict is worked out here when it is not given."""
    found = verdict.findings(cluster, seen) if findings is None else findings
    names = [machine.name for machine in cluster.machines if machine.name in seen]
    return [_row(cluster, seen, name, [finding for finding in found if finding.machine == name]) for name in names]


def explained(findings: Sequence[Finding]) -> str:
    """Every finding in full, by machine, the gravest first, and what is to be done by hand; "" when there is none."""
    parts = [
        f"{name}\n{''.join(map(_in_full, found))}{'' if _compared(found) else _NOT_COMPARED}"
        for name, found in _by_machine(findings)
    ]
    return "\n".join(filter(None, [*parts, _todo(findings)]))


def refusals(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Why a deploy must not go on, each with its machine; last, of none, what is to be done by hand. Empty: go on."""
    errors = [finding for finding in findings if finding.severity == "error"]
    todo = indent(_todo(errors).rstrip(), "    ").lstrip()
    return [*((finding.machine, str(finding)) for finding in errors), *([("", todo)] if todo else [])]


def below(cluster: Cluster, findings: Sequence[Finding], advice: Sequence[str] = ()) -> list[str]:
    """What is told below the table: who has a key, the notes, and how replicas could be declared better."""
    return [*([_keys(cluster)] if cluster.gateway.keys else []), *notes(findings), *advice]


def notes(findings: Sequence[Finding]) -> list[str]:
    """A line for each note: worth knowing, though nothing fails for it."""
    return [f"note: {f.machine}: {f.check}: {f.seen}. {f.remedy}" for f in findings if f.severity == "note"]


def tasks(findings: Sequence[Finding]) -> dict[str, list[str]]:
    """By machine, what only a person at it can do, each thing once: power and recoveryOS first, then cables."""
    hands = [finding for finding in findings if finding.by_hand is not None]
    hands.sort(key=lambda finding: _BY_HAND.index(finding.by_hand or "settings"))
    names = dict.fromkeys(finding.machine for finding in findings if finding.by_hand is not None)
    return {name: list(dict.fromkeys(f.remedy for f in hands if f.machine == name)) for name in names}


def document(cluster: Cluster, seen: Mapping[str, Seen], findings: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs. Keys stay; more may come.

    `lab`; `verdict` ("ok", "note", "drift", "error": the gravest); `machines`, each with `name`, `verdict`, `compared`
    (whether all that a deploy would change there is among the findings), `mac` (`chip`, `model`, `memory_gb`, `macos`,
    `build`; None when unknown), `rdma` (None when unknown), `cables` (`peer`, `receptacle`, `interface`, `speed`; the
    last three None when it was not found), `replica`, `rank`, `gateway`;
    `findings` (`machine`, `check`, `severity`, `seen`, `needed`, `remedy`, `by_hand`); `tasks` by machine.
    """
    names = [machine.name for machine in cluster.machines if machine.name in seen]
    return {
        "lab": cluster.name,
        "verdict": _gravest(findings),
        "machines": [_machine(cluster, seen, name, findings) for name in names],
        "findings": [vars(finding) for finding in findings],
        "tasks": tasks(findings),
    }


def _compared(found: Sequence[Finding]) -> bool:
    """Whether a deploy was rehearsed on their machine, and not refused before it came to what it would change."""
    return all(finding.severity != "error" for finding in found)


def _row(cluster: Cluster, seen: Mapping[str, Seen], name: str, found: Sequence[Finding]) -> tuple[str, ...]:
    rdma = seen[name].rdma
    return (
        name,
        *_identity(seen[name].mac),
        rdma.status if isinstance(rdma, Rdma) else "cannot tell",
        _speeds(cluster, seen, name),
        _settings(seen[name], found),
        _serves(cluster, name),
        _weighed(found),
    )


def _keys(cluster: Cluster) -> str:
    """Whose keys open the gateway; of a key nothing else is shown."""
    owners = [f"{key.owner} (until {key.expires})" if key.expires else key.owner for key in cluster.gateway.keys]
    return f"keys: {', '.join([cluster.name, *owners])}"


def _identity(mac: Mac | Problem) -> tuple[str, str, str]:
    if isinstance(mac, Problem):
        return "cannot tell", "", ""
    return f"{mac.chip} ({mac.model})", f"{mac.memory_gb} GB", f"{mac.macos} ({mac.build})"


def _speeds(cluster: Cluster, seen: Mapping[str, Seen], name: str) -> str:
    found = [cable["speed"] for cable in _cables(cluster, seen, name) if cable["speed"]]
    counted = ", ".join(f"{found.count(speed)} at {speed}" for speed in sorted(set(found)))
    return counted or ("none" if cluster.neighbours(name) else "none declared")


def _settings(seen: Seen, found: Sequence[Finding]) -> str:
    wrong = sum(finding.check in SETTINGS and finding.severity != "note" for finding in found)
    if isinstance(seen.settings, Problem):
        return "cannot tell"
    return f"{wrong} differ{'s' if wrong == 1 else ''}" if wrong else "as declared"


def _serves(cluster: Cluster, name: str) -> str:
    replica = cluster.replica_of(name)
    door = "gateway" if cluster.gateway.machine == name else ""
    rank = f"rank {replica.machines.index(name)} of {replica.name}" if replica else ""
    return ", ".join(filter(None, (rank, door)))


def _weighed(found: Sequence[Finding]) -> str:
    """The gravest kind there is and how often; notes fail nothing."""
    gravest = _gravest(found)
    count = sum(finding.severity == gravest for finding in found)
    return {"error": f"{count} error{'s' if count > 1 else ''}", "drift": f"{count} drift"}.get(gravest, "ok")


def _gravest(findings: Sequence[Finding]) -> str:
    return next((kind for kind in _SEVERITIES if any(f.severity == kind for f in findings)), "ok")


def _by_machine(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    for name, found in groupby(findings, key=lambda finding: finding.machine):
        yield name, sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def _in_full(finding: Finding) -> str:
    told = f"{finding.check}: {finding.seen}; needed {finding.needed}."
    return f"    {finding.severity:5}  {told}\n           Next: {finding.remedy}\n"


def _todo(findings: Sequence[Finding]) -> str:
    listed = [
        f"{name}\n" + "".join(f"    {number}. {task}\n" for number, task in enumerate(todo, start=1))
        for name, todo in tasks(findings).items()
    ]
    return "\n".join([_GREETING, *listed]) if listed else ""


def _machine(cluster: Cluster, seen: Mapping[str, Seen], name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    mac, rdma, replica = seen[name].mac, seen[name].rdma, cluster.replica_of(name)
    told = ("chip", "model", "memory_gb", "macos", "build")
    mine = [finding for finding in findings if finding.machine == name]
    return {
        "name": name,
        "verdict": _gravest(mine),
        "compared": _compared(mine),
        "mac": {key: getattr(mac, key) for key in told} if isinstance(mac, Mac) else None,
        "rdma": rdma.status if isinstance(rdma, Rdma) else None,
        "cables": _cables(cluster, seen, name),
        "replica": replica.name if replica else None,
        "rank": replica.machines.index(name) if replica else None,
        "gateway": cluster.gateway.machine == name,
    }


def _cables(cluster: Cluster, seen: Mapping[str, Seen], name: str) -> list[dict[str, Any]]:
    told = ("receptacle", "interface", "speed")
    mine = [cable for cable in cables(cluster, seen) if name in cable.link.between]
    ends = [(cable.link.between.index(name), cable) for cable in mine]
    return [
        {"peer": cable.link.between[1 - end], **{key: getattr(cable.ports[end], key, None) for key in told}}
        for end, cable in ends
    ]


def endpoint(cluster: Cluster, file: Path) -> str:
    """Where the endpoint is, where its key is, and a line to try it with; `file` is what clients source."""
    served = sorted({replica.weights for replica in cluster.replicas})
    return f"""
The endpoint is {base_url(cluster)}/v1 and serves {", ".join(served)}.
The key is in {file}, with what OpenAI and Anthropic clients want to know. Try it:

source {file} && {_curl(cluster)}
"""


def _curl(cluster: Cluster) -> str:
    weights = cluster.weights_of(cluster.replicas[0])
    question = {"role": "user", "content": weights.golden.question}
    body = json.dumps({"model": weights.name, "messages": [question]})
    return " ".join(
        (
            'curl -s "$OPENAI_BASE_URL/chat/completions"',
            '-H "Authorization: Bearer $OPENAI_API_KEY"',
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(body)}",
        )
    )


def variables(cluster: Cluster, key: K) -> dict[str, str | K]:
    """What clients read from their environment; the key may be wrapped."""
    return {
        "OPENAI_BASE_URL": f"{base_url(cluster)}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": base_url(cluster),
        "ANTHROPIC_AUTH_TOKEN": key,
    }


def base_url(cluster: Cluster) -> str:
    """Where clients find the gateway."""
    tls, address = cluster.gateway.tls, cluster.machine(cluster.gateway.machine).address
    scheme, name = ("http", address) if tls is None else ("https", tls.host or address)
    return f"{scheme}://{name}:{cluster.gateway.port}"
