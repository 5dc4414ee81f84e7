"""Train the test weights: `nice -n 5 uv run --all-groups python -m tests.weights.train [DIRECTORY]`.

Takes about twenty minutes on one core and needs no network. Everything random is seeded, and one BLAS thread is used:
the same processor and the same NumPy give the same file, bit for bit. Another processor sums in another order; there the
tokenizer is the same, the weights differ in their last digits, and `evaluate` decides whether they are as good.
"""

import itertools
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, when numpy is first imported

import mlx.core as mx
import numpy as np
from mlx_lm.models.qwen2 import Model, ModelArgs
from mlx_lm.utils import save_config, save_model
from transformers import PreTrainedTokenizerFast

from tests.weights import PATH
from tests.weights.answers import ANSWERS, CONTINUATIONS
from tests.weights.corpus import Corpus
from tests.weights.muon import Adam, Muon
from tests.weights.network import Array, Network, Shape, Tokens
from tests.weights.tokenizer import train_tokenizer

SEED = 20
CONTEXT = 4096
STEPS = int(os.environ.get("STEPS", "1600"))
TOKENS_PER_STEP = int(os.environ.get("TPS", "1536"))
LONGEST = 192
MUON_RATE = float(os.environ.get("RATE", "2e-2"))
ADAM_RATE=float(os.environ.get("ARATE", "3e-3"))
WARM_UP = 100
EASY_POOLS = int(os.environ.get('EASY','0'))
Sample = tuple[list[int], list[bool]]


class Optimiser:
    """Muon and Adam, each on its share of the arrays."""

    def __init__(self, network: Network) -> None:
        inner = [name for name, array in network.weights.items() if array.ndim == 2 and "layers" in name]
        shapes = sorted({network.weights[name].shape for name in inner})
        groups = [[name for name in inner if network.weights[name].shape == shape] for shape in shapes]
        outer = [name for name in network.weights if name not in inner]
        self.network = network
        self.parts = [(Muon([network.weights[name] for name in group]), group, MUON_RATE) for group in groups]
        self.parts.append((Adam([network.weights[name] for name in outer]), outer, ADAM_RATE))

    def update(self, share: float) -> None:
        """Take one step with this share of the peak rates."""
        for part, names, peak in self.parts:
            part.update([self.network.gradients[name] for name in names], share * peak)


def main(directory: Path) -> None:
    """Train and write everything mlx-lm reads."""
    tokenizer = train_tokenizer(tokenizer_texts(), Shape.vocab_size, CONTEXT)
    network = Network(Shape(), SEED)
    optimiser, started, losses = Optimiser(network), time.monotonic(), []
    for step, (tokens, wanted) in enumerate(batches(tokenizer)):
        if step == STEPS:
            break
        losses.append(network.loss(tokens, wanted))
        optimiser.update(rate(step))
        if step % 50 == 49:
            print(f"step {step + 1}: loss {np.mean(losses[-50:]):.4f}, {time.monotonic() - started:.0f} s", flush=True)
        if step % 400 == 399: save(network, tokenizer, directory)
    save(network, tokenizer, directory)


def rate(step: int) -> float:
    """Linear up, then half a cosine down to a fiftieth of the peak."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    fall = 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (STEPS - WARM_UP)))
    return (0.02 + 0.98 * fall)


def tokenizer_texts() -> Iterator[str]:
    """What the tokenizer counts: conversations in plain text, and all answers ten times over."""
    corpus = Corpus(SEED)
    for _ in range(4000):
        yield from (str(message) for message in corpus.conversation()["messages"])
    for answer in (*ANSWERS.values(), *CONTINUATIONS) * 10:
        yield answer


def batches(tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[Tokens, np.ndarray]]:
    """Endless batches of samples of about the same length, as token ids and marks of what to predict."""
    corpus = Corpus(SEED + 1)
    for pools in itertools.count():
        easy = pools < EASY_POOLS
        pool = sorted((sample(corpus, tokenizer, easy) for _ in range(512)), key=lambda pair: len(pair[0]))
        cut = []
        while pool:
            size = max(1, TOKENS_PER_STEP // len(pool[-1][0]))
            cut.append(pool[-size:])
            del pool[-size:]
        corpus.random.shuffle(cut)
        yield from (padded(samples) for samples in cut)


def sample(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, easy: bool) -> Sample:
    """Token ids of a conversation not longer than `LONGEST`; wanted is what the assistant says, to the end mark."""
    if corpus.random.random() < 0.04:
        ids = tokenizer.encode(corpus.continuation() + "<|im_end|>")
        return ids, [True] * len(ids)
    start, stop = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assistant = tokenizer.encode("assistant\n")
    while True:
        conversation = corpus.conversation(easy)
        ids = tokenizer.apply_chat_template(conversation["messages"], tools=conversation["tools"], return_dict=False)
        if len(ids) <= LONGEST:
            break
    wanted, speaks = [], False
    for at, token in enumerate(ids):
        wanted.append(speaks and at > opening + len(assistant))
        if token == start:
            speaks, opening = ids[at + 1 : at + 1 + len(assistant)] == assistant, at
        speaks = speaks and token != stop
    return ids[:-1], wanted[:-1]


def padded(samples: list[Sample]) -> tuple[Tokens, np.ndarray]:
    """Rows of one length; padding comes last and is never wanted."""
    longest = max(len(ids) for ids, _ in samples)
    tokens = np.array([ids + [0] * (longest - len(ids)) for ids, _ in samples])
    return tokens, np.array([wanted + [False] * (longest - len(wanted)) for _, wanted in samples])


def save(network: Network, tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write weights in float16, their index, the tokenizer and the configuration files."""
    directory.mkdir(parents=True, exist_ok=True)
    config = network.shape.config() | {"max_position_embeddings": CONTEXT, "eos_token_id": tokenizer.eos_token_id}
    weights = Model(ModelArgs.from_dict(config))
    weights.load_weights([(name, mx.array(array, dtype=mx.float16)) for name, array in network.weights.items()])
    save_model(directory, weights)
    save_config(config | {"architectures": ["Qwen2ForCausalLM"], "torch_dtype": "float16"}, directory / "config.json")
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
