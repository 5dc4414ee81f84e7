"""`cidermill plan` and `cidermill evaluate`, called as a person does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from operations.command.main import main
from serving.evaluation.rows import COLUMNS
from tests.serving.dimensions import LLAMA_8B, SMALL
from tests.weights import PATH

TWO = ("--machine", "M3 Ultra 512", "--machine", "M3 Ultra 512")
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


def called(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    return tmp_path / "config.json"


def test_a_plan_says_what_to_expect_of_every_way_and_which_is_best():
    told = called("plan", PATH, *TWO)

    assert told.exit_code == 0
    assert "2 copies, each on one Mac" in told.output
    assert "tensor over 2, jaccl" in told.output
    assert "One Mac is the better answer" in told.output
    assert "tokens per second of one conversation, by context" in told.output


def test_a_plan_is_one_json_document_as_well(config: Path):
    told = called("plan", config, *TWO, "--json", "--slots", 2, "--context", 4096, "--quantise", "4bit")

    found = json.loads(told.output)
    assert found["wish"] == {"context": 4096, "slots": 2, "transport": None, "fast_synch": False}
    assert found["weights"]["quantisation"] == "4 bit, groups of 64"
    assert found["works"] is True
    assert {choice["how"] for choice in found["choices"]} >= {"one Mac", "tensor over 2", "pipeline over 2"}


def test_a_plan_can_be_drawn(config: Path, tmp_path: Path):
    told = called("plan", config, *TWO, "--plot", tmp_path / "plan.png")

    assert told.exit_code == 0
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_fit_ends_with_1_and_the_nearest_that_works(tmp_path: Path):
    (tmp_path / "large.json").write_text(json.dumps(LLAMA_8B))

    told = called("plan", tmp_path / "large.json", "--machine", "M4 16")

    assert told.exit_code == 1
    assert "cannot place 'large'" in told.output
    assert "The nearest that works" in told.output


def test_every_replica_of_an_inventory_is_planned(tmp_path: Path):
    machines = [
        {"name": f"mac-{n}", "address": f"192.0.2.{n}", "chip": "Apple M3 Ultra", "memory_gb": 512} for n in (1, 2, 3)
    ]
    alike = {"weights": "cider-1", "context_tokens": 1024}
    fields = {
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
    inventory = tmp_path / "lab.py"
    inventory.write_text(
        "from operations.inventory import declare, hosts\nfrom serving.cluster import Cluster\n"
        f"cluster = declare(Cluster, **{fields!r})\nmacs = hosts(cluster)\n"
    )

    told = called("plan", inventory, "--json")

    first, second = json.loads(told.output)
    assert first["wish"]["context"] == 1024
    assert [len(each["choices"]) > 1 for each in (first, second)] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "cannot plan without weights"),
        ((PATH,), "no machine was given"),
        ((PATH, "--machine", "Xeon 512"), "cannot tell which chip"),
        ((PATH, *TWO, "--quantise", "Q4_K_M"), "cannot quantise to 'Q4_K_M'"),
        (("nowhere", *TWO), "no such directory or file"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(arguments: tuple[object, ...], words: str):
    told = called("plan", *arguments)

    assert told.exit_code == 1
    assert words in told.output


def test_an_evaluation_tells_rows_groups_winners_and_what_it_left_out(tmp_path: Path):
    (tmp_path / "llama-3.1-8b.json").write_text(json.dumps(LLAMA_8B))
    rows = [ROW, ROW | {"framework": "llama.cpp"}]
    lines = [",".join(f'"{row.get(name, "")}"' for name in COLUMNS) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join([",".join(COLUMNS), *lines]))

    told = called("evaluate", tmp_path / "rows.csv", "--configs", tmp_path)
    document = json.loads(called("evaluate", tmp_path / "rows.csv", "--configs", tmp_path, "--json").output)

    assert told.exit_code == 0
    assert "the software is not MLX: llama.cpp: line 3" in told.output
    assert "answers on one machine" in told.output
    assert [row["line"] for row in document["rows"]] == [2]
    assert abs(document["rows"][0]["error"]) < 0.1
