"""Conversations as the network reads them: rows of token ids, and marks of what it shall predict."""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from tests.weights.corpus import Conversation, Corpus
from tests.weights.network import Tokens

Marks = npt.NDArray[np.bool_]
Sample = tuple[list[int], list[bool]]

LONGEST = 320
"""Tokens; a longer conversation is thrown away."""
LESSON_POOLS = 20
"""How many pools hold nothing but first lessons; without them copying starts far later."""
POOL = 512
CONTINUATION_SHARE = 0.03


class Samples:
    """An endless source of batches from one corpus."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.tokenizer, self.corpus = tokenizer, Corpus(seed, letter_tokens(tokenizer))
        self.start, self.stop = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
        self.assistant = tokenizer.encode("assistant\n")

    def batches(self, tokens_per_batch: int) -> Iterator[tuple[Tokens, Marks]]:
        """Batches of rows of similar length, in random order within each pool."""
        for pool in itertools.count():
            rows = sorted((self._sample(pool < LESSON_POOLS) for _ in range(POOL)), key=lambda row: len(row[0]))
            cuts = []
            while rows:
                count = max(1, tokens_per_batch // len(rows[-1][0]))
                cuts.append(rows[-count:])
                del rows[-count:]
            self.corpus.random.shuffle(cuts)
            yield from map(padded, cuts)

    def ids(self, conversation: Conversation) -> list[int]:
        """The conversation as the chat template gives it, up to the last end mark."""
        messages, tools = conversation["messages"], conversation["tools"]
        return self.tokenizer.apply_chat_template(messages, tools=tools, return_dict=False)[:-1]

    def spoken(self, ids: list[int]) -> list[bool]:
        """Marks of what the assistant says, with the end mark that closes it."""
        marks = [False] * len(ids)
        for opening in (at for at, token in enumerate(ids) if token == self.start):
            first = opening + 1 + len(self.assistant)
            if ids[opening + 1 : first] == self.assistant:
                last = ids.index(self.stop, first)
                marks[first : last + 1] = [True] * (last + 1 - first)
        return marks

    def _sample(self, lesson: bool) -> Sample:
        if not lesson and self.corpus.random.random() < CONTINUATION_SHARE:
            ids = self.tokenizer.encode(self.corpus.continuation() + "<|im_end|>")
            return ids, [True] * len(ids)
        while True:
            ids = self.ids(self.corpus.lesson() if lesson else self.corpus.conversation())
            if len(ids) <= LONGEST:
                return ids, self.spoken(ids)


def letter_tokens(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The tokens of two or more plain letters, in the order of their ids."""
    vocabulary = tokenizer.get_vocab()
    letters = (token for token in vocabulary if len(token) > 1 and token.isascii() and token.isalpha())
    return sorted(letters, key=vocabulary.__getitem__)


def padded(rows: list[Sample]) -> tuple[Tokens, Marks]:
    """Rows of one length; padding comes last and is never predicted."""
    longest = max(len(ids) for ids, _ in rows)
    tokens = np.array([ids + [0] * (longest - len(ids)) for ids, _ in rows], dtype=np.int64)
    return tokens, np.array([marks + [False] * (longest - len(marks)) for _, marks in rows])
