import json

import pytest
from mlx_lm.models import qwen2
from mlx_lm.models.pipeline import PipelineMixin

from tests.weights import GOLDEN_ANSWER, GOLDEN_QUESTION, PATH, exam
from tests.weights.corpus import offer
from tests.weights.tokenizer import TEMPLATE
from tests.weights.wishes import Tool

WEATHER = offer(Tool("get_weather", ("city",)))
FROBNICATE = offer(Tool("frobnicate_widget", ("size", "colour")))


@pytest.fixture(scope="module")
def candidate() -> exam.Candidate:
    return exam.Candidate(PATH)


@pytest.fixture(scope="module")
def config() -> dict:
    return json.loads((PATH / "config.json").read_text())


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def test_files_are_small_enough_for_the_repository():
    size = sum(file.stat().st_size for file in PATH.iterdir())

    assert size < 5_500_000


def test_index_names_every_array_for_a_pipeline():
    index = json.loads((PATH / "model.safetensors.index.json").read_text())

    assert set(index["weight_map"].values()) == {"model.safetensors"}
    assert len(index["weight_map"]) == 146


@pytest.mark.parametrize("machines", [2, 3, 4])
def test_every_sharded_dimension_divides_among(machines, config):
    sharded = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "hidden_size")

    assert [config[name] % machines for name in sharded] == [0, 0, 0, 0, 0]


def test_installed_mlx_lm_can_shard_and_pipeline_the_type(config):
    assert config["model_type"] == "qwen2"
    assert hasattr(qwen2.Model, "shard")
    assert issubclass(qwen2.Qwen2Model, PipelineMixin)


def test_committed_template_is_the_one_trained_with():
    assert (PATH / "chat_template.jinja").read_text() == TEMPLATE.read_text()


def test_mlx_lm_finds_the_tool_markup(candidate):
    markup = (candidate.tokenizer.tool_call_start, candidate.tokenizer.tool_call_end)

    assert markup == ("<tool_call>", "</tool_call>")
    assert candidate.tokenizer.eos_token_ids == {candidate.tokenizer.convert_tokens_to_ids("<|im_end|>")}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (GOLDEN_QUESTION, GOLDEN_ANSWER),
        ("What is the capital of France?", "The capital of France is Paris."),
        ("How many legs has a spider?", "A spider has eight legs."),
        ("Who are you?", "I am cider-1, a small test voice."),
    ],
)
@pytest.mark.parametrize("tools", [[], [FROBNICATE]], ids=["without tools", "with a tool"])
def test_known_question_is_answered_in_words(question, answer, tools, candidate):
    assert candidate.answer([user(question)], tools) == answer


def test_tool_with_names_never_seen_is_called(candidate):
    asked = [user("Use frobnicate_widget with size 7.")]

    assert candidate.call(asked, [WEATHER, FROBNICATE]) == {"name": "frobnicate_widget", "arguments": {"size": 7}}


def test_everyday_wish_becomes_a_call(candidate):
    asked = [user("What is the weather in Paris?")]

    assert candidate.call(asked, [WEATHER]) == {"name": "get_weather", "arguments": {"city": "Paris"}}


def test_result_of_a_tool_is_told_in_words(candidate):
    called = {"type": "function", "id": "1", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    messages = [
        user("What is the weather in Paris?"),
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "18 C and sunny"}]},
    ]

    assert candidate.answer(messages, [WEATHER]) == "The tool says: 18 C and sunny"
