import pytest

from serving.rank.thought import Thought

START, END, CALL = 90, 91, 92


class Tokenizer:
    """What mlx-lm's tokenizer tells about thinking."""

    def __init__(self, start=(START,), end=(END,), call=(CALL,), thinks=True):
        self.has_thinking = thinks
        self.think_start_tokens, self.think_end_tokens, self.tool_call_start_tokens = start, end, call

    def rfind_think_start(self, tokens):
        return last(tokens, self.think_start_tokens)

    def rfind_think_end(self, tokens):
        return last(tokens, self.think_end_tokens)


def last(tokens, wanted) -> int:
    places = [at for at in range(len(tokens)) if tuple(tokens[at : at + len(wanted)]) == wanted]
    return max(places, default=-1)


def said(thought: Thought, *tokens: int) -> list[int]:
    return [each for token in tokens for each in thought.take(token)]


def test_all_of_an_answer_counts_for_weights_that_do_not_think():
    thought = Thought.after([1, START], Tokenizer(thinks=False))

    assert (thought.due, thought.goes_on) == (None, False)
    assert said(thought, START, 5, END) == [START, 5, END]


def test_an_answer_may_begin_at_once():
    thought = Thought.after([1, 2], Tokenizer())

    assert (thought.due, thought.may_be_left) == (START, True)
    assert said(thought, 5, 6) == [5, 6]
    assert thought.due is None


def test_a_thought_at_the_beginning_does_not_count():
    thought = Thought.after([1, 2], Tokenizer())

    assert said(thought, START, 5) == []
    assert thought.goes_on
    assert said(thought, 6, END, 7) == [7]
    assert not thought.goes_on


def test_a_thought_that_the_prompt_began_does_not_count():
    thought = Thought.after([1, START, 3], Tokenizer())

    assert thought.goes_on
    assert said(thought, 5, END, 7, 8) == [7, 8]


def test_a_thought_that_the_prompt_closed_cannot_be_begun_again():
    thought = Thought.after([1, START, 3, END, 4], Tokenizer())

    assert (thought.due, thought.goes_on) == (None, False)


def test_a_thought_of_an_earlier_turn_leaves_this_one_free():
    thought = Thought.after([START, 3, END, *range(20)], Tokenizer())

    assert thought.due == START


def test_marks_of_several_tokens_are_followed_to_their_end():
    thought = Thought.after([1], Tokenizer(start=(80, 81), end=(82, 83)))

    assert said(thought, 80) == []
    assert (thought.due, thought.may_be_left) == (81, False)
    assert said(thought, 81, 5, 82, 82) == []
    assert thought.goes_on
    assert said(thought, 83, 6) == [6]


@pytest.mark.parametrize(("call", "forbidden"), [((CALL,), (CALL,)), ((7, 8), ()), (None, ())])
def test_only_a_call_of_one_token_can_be_forbidden_inside(call, forbidden):
    assert Thought.after([START], Tokenizer(call=call)).forbidden == forbidden
