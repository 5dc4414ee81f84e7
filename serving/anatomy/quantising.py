"""How weights are quantised, by the words that people and files use for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Mode = Literal["affine", "mxfp4", "mxfp8", "nvfp4"]

_FULL = re.compile(r"\b(bf16|bfloat16|fp16|float16|f16|16[- ]?bits?)\b", re.IGNORECASE)
_BITS = re.compile(r"\b(?:q|int|fp|w)?([2-8])(?:[- ]?bits?\b|_0\b|\b)", re.IGNORECASE)
_GROUP = re.compile(r"\b(?:g|gs|group(?:[ _-]?size)?)[ =-]?(16|32|64|128)\b", re.IGNORECASE)
_SIZE = re.compile(r"\b([\d.]+) ?(GB|GiB|TB)\b")
_SPECIAL = re.compile(r"\b(mxfp4|mxfp8|nvfp4)\b", re.IGNORECASE)
_FOREIGN = re.compile(r"\b(U?D?-?I?Q\d_K\w*|I?Q\d_[01]\b|IQ\d\w*|TQ\d\w*|GGUF|AWQ|GPTQ|UD-\w+)", re.IGNORECASE)
_WIDTH = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}


@dataclass(frozen=True)
class Quantisation:
    """Bits and group of tensors that can be quantised; None keeps 16 bits. `rest` is for those outside experts."""

    bits: int | None
    group: int = 64
    mode: Mode = "affine"
    rest: Quantisation | None = None

    def __str__(self) -> str:
        own = "16 bit" if self.bits is None else f"{self.bits} bit, groups of {self.group}"
        own = own if self.mode == "affine" else self.mode
        return own if self.rest is None else f"experts {own}; the rest {self.rest}"


FULL = Quantisation(None)
CANDIDATES = (
    *(Quantisation(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (64, 32)),
    FULL,
    Quantisation(4, 32, rest=FULL),
    Quantisation(4, 32, "mxfp4", Quantisation(8)),
)
"""What is tried against a label that tells only how large the weights are."""


def converted(words: str, group: int | None) -> Quantisation:
    """What mlx-lm's convert makes of weights: `4bit` in groups of 64 unless another size is given, or `mxfp4`."""
    if words in _WIDTH:
        bits, size = _WIDTH[words]
        name: Mode = words  # pyright: ignore[reportAssignmentType]  # just looked up
        return Quantisation(bits, size, name)
    return Quantisation(int(words.removesuffix("bit")), group or 64)


def parsed(label: str) -> Quantisation | None:
    """The quantisation that a label means, or None where it names none that MLX makes.

    `4bit`, `Q4 (MLX affine g64)`, `FP16`, `native INT4 experts + bf16 rest`, `MXFP4`; not `Q4_K_M` of llama.cpp.
    """
    if foreign(label):
        return None
    if mode := _SPECIAL.search(label):
        name: Mode = mode[1].lower()  # pyright: ignore[reportAssignmentType]  # the pattern admits the three only
        bits, group = _WIDTH[name]
        return Quantisation(bits, group, name, _rest(label) or (Quantisation(8) if name == "mxfp4" else None))
    bits, full = _BITS.search(label), _FULL.search(label)
    if bits and not (full and full.start() < bits.start()):
        group, rest = _GROUP.search(label), _rest(label)
        size = int(group[1]) if group else 32 if rest else 64
        return Quantisation(int(bits[1]), size, rest=rest)
    return FULL if full else None


def foreign(label: str) -> bool:
    """Whether a label is one of a format that MLX does not run."""
    return _FOREIGN.search(label) is not None


def stated_bytes(label: str) -> float | None:
    """How large a label says the weights are, in bytes."""
    size = _SIZE.search(label)
    scale = {"GB": 1e9, "GiB": 2**30, "TB": 1e12}
    return float(size[1]) * scale[size[2]] if size else None


def _rest(label: str) -> Quantisation | None:
    """What `... experts + ... rest` says of the rest."""
    if "expert" not in label.lower() or "rest" not in label.lower():
        return None
    rest = re.split(r"experts?", label, maxsplit=1, flags=re.IGNORECASE)[1]
    return FULL if _FULL.search(rest) else Quantisation(int(bits[1])) if (bits := _BITS.search(rest)) else None
