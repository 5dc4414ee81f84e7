"""The forward and backward pass of a small qwen2 network, in NumPy.

Gives the gradients of `mlx_lm.models.qwen2` for the same arrays under the same names; a test holds that.
MLX 0.32.4 could train it too, but its CPU build for Linux calls a reference BLAS, measured fifty times slower than
NumPy's on these shapes: hours instead of minutes.

Every layer returns its output and a function that turns the output's gradient into the input's.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]
Tokens: TypeAlias = npt.NDArray[np.int64]
Back: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True)
class Shape:
    """The numbers of a qwen2 `config.json` that decide the arrays; names are the file's own."""

    hidden_size: int = 144
    num_hidden_layers: int = 12
    intermediate_size: int = 288
    num_attention_heads: int = 12
    num_key_value_heads: int = 12
    vocab_size: int = 768
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    def config(self) -> dict[str, Any]:
        """The entries of `config.json`, as mlx-lm reads them."""
        return {"model_type": "qwen2", "tie_word_embeddings": True, **asdict(self)}

    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Name and dimensions of every array, in file order."""
        wide, narrow = self.intermediate_size, self.hidden_size
        arrays: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, narrow)}
        for layer in range(self.num_hidden_layers):
            at = f"model.layers.{layer}"
            for projection in "qkv":
                arrays[f"{at}.self_attn.{projection}_proj.weight"] = (narrow, narrow)
                arrays[f"{at}.self_attn.{projection}_proj.bias"] = (narrow,)
            arrays[f"{at}.self_attn.o_proj.weight"] = (narrow, narrow)
            arrays[f"{at}.mlp.gate_proj.weight"] = (wide, narrow)
            arrays[f"{at}.mlp.up_proj.weight"] = (wide, narrow)
            arrays[f"{at}.mlp.down_proj.weight"] = (narrow, wide)
            arrays[f"{at}.input_layernorm.weight"] = (narrow,)
            arrays[f"{at}.post_attention_layernorm.weight"] = (narrow,)
        return arrays | {"model.norm.weight": (narrow,)}


class Network:
    """Weights and their gradients: views into two flat arrays, so that an optimiser needs no names."""

    def __init__(self, shape: Shape, seed: int) -> None:
        """Fill the weights at random: ones for norms, zeros for biases, small normal numbers elsewhere."""
        self.shape = shape
        size = sum(int(np.prod(dimensions)) for dimensions in shape.arrays().values())
        self.flat, self.flat_gradient = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.weights, self.gradients = self._views(self.flat), self._views(self.flat_gradient)
        self._fill(np.random.default_rng(seed))

    def loss(self, tokens: Tokens, wanted: npt.NDArray[np.bool_]) -> float:
        """Mean cross-entropy in nats of the wanted tokens given those before; leaves `gradients` set.

        `wanted` marks the tokens to predict, in the same places as `tokens`; column 0 is never predicted.
        """
        hidden, back = self._hidden(tokens[:, :-1])
        rows = wanted[:, 1:]
        table = self.weights["model.embed_tokens.weight"]
        logits = hidden[rows] @ table.T
        mean, d_logits = _cross_entropy(logits, tokens[:, 1:][rows])
        self.flat_gradient[:] = 0
        self.gradients["model.embed_tokens.weight"] += d_logits.T @ hidden[rows]
        d_hidden = np.zeros_like(hidden)
        d_hidden[rows] = d_logits @ table
        back(d_hidden)
        return mean

    def _views(self, flat: Array) -> dict[str, Array]:
        views, start = {}, 0
        for name, dimensions in self.shape.arrays().items():
            stop = start + int(np.prod(dimensions))
            views[name] = flat[start:stop].reshape(dimensions)
            start = stop
        return views

    def _fill(self, random: np.random.Generator) -> None:
        residual_scale = 1 / np.sqrt(2 * self.shape.num_hidden_layers)
        for name, weight in self.weights.items():
            if "norm" in name:
                weight[:] = 1
            elif weight.ndim == 2:
                scale = residual_scale if "o_proj" in name or "down_proj" in name else 1
                weight[:] = random.standard_normal(weight.shape) * scale * 0.5 / np.sqrt(weight.shape[1])

    def _hidden(self, tokens: Tokens) -> tuple[Array, Callable[[Array], None]]:
        x = self.weights["model.embed_tokens.weight"][tokens]
        turn = _rotation(tokens.shape[1], self.shape)
        backs: list[Back] = []
        for layer in range(self.shape.num_hidden_layers):
            x, back_attention = self._attention(x, f"model.layers.{layer}", turn)
            x, back_mlp = self._mlp(x, f"model.layers.{layer}")
            backs += [back_attention, back_mlp]
        x, back_norm = self._norm(x, "model.norm")

        def back(d: Array) -> None:
            d = back_norm(d)
            for step in reversed(backs):
                d = step(d)
            np.add.at(self.gradients["model.embed_tokens.weight"], tokens, d)

        return x, back

    def _attention(self, x: Array, at: str, turn: tuple[Array, Array]) -> tuple[Array, Back]:
        normed, back_norm = self._norm(x, f"{at}.input_layernorm")
        joined, back_in = self._linear(normed, [f"{at}.self_attn.{p}_proj" for p in "qkv"])
        batch, length, _ = x.shape
        heads = joined.reshape(batch, length, 3, self.shape.num_attention_heads, -1).transpose(2, 0, 3, 1, 4)
        seen, back_heads = _attend(_rotate(heads[0], turn), _rotate(heads[1], turn), np.ascontiguousarray(heads[2]))
        out, back_out = self._linear(seen.transpose(0, 2, 1, 3).reshape(x.shape), [f"{at}.self_attn.o_proj"])

        def back(d: Array) -> Array:
            d_seen = back_out(d).reshape(batch, length, self.shape.num_attention_heads, -1).transpose(0, 2, 1, 3)
            dq, dk, dv = back_heads(np.ascontiguousarray(d_seen))
            unturn = (turn[0], -turn[1])
            d_heads = np.stack([_rotate(dq, unturn), _rotate(dk, unturn), dv])
            return d + back_norm(back_in(d_heads.transpose(1, 3, 0, 2, 4).reshape(joined.shape)))

        return x + out, back

    def _mlp(self, x: Array, at: str) -> tuple[Array, Back]:
        normed, back_norm = self._norm(x, f"{at}.post_attention_layernorm")
        both, back_in = self._linear(normed, [f"{at}.mlp.gate_proj", f"{at}.mlp.up_proj"])
        gate, up = np.split(both, 2, axis=-1)
        sigmoid = 1 / (1 + np.exp(-gate))
        out, back_out = self._linear(gate * sigmoid * up, [f"{at}.mlp.down_proj"])

        def back(d: Array) -> Array:
            inner = back_out(d)
            d_gate = inner * up * sigmoid * (1 + gate * (1 - sigmoid))
            return d + back_norm(back_in(np.concatenate([d_gate, inner * gate * sigmoid], axis=-1)))

        return x + out, back

    def _linear(self, x: Array, names: list[str]) -> tuple[Array, Back]:
        weight = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        biases = [self.weights[f"{name}.bias"] for name in names if f"{name}.bias" in self.weights]
        rows = x.reshape(-1, x.shape[-1])
        out = rows @ weight.T
        if biases:
            out += np.concatenate(biases)

        def back(d: Array) -> Array:
            d_rows = d.reshape(-1, d.shape[-1])
            for name, part in zip(names, np.split(d_rows, len(names), axis=1), strict=True):
                self.gradients[f"{name}.weight"] += part.T @ rows
                if biases:
                    self.gradients[f"{name}.bias"] += part.sum(axis=0)
            return (d_rows @ weight).reshape(x.shape)

        return out.reshape(*x.shape[:-1], -1), back

    def _norm(self, x: Array, name: str) -> tuple[Array, Back]:
        scale = 1 / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(self.shape.rms_norm_eps))
        unit, weight = x * scale, self.weights[f"{name}.weight"]

        def back(d: Array) -> Array:
            self.gradients[f"{name}.weight"] += np.einsum("bld,bld->d", d, unit)
            d_unit = d * weight
            return scale * (d_unit - unit * (d_unit * unit).mean(axis=-1, keepdims=True))

        return unit * weight, back


def _attend(q: Array, k: Array, v: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    scale = np.float32(1 / np.sqrt(q.shape[-1]))
    future = np.triu(np.full((q.shape[2], q.shape[2]), -np.inf, np.float32), 1)
    share = (q * scale) @ np.ascontiguousarray(k.swapaxes(-1, -2))
    share += future
    share -= share.max(axis=-1, keepdims=True)
    np.exp(share, out=share)
    share /= share.sum(axis=-1, keepdims=True)

    def back(d: Array) -> tuple[Array, Array, Array]:
        dv = share.swapaxes(-1, -2) @ d
        d_score = d @ np.ascontiguousarray(v.swapaxes(-1, -2))
        d_score -= np.einsum("bhij,bhij->bhi", d_score, share)[..., None]
        d_score *= share
        return d_score @ k * scale, d_score.swapaxes(-1, -2) @ q * scale, dv

    return share @ v, back


def _rotation(length: int, shape: Shape) -> tuple[Array, Array]:
    half = shape.hidden_size // shape.num_attention_heads // 2
    angle = np.arange(length)[:, None] * shape.rope_theta ** (-np.arange(half) / half)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _rotate(x: Array, turn: tuple[Array, Array]) -> Array:
    first, second = np.split(x, 2, axis=-1)
    cos, sin = turn
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def _cross_entropy(logits: Array, answers: Tokens) -> tuple[float, Array]:
    logits -= logits.max(axis=-1, keepdims=True)
    share = np.exp(logits)
    total = share.sum(axis=-1, keepdims=True)
    picked = np.arange(len(answers)), answers
    mean = float(np.mean(np.log(total[:, 0]) - logits[picked]))
    share /= total
    share[picked] -= 1
    return mean, share / np.float32(len(answers))
