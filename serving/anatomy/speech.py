"""How weights speak: their chat template, tool calls and thoughts, as mlx-lm's own loader would take them.

`mlx_lm.utils.load_tokenizer` is asked, which infers a parser of tool calls from the chat template or the vocabulary and
the marks of thoughts from the vocabulary (0.32.2). It reads small files only, and no code that comes with weights runs.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
from pathlib import Path
from typing import Any

from serving.anatomy.values import Speech

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tiktoken.model", "tokenizer_config.json")


def speech(directory: Path) -> Speech:
    """How the weights of a directory speak; where that cannot be told, why."""
    if not any((directory / name).is_file() for name in TOKENIZERS):
        return Speech(unknown=f"no tokenizer is in {directory}")
    utils: Any = importlib.import_module("mlx_lm.utils")
    logging.getLogger("transformers").setLevel(logging.ERROR)  # it warns of what no plan depends on
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            tokenizer = utils.load_tokenizer(directory)
    except Exception as error:  # noqa: BLE001  # tokenizers of all makers, and each raises what it likes
        said = str(error).strip().splitlines()
        return Speech(unknown=f"their tokenizer cannot be loaded: {said[0] if said else type(error).__name__}")
    return Speech(
        chats=bool(tokenizer.has_chat_template),
        tools=tokenizer.init_kwargs.get("tool_parser_type") if tokenizer.has_tool_calling else None,
        thoughts=(tokenizer.think_start, tokenizer.think_end) if tokenizer.has_thinking else None,
    )
