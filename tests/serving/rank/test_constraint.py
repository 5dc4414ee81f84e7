import json
import logging

import mlx.core as mx
import numpy as np
import pytest

from serving.errors import RequestRefused
from serving.rank import constraint
from tests.serving import schemas
from tests.serving.rank import holding

ENOUGH = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": False}


def form(schema: dict) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "form", "schema": schema}}}


def grammar(schema: dict) -> str:
    return holding.structure.grammar(form(schema), holding.writing())


class Thinking:
    """The test weights' tokenizer, were <|im_start|> and <|endoftext|> the marks of a thought."""

    has_thinking = True
    think_start_tokens, think_end_tokens, tool_call_start_tokens = (1,), (0,), (764,)
    eos_token_ids = frozenset({2})

    def __init__(self) -> None:
        self._tokenizer = holding.weights()[1]._tokenizer

    def rfind_think_start(self, tokens: list[int]) -> int:
        return max((at for at, token in enumerate(tokens) if token == 1), default=-1)

    def rfind_think_end(self, tokens: list[int]) -> int:
        return max((at for at, token in enumerate(tokens) if token == 0), default=-1)


class Step:
    """One sequence, driven by hand."""

    def __init__(self, held: constraint.Constraint, prompt: list[int], width: int = 768) -> None:
        self.held, self.tokens, self.width = held, list(prompt), width

    def allowed(self, *tokens: int) -> set[int]:
        """The tokens that can follow these."""
        for token in tokens:
            self.tokens.append(token)
            logits = self.held(mx.array(self.tokens), mx.zeros((1, self.width), mx.bfloat16))
        if not tokens:
            logits = self.held(mx.array(self.tokens), mx.zeros((1, self.width), mx.bfloat16))
        assert logits.shape == (1, self.width)
        assert logits.dtype == mx.bfloat16
        return set(np.flatnonzero(np.array(logits.astype(mx.float32))[0] == 0).tolist())


def encoded(text: str) -> list[int]:
    return holding.weights()[1].encode(text, add_special_tokens=False)


def test_answers_of_a_batch_are_each_valid_for_their_own_schema():
    mx.random.seed(7)
    wanted = [schemas.schema(seed) for seed in range(16)]
    asked = [(holding.prompt("What is the weather in Paris?"), holding.held(form(schema))) for schema in wanted]

    answers = holding.answers(asked, temperature=1.0, watch=True)

    assert [answer.finish for answer in answers] == ["stop"] * len(answers)
    read = [json.loads(holding.text(answer)) for answer in answers]
    assert [schema for schema, value in zip(wanted, read, strict=True) if not schemas.is_valid(value, schema)] == []


def test_greedy_answers_do_not_depend_on_how_drawn_tokens_are_read():
    def answered(watch: bool) -> list[str]:
        wanted = [schemas.schema(seed) for seed in range(100, 104)]
        asked = [(holding.prompt("Say OK."), holding.held(form(schema))) for schema in wanted]
        return [holding.text(answer) for answer in holding.answers(asked, max_tokens=40, watch=watch)]

    assert answered(True) == answered(False)


def test_forced_tool_calls_are_read_back_valid():
    mx.random.seed(8)
    tools = [[schemas.function(seed), schemas.function(seed + 500)] for seed in range(6)]
    asked = [
        (holding.prompt("Do it.", each), holding.held({"tools": each, "tool_choice": "required"})) for each in tools
    ]

    answers = holding.answers(asked, temperature=1.0)

    for offered, answer in zip(tools, answers, strict=True):
        parameters = {each["function"]["name"]: each["function"].get("parameters", {}) for each in offered}
        calls = holding.called(answer, offered)
        assert (answer.finish, calls != []) == ("stop", True)
        assert [call for call in calls if not schemas.is_valid(call["arguments"], parameters[call["name"]])] == []


def test_other_answers_of_the_batch_are_left_as_they_are():
    question = holding.prompt("What is Cidermill?")
    alone, _ = holding.answers([(question, None), (holding.prompt("Hello"), None)])

    beside, _ = holding.answers([(question, None), (holding.prompt("Hello"), holding.held(form(ENOUGH)))])

    assert holding.text(beside) == holding.text(alone) == "Cidermill turns a few Macs into one endpoint."


def test_an_answer_goes_on_from_what_was_emitted_as_if_it_had_not_stopped():
    several = {"type": "array", "items": {"enum": ["Paris", "Rome", "Tokyo"]}, "minItems": 3, "maxItems": 3}
    question, body = holding.prompt("What is the capital of Italy?"), form(several)
    (whole,) = holding.answers([(question, holding.held(body))])
    emitted = whole.tokens[: len(whole.tokens) // 2]

    (rest,) = holding.answers([([*question, *emitted], holding.held(body, emitted))])

    assert emitted + rest.tokens == whole.tokens


def test_nothing_but_the_stop_token_follows_a_whole_answer_and_a_step_more_does_no_harm():
    step = Step(holding.held(form(ENOUGH)), [5])
    step.allowed()

    assert step.allowed(*encoded('{"a":"x"}')) == {2}
    assert len(step.allowed(2)) == 768
    assert len(step.allowed(9)) == 768


def test_any_stop_token_of_the_weights_may_end_an_answer():
    class TwoStops(Thinking):
        has_thinking = False
        eos_token_ids = frozenset({0, 2})

    step = Step(constraint.processor(TwoStops(), grammar(ENOUGH)), [5])
    step.allowed()

    assert step.allowed(*encoded('{"a":"x"}')) == {0, 2}
    assert len(step.allowed(0)) == 768


def test_weights_padded_to_more_tokens_than_there_are_never_make_those():
    step = Step(holding.held(form(ENOUGH)), [5], width=1000)

    assert step.allowed() <= set(range(768))


def test_logits_of_fewer_tokens_than_the_tokenizer_has_are_masked_all_the_same():
    step = Step(holding.held(form(ENOUGH)), [5], width=700)

    assert step.allowed() == set(encoded('{"'))


def test_an_answer_ends_when_its_grammar_is_given_up(caplog):
    held = holding.held(form(ENOUGH))
    step = Step(held, [5])
    step.allowed()
    with caplog.at_level(logging.WARNING):
        after = step.allowed(*encoded("no JSON"))

    assert after == {2}
    assert held.failure
    assert "An answer ends early" in caplog.text
    assert len(caplog.records) == 1
    assert len(step.allowed(2)) == 768


def test_emitted_tokens_that_do_not_fit_end_the_answer():
    held = holding.held(form(ENOUGH), encoded("no JSON"))

    assert Step(held, [5, *encoded("no JSON")]).allowed() == {2}


def test_a_grammar_that_does_not_compile_is_refused():
    with pytest.raises(RequestRefused, match="cannot hold the answer to its grammar: "):
        constraint.processor(holding.weights()[1], "start: nowhere")


def test_answers_with_the_same_grammar_do_not_disturb_each_other():
    first, second = (Step(holding.held(form(ENOUGH)), [5]) for _ in range(2))
    first.allowed()
    second.allowed()
    first.allowed(*encoded('{"a":"x"}'))

    assert second.allowed(*encoded('{"a":')) == beginnings_of_a_value()


def beginnings_of_a_value() -> set[int]:
    return {encoded(text)[0] for text in ('"', ' "')} | set(encoded(" "))


def test_thoughts_are_free_but_for_stopping_and_calling():
    step = Step(constraint.processor(Thinking(), grammar(ENOUGH)), [5, 1, 6])

    assert set(range(768)) - step.allowed() == {2, 764}
    assert set(range(768)) - step.allowed(300, 17) == {2, 764}


def test_the_answer_is_held_once_the_thought_has_ended():
    step = Step(constraint.processor(Thinking(), grammar(ENOUGH)), [5, 1])
    step.allowed()
    plain = Step(holding.held(form(ENOUGH)), [5]).allowed()

    assert step.allowed(300, 0) == plain
    assert step.allowed(*encoded('{"a":"y"}')) == {2}


def test_an_answer_may_begin_with_a_thought_or_without():
    plain = Step(holding.held(form(ENOUGH)), [5]).allowed()

    assert Step(constraint.processor(Thinking(), grammar(ENOUGH)), [5]).allowed() == plain | {1}


def test_a_thought_that_was_emitted_is_not_taken_for_one_of_the_prompt():
    emitted = [1, 300, 0, *encoded('{"a":')]

    step = Step(constraint.processor(Thinking(), grammar(ENOUGH), emitted), [5, *emitted])

    assert step.allowed() == beginnings_of_a_value()
