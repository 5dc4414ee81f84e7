"""Subjects that could not be read: cannot tell is never good, on the machines that need the subject."""

from __future__ import annotations

from collections.abc import Iterator

from serving.seen import Problem
from serving.verdict.finding import ByHand, Finding
from serving.verdict.settings import needs_settings
from serving.verdict.view import View

_LOOK = "Look at it there, then run the deploy again."
_SUDO = "Let the account you log in with `sudo` without a password (/etc/sudoers.d), then run the deploy again."
_FULL_DISK_ACCESS = (
    "At the Mac: System Settings > General > Sharing > Remote Login (i) > 'Allow full disk access for remote users'."
)
_NOT_PERMITTED = ("operation not permitted", "full disk access")
_NOT_ROOT = ("administrator access", "must be run as root", "password is required", "permission denied")


def unreadable(view: View) -> Iterator[Finding]:
    """Every subject that a machine needs and could not tell."""
    for name in view.machines:
        needed = list(_needed(view, name))
        untold = [(subject, value.problem) for subject, value in needed if isinstance(value, Problem)]
        if len(untold) == len(needed) and len({problem for _, problem in untold}) == 1:
            untold = [("connection", untold[0][1])]
        for subject, problem in untold:
            remedy, by_hand = _remedy(problem)
            yield Finding(name, subject, problem, "an answer", remedy, by_hand=by_hand)


def _needed(view: View, name: str) -> Iterator[tuple[str, object]]:
    seen, has_links = view.seen[name], name in view.linked
    yield "macOS", seen.mac
    if has_links:
        yield "Thunderbolt", seen.ports
        yield "network", seen.network
    if has_links and view.needs_rdma:
        yield "RDMA", seen.rdma
    if needs_settings(view.cluster.headless):
        yield "settings", seen.settings
    if view.cluster.packet_filter is not None:
        yield "packet filter", seen.packet_filter
    yield "resources", seen.resources


def _remedy(problem: str) -> tuple[str, ByHand | None]:
    said = problem.lower()
    if any(word in said for word in _NOT_PERMITTED):
        return _FULL_DISK_ACCESS, "settings"
    if any(word in said for word in _NOT_ROOT):
        return _SUDO, None
    return _LOOK, None
