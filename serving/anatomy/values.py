"""The anatomy of weights as plain values: all that placement needs to know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cache:
    """What one layer keeps of a conversation. Bytes."""

    bytes_per_token: int
    fixed_bytes: int = 0
    window: int | None = None
    """At most this many tokens are kept and read; None is all of them."""
    readers: float = 1
    """Query heads for each head that is kept; 1 where no attention is found."""
    heads: int = 1
    """Heads that are kept; one, as with a latent cache, cannot be split."""
    expanded_bytes: int = 0
    """Of a latent cache: what a token would take with a key and a value for every head, as older software kept it."""

    def held(self, tokens: float) -> float:
        """Bytes kept of a conversation of `tokens`."""
        return self.bytes_per_token * self.tokens(tokens) + self.fixed_bytes

    def tokens(self, tokens: float) -> float:
        """How many tokens of a conversation are kept."""
        return tokens if self.window is None else min(tokens, self.window)


@dataclass(frozen=True)
class Layer:
    """One layer: bytes of its tensors, of which `expert_bytes` belong to experts, and what it keeps."""

    bytes: int
    expert_bytes: int
    cache: Cache
    attention_width: int = 0
    """Multiply-adds of attention for each pair of tokens: heads times the widths of a key and of a value."""


@dataclass(frozen=True)
class Work:
    """What one step of the loop costs."""

    launches: int
    """Kernels started for one token of an answer."""
    command_buffers: int
    """How many times kernels are handed to the GPU for it."""
    flops_per_token: float
    """Floating point operations for one token of a prompt, without attention and without the head."""
    expert_flops_per_token: float
    """Those of them that experts do."""


@dataclass(frozen=True)
class Tensor:
    """A tensor split over `ranks`, made by the wheel itself and carried through one step."""

    ranks: int
    bytes: int = 0
    """What one rank holds."""
    cache_share: float = 1
    """The part of the cache that one rank holds: one `ranks`th, or all of it where it cannot be split."""
    loading_bytes: int = 0
    """What loading takes for a moment beyond that."""
    collectives: int = 0
    """Reductions over all ranks for one token."""
    scratch: Mapping[int, int] = field(default_factory=dict[int, int])
    """As of the whole weights, for one rank."""
    refusal: str | None = None
    """Why mlx-lm cannot do it, in its own words; then the numbers mean nothing."""


@dataclass(frozen=True)
class Speech:
    """How weights speak, as the wheel takes them. Without tokenizer nobody knows, and `unknown` says why."""

    chats: bool = False
    """Whether they have a chat template; those without complete texts only."""
    tools: str | None = None
    """mlx-lm's parser of their tool calls; None where it finds none, and calls stay text."""
    thoughts: tuple[str, str] | None = None
    """What a thought is begun and ended with; None where it finds none, and thoughts stay text."""
    unknown: str = ""


@dataclass(frozen=True)
class Anatomy:
    """Weights: what kind, how large, what they keep, what they cost, and how the wheel can split them."""

    name: str
    kind: str
    """The module of mlx-lm that runs them."""
    parameters: float
    """How many parameters, packed ones counted singly."""
    active_parameters: float
    """How many of them one token of an answer touches."""
    layers: tuple[Layer, ...]
    outside_bytes: int
    """Embedding, head and last norm: what every rank holds of its own."""
    read_outside_bytes: int
    """What of that one token of an answer reads: the head and the last norm."""
    hidden: int
    """Width of what goes from layer to layer."""
    vocabulary: int
    largest_tensor_bytes: int
    experts: int
    experts_per_token: int
    work: Work
    scratch: Mapping[int, int]
    """Bytes that reading a prompt takes beside weights and caches, by how many tokens are read at once."""
    pipeline: bool
    """Whether mlx-lm can give whole layers of them to ranks."""
    tensor: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])
    """Tensor splits that were looked at, by how many ranks."""
    quantisation: str = "bf16"
    speech: Speech = Speech(unknown="no tokenizer was given")  # frozen
    notes: tuple[str, ...] = ()
    """What was assumed, and what no measurement has confirmed for weights like these."""

    @property
    def bytes(self) -> int:
        """All of them, on one machine."""
        return self.outside_bytes + sum(layer.bytes for layer in self.layers)

    @property
    def cache_bytes_per_token(self) -> int:
        """What a long conversation adds with every token, over all layers that keep all tokens."""
        return sum(layer.cache.bytes_per_token for layer in self.layers if layer.cache.window is None)

    def cached(self, tokens: float) -> float:
        """Bytes kept of one conversation of `tokens`, over all layers."""
        return sum(layer.cache.held(tokens) for layer in self.layers)

    def read(self, sequences: int = 1) -> float:
        """Bytes of layers that one step of `sequences` reads: experts by how many distinct ones are expected."""
        share = self.expert_share(sequences)
        return sum(layer.bytes - layer.expert_bytes * (1 - share) for layer in self.layers)

    def expert_share(self, sequences: float) -> float:
        """The part of all experts that so many tokens choose, each of them by itself."""
        if self.experts == 0:
            return 1.0
        return 1 - (1 - self.experts_per_token / self.experts) ** sequences
