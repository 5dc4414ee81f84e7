import json
from pathlib import Path
from shutil import copy

import pytest

from serving.anatomy.reading import from_config, from_directory
from serving.anatomy.speech import speech
from serving.anatomy.values import Speech
from serving.placement.telling import spoken
from tests.serving.dimensions import SMALL
from tests.weights import PATH

TEMPLATES = {
    "glm47": "{{ '<tool_call>' }}<arg_key>{{ messages }}",
    "qwen3_coder": "<tool_call>\n<function={{ messages }}>",
    "kimi_k2": "<|tool_calls_section_begin|>{{ messages }}",
    "mistral": "[TOOL_CALLS]{{ messages }}",
    "json_tools": "<tool_call>{{ tool_call.name }}",
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """All that is small about the test weights."""
    for path in PATH.iterdir():
        if path.suffix in (".json", ".jinja"):
            copy(path, tmp_path)
    return tmp_path


def with_words(weights: Path, *words: str) -> Path:
    """The same tokenizer, with more words of its own."""
    tokenizer = json.loads((weights / "tokenizer.json").read_text())
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    tokenizer["added_tokens"] += [{"id": 768 + n, "content": word, **plain} for n, word in enumerate(words)]
    (weights / "tokenizer.json").write_text(json.dumps(tokenizer))
    return weights


def test_the_test_weights_speak_as_ranks_take_them():
    assert speech(PATH) == Speech(chats=True, tools="json_tools")


@pytest.mark.parametrize(("parser", "template"), TEMPLATES.items(), ids=TEMPLATES)
def test_the_parser_of_tool_calls_is_the_one_that_the_wheel_takes_for_a_template(
    weights: Path, parser: str, template: str
):
    (weights / "chat_template.jinja").write_text(template)

    assert speech(weights) == Speech(chats=True, tools=parser)


def test_a_template_without_tools_has_no_parser(weights: Path):
    (weights / "chat_template.jinja").write_text("{{ messages }}")

    assert speech(weights) == Speech(chats=True)


def test_marks_of_thoughts_are_those_of_the_vocabulary(weights: Path):
    assert speech(with_words(weights, "<think>", "</think>")).thoughts == ("<think>", "</think>")


def test_without_a_template_they_complete_texts_only(weights: Path):
    (weights / "chat_template.jinja").unlink()
    told = speech(weights)

    assert told == Speech()
    assert "no chat template, so they complete texts only" in spoken(told)


def test_without_a_tokenizer_nobody_knows(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(SMALL))

    assert "no tokenizer is in" in from_directory(tmp_path).whole.speech.unknown
    assert from_config(SMALL, "small").whole.speech.unknown == "no tokenizer was given"
    assert "not known: no tokenizer was given" in spoken(from_config(SMALL, "small").whole.speech)


def test_a_tokenizer_that_cannot_be_loaded_is_no_guess(weights: Path):
    (weights / "tokenizer.json").write_text("{")

    assert "their tokenizer cannot be loaded: " in speech(weights).unknown


def test_what_is_known_of_a_directory_is_told_in_a_sentence():
    told = spoken(from_directory(PATH).whole.speech)

    assert told == (
        "They have a chat template; tool calls are read by mlx-lm's parser json_tools; "
        "it tells no thoughts from answers."
    )
