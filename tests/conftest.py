"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.standin.lab import Lab, LabUnavailable, ensure_up
from tests.standin.mac import Rack
from tests.standin.rack import full_mesh, mac_studio
from tests.standin.state import State
from tests.standin.unavailable import refuse_unfit_machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs the stand-in Macs stays with one worker: there is one lab."""
    for item in items:
        if item.get_closest_marker("lab") is not None or {"lab", "bare_lab"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("lab"))


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
