"""How a command says no: one line on standard error, and 1."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import click

from serving.errors import CidermillError


@contextmanager
def refusing() -> Generator[None, None, None]:
    """Turn errors of the domain into the console's own."""
    try:
        yield
    except CidermillError as refusal:
        raise click.ClickException(str(refusal)) from refusal
