"""The true deploy, run as a person runs it, onto stand-in Macs; results are looked at by another road."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from tests.deploy.running import ADDRESSES, STANDIN, Run, client_environment, deploy, write_inventory
from tests.standin.lab import Lab

LIVE = ("opt/cidermill/state", "var/log/cidermill", "var/run/cidermill")


@pytest.fixture
def restored(deployed: Run) -> Iterator[None]:
    """Whatever the test declared or broke, the stand-in inventory is true again after it."""
    yield
    run = deploy(STANDIN)
    assert run.code == 0, run.output


@pytest.fixture
def client(deployed: Run) -> Iterator[OpenAI]:
    """The official client, told nothing but what the deploy wrote for clients."""
    told = client_environment()
    with OpenAI(base_url=told["OPENAI_BASE_URL"], api_key=told["OPENAI_API_KEY"], max_retries=0, timeout=60) as made:
        yield made


@pytest.fixture
def variant(tmp_path: Path) -> Callable[..., Path]:
    """An inventory file like the stand-ins' with some places changed: `replicas__0__transport="jaccl"`."""
    return lambda **changes: write_inventory(tmp_path / "variant.py", changes)


@pytest.fixture
def trees(lab: Lab) -> Callable[..., dict[str, str]]:
    """Every file and job of these Macs, or of all, as it is now, but for what daemons that run write by themselves.

    `MAC PATH` -> what `Lab.tree` says of it.
    """

    def lasting(*names: str) -> dict[str, str]:
        return {
            f"{name} {path}": what
            for name in names or ADDRESSES
            for path, what in lab.tree(name).items()
            if not any(live in path for live in LIVE)
        }

    return lasting
