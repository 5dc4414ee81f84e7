import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import schemas

ROOT = Path(__file__).parents[3]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.mark.parametrize("sharding", ["tensor", "pipeline"])
def test_two_ranks_hold_their_answers_in_step(sharding, tmp_path):
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in free_ports(2)]))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.serving.rank.in_step", sharding],
            cwd=ROOT,
            env={**os.environ, "MLX_RANK": str(rank), "MLX_HOSTFILE": str(hosts)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=300) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()

    assert [rank.returncode for rank in ranks] == [0, 0], said
    first, second = (json.loads(output.splitlines()[-1]) for output, _ in said)
    assert first == second
    for seed, (_, finish, text) in enumerate(first):
        assert finish == "stop"
        assert schemas.is_valid(json.loads(text), schemas.schema(seed)), text
