"""The tokenizer of the test weights: byte-level BPE that cuts the same word into the same tokens wherever it stands.

No merge crosses from a space or a mark into letters, so a name copied from a list of tools into JSON keeps its tokens.

transformers 5.23 gives every qwen2 directory its Qwen2Tokenizer and splits text in that class's way, whatever
`tokenizer.json` says. Its pieces contain ours (but for what follows an apostrophe), so the merges do what they were
trained to do; whoever trains on the tokens has to load the saved tokenizer to see the same ones as a server.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
PIECES = "|".join((r'"\}\}', r' \{"', r'\{"', r'":', r'",', r' "', r"\p{L}+", r"."))
"""What may become one token, first match first: marks of a tool call, a run of letters, any other character."""
TEMPLATE = Path(__file__).parent / "chat_template.jinja"


def train_tokenizer(texts: Iterable[str], size: int, context: int) -> PreTrainedTokenizerFast:
    """A tokenizer of exactly `size` tokens, trained on the texts, for weights that read `context` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"(?m:{PIECES})"), "isolated"),  # in Oniguruma, m lets a dot be a newline
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(MARKUP),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKUP])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=context,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE.read_text(),
    )
