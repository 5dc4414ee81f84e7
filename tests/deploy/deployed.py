"""The lab before and after its first deploy, for all who need one that is deployed to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests import readme
from tests.deploy.running import ADDRESSES, Run, typed
from tests.standin.lab import Lab

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
