"""Nothing leaves the gateway but what its replicas are asked, from its start to its end."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or os.geteuid() != 0, reason="a network of its own needs root on Linux"
)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def seen(directory: Path) -> Mapping[str, Any]:
    command = [sys.executable, "-m", "tests.serving.gateway.alone", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_all_apis_answer_in_a_network_without_a_way_out(seen: Mapping[str, Any]):
    answered = seen["answered"]

    assert {status for what, status in answered.items() if what.endswith(("True", "False", "models", "ready"))} == {200}
    assert {status for what, status in answered.items() if what.endswith("unknown")} == {404}
    assert {status for what, status in answered.items() if what.endswith(("wrong", "refused"))} == {400}


def test_nothing_is_looked_up_and_nothing_is_connected_to_but_its_own_and_its_replicas(seen: Mapping[str, Any]):
    own = {("tcp", "127.0.0.1", port) for port in seen["own"]}

    assert {tuple(each) for each in seen["wanted"]} == own


def test_a_look_up_would_have_been_seen(directory: Path):
    """The same network, and something that does look up and connect."""
    code = (
        "import socket\n"
        "from tests.serving.gateway import alone\n"
        "alone.enter_a_network_of_its_own()\n"
        "with alone.reading() as packets:\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:\n"
        "        asking.sendto(b'?', ('192.0.2.53', 53))\n"
        "    for family, address in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET6, '2001:db8::1')):\n"
        "        with socket.socket(family) as calling:\n"
        "            calling.connect_ex((address, 443))\n"
        "    import time; time.sleep(0.5)\n"
        "print(sorted(packets.destinations))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT, check=True
    )

    wanted = "[('tcp', '192.0.2.1', 443), ('tcp', '2001:db8::1', 443), ('udp', '192.0.2.53', 53)]"
    assert done.stdout.splitlines()[-1] == wanted


def test_no_word_of_a_request_is_in_any_file_that_was_written(seen: Mapping[str, Any], directory: Path):
    assert seen["answered"]
    written = [path for path in directory.rglob("*") if path.is_file()]

    assert any(path.name == "out" for path in written)
    assert [path.name for path in written if b"PRIVATE-WORDS" in path.read_bytes()] == []
