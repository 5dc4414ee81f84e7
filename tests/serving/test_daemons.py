"""Property lists, held against files that are reviewed like code."""

import plistlib
from pathlib import Path

import pytest

from serving import daemons

GOLDEN = Path(__file__).parent / "golden"
RELEASE = "/opt/cidermill/releases/{}-0123456789ab"
PLISTS = {
    daemons.LINKS: daemons.links(RELEASE.format("links")),
    daemons.AGENT: daemons.agent(RELEASE.format("agent"), "_cidermill", grace_seconds=60),
    daemons.GATEWAY: daemons.gateway(RELEASE.format("gateway"), "_cidermill", drain_seconds=120),
}


@pytest.mark.parametrize("label", PLISTS)
def test_daemon_is_the_reviewed_one(label: str):
    assert plistlib.dumps(PLISTS[label]).decode() == (GOLDEN / f"{label}.plist").read_text()


@pytest.mark.parametrize("label", PLISTS)
def test_no_daemon_is_throttled_or_finds_its_release_by_a_moving_name(label: str):
    plist = PLISTS[label]

    assert plist["ProcessType"] == "Interactive"
    assert all(RELEASE.split("{")[0] in argument or argument[0] != "/" for argument in plist["ProgramArguments"])


def test_an_agent_outlives_its_ranks_grace():
    assert PLISTS[daemons.AGENT]["ExitTimeOut"] > 30
