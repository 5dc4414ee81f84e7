"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.standin.lab import Lab, LabUnavailable, ensure_up
from tests.standin.mac import Rack
from tests.standin.rack import full_mesh, mac_studio
from tests.standin.state import State
from tests.standin.unavailable import refuse_unfit_machine

pytest_plugins = ["tests.deploy.deployed"]

LAB = ("tests/deploy/*", "tests/faults/*")
LAST = ("tests/deploy/test_placement.py", "tests/deploy/test_supply.py", "tests/deploy/test_away.py")
"""They leave the Macs otherwise than the stand-in inventory says, the last of them bare, so nothing has to be deployed
to them again."""
LOOPBACK = (
    "tests/serving/agent/*",
    "tests/serving/rank/*",
    "*/test_poison.py",
    "*/test_door.py",
    "*/test_limits.py",
    "*/test_clients.py",
)
"""Ranks of several processes each: they spin while they wait for each other, which takes the processors away from
others that do."""
TOGETHER = {
    "lab": LAB,
    "loopback": LOOPBACK,
    "bare_lab": ("tests/standin/*", "*/test_on_a_mac.py", "*_on_a_mac.py"),
}
"""What stays with one of the workers, a file after the other."""


class Together(LoadScopeScheduling):
    """Gives a worker whole files, and all files of what has to stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((room for room, names in TOGETHER.items() if any(fnmatch(file, name) for name in names)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """In place of `--dist loadgroup`, which pytest-xdist 3.8 does not hand on to its workers with pytest 9."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the lab first, whose Macs mostly wait, beside what computes; and its own last."""
    items.sort(key=_place)
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        room = TOGETHER["bare_lab"] if "bare_lab" in names else LAB if "lab" in names else None
        if room and not _belongs(item, room):
            raise pytest.UsageError(f"cannot run {item.nodeid}: it needs a lab. Put its file with those in {room}.")


def _place(item: pytest.Item) -> tuple[int, int]:
    last = next((number for number, name in enumerate(LAST, 1) if _belongs(item, (name,))), 0)
    return 0 if _belongs(item, LAB) else 2 if _belongs(item, LOOPBACK) else 1, last


def _belongs(item: pytest.Item, files: Sequence[str]) -> bool:
    return any(fnmatch(item.nodeid.partition("::")[0], name) for name in files)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The stand-in Macs of the inventory; up before the first test that needs them, down again if they were down."""
    _skip_on_an_unfit_machine()
    was_up = Lab().is_up()
    yield ensure_up()
    if not was_up:
        Lab().down()


@pytest.fixture(scope="session")
def bare_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Stand-in Macs that nothing is deployed to, beside those of the inventory, which may be in use."""
    _skip_on_an_unfit_machine()
    from tests.standin.assembly import assemble, disassemble  # for Linux only, and the suite is not

    bare = Lab(State(tmp_path_factory.mktemp("lab") / "lab", "cidermill8", "10.78.0.1"))
    machines = {f"mac-{number}": mac_studio(f"mac-{number}", f"10.78.0.{10 + number}") for number in (1, 2, 3, 4)}
    assemble(bare.files, Rack(machines, full_mesh(list(machines))))
    for name in machines:
        bare.wait_until_on(name)
    yield bare
    disassemble(bare.files)


def _skip_on_an_unfit_machine() -> None:
    try:
        refuse_unfit_machine()
    except LabUnavailable as reason:
        pytest.skip(str(reason))
