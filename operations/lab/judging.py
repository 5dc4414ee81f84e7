"""Every Mac of a lab looked at, and the lab judged, with nothing changed: how a deploy, the doctor and bench begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from operations import control, fleet
from serving import certificate, hidden, looking, report, seen, verdict
from serving.anatomy.keeping import anatomies
from serving.cluster import Cluster
from serving.errors import CidermillError
from serving.measuring import receipts
from serving.placement import declared as placing
from serving.placement.advising import advice
from serving.placement.declared import Placed
from serving.seen import Problem, Seen
from serving.supply import pinned, planning
from serving.supply.pinned import Known
from serving.supply.planning import Supply
from serving.verdict import Finding


def judged(cluster: Cluster) -> Judged:
    """The lab as it is, the same for all hosts of a run. Raises fleet.Refusal where nobody knows what its weights are.

    Judged is only what is asked for: bench wants no more than what was read.
    """
    known = fleet.checked(CidermillError, _known, cluster)
    directories = planning.directories(known)
    facts = fleet.look(lambda name: looking.at(cluster, directories, name))
    return fleet.once(Judged, cluster, known, facts)


@dataclass(frozen=True)
class Judged:
    """A lab as it is declared, as it was seen, and what is wrong with it."""

    cluster: Cluster
    known: Mapping[str, Known]
    """Weights by name."""
    facts: fleet.Seen
    """What every Mac answered, by machine and subject."""

    @cached_property
    def seen(self) -> dict[str, Seen]:
        """The same in the words of the verdict."""
        return seen.lab(self.facts)

    @cached_property
    def placed(self) -> dict[str, Placed | Problem]:
        """How each replica is laid on its Macs, or why it cannot be."""
        return placing.placed(self.cluster, self.seen, anatomies(self.cluster, self.known))

    @cached_property
    def supply(self) -> Supply:
        """What is done about weights."""
        return planning.supply(self.cluster, self.known, self.facts, self.seen)

    @cached_property
    def findings(self) -> list[Finding]:
        """Everything that is not as it should be; notes fail nothing."""
        sizes = planning.sizes(self.cluster, self.known)
        return [*verdict.findings(self.cluster, self.seen, sizes, self.placed), *self.supply.findings]

    @cached_property
    def given(self) -> control.References:
        """Where the secrets lie that are not made here."""
        return hidden.references(self.cluster, self.seen)

    @cached_property
    def unusable(self) -> list[tuple[str, str]]:
        """Why what is given by reference cannot be used, each with the machine that needs it."""
        return [*control.unusable(self.given), *certificate.refusals(self.cluster)]

    @cached_property
    def measured(self) -> receipts.Kept:
        """What `cidermill bench` found before."""
        return receipts.read(control.receipts(self.cluster.name))

    @cached_property
    def refusals(self) -> list[tuple[str, str]]:
        """Why a deploy must not go on, each with its machine; empty: go on."""
        return [*report.refusals(self.findings), *self.unusable]

    @cached_property
    def rows(self) -> Sequence[tuple[str, ...]]:
        """A row per Mac under report.COLUMNS."""
        return report.rows(self.cluster, self.seen, self.findings)

    @cached_property
    def below(self) -> list[str]:
        """What is told below them."""
        return report.below(self.cluster, self.findings, advice(self.placed))


def _known(cluster: Cluster) -> dict[str, Known]:
    return pinned.known(cluster, control.DIRECTORY, control.words(hidden.hub_tokens(cluster)))
