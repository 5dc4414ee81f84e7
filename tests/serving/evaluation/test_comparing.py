"""Reports on small files of our own; the published one is not in this repository.

Where CIDERMILL_PUBLISHED names it, and CIDERMILL_DIMENSIONS the directory of dimensions, the bounds are held as well.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import EvaluationRefused
from serving.evaluation.comparing import Report, compare
from serving.evaluation.judging import Case
from serving.evaluation.predicting import Predictor
from serving.evaluation.report import dimensions, document
from serving.evaluation.rows import COLUMNS, Row, read
from serving.evaluation.training import TRAINING, is_training
from tests.serving.dimensions import DEEPSEEK_V3, LLAMA_8B, SMALL
from tests.serving.evaluation.test_judging import ROW, TWO

PUBLISHED, DIMENSIONS = os.environ.get("CIDERMILL_PUBLISHED"), os.environ.get("CIDERMILL_DIMENSIONS")


def report(*rows: Row, predict: Callable[[Case], float] = lambda _: 110.0) -> Report:
    return compare(rows, {"llama-3.1-8b": LLAMA_8B}, predict)


def test_errors_are_counted_by_group():
    found = report(ROW, TWO, replace(ROW, metric="peak_mem_gb_per_node"), replace(ROW, batch="4"))

    assert {group.name: round(group.mean_error, 6) for group in found.groups} == {
        "answers on one machine": 0.1,
        "answers on clusters": 0.1,
        "peak memory": 0.1,
        "answers of several at once, not validated": 0.1,
    }


def test_a_group_holds_within_its_bound():
    (good,) = report(ROW, predict=lambda _: 109.0).groups
    (bad,) = report(ROW, predict=lambda _: 111.0).groups

    assert (good.holds, bad.holds) == (True, False)


def test_memory_may_not_be_predicted_much_too_low_whatever_the_mean_is():
    rows = [replace(ROW, metric="peak_mem_gb_per_node", value=value) for value in ("100", "100", "106")]

    (group,) = report(*rows, predict=lambda _: 100.0).groups

    assert group.mean_error < 0.05
    assert group.holds is False


def test_rows_that_were_fitted_on_count_in_no_group():
    row = replace(ROW, quant="Q4 (MLX affine g64)", metric="prefill_tok_s", note="node muladhara")

    found = report(row)

    assert is_training(row)
    assert [each.training for each in found.compared] == [True]
    assert found.groups == ()


def test_at_most_twenty_rows_were_fitted_on():
    assert len(TRAINING) <= 20


def test_the_published_winner_is_looked_for_at_every_number_of_machines():
    rows = [
        replace(ROW, value="100"),
        replace(TWO, value="150"),
        replace(TWO, nodes="4", value="80"),
        replace(TWO, nodes="4", strategy="pp", value="120"),
    ]

    found = report(*rows, predict=lambda case: 90.0 if case.sharding == "tensor" else 100.0)

    assert [(each.machines, each.published, each.predicted) for each in found.contests] == [
        (2, "tensor", "single"),
        (4, "pipeline", "single"),
    ]


def test_one_way_alone_is_no_contest():
    assert report(TWO, replace(TWO, nodes="4")).contests == ()


def test_what_is_left_out_is_in_the_document_with_its_reason():
    found = document(report(ROW, replace(ROW, line=3, framework="llama.cpp")))

    assert json.loads(json.dumps(found)).keys() == found.keys()
    assert found["left_out"] == [
        {"line": 3, "model": ROW.model, "reason": "the software is not MLX: llama.cpp"},
    ]


def test_predictions_have_the_size_of_what_is_measured():
    predict = Predictor({"llama-3.1-8b": LLAMA_8B})
    (decode, prompt, memory) = report(
        ROW, replace(ROW, metric="prefill_tok_s"), replace(ROW, metric="peak_mem_gb_per_node"), predict=predict
    ).compared

    assert 100 < decode.predicted < 140
    assert 1000 < prompt.predicted < 2000
    assert 5 < memory.predicted < 6


def test_a_stated_size_decides_where_the_label_does_not():
    predict = Predictor({"llama-3.1-8b": LLAMA_8B})
    small, large = report(replace(ROW, quant="4.5 GB"), replace(ROW, quant="16 GB"), predict=predict).compared

    assert small.predicted > 2 * large.predicted


def test_latents_are_kept_as_the_software_of_the_time_did():
    predict = Predictor({"deepseek-v3": DEEPSEEK_V3 | {"num_hidden_layers": 4}})
    row = replace(ROW, model="DeepSeek-V3.1", context="8192", metric="peak_mem_gb_per_node")

    old, new = (
        compare([replace(row, date=date)], predict.configs, predict).compared[0] for date in ("2025-12", "2026-03")
    )

    assert (old.predicted - new.predicted) * 1e9 == pytest.approx(
        4 * (8192 + 128) * 2 * (128 * (192 + 128) - 576), rel=0.001
    )


def test_weights_that_cannot_be_built_are_left_out():
    found = compare([ROW], {"llama-3.1-8b": {}}, Predictor({"llama-3.1-8b": {"model_type": "unheard_of"}}))

    assert [("unheard_of" in left.reason) for left in found.left] == [True]


def test_a_file_without_the_columns_is_refused(tmp_path: Path):
    (tmp_path / "file.csv").write_text("model,value\na,1\n")

    with pytest.raises(EvaluationRefused, match="seen no column params, quant"):
        read(tmp_path / "file.csv")


def test_rows_are_read_with_their_line(tmp_path: Path):
    cells = dict.fromkeys(COLUMNS, "") | {"model": " a ", "value": "1,234.5", "context": "4096"}
    (tmp_path / "file.csv").write_text(",".join(COLUMNS) + "\n" + ",".join(f'"{cells[name]}"' for name in COLUMNS))

    (row,) = read(tmp_path / "file.csv")

    assert (row.line, row.model, row.number, row.tokens, row.sequences) == (2, "a", 1234.5, 4096, 1)


def test_dimensions_are_found_by_file_and_by_directory(tmp_path: Path):
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a.json", tmp_path / "b" / "config.json"):
        path.write_text(json.dumps(SMALL))

    assert dimensions(tmp_path) == {"a": SMALL, "b": SMALL}


def test_no_dimensions_at_all_are_refused(tmp_path: Path):
    with pytest.raises(EvaluationRefused, match=r"seen no NAME\.json"):
        dimensions(tmp_path)


@pytest.mark.skipif(not (PUBLISHED and DIMENSIONS), reason="CIDERMILL_PUBLISHED and CIDERMILL_DIMENSIONS name no files")
def test_the_bounds_hold_on_the_published_rows():
    known = dimensions(Path(str(DIMENSIONS)))

    found = compare(read(Path(str(PUBLISHED))), known, Predictor(known))

    assert sum(each.training for each in found.compared) == len(TRAINING)
    assert [group.name for group in found.groups if group.holds is False] == []
    assert sum(each.named for each in found.contests) / len(found.contests) >= 19 / 20
