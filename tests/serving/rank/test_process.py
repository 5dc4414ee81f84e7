"""The rank process by itself, as its agent starts it."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from subprocess import run

import httpx

from serving.rank.status import Exit, RankSpec, RankStatus, read_status
from serving.weights import NEEDED, manifest
from tests.serving.rank.ranks import CHAT, TEXT, NotWholeError, Rank, serving, started
from tests.serving.replicas import replica
from tests.serving.waiting import wait_until
from tests.weights import PATH

ALONE = {"transport": None, "sharding": None, "ring": (), "members": replica().members[:1]}

PING = CHAT, {"messages": [{"role": "user", "content": "Ping"}]}
TINY_KIMI = {
    "num_hidden_layers": 12,
    "linear_attn_config": {"kda_layers": []},
    **dict.fromkeys(("hidden_size", "intermediate_size", "vocab_size"), 32),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("num_attention_heads", "num_key_value_heads"), 2),
}
"""A type of weights whose pipeline takes no split."""


def ended(directory: Path, weights: Path, leave: tuple[str, ...] = (), **changes: object) -> tuple[int, RankStatus]:
    """Exit code and last status of a rank whose agent goes away at once."""
    declared = manifest(weights)
    for name in leave:
        (weights / name).unlink()
    spec = RankSpec(
        machine="mac-1",
        generation=1,
        replica=replica(weights_directory=str(weights), manifest=declared, **changes),
        transport_file=str(directory / "transport.json"),
        status_file=str(directory / "status.json"),
        tick_file=str(directory / "ticks"),
    )
    path = directory / "spec.json"
    path.write_text(spec.model_dump_json())
    done = run([sys.executable, "-m", "serving.rank.process", str(path)], input=b"", capture_output=True, check=False)
    status = read_status(directory / "status.json")
    assert status is not None, done.stderr
    return done.returncode, status


def weights(directory: Path) -> Path:
    """Files enough to be taken for weights."""
    made = directory / "weights"
    made.mkdir()
    for name in (*NEEDED, "model.safetensors"):
        (made / name).write_text(json.dumps({}))
    return made


def test_weights_that_are_not_the_declared_ones_are_refused_for_good(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), ("model.safetensors",), **ALONE)

    assert (code, status.phase, status.curable) == (Exit.WEIGHTS_DAMAGED, "refused", False)
    assert status.reason.startswith("cannot serve 'cider-1' on mac-1: model.safetensors is missing")


def test_a_transport_that_is_not_in_this_build_is_refused_for_good(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), transport="jaccl-ring", coordinator="127.0.0.1:1")

    assert (code, status.phase, status.curable) == (Exit.TRANSPORT_REFUSED, "refused", False)
    assert "jaccl-ring is not in this MLX build (mlx 0.32.4" in status.reason


def test_a_rank_whose_agent_goes_away_before_it_is_let_in_ends(tmp_path: Path):
    code, status = ended(tmp_path, weights(tmp_path), **ALONE)

    assert (code, status.phase) == (Exit.ABANDONED, "ended")
    assert (status.mlx, status.mlx_lm) == ("0.32.4", "0.32.2")
    assert status.pid != os.getpid()


def stands(rank: Rank) -> bool:
    """Whether a rank's loop has come no further while its process went on for two seconds."""
    before = rank.tick
    wait_until(lambda: rank.tick.beats > before.beats + 8)
    return rank.tick.steps == before.steps


def test_a_loop_that_waits_is_told_from_a_process_that_is_stopped_and_ended_by_sigterm(tmp_path: Path):
    with serving(tmp_path, 2) as replica:
        first, second = replica
        second.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: stands(first), 60)
        waiting, stopped = first.tick, second.tick
        assert stands(first)
        assert second.tick == stopped

        second.process.send_signal(signal.SIGCONT)
        wait_until(lambda: first.tick.steps > waiting.steps and second.tick.beats > stopped.beats)
        assert replica.ask(*PING).text == "Pong."

        second.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: stands(first), 60)
        first.process.terminate()
        assert first.process.wait(20) == -signal.SIGTERM


def test_a_rank_that_serves_says_nothing_that_would_be_its_last_words(tmp_path: Path):
    with serving(tmp_path, 1) as replica:
        assert replica.ask(*PING).text == "Pong."

        (rank,) = replica
        assert rank.log == ""


def test_ranks_that_have_not_met_are_ended_by_sigterm(tmp_path: Path):
    with started(tmp_path, 2) as replica:
        joining, checked = replica
        joining.let_in()
        joining.waits_for("joining")
        checked.waits_for("checked")
        for rank in replica:
            rank.process.terminate()

        assert [rank.process.wait(20) for rank in replica] == [-signal.SIGTERM] * 2


def test_a_dead_generation_loop_ends_the_rank_with_a_code_of_its_own(tmp_path: Path):
    with serving(tmp_path, 1) as replica:
        with suppress(httpx.HTTPError, NotWholeError):
            # An endpoint lets no such request through: mlx-lm does not survive it.
            replica.ask(TEXT, {"prompt": ""})

        (rank,) = replica
        assert rank.process.wait(20) == Exit.GENERATION_ENDED
        assert rank.status is not None
        assert rank.status.phase == "ended"
        assert rank.status.reason.startswith("the generation loop ended: ValueError: Sequence 0 has an empty prompt")


def test_weights_that_split_in_their_own_way_are_refused_for_good(tmp_path: Path):
    kimi = copytree(PATH, tmp_path / "kimi")
    (kimi / "config.json").write_text(json.dumps({"model_type": "kimi_k3", "text_config": TINY_KIMI}))
    with started(tmp_path, 2, kimi, sharding="pipeline", layers=(9, 3)) as replica:
        replica.let_in()

        assert [rank.process.wait(60) for rank in replica] == [Exit.LAYERS_REFUSED] * 2
        status = replica.ranks[1].status
        assert status is not None
        assert (status.phase, status.curable) == ("refused", False)
        assert "mlx-lm holds layers 0 to 5 on rank 1, needed 0 to 2" in status.reason
