"""What one Mac is told about weights: which files, from whom, and to whom. Written by the control machine as JSON.

It travels by standard input, because the hub's token is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from serving.configuration import File
from serving.declared import Declared

Paths = Annotated[tuple[str, ...], Field(strict=False)]


class Hub(Declared):
    """A commit of a repository, and the files that this Mac fetches from there."""

    endpoint: str
    repository: str
    commit: str
    files: Paths
    token: str | None = Field(default=None, repr=False)


class Source(Declared):
    """A neighbour that has files which this Mac lacks, or is about to have them."""

    machine: str
    addresses: Paths
    """Of that neighbour, the fastest way first."""
    files: Paths


class Order(Declared):
    """Weights on one Mac: what the directory holds in the end, and where each missing file comes from."""

    name: str
    machine: str
    directory: str
    files: Mapping[str, File]
    """The whole manifest, by relative path."""
    hub: Hub | None = None
    sources: Annotated[tuple[Source, ...], Field(strict=False)] = ()
    gives_to: Paths = ()
    """Neighbours that will ask this Mac for files."""
    addresses: Paths = ()
    """Its own, where they ask."""
    port: int
    token_file: str
    """The cluster's token, which neighbours prove to know."""


class Conversion(Declared):
    """Weights to be quantised on one Mac: from one directory into another named by its content."""

    name: str
    machine: str
    source: str
    weights: str
    """The directory in which the result gets a directory of its own."""
    quantise: str
    group: int | None = None

    @property
    def result(self) -> str:
        """The file that tells the manifest of what was made."""
        return f"{self.source}.quantised.json"

    @property
    def spent(self) -> tuple[str, ...]:
        """What nobody needs any more once that is known."""
        return tuple(f"{self.source}{ending}" for ending in ("", ".receipt.json", ".partial", ".quantising"))
