"""The true deploy, run as a person runs it, onto stand-in Macs; results are looked at by another road."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import OpenAI

from tests import readme
from tests.deploy.running import ADDRESSES, STANDIN, Run, client_environment, deploy, typed, write_inventory
from tests.standin.lab import Lab

LIVE = ("opt/cidermill/state", "var/log/cidermill", "var/run/cidermill")


SETTINGS = [
    ("/usr/bin/pmset", "-g", "custom"),
    ("/usr/sbin/systemsetup", "-getrestartfreeze"),
    ("/usr/sbin/softwareupdate", "--schedule"),
    ("/usr/bin/defaults", "read", "/Library/Preferences/com.apple.SoftwareUpdate", "AutomaticDownload"),
    ("/usr/bin/defaults", "read", "/Library/Preferences/com.apple.commerce", "AutoUpdate"),
    ("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"),
    ("/usr/sbin/sysctl", "iogpu.wired_limit_mb"),
    ("/sbin/pfctl", "-s", "References"),
    ("/bin/launchctl", "print-disabled", "system"),
    ("/usr/bin/dscl", ".", "-list", "/Users", "UniqueID"),
    ("/usr/bin/dscl", ".", "-list", "/Groups", "PrimaryGroupID"),
]


@dataclass(frozen=True)
class Bare:
    """The Macs before anything was deployed to them, by name: every file and job, and every setting."""

    trees: dict[str, dict[str, str]]
    settings: dict[str, dict[str, str]]


def settings(lab: Lab, name: str) -> dict[str, str]:
    """Every setting that a deploy owns, in macOS's own words."""
    return {" ".join(command): lab.call(name, *command).stdout for command in SETTINGS}


@pytest.fixture(scope="session")
def bare(lab: Lab) -> Bare:
    """How the Macs were before the first deploy."""
    return Bare({name: lab.tree(name) for name in ADDRESSES}, {name: settings(lab, name) for name in ADDRESSES})


@pytest.fixture(scope="session")
def deployed(lab: Lab, bare: Bare) -> Run:
    """A good deploy of the stand-in inventory, by the README's first command as it stands there."""
    run = typed(readme.commands()[0])
    assert run.code == 0, run.output
    return run


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
def trees(lab: Lab) -> Callable[[], dict[str, dict[str, str]]]:
    """Every file and job of every Mac as it is now, but for what daemons that run write by themselves."""

    def lasting(name: str) -> dict[str, str]:
        return {path: what for path, what in lab.tree(name).items() if not any(live in path for live in LIVE)}

    return lambda: {name: lasting(name) for name in ADDRESSES}
