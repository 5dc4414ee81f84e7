"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin.lab import Lab, LabUnavailable, ensure_up
from tests.standin.unavailable import refuse_unfit_machine


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The stand-in Macs; up before the first test that needs them, down again if they were down before."""
    try:
        refuse_unfit_machine()
    except LabUnavailable as reason:
        pytest.skip(str(reason))
    was_up = Lab().is_up()
    yield ensure_up()
    if not was_up:
        Lab().down()
