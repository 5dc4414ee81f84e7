"""The rows that constants were fitted on, by what they measure; their values are not in this repository. Pure.

Twenty of the public rows: one kind of each term of the model, none with FAST_SYNCH on, none of the large weights.
"""

from __future__ import annotations

from serving.evaluation.rows import Row

TRAINING = frozenset(
    {
        ("Meta-Llama-3.1-8B-Instruct", "Q4", "1", "single", "1024", "decode_tok_s", "node muladhara"),
        ("Meta-Llama-3.1-8B-Instruct", "Q4", "1", "single", "32768", "decode_tok_s", "node muladhara"),
        ("Meta-Llama-3.1-8B-Instruct", "Q8", "1", "single", "1024", "decode_tok_s", "node vishuddha"),
        ("Qwen2.5-32B", "Q4", "1", "single", "1024", "decode_tok_s", "node muladhara"),
        ("Qwen2.5-32B", "Q4", "1", "single", "32768", "decode_tok_s", "node muladhara"),
        ("Mixtral-8x7B-Instruct", "Q4", "1", "single", "1024", "decode_tok_s", "node svadhisthana"),
        ("Qwen3-4B-Instruct-2507", "bf16", "1", "single", "2048", "decode_tok_s", ""),
        ("Qwen3-4B-Instruct-2507", "4bit", "1", "single", "2048", "decode_tok_s", ""),
        ("Qwen3-30B-A3B-Instruct-2507", "8bit", "1", "single", "2048", "decode_tok_s", ""),
        ("Qwen3-30B-A3B-Instruct-2507", "4bit", "1", "single", "2048", "decode_tok_s", ""),
        ("Qwen2.5-32B", "Q4", "2", "tp", "1024", "decode_tok_s", "node muladhara+svadhisthana"),
        (
            "Mixtral-8x7B-Instruct",
            "Q4",
            "4",
            "tp",
            "1024",
            "decode_tok_s",
            "node muladhara+svadhisthana+anahata+manipura",
        ),
        ("Mixtral-8x7B-Instruct", "Q4", "2", "pp", "1024", "decode_tok_s", "node muladhara+svadhisthana"),
        ("Qwen2.5-32B", "Q4", "2", "pp", "1024", "decode_tok_s", "node muladhara+svadhisthana"),
        ("Meta-Llama-3.1-8B-Instruct", "Q4", "1", "single", "1024", "prefill_tok_s", "node muladhara"),
        ("Meta-Llama-3.1-8B-Instruct", "Q4", "1", "single", "32768", "prefill_tok_s", "node muladhara"),
        ("Qwen2.5-32B", "Q4", "1", "single", "1024", "prefill_tok_s", "node muladhara"),
        ("Mixtral-8x7B-Instruct", "Q4", "1", "single", "1024", "prefill_tok_s", "node svadhisthana"),
        ("Qwen3-4B-Instruct-2507", "4bit", "1", "single", "2048", "prefill_tok_s", ""),
        ("Qwen3-30B-A3B-Instruct-2507", "4bit", "1", "single", "2048", "prefill_tok_s", ""),
    }
)


def is_training(row: Row) -> bool:
    """Whether constants were fitted on this row."""
    quant = row.quant.split()[0] if row.quant else ""
    return (row.model, quant, row.nodes, row.strategy, row.context, row.metric, row.note) in TRAINING
