"""`cidermill plan` and `cidermill evaluate`, beneath the options of the console."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.cluster import Cluster
from serving.command.evaluate import evaluate
from serving.command.plan import plan
from serving.errors import CidermillError, MachineUnknown
from serving.evaluation.rows import COLUMNS
from tests.serving.dimensions import LLAMA_8B, SMALL
from tests.serving.measuring.receipts import kept, receipt, replica
from tests.weights import PATH

TWO = ("M3 Ultra 512", "M3 Ultra 512")
ROW = {
    "model": "Llama-3.1-8B",
    "quant": "4bit",
    "nodes": "1",
    "machine": "M3 Ultra 512GB",
    "strategy": "single",
    "context": "1024",
    "batch": "1",
    "metric": "decode_tok_s",
    "value": "119",
    "framework": "mlx-lm",
    "date": "2026-03",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    return tmp_path / "config.json"


def test_a_plan_says_what_to_expect_of_every_way_and_which_is_best(capsys: pytest.CaptureFixture[str]):
    assert plan(str(PATH), machines=TWO) == 0

    told = capsys.readouterr().out
    assert "2 copies, each on one Mac" in told
    assert "tensor over 2, jaccl" in told
    assert "One Mac is the better answer" in told
    assert "tokens per second of one conversation, by context" in told


def test_a_plan_is_one_json_document_as_well(config: Path, capsys: pytest.CaptureFixture[str]):
    assert plan(str(config), machines=TWO, as_json=True, slots=2, context=4096, quantise="4bit") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["wish"] == {"context": 4096, "slots": 2, "transport": None, "fast_synch": False}
    assert found["weights"]["quantisation"] == "4 bit, groups of 64"
    assert found["works"] is True
    assert {choice["how"] for choice in found["choices"]} >= {"one Mac", "tensor over 2", "pipeline over 2"}


def test_a_plan_can_be_drawn(config: Path, tmp_path: Path):
    assert plan(str(config), machines=TWO, plot=tmp_path / "plan.png") == 0
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_fit_ends_with_1_and_the_nearest_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "large.json").write_text(json.dumps(LLAMA_8B))

    assert plan(str(tmp_path / "large.json"), machines=("M4 16",)) == 1
    told = capsys.readouterr().out
    assert "cannot place 'large'" in told
    assert "The nearest that works" in told


def test_every_replica_of_a_cluster_is_planned(capsys: pytest.CaptureFixture[str]):
    machines = [
        {"name": f"mac-{n}", "address": f"192.0.2.{n}", "chip": "Apple M3 Ultra", "memory_gb": 512} for n in (1, 2, 3)
    ]
    alike = {"weights": "cider-1", "context_tokens": 1024}
    cluster = Cluster.model_validate(
        {
            "name": "lab",
            "machines": machines,
            "links": [{"between": ["mac-1", "mac-2"]}],
            "weights": [{"name": "cider-1", "path": str(PATH), "golden": {"question": "?", "answer": "!"}}],
            "replicas": [
                {"name": "a", "machines": ["mac-1", "mac-2"], "transport": "jaccl", "sharding": "tensor", **alike},
                {"name": "b", "machines": ["mac-3"], **alike},
            ],
            "gateway": {"machine": "mac-1"},
        }
    )

    assert plan(cluster, as_json=True) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["wish"]["context"] == 1024
    assert [len(each["choices"]) > 1 for each in (first, second)] == [True, False]
    assert [each["declared"]["how"] for each in (first, second)] == ["tensor over 2", "one Mac"]
    assert plan(cluster) == 0
    told = capsys.readouterr().out
    assert "As declared, replica a: 2.7 MB + 2.7 MB of weights in rank order" in told
    assert "note: replica a: as declared (tensor over 2 by jaccl)" in told


def test_a_declaration_that_cannot_work_ends_with_1_though_another_would(capsys: pytest.CaptureFixture[str]):
    machines = [
        {"name": f"mac-{n}", "address": f"192.0.2.{n}", "chip": "Apple M3 Ultra", "memory_gb": 512} for n in (1, 2)
    ]
    wrong = {"transport": "ring", "sharding": "pipeline", "pipeline_layers": [7, 6]}
    cluster = Cluster.model_validate(
        {
            "name": "lab",
            "machines": machines,
            "links": [{"between": ["mac-1", "mac-2"]}],
            "weights": [{"name": "cider-1", "path": str(PATH), "golden": {"question": "?", "answer": "!"}}],
            "replicas": [{"name": "a", "machines": ["mac-1", "mac-2"], "weights": "cider-1", **wrong}],
            "gateway": {"machine": "mac-1"},
        }
    )

    assert plan(cluster) == 1
    told = capsys.readouterr().out
    assert "replica a is refused: [7, 6] are 13 layers, 'cider-1' has 12." in told
    assert "Nearest to the declaration: pipeline_layers='by memory', which is [6, 6]." in told


def lab() -> Cluster:
    machines = [
        {"name": f"mac-{n}", "address": f"192.0.2.{n}", "chip": "Apple M3 Ultra", "memory_gb": 512} for n in (1, 2)
    ]
    split = {"machines": ["mac-1", "mac-2"], "transport": "ring", "sharding": "tensor", "context_tokens": 4096}
    return Cluster.model_validate(
        {
            "name": "lab",
            "machines": machines,
            "links": [{"between": ["mac-1", "mac-2"]}],
            "weights": [{"name": "cider-1", "path": str(PATH), "golden": {"question": "?", "answer": "!"}}],
            "replicas": [{"name": "a", "weights": "cider-1", **split}],
            "gateway": {"machine": "mac-1"},
        }
    )


def test_a_plan_of_an_inventory_rests_on_what_was_measured_there_and_says_so(capsys: pytest.CaptureFixture[str]):
    known = kept(receipt(replica(kind="qwen2, 16 bit")))

    assert plan(lab(), as_json=True, kept=known) == 0
    found = json.loads(capsys.readouterr().out)
    rests_on = {choice["how"]: choice["expected"]["rests_on"] for choice in found["choices"]}
    assert rests_on["tensor over 2"] == "measured here on 2026-11-20"
    assert rests_on["one Mac"] == "measured here on 2026-11-20, by tensor over 2"
    assert any("beyond belief" in words for words in found["notes"])


def test_a_plan_tells_of_receipts_that_it_does_not_use(capsys: pytest.CaptureFixture[str]):
    old = receipt(replica(kind="qwen2, 16 bit", mlx="0.32.1"))
    known = replace(kept(old), problems=("cannot read the receipt x.json: EOF. Move it away, then bench again.",))

    assert plan(lab(), kept=known) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "measured here" not in told
    assert "Note: cannot read the receipt x.json" in told
    assert "it ran mlx 0.32.1" in told


def test_a_machine_without_chip_or_memory_cannot_be_planned_with():
    fields = {
        "name": "lab",
        "machines": [{"name": "mac-1", "address": "192.0.2.1"}],
        "weights": [{"name": "cider-1", "path": str(PATH), "golden": {"question": "?", "answer": "!"}}],
        "replicas": [{"name": "a", "machines": ["mac-1"], "weights": "cider-1"}],
        "gateway": {"machine": "mac-1"},
    }

    with pytest.raises(MachineUnknown, match="Declare chip= and memory_gb="):
        plan(Cluster.model_validate(fields))


@pytest.mark.parametrize(
    ("weights", "wanted", "words"),
    [
        (None, {}, "cannot plan without weights"),
        (str(PATH), {}, "no machine was given"),
        (str(PATH), {"machines": ("Xeon 512",)}, "cannot tell which chip"),
        (str(PATH), {"machines": TWO, "quantise": "Q4_K_M"}, "cannot quantise to 'Q4_K_M'"),
        ("nowhere", {"machines": TWO}, "no such directory or file"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(weights: str | None, wanted: dict[str, object], words: str):
    with pytest.raises(CidermillError, match=words):
        plan(weights, **wanted)


def test_an_evaluation_tells_rows_groups_winners_and_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "llama-3.1-8b.json").write_text(json.dumps(LLAMA_8B))
    rows = [ROW, ROW | {"framework": "llama.cpp"}]
    lines = [",".join(f'"{row.get(name, "")}"' for name in COLUMNS) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join([",".join(COLUMNS), *lines]))

    evaluate(tmp_path / "rows.csv", tmp_path, as_json=False)
    told = capsys.readouterr().out
    evaluate(tmp_path / "rows.csv", tmp_path, as_json=True)
    document = json.loads(capsys.readouterr().out)

    assert "the software is not MLX: llama.cpp: line 3" in told
    assert "answers on one machine" in told
    assert [row["line"] for row in document["rows"]] == [2]
    assert abs(document["rows"][0]["error"]) < 0.1
