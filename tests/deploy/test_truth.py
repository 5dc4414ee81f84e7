"""What cannot be served is said, is not listed, and never replaced by something lesser."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import OpenAI

from tests.deploy.running import STANDIN, agent, deploy, replica_until
from tests.deploy.test_road import asked, changes
from tests.standin.lab import Lab
from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION

pytestmark = pytest.mark.lab


def said(client: OpenAI) -> str:
    """The golden answer, as the gateway gives it."""
    return (client.chat.completions.create(**asked(GOLDEN_QUESTION)).choices[0].message.content or "").strip()


def test_jaccl_without_rdma_in_the_build_is_refused_by_the_rank_and_it_goes_back_to_what_was_proven(
    lab: Lab, client: OpenAI, variant: Callable[..., Path]
):
    run = deploy(variant(replicas__0__transport="jaccl"))

    assert run.code == 1
    assert "jaccl" in run.output
    assert "not in this MLX build" in run.output
    assert "replica 'a' went back by itself, is proven again" in run.output
    assert "Clients are served by a, b." in run.output
    assert agent("mac-1", "/state").json()["replica"]["state"] == "ready"
    assert gateway_lists(lab) == {"a", "b"}
    assert said(client) == GOLDEN_ANSWER


@pytest.mark.usefixtures("restored")
def test_one_wrong_byte_keeps_a_replica_from_becoming_ready_and_the_file_and_machine_are_named(
    lab: Lab, client: OpenAI
):
    damaged = next(lab.root("mac-4").glob("opt/cidermill/weights/*/model.safetensors"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    lab.call("mac-3", "/bin/launchctl", "kickstart", "-k", "system/dev.cidermill.agent")

    broken = replica_until("mac-3", "broken")

    assert "model.safetensors" in broken["reason"]
    assert "mac-4" in broken["reason"]
    assert agent("mac-3", "/ready").status_code == 503
    assert said(client) == GOLDEN_ANSWER


@pytest.mark.long
@pytest.mark.usefixtures("restored")
def test_a_mac_alone_serves_without_a_transport_and_one_in_no_replica_keeps_no_rank(variant: Callable[..., Path]):
    run = deploy(variant(replicas__1__machines=["mac-3"], replicas__1__transport=None, replicas__1__sharding=None))

    answer = agent("mac-3", "/v1/chat/completions", **asked(GOLDEN_QUESTION)).json()
    assert run.code == 0, run.output
    assert answer["choices"][0]["message"]["content"].strip() == GOLDEN_ANSWER
    assert agent("mac-3", "/state").json()["rank"]["status"]["size"] == 1
    before = agent("mac-4", "/state").json()["rank"]
    assert before is None or not before["living"]


def test_after_a_restart_of_macs_their_daemons_come_back_by_themselves(lab: Lab, client: OpenAI):
    with ThreadPoolExecutor() as pool:
        list(pool.map(lab.reboot, ("mac-2", "mac-3")))
    for first in ("mac-1", "mac-3"):
        replica_until(first, "ready")

    assert said(client) == GOLDEN_ANSWER
    again = deploy(STANDIN)
    assert (again.code, changes(again)) == (0, 0), again.output


def gateway_lists(lab: Lab) -> set[str]:
    """The replicas in the configuration the running gateway was started with."""
    root = lab.root("mac-1")
    # Of two labels that take turns, the one that is there.
    (file,) = (root / "Library/LaunchDaemons").glob("dev.cidermill.gateway*.plist")
    plist = plistlib.loads(file.read_bytes())
    release = Path(plist["ProgramArguments"][-1]).parent
    told = json.loads((root / str(release).lstrip("/") / "gateway.json").read_text())
    return {replica["name"] for replica in told["replicas"]}
