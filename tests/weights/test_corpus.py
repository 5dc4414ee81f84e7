import pytest

from tests.weights import exam, words
from tests.weights.answers import ANSWERS
from tests.weights.corpus import Corpus
from tests.weights.words import as_json


def test_same_seed_gives_the_same_conversations():
    first, second = Corpus(5), Corpus(5)

    assert [first.conversation() for _ in range(50)] == [second.conversation() for _ in range(50)]


def test_every_conversation_ends_with_the_assistant():
    corpus = Corpus(6)

    assert {corpus.conversation()["messages"][-1]["role"] for _ in range(200)} == {"assistant"}


def test_called_tool_is_offered():
    corpus = Corpus(7)
    conversations = [corpus.conversation() for _ in range(200)]
    called = [
        (call["function"]["name"], {tool["function"]["name"] for tool in conversation["tools"]})
        for conversation in conversations
        for message in conversation["messages"]
        for call in message.get("tool_calls", ())
    ]

    assert len(called) > 50
    assert all(name in offered for name, offered in called)


def test_no_wording_has_two_answers():
    wordings = [wording for group in ANSWERS for wording in group]

    assert len(wordings) == len(set(wordings))


def test_held_out_words_are_not_in_the_corpus():
    held_out = {*exam.HELD_OUT_VERBS, *exam.HELD_OUT_NOUNS, *exam.HELD_OUT_PARAMETERS}

    assert held_out.isdisjoint(words.KNOWN)


@pytest.mark.parametrize(
    ("said", "value"),
    [("7", 7), ("2.5", 2.5), ("true", True), ("Paris", "Paris"), ("007", "007"), ("null", "null"), ("[1]", "[1]")],
)
def test_numbers_and_truth_values_are_bare_in_json(said, value):
    assert as_json(said) == value
