"""Dimensions without a type, as tables of models list them, made into a `config.json` that mlx-lm understands. Pure.

A real `config.json` names its type and goes through unchanged. A bare one is taken for the first kind below whose
marks it shows; what follows from that is said in a note, and fields that shape no tensor get neutral values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]

NEUTRAL: Mapping[str, Any] = {
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "max_position_embeddings": 131072,
    "norm_topk_prob": True,
    "routed_scaling_factor": 1.0,
    "n_group": 1,
    "topk_group": 1,
    "partial_rotary_factor": 1.0,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "attention_bias": False,
    "tie_word_embeddings": False,
    "first_k_dense_replace": 0,
}
"""Fields that classes of mlx-lm ask for and that change neither a tensor's shape nor the work."""

ALIKE = {"num_experts": ("num_local_experts", "n_routed_experts"), "qk_norm": ("use_qk_norm",)}
"""What tables call one thing and classes of mlx-lm another."""


@dataclass(frozen=True)
class Kind:
    """A type of mlx-lm, and what dimensions of that type show."""

    name: str
    shows: Callable[[Config], bool]
    completed: Callable[[Config], Config] = dict


def _has(*names: str) -> Callable[[Config], bool]:
    return lambda config: all(config.get(name) for name in names)


def _llama4(config: Config) -> Config:
    text = {
        "model_type": "llama4_text",
        "use_qk_norm": True,
        "attention_chunk_size": 8192,
        "intermediate_size_mlp": 2 * config["intermediate_size"],
    }
    return {"text_config": text | config}


def _minimax(config: Config) -> Config:
    shape = {"shared_intermediate_size": 0, "rotary_dim": config["head_dim"] // 2}
    return shape | config | {"intermediate_size": config["moe_intermediate_size"]}


def _gpt_oss(config: Config) -> Config:
    alternating = ["sliding_attention", "full_attention"]
    layers = [alternating[number % 2] for number in range(config["num_hidden_layers"])]
    width = config.get("moe_intermediate_size", config["intermediate_size"])
    return {"layer_types": layers} | config | {"intermediate_size": width}


def _mixtral(config: Config) -> Config:
    return config | {"intermediate_size": config.get("moe_intermediate_size", config["intermediate_size"])}


KINDS = (
    Kind("deepseek_v32", _has("kv_lora_rank", "index_topk")),
    Kind("deepseek_v3", _has("kv_lora_rank")),
    Kind("llama4", _has("interleave_moe_layer_step"), _llama4),
    Kind("gpt_oss", _has("num_experts", "sliding_window"), _gpt_oss),
    Kind("glm4_moe", lambda config: _has("num_experts", "n_shared_experts")(config) and _by_sigmoid(config)),
    Kind("minimax", lambda config: _has("num_experts", "head_dim")(config) and _by_sigmoid(config), _minimax),
    Kind("qwen3_moe", _has("num_experts", "qk_norm")),
    Kind("mixtral", _has("num_experts"), _mixtral),
    Kind("qwen3", _has("qk_norm")),
    Kind("qwen2", _has("attention_bias")),
    Kind("llama", lambda _: True),
)
"""In the order they are tried; the last is what is left."""


def _by_sigmoid(config: Config) -> bool:
    return config.get("scoring_func") == "sigmoid"


def completed(dimensions: Mapping[str, Any]) -> tuple[Config, tuple[str, ...]]:
    """A whole `config.json` from dimensions, and what was assumed on the way."""
    if "model_type" in dimensions:
        return dict(dimensions), ()
    config: Config = {**NEUTRAL, **_head_width(dimensions), **dimensions}
    for ours, theirs in ALIKE.items():
        known = next((config[name] for name in (ours, *theirs) if config.get(name) is not None), None)
        if known is not None:
            config |= dict.fromkeys((ours, *theirs), known)
    kind = next(kind for kind in KINDS if kind.shows(config))
    config = kind.completed(config)
    return config | {"model_type": kind.name}, (f"the dimensions name no type; taken for {kind.name} by their fields",)


def _head_width(dimensions: Mapping[str, Any]) -> Config:
    heads, hidden = dimensions.get("num_attention_heads"), dimensions.get("hidden_size")
    return {"head_dim": hidden // heads, "use_qk_norm": False} if heads and hidden else {}
