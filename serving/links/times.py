"""Times as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(seconds: float) -> str:
    """A moment by the wall clock, as `2026-03-01T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
