"""Train the test weights: `nice -n 5 uv run --group node python -m tests.weights.train [DIRECTORY]`.

Takes about twenty-five minutes on one core and needs no network; without a directory it replaces the committed weights.
Everything random is seeded and BLAS gets one thread: the same processor, NumPy and tokenizers give the same files, bit
for bit. Another processor may sum in another order: there the tokenizer is the same, the weights are not, and
`tests.weights.exam` tells whether they are as good.

glibc hands large arrays back to the kernel at once; `MALLOC_MMAP_THRESHOLD_=1000000000` and
`MALLOC_TRIM_THRESHOLD_=2000000000` in the environment keep them, which saves a sixth of the time.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read once, as numpy is first imported

import mlx.core as mx
import numpy as np
from mlx_lm.models.qwen2 import Model, ModelArgs
from mlx_lm.utils import save_config, save_model
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.weights import PATH
from tests.weights.answers import ANSWERS, CONTINUATIONS
from tests.weights.corpus import Corpus
from tests.weights.network import Array, Network, Shape
from tests.weights.samples import Samples
from tests.weights.tokenizer import SPECIAL, train_tokenizer

SEED = 20
CONTEXT = 4096
STEPS = 2200
TOKENS_PER_STEP = 1536
PEAK_RATE = 2e-3
WARM_UP_STEPS = 100
REPORT_STEPS = 50


class Adam:
    """Adam with clipped gradients and a little decay, over one flat array; constants usual for small transformers."""

    def __init__(self, size: int) -> None:
        self.mean, self.square, self.step = np.zeros(size, np.float32), np.zeros(size, np.float32), 0

    def update(self, weights: Array, gradient: Array, rate: float) -> None:
        """Move the weights in place."""
        self.step += 1
        gradient *= min(1.0, 1.0 / (float(np.sqrt(np.dot(gradient, gradient))) + 1e-9))
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.02 * (np.square(gradient) - self.square)
        mean, square = self.mean / (1 - 0.9**self.step), self.square / (1 - 0.98**self.step)
        weights -= np.float32(rate) * (mean / (np.sqrt(square) + np.float32(1e-8)) + np.float32(0.01) * weights)


def main(directory: Path) -> None:
    """Write everything mlx-lm reads; the weights last, saying how the training goes."""
    shape = Shape()
    train_tokenizer(tokenizer_texts(), shape.vocab_size, CONTEXT).save_pretrained(directory)
    write_configuration(shape, directory)
    network = Network(shape, SEED)
    train(network, AutoTokenizer.from_pretrained(directory))
    write_weights(network, directory)


def train(network: Network, tokenizer: PreTrainedTokenizerFast) -> None:
    """Move the weights, `STEPS` times."""
    adam, started, losses = Adam(network.flat.size), time.monotonic(), []
    batches = Samples(tokenizer, SEED + 1).batches(TOKENS_PER_STEP)
    for step, (tokens, wanted) in enumerate(islice(batches, STEPS), start=1):
        losses.append(network.loss(tokens, wanted))
        adam.update(network.flat, network.flat_gradient, rate(step))
        if step % REPORT_STEPS == 0:
            recent, seconds = np.mean(losses[-REPORT_STEPS:]), time.monotonic() - started
            print(f"step {step} of {STEPS}: loss {recent:.4f}, {seconds:.0f} s", flush=True)


def rate(step: int) -> float:
    """Linear up, then half a cosine down to a fiftieth of the peak."""
    if step <= WARM_UP_STEPS:
        return PEAK_RATE * step / WARM_UP_STEPS
    fall = 0.5 * (1 + math.cos(math.pi * (step - WARM_UP_STEPS) / (STEPS - WARM_UP_STEPS)))
    return PEAK_RATE * (0.02 + 0.98 * fall)


def tokenizer_texts() -> Iterator[str]:
    """What the tokenizer counts: the words of conversations, and ten times all that is known by heart."""
    corpus = Corpus(SEED)
    for _ in range(4000):
        for message in corpus.conversation()["messages"]:
            yield message["content"]
            yield from (json.dumps(call["function"]) for call in message.get("tool_calls", ()))
    yield from (*ANSWERS.values(), *CONTINUATIONS) * 10


def write_configuration(shape: Shape, directory: Path) -> None:
    """Write `config.json` and `generation_config.json`."""
    end = {"eos_token_id": SPECIAL.index("<|im_end|>")}
    described = {"architectures": ["Qwen2ForCausalLM"], "dtype": "float16", "max_position_embeddings": CONTEXT}
    save_config(shape.config() | described | end, directory / "config.json")
    (directory / "generation_config.json").write_text(json.dumps(end | {"do_sample": False}) + "\n")


def write_weights(network: Network, directory: Path) -> None:
    """Write the weights in float16, and the index a pipeline needs."""
    weights = Model(ModelArgs.from_dict(network.shape.config()))
    weights.load_weights([(name, mx.array(array, dtype=mx.float16)) for name, array in network.weights.items()])
    save_model(directory, weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
