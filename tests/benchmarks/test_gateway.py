"""The comparison, on numbers made up here."""

from tests.benchmarks.compared import Measured, Round, misses, slower


def compared(speed: float, first: float) -> list[Round]:
    """The endpoint at 100 tokens a second and 10 ms, bare LiteLLM at 80 and 30."""
    return [Round(Measured(100, 10), Measured(80, 30), Measured(speed, first))] * 3


def test_a_tenth_more_than_bare_litellm_is_within():
    assert misses(8, compared(speed=73, first=31.9)) == []


def test_a_later_first_token_is_missed():
    assert misses(8, compared(speed=80, first=33)) == [
        "first token at 8: 1.15 times what bare LiteLLM takes, at most 1.10"
    ]


def test_fewer_tokens_are_missed():
    assert slower(compared(speed=64, first=30)) == 1.25
    assert misses(8, compared(speed=64, first=30)) == ["tokens at 8: 1.25 times what bare LiteLLM takes, at most 1.10"]
