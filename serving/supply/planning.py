"""How a lab's weights get to its Macs, from what was declared, what is known of them, and what each Mac holds. Pure.

Nothing is said of a Mac that could not tell what it holds: that is a finding of its own, and nobody is sent weights
on a guess. Bytes that any Mac holds are never fetched or sent again, so a Mac that joins gets all from its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.cluster import Cluster
from serving.configuration import Manifest
from serving.layout import TOKEN, WEIGHTS
from serving.plan import weights_directory
from serving.seen import Problem, Resources, Seen
from serving.supply.order import Conversion, Hub, Order, Source
from serving.supply.pinned import Known
from serving.supply.routing import Part, route
from serving.transport import cable_addresses
from serving.verdict.finding import Finding

MARGIN_BYTES = 3 * 2**30
"""What a disk keeps free besides."""
_BITS = {"mxfp4": 4.25, "mxfp8": 8.25, "nvfp4": 4.5}
_GB = 10**9
Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Supply:
    """Everything that is done about weights, and why it cannot be."""

    findings: tuple[Finding, ...] = ()
    names: tuple[str, ...] = ()
    """Weights of which files travel, in the order in which all Macs take part in each."""
    sent: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict[tuple[str, str], Mapping[str, Any]])
    """By machine and weights what is sent there from the control machine: `directory`, `source`, `manifest`, `only`."""
    orders: Mapping[tuple[str, str], Order] = field(default_factory=dict[tuple[str, str], Order])
    """By machine and weights; the hub's tokens are not in them."""
    conversions: Mapping[str, tuple[str, Conversion]] = field(default_factory=dict[str, tuple[str, Conversion]])
    """By weights the machine that quantises them, and how."""
    told: tuple[str, ...] = ()
    """What is about to happen, a line each."""

    @property
    def pending(self) -> frozenset[str]:
        """Weights that can be served only when it is known what quantising made of them."""
        return frozenset(self.conversions)

    @property
    def again(self) -> str:
        """What is to be done when it is known; empty when nothing is pending."""
        names = ", ".join(f"'{name}'" for name in sorted(self.pending))
        return f"{names} is quantised. Deploy once more: it is handed on to its Macs, and served." if names else ""

    def sent_to(self, machine: str) -> list[tuple[str, Mapping[str, Any]]]:
        """By weights, what a machine is sent from the control machine."""
        return [(name, sent) for (to, name), sent in self.sent.items() if to == machine]

    def order(self, machine: str, name: str) -> str | None:
        """What a machine is told of weights that travel, as JSON; None where it is not concerned."""
        order = self.orders.get((machine, name))
        return None if order is None else order.model_dump_json()

    def conversion(self, machine: str, name: str) -> dict[str, Any]:
        """How a machine quantises weights; `order` is None where another one does."""
        one, how = self.conversions[name]
        if machine != one:
            return {"order": None}
        return {"order": how.model_dump_json(), "result": how.result, "spent": how.spent}


@dataclass(frozen=True)
class _Travel:
    """One set of weights on its way to some machines."""

    known: Known
    manifest: Manifest
    directory: str
    wanted: tuple[str, ...]
    conversion: Conversion | None = None
    more_bytes: int = 0
    """What is made of them on the same disk."""

    @property
    def name(self) -> str:
        return self.known.name


def directories(known: Mapping[str, Known]) -> list[str]:
    """Every directory of weights that may be on a Mac, whole or begun: what is to be looked at before planning."""
    whole = [path for each in known.values() for path in _directories(each)]
    return [path for each in dict.fromkeys(whole) for path in (each, begun(each))]


def begun(directory: str) -> str:
    """Where files lie that have not come whole: see `serving.supply.shelf`."""
    return f"{directory}.partial"


def sizes(cluster: Cluster, known: Mapping[str, Known]) -> dict[str, int]:
    """Bytes of each of the weights, by name; about, of those that are yet to be quantised."""
    declared = {each.name: each for each in cluster.weights}
    return {
        name: _quantised(each.manifest, str(declared[name].quantise), declared[name].quantise_group)
        if each.is_pending
        else sum(file.size for file in each.manifest.files.values())
        for name, each in known.items()
    }


def supply(cluster: Cluster, known: Mapping[str, Known], facts: Facts, seen: Mapping[str, Seen]) -> Supply:
    """What is done about all weights that a replica serves."""
    lab = _Lab(cluster, facts, seen)
    if lab.is_untold(known) or any(machine.name not in facts for machine in cluster.machines):
        return Supply(tuple(lab.untold(known)))
    used = {replica.weights for replica in cluster.replicas}
    travels = [lab.travel(each) for name, each in known.items() if name in used]
    routes = [(travel, lab.route(travel)) for travel in travels]
    return Supply(
        findings=tuple(finding for travel, parts in routes for finding in lab.short(travel, parts)),
        names=tuple(travel.name for travel, parts in routes if parts),
        sent={
            (name, travel.name): _sent(travel, parts.get(name, Part()))
            for travel, parts in routes
            for name in travel.wanted
        },
        orders={
            (name, travel.name): order
            for travel, parts in routes
            for name, part in parts.items()
            if (order := lab.order(travel, name, part)) is not None
        },
        conversions={each.name: (each.wanted[0], each.conversion) for each in travels if each.conversion is not None},
        told=tuple(line for travel, parts in routes for line in lab.told(travel, parts)),
    )


@dataclass(frozen=True)
class _Lab:
    cluster: Cluster
    facts: Facts
    seen: Mapping[str, Seen]

    def untold(self, known: Mapping[str, Known]) -> Iterator[Finding]:
        """Machines that could not tell which of the weights they hold that they serve.

        One that could not tell how much disk is left either has a finding for that, and most likely no connection.
        """
        for name, problem in self._problems(known):
            if not isinstance(self.seen[name].resources, Problem):
                remedy = "Look at it there, then run the deploy again."
                yield Finding(name, "weights", problem, "an answer", remedy)

    def is_untold(self, known: Mapping[str, Known]) -> bool:
        """Whether there is such a machine at all."""
        return any(self._problems(known))

    def _problems(self, known: Mapping[str, Known]) -> Iterator[tuple[str, str]]:
        for replica in self.cluster.replicas:
            for name in replica.machines:
                told = (self._problem(name, path) for path in _directories(known[replica.weights]))
                if problem := next(filter(None, told), ""):
                    yield name, problem

    def travel(self, known: Known) -> _Travel:
        """Which weights go to which machines."""
        serving = tuple(n for each in self.cluster.replicas if each.weights == known.name for n in each.machines)
        directory = weights_directory(known.name, known.manifest)
        if known.source is None or not (known.is_pending or self._is_lost(known.manifest, directory)):
            return _Travel(known, known.manifest, directory, serving)
        source = source_directory(known)
        one = max(serving, key=lambda name: (self._bytes(name, known.source, source), self._free(name)))
        declared = next(each for each in self.cluster.weights if each.name == known.name)
        conversion = Conversion(
            name=known.name,
            machine=one,
            source=source,
            weights=WEIGHTS,
            quantise=str(declared.quantise),
            group=declared.quantise_group,
        )
        return _Travel(
            known,
            known.source,
            source,
            (one,),
            conversion,
            _quantised(known.source, conversion.quantise, conversion.group),
        )

    def route(self, travel: _Travel) -> dict[str, Part]:
        """Who hands what to whom."""
        sizes = {path: file.size for path, file in travel.manifest.files.items()}
        return route(
            sizes,
            {name: self._held(name, travel.manifest, travel.directory) for name in self.facts},
            travel.wanted,
            {frozenset(link.between) for link in self.cluster.links},
            begun={name: self._begun(name, travel.directory, sizes) for name in self.facts},
            room={name: self._free(name) for name in self.facts},
        )

    def short(self, travel: _Travel, parts: Mapping[str, Part]) -> Iterator[Finding]:
        """Machines whose disk does not hold what comes."""
        sizes = {path: file.size for path, file in travel.manifest.files.items()}
        for name in travel.wanted if parts or travel.conversion else ():
            left = self.seen[name].resources
            held = self._held(name, travel.manifest, travel.directory)
            lacking = {path: size for path, size in sizes.items() if path not in held}
            coming = sum(lacking.values()) - self._begun(name, travel.directory, lacking) + travel.more_bytes
            if isinstance(left, Resources) and coming > 0 and left.disk_free_bytes < coming + MARGIN_BYTES:
                made = f", {_gb(travel.more_bytes)} of it to quantise them" if travel.more_bytes else ""
                yield Finding(
                    name,
                    "disk for weights",
                    f"cannot bring '{travel.name}' here: {_gb(left.disk_free_bytes)} free",
                    f"{_gb(coming + MARGIN_BYTES)}: {_gb(coming)} to come{made}, and {_gb(MARGIN_BYTES)} to stay free",
                    "Make room on the volume that holds /opt, then run the deploy again.",
                )

    def order(self, travel: _Travel, name: str, part: Part) -> Order | None:
        """What one machine is told; None when all of its files are sent to it and it hands none on."""
        known, taken = travel.known, travel.known.snapshot
        hub = None
        outside = tuple(path for path in part.outside if path not in known.here)
        if outside and taken is not None:
            hub = Hub(endpoint=taken.endpoint, repository=taken.repository, commit=taken.commit, files=outside)
        if not (hub or part.takes or part.gives_to):
            return None
        held = self._held(name, travel.manifest, travel.directory)
        coming = {*held, *part.outside, *(path for paths in part.takes.values() for path in paths)}
        return Order(
            name=travel.name,
            machine=name,
            directory=travel.directory,
            files={path: file for path, file in travel.manifest.files.items() if path in coming},
            hub=hub,
            sources=tuple(
                Source(machine=giver, addresses=self._ways(giver, name), files=paths)
                for giver, paths in part.takes.items()
            ),
            gives_to=part.gives_to,
            addresses=tuple(dict.fromkeys(way for taker in part.gives_to for way in self._ways(name, taker))),
            port=self.cluster.ports.supply,
            token_file=TOKEN,
        )

    def told(self, travel: _Travel, parts: Mapping[str, Part]) -> Iterator[str]:
        """A line for each machine to which something comes."""
        files, taken = travel.manifest.files, travel.known.snapshot
        if parts:
            yield f"Weights {travel.name} ({travel.manifest.digest[:12]}):"
        for name, part in parts.items():
            here = [path for path in part.outside if path in travel.known.here]
            hub = [path for path in part.outside if path not in here]
            if hub and taken is not None:
                size = _gb(sum(files[path].size for path in hub))
                yield f"   {name} fetches {size} from {taken.endpoint}/{taken.repository} at {taken.commit[:12]}"
            if here:
                yield f"   {name} is sent {_gb(sum(files[path].size for path in here))} from this machine"
            for giver, paths in part.takes.items():
                way = "over their cable" if giver in self.cluster.neighbours(name) else "over the management LAN"
                yield f"   {name} takes {_gb(sum(files[path].size for path in paths))} from {giver} {way}"
        if travel.conversion is not None:
            made = travel.conversion.quantise
            yield f"   {travel.wanted[0]} quantises '{travel.name}' to {made}, by mlx-lm's convert"
            yield "   Then it is known what they are: deploy once more, and they are handed on and served."

    def _ways(self, giver: str, taker: str) -> tuple[str, ...]:
        """Addresses of the giver as the taker reaches it, over their cable first."""
        cable = cable_addresses(self.cluster).get((giver, taker))
        return (*([cable] if cable else []), self.cluster.machine(giver).address)

    def _problem(self, name: str, directory: str) -> str:
        return str(self._listing(name, directory).get("problem", ""))

    def _listing(self, name: str, directory: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.facts.get(name, {}).get(f"weights {directory}", {})
        return found

    def _held(self, name: str, manifest: Manifest, directory: str) -> set[str]:
        """The files that a machine vouches for; none of one that could not tell."""
        if self._problem(name, directory):
            return set()
        listing = self._listing(name, directory)
        return {path for path, file in manifest.files.items() if listing.get(path) == file.model_dump()}

    def _begun(self, name: str, directory: str, sizes: Mapping[str, int]) -> int:
        if self._problem(name, begun(directory)):
            return 0
        listing = self._listing(name, begun(directory))
        return sum(min(int(listing[path]["size"]), size) for path, size in sizes.items() if path in listing)

    def _bytes(self, name: str, manifest: Manifest | None, directory: str) -> int:
        if manifest is None:
            return 0
        sizes = {path: file.size for path, file in manifest.files.items()}
        held = self._held(name, manifest, directory)
        return sum(sizes[path] for path in held) + self._begun(name, directory, sizes)

    def _free(self, name: str) -> int:
        left = self.seen[name].resources
        return left.disk_free_bytes if isinstance(left, Resources) else 0

    def _is_lost(self, manifest: Manifest, directory: str) -> bool:
        """Whether some file is on no machine any more."""
        held = {path for name in self.facts for path in self._held(name, manifest, directory)}
        return not manifest.files.keys() <= held


def source_directory(known: Known) -> str:
    """Where weights lie that are yet to be quantised."""
    return weights_directory(f"{known.name}-source", known.source or known.manifest)


def _directories(known: Known) -> list[str]:
    made = [] if known.is_pending else [weights_directory(known.name, known.manifest)]
    return made if known.source is None else [*made, source_directory(known)]


def _sent(travel: _Travel, part: Part) -> dict[str, Any]:
    return {
        "directory": travel.directory,
        "source": travel.known.directory,
        "manifest": {path: file.model_dump() for path, file in travel.manifest.files.items()},
        "only": tuple(path for path in part.outside if path in travel.known.here),
    }


def _quantised(source: Manifest, quantise: str, group: int | None) -> int:
    """About how many bytes quantising makes of 16-bit weights, with a scale and a bias of 16 bits for each group."""
    bits = _BITS.get(quantise) or int(quantise[0]) + 32 / (group or 64)
    return int(sum(file.size for file in source.files.values()) * bits / 16)


def _gb(size: int) -> str:
    return f"{size / _GB:.1f} GB" if size >= _GB / 10 else f"{size / 10**6:.1f} MB"
