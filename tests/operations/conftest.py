"""Operations are tried on Macs that nothing else is deployed to."""

from __future__ import annotations

import pytest

from tests.standin.lab import Lab


@pytest.fixture(scope="session")
def lab(bare_lab: Lab) -> Lab:
    """Here nothing but the trial changes a Mac."""
    return bare_lab
