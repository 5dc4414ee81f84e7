from dataclasses import replace

import pytest

from serving.anatomy.quantising import Quantisation
from serving.evaluation.judging import Case, Left, judged
from serving.evaluation.naming import meant
from serving.evaluation.rows import Row

KNOWN = ("llama-3.1-8b", "deepseek-v3", "deepseek-v3.2", "qwen3-30b-a3b", "qwen3-4b", "kimi-k2")

ROW = Row(
    line=2,
    model="Meta-Llama-3.1-8B-Instruct",
    params="",
    quant="4bit",
    nodes="1",
    machine="M3 Ultra 512GB",
    link="-",
    strategy="single",
    context="1024",
    batch="1",
    metric="decode_tok_s",
    value="100",
    source="a lab's own page",
    framework="mlx-lm",
    date="2026-03",
    grade="A",
    note="",
)
TWO = replace(ROW, nodes="2", link="TB5 RDMA", strategy="tp")


def case(row: Row) -> Case:
    found = judged(row, dict.fromkeys(KNOWN))
    assert isinstance(found, Case), found
    return found


def reason(row: Row) -> str:
    found = judged(row, dict.fromkeys(KNOWN))
    assert isinstance(found, Left)
    return found.reason


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("DeepSeek-V3", "deepseek-v3"),
        ("DeepSeek-V3.1", "deepseek-v3"),
        ("DeepSeek-V3.2-Exp", "deepseek-v3.2"),
        ("Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("mlx-community/Qwen3-4B-4bit", "qwen3-4b"),
        ("Kimi-K2-Thinking", "kimi-k2"),
        ("DeepSeek-R1 14B", None),
        ("Llama-3.1-70B", None),
        ("", None),
    ],
)
def test_published_names_lead_to_dimensions(name: str, dimensions: str | None):
    assert meant(name, KNOWN) == dimensions


def test_a_row_says_what_is_to_be_predicted():
    found = case(TWO)

    assert (found.weights, found.quantisation, found.sharding) == ("llama-3.1-8b", Quantisation(4), "tensor")
    assert (found.transport, found.context, found.sequences, len(found.machines)) == ("jaccl", 1024, 1, 2)


@pytest.mark.parametrize(
    ("link", "transport"),
    [("TB5 RDMA", "jaccl"), ("TB5 RDMA (jaccl)", "jaccl"), ("TB5 RDMA ring", "jaccl-ring"), ("TB TCP", "ring")],
)
def test_links_are_known_by_their_words(link: str, transport: str):
    assert case(replace(TWO, link=link)).transport == transport


@pytest.mark.parametrize(
    ("changes", "on"),
    [
        ({"framework": "exo 1.0"}, True),
        ({"framework": "mlx-lm"}, True),
        ({"source": "guruswami-ai/mlx-benchmarks"}, False),
        ({"note": "FAST_SYNCH off"}, False),
        ({"source": "guruswami-ai/mlx-benchmarks", "note": "MLX_METAL_FAST_SYNCH=1"}, True),
    ],
)
def test_synchronisation_is_as_it_is_said_or_as_the_software_sets_it(changes: dict[str, str], on: bool):
    assert case(replace(TWO, **changes)).fast_synch is on  # pyright: ignore


def test_what_is_assumed_is_told():
    assert case(replace(ROW, context="")).assumed == ("context 1024",)
    assert case(ROW).assumed == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"framework": "llama.cpp"}, "the software is not MLX"),
        ({"framework": "ollama/llama.cpp"}, "the software is not MLX"),
        ({"framework": ""}, "the software is not MLX"),
        ({"framework": "exo 0.x (gRPC ring)"}, "an obsolete version"),
        ({"date": "2025-03"}, "an obsolete version"),
        ({"note": "with a draft model"}, "speculative decoding"),
        ({"grade": "X"}, "contradicted"),
        ({"quant": "Q4_K_M"}, "not a format of MLX"),
        ({"quant": ""}, "does not say how the weights are quantised"),
        ({"metric": "latency_us"}, "no number about serving weights"),
        ({"value": "fast"}, "is no number"),
        ({"strategy": "-"}, "no way to split"),
        ({"nodes": ""}, "how many machines"),
        ({"nodes": "2"}, "contradicts itself"),
        ({"model": "GPT-5"}, "no dimensions of 'GPT-5'"),
        ({"machine": "RTX 5090"}, "cannot tell"),
        ({"metric": "prefill_tok_s", "context": ""}, "without its length"),
        ({"nodes": "2", "strategy": "tp", "link": "Wi-Fi"}, "neither RDMA nor TCP"),
    ],
)
def test_what_cannot_be_judged_is_left_out_with_the_reason(changes: dict[str, str], words: str):
    assert words in reason(replace(ROW, **changes))  # pyright: ignore


def test_the_published_value_decides_nothing():
    values = [case(replace(ROW, value=value)) for value in ("1", "100000")]

    assert replace(values[0], row=ROW) == replace(values[1], row=ROW)
