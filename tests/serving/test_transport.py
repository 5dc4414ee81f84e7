"""Against MLX itself: its launcher for JACCL, whose files need no RDMA to be written, and real ranks for ring."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serving import transport
from serving.errors import TransportRefused
from tests.serving.declarations import declared

MESH = {
    "m1": {"m2": "rdma_en4", "m3": "rdma_en5"},
    "m2": {"m1": "rdma_en4", "m3": "rdma_en6"},
    "m3": {"m1": "rdma_en5", "m2": "rdma_en2"},
}
SHOW = """
import json, os
names = ("MLX_RANK", "MLX_JACCL_COORDINATOR", "MLX_JACCL_RING", "MLX_HOSTFILE")
seen = {name: os.environ[name] for name in names if name in os.environ}
print(json.dumps(seen | {"matrix": json.load(open(os.environ["MLX_IBV_DEVICES"]))}), flush=True)
"""
SUM = """
import mlx.core as mx
group = mx.distributed.init(strict=True, backend="ring")
print(group.rank(), group.size(), mx.distributed.all_sum(mx.array(float(group.rank() + 1))).item(), flush=True)
"""


@pytest.mark.parametrize("kind", ["jaccl", "jaccl-ring"])
def test_device_matrices_and_variables_are_those_of_mlx_own_launcher(kind: str, tmp_path: Path):
    names = list(MESH)
    hosts = [{"ssh": "127.0.0.1", "ips": ["10.0.0.1"], "rdma": [MESH[a].get(b) for b in names]} for a in names]
    hostfile = tmp_path / "hostfile.json"
    hostfile.write_text(json.dumps({"hosts": hosts}))

    for shown in _launched(kind, hostfile):
        rank = int(shown["MLX_RANK"])
        matrix = transport.device_matrix(kind, rank, names, MESH[names[rank]])
        ours = transport.environment(kind, rank, "file", "10.0.0.1:32323")

        assert matrix[rank] == shown["matrix"][rank]
        assert [[cell is None for cell in row] for row in matrix] == [
            [c is None for c in row] for row in shown["matrix"]
        ]
        assert {name: value for name, value in ours.items() if name != "MLX_IBV_DEVICES"} == {
            name: value for name, value in shown.items() if name != "matrix"
        }


def _launched(kind: str, hostfile: Path) -> list[dict[str, str]]:
    """What each of three ranks finds in its environment when MLX's own launcher starts it."""
    launcher = "import sys; from mlx._distributed_utils.launch import main; sys.argv[0] = 'mlx.launch'; main()"
    command = [
        sys.executable,
        "-c",
        launcher,
        "--hostfile",
        str(hostfile),
        "--backend",
        kind,
        "--cwd",
        str(hostfile.parent),
    ]
    show = hostfile.parent / "show.py"
    show.write_text(SHOW)
    run = subprocess.run(
        [*command, "--", sys.executable, str(show)],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "TMPDIR": str(hostfile.parent)},
    )
    shown = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert len(shown) == 3
    return shown


def test_a_ring_formed_from_our_hostfile_sums_over_all_its_ranks(tmp_path: Path):
    hostfile = tmp_path / "ring.json"
    hostfile.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in _free_ports(3)]))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", SUM],
            env={**os.environ, **transport.environment("ring", rank, str(hostfile), None)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]

    said = [rank.communicate(timeout=60)[0].split() for rank in ranks]

    assert said == [[str(rank), "3", "6.0"] for rank in range(3)]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def test_each_cable_has_a_subnet_of_its_own_and_each_end_an_address():
    addresses = transport.cable_addresses(declared())

    assert addresses["m1", "m2"] == "10.213.0.1"
    assert addresses["m2", "m1"] == "10.213.0.2"
    assert addresses["m4", "m3"] == "10.213.0.22"
    assert len(set(addresses.values())) == 12


def test_a_rank_binds_its_end_of_the_cable_to_the_rank_before_it():
    ring = {"name": "a", "machines": ["m1", "m2", "m3"], "weights": "w", "transport": "ring", "sharding": "pipeline"}
    cluster = declared(replicas=[ring])
    addresses = transport.cable_addresses(cluster)

    bound = transport.ring_hosts(cluster, cluster.replicas[0])

    assert bound == (
        (f"{addresses['m1', 'm3']}:32323",),
        (f"{addresses['m2', 'm1']}:32324",),
        (f"{addresses['m3', 'm2']}:32325",),
    )


def test_a_peer_that_no_device_faces_is_refused_by_name():
    with pytest.raises(TransportRefused, match="no RDMA device faces m3"):
        transport.device_matrix("jaccl", 0, ["m1", "m2", "m3"], {"m2": "rdma_en4"})


def test_jaccl_without_a_coordinator_is_refused():
    with pytest.raises(TransportRefused, match="coordinator"):
        transport.environment("jaccl", 0, "file", None)
