"""How a command says no: one line on standard error, and 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from serving.errors import CidermillError


@contextmanager
def refusing() -> Iterator[None]:
    """Turn errors of the domain into the console's own."""
    try:
        yield
    except CidermillError as refusal:
        raise click.ClickException(str(refusal)) from refusal
