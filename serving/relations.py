"""What only several declared fields together can get wrong.

Works on plain data of which some fields may be wrong, so that these faults are told in the same breath as pydantic's:
an item that does not stand by itself is left out here, but its name still counts as declared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from serving.declared import Declared, Gateway, Link, Machine, Ports, Replica, Thunderbolt, Weights

D = TypeVar("D", bound=Declared)
Path = tuple[int | str, ...]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a declaration: where, and what."""

    path: Path
    message: str


@dataclass(frozen=True)
class Pieces:
    """The parts of a declaration that stand by themselves, by their place in it."""

    machines: dict[int, Machine] = field(default_factory=dict[int, Machine])
    links: dict[int, Link] = field(default_factory=dict[int, Link])
    weights: dict[int, Weights] = field(default_factory=dict[int, Weights])
    replicas: dict[int, Replica] = field(default_factory=dict[int, Replica])
    gateway: Gateway | None = None
    thunderbolt: Thunderbolt | None = None
    ports: Ports | None = None
    name: object = None
    machine_names: frozenset[str] = frozenset()
    weights_names: frozenset[str] = frozenset()


def faults(data: object) -> list[Fault]:
    """All faults between the parts of a declaration, given as plain data."""
    if not isinstance(data, Mapping):
        return []
    pieces = _pieces(cast("Mapping[str, Any]", data))
    checks = (_names, _aliases, _addresses, _links, _replicas, _cabling, _gateway, _keys, _external, _network)
    return [fault for check in checks for fault in check(pieces)]


def _pieces(data: Mapping[str, Any]) -> Pieces:
    return Pieces(
        machines=_valid(Machine, data.get("machines")),
        links=_valid(Link, data.get("links")),
        weights=_valid(Weights, data.get("weights")),
        replicas=_valid(Replica, data.get("replicas")),
        gateway=_valid(Gateway, [data.get("gateway")]).get(0),
        thunderbolt=_valid(Thunderbolt, [data.get("thunderbolt", {})]).get(0),
        ports=_valid(Ports, [data.get("ports", {})]).get(0),
        name=data.get("name"),
        machine_names=_declared_names(data.get("machines")),
        weights_names=_declared_names(data.get("weights")),
    )


def _valid(kind: type[D], items: object) -> dict[int, D]:
    good: dict[int, D] = {}
    for index, item in enumerate(_items(items)):
        try:
            good[index] = kind.model_validate(item)
        except ValidationError:
            continue  # already told by the declaration's own validation
    return good


def _items(items: object) -> Sequence[object]:
    return cast("Sequence[object]", items) if isinstance(items, (list, tuple)) else ()


def _declared_names(items: object) -> frozenset[str]:
    mappings = [cast("Mapping[str, object]", item) for item in _items(items) if isinstance(item, Mapping)]
    return frozenset(name for mapping in mappings if isinstance(name := mapping.get("name"), str))


def _names(pieces: Pieces) -> Iterator[Fault]:
    for section in ("machines", "weights", "replicas"):
        items: dict[int, Machine | Weights | Replica] = getattr(pieces, section)
        yield from _twice(((section, index, "name"), item.name) for index, item in items.items())


def _aliases(pieces: Pieces) -> Iterator[Fault]:
    """A name leads to one set of weights, and is theirs or another name for them."""
    owner = {weights.name: weights.name for weights in pieces.weights.values()}
    for index, weights in pieces.weights.items():
        for place, alias in enumerate(weights.also_called):
            if alias in owner:
                path: Path = ("weights", index, "also_called", place)
                yield Fault(path, f"'{alias}' is a name of weights '{owner[alias]}' already; a name leads to one only")
            owner.setdefault(alias, weights.name)


def _called(pieces: Pieces) -> frozenset[str]:
    """All names of weights, and their other names."""
    return pieces.weights_names.union(*(weights.also_called for weights in pieces.weights.values()))


def _addresses(pieces: Pieces) -> Iterator[Fault]:
    yield from _twice((("machines", i, "address"), machine.address) for i, machine in pieces.machines.items())


def _twice(places: Iterable[tuple[Path, str]]) -> Iterator[Fault]:
    listed = list(places)
    counts = Counter(value for _, value in listed)
    seen: set[str] = set()
    for path, value in listed:
        if counts[value] > 1 and value in seen:
            yield Fault(path, f"'{value}' is declared twice")
        seen.add(value)


def _links(pieces: Pieces) -> Iterator[Fault]:
    pairs: set[frozenset[str]] = set()
    for index, link in pieces.links.items():
        path: Path = ("links", index, "between")
        yield from _unknown(path, link.between, pieces.machine_names, "machine")
        pair = frozenset(link.between)
        if len(pair) == 1:
            yield Fault(path, f"'{link.between[0]}' cannot be linked to itself")
        elif pair in pairs:
            yield Fault(
                path, f"a link between {_and(sorted(pair))} is declared already; a second cable would be a loop"
            )
        pairs.add(pair)


def _unknown(path: Path, names: Iterable[str], known: frozenset[str], kind: str) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            yield Fault(path, f"no {kind} '{name}' is declared; declared: {', '.join(sorted(known)) or 'none'}")


def _replicas(pieces: Pieces) -> Iterator[Fault]:
    owner: dict[str, str] = {}
    for index, replica in pieces.replicas.items():
        here: Path = ("replicas", index)
        yield from _unknown((*here, "machines"), replica.machines, pieces.machine_names, "machine")
        yield from _unknown((*here, "weights"), [replica.weights], pieces.weights_names, "weights")
        for name in replica.machines:
            if name in owner:
                yield Fault((*here, "machines"), f"'{name}' already belongs to replica '{owner[name]}'")
            owner.setdefault(name, replica.name)
        yield from _alone_or_together(here, replica)
        yield from _layers((*here, "pipeline_layers"), replica)


def _alone_or_together(here: Path, replica: Replica) -> Iterator[Fault]:
    alone = len(replica.machines) == 1
    for choice in ("transport", "sharding"):
        chosen = getattr(replica, choice)
        if alone and chosen is not None:
            yield Fault((*here, choice), f"one machine needs no {choice}; '{chosen}' is declared. Leave it out")
        if not alone and chosen is None:
            yield Fault(
                (*here, choice), f"{len(replica.machines)} machines need a declared {choice}; none is chosen for you"
            )


def _layers(here: Path, replica: Replica) -> Iterator[Fault]:
    layers, machines = replica.pipeline_layers, len(replica.machines)
    if layers == "even":
        return
    if replica.sharding != "pipeline":
        yield Fault(here, f"only sharding 'pipeline' gives whole layers to machines; {replica.sharding!r} is declared")
    elif layers != "by memory" and len(layers) != machines:
        yield Fault(here, f"{len(layers)} numbers for {machines} machines. Give one for each, in rank order")


def _cabling(pieces: Pieces) -> Iterator[Fault]:
    linked = {frozenset(link.between) for link in pieces.links.values()}
    for index, replica in pieces.replicas.items():
        if replica.transport is None or not set(replica.machines) <= pieces.machine_names:
            continue
        for a, b in _joined(replica):
            if frozenset((a, b)) not in linked:
                yield Fault(
                    ("replicas", index, "machines"),
                    f"'{a}' has no link to '{b}', which transport '{replica.transport}' needs. "
                    "Add the cable to links=, or change the machines",
                )


def _joined(replica: Replica) -> list[tuple[str, str]]:
    """The pairs of machines that a transport sends between: all of a mesh, the neighbours of a ring."""
    if replica.transport == "jaccl":
        return list(combinations(replica.machines, 2))
    ring = [
        (a, b) for a, b in zip(replica.machines, (*replica.machines[1:], replica.machines[0]), strict=True) if a != b
    ]
    return ring[:1] if len(replica.machines) == 2 else ring


def _gateway(pieces: Pieces) -> Iterator[Fault]:
    if pieces.gateway is None:
        return
    yield from _unknown(("gateway", "machine"), [pieces.gateway.machine], pieces.machine_names, "machine")
    if pieces.ports is None:
        return
    declared = pieces.ports
    ports = {
        "agent": declared.agent,
        "rank": declared.rank,
        "relay": declared.relay,
        "supply": declared.supply,
        "transport": declared.transport,
    }
    for name, port in ports.items():
        if port == pieces.gateway.port:
            yield Fault(("gateway", "port"), f"{port} is the {name} port as well")
    yield from _twice((("ports", name), str(port)) for name, port in ports.items())
    yield from _within_the_ranks(pieces, {**ports, "gateway": pieces.gateway.port})


def _keys(pieces: Pieces) -> Iterator[Fault]:
    keys = () if pieces.gateway is None else pieces.gateway.keys
    external = () if pieces.gateway is None else pieces.gateway.external
    asked_for = _called(pieces) | {backend.name for backend in external if backend.use == "by name"}
    places: list[Path] = [("gateway", "keys", index) for index in range(len(keys))]
    yield from _twice(((*here, "owner"), key.owner) for here, key in zip(places, keys, strict=True))
    for here, key in zip(places, keys, strict=True):
        if key.owner == pieces.name:
            yield Fault((*here, "owner"), f"'{key.owner}' is the lab itself, whose own key is made by the deploy")
        yield from _unknown((*here, "names"), key.names or (), asked_for, "name")


def _external(pieces: Pieces) -> Iterator[Fault]:
    taken = set(_called(pieces))
    for index, backend in enumerate(() if pieces.gateway is None else pieces.gateway.external):
        here: Path = ("gateway", "external", index)
        if backend.name in taken:
            yield Fault((*here, "name"), f"'{backend.name}' is declared twice")
        taken.add(backend.name)
        yield from _unknown((*here, "instead_of"), backend.instead_of, pieces.weights_names, "weights")
        if backend.use == "when no replica can" and not backend.instead_of:
            yield Fault((*here, "instead_of"), "no weights are declared that it answers for. Name them")
        if backend.use == "by name" and backend.instead_of:
            yield Fault(
                (*here, "instead_of"), "it is asked by its own name only. Leave this out, or use it when no replica can"
            )


def _within_the_ranks(pieces: Pieces, ports: Mapping[str, int]) -> Iterator[Fault]:
    """Ranks of a ring bind one port each, from the transport's on."""
    first = ports["transport"]
    count = max((len(replica.machines) for replica in pieces.replicas.values()), default=1)
    for name, port in ports.items():
        if first < port < first + count:
            taken = f"{first} to {first + count - 1}"
            yield Fault(("ports", "transport"), f"ranks use {taken}, and {port} among them is the {name} port")


def _network(pieces: Pieces) -> Iterator[Fault]:
    if pieces.thunderbolt is None:
        return
    network = IPv4Network(pieces.thunderbolt.network)
    path: Path = ("thunderbolt", "network")
    if network.num_addresses < 4 * len(pieces.links):
        yield Fault(path, f"{network} holds {network.num_addresses // 4} cables; {len(pieces.links)} are declared")
    for machine in pieces.machines.values():
        if IPv4Address(machine.address) in network:
            yield Fault(path, f"{network} holds the management address of '{machine.name}' ({machine.address})")


def _and(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
