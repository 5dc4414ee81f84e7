"""Dimensions of weights that many know, for tests; facts, in the words of tables."""

from __future__ import annotations

from functools import cache
from typing import Any

from serving.anatomy.quantising import FULL, Quantisation
from serving.anatomy.reading import Source, from_config
from serving.anatomy.values import Anatomy

LLAMA_70B: dict[str, Any] = {
    "hidden_size": 8192,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 28672,
    "vocab_size": 128256,
}
LLAMA_8B = LLAMA_70B | {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "intermediate_size": 14336,
}
QWEN2_72B = LLAMA_70B | {"intermediate_size": 29568, "vocab_size": 152064, "attention_bias": True}
DEEPSEEK_V3: dict[str, Any] = {
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "vocab_size": 129280,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "scoring_func": "sigmoid",
}
MIXTRAL = LLAMA_8B | {"vocab_size": 32000, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 14336}
QWEN3_30B: dict[str, Any] = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "vocab_size": 151936,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "qk_norm": True,
}
QWEN3_235B = QWEN3_30B | {
    "hidden_size": 4096,
    "num_hidden_layers": 94,
    "num_attention_heads": 64,
    "moe_intermediate_size": 1536,
}
QWEN2_5_3B: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 2048,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "intermediate_size": 11008,
    "vocab_size": 151936,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}
SMALL = {
    "model_type": "qwen2",
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 512,
    "vocab_size": 1024,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
ALL = {
    "llama-70b": LLAMA_70B,
    "llama-8b": LLAMA_8B,
    "qwen2-72b": QWEN2_72B,
    "deepseek-v3": DEEPSEEK_V3,
    "mixtral": MIXTRAL,
    "qwen3-30b": QWEN3_30B,
    "qwen3-235b": QWEN3_235B,
    "qwen2.5-3b": QWEN2_5_3B,
    "small": SMALL,
}


@cache
def source(name: str, bits: int | None = 4) -> Source:
    return from_config(ALL[name], name, FULL if bits is None else Quantisation(bits))


@cache
def anatomy(name: str, bits: int | None = 4, ranks: tuple[int, ...] = (2, 3, 4)) -> Anatomy:
    return source(name, bits).anatomy(ranks)
