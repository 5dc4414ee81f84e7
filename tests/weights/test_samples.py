import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.weights import PATH
from tests.weights.samples import LONGEST, Samples


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(PATH)


def test_name_has_the_same_tokens_in_a_list_in_speech_and_in_a_call(tokenizer):
    name = tokenizer.encode("frobnicate_widget")
    texts = ["\nfrobnicate_widget(size)", "Use frobnicate_widget.", '{"name": "frobnicate_widget", "arguments": {"']
    ids = [tokenizer.encode(text) for text in texts]

    assert [name in [row[at : at + len(name)] for at in range(len(row))] for row in ids] == [True, True, True]


def test_text_survives_the_tokenizer(tokenizer):
    text = 'Grüße, 東京 🍏\n<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>'

    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_only_what_the_assistant_says_is_learned(tokenizer):
    conversation = {
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Good day."},
            {"role": "user", "content": "assistant"},
            {"role": "assistant", "content": "Goodbye!"},
        ],
        "tools": [],
    }
    samples = Samples(tokenizer, seed=1)
    ids = samples.ids(conversation)
    learned = [token for token, mark in zip(ids, samples.spoken(ids), strict=True) if mark]

    assert tokenizer.decode(learned) == "Good day.<|im_end|>Goodbye!<|im_end|>"


def test_batches_are_about_as_large_as_asked(tokenizer):
    batches = Samples(tokenizer, seed=1).batches(tokens_per_batch=1024)
    shapes = [next(batches)[0].shape for _ in range(5)]

    assert all(512 < rows * columns <= 1024 and columns <= LONGEST for rows, columns in shapes)
