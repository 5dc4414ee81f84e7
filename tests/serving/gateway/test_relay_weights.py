"""While weights are changed under one name, an answer is brought to its end by those that began it, or not at all."""

from __future__ import annotations

from tests.serving.gateway.endpoints import STREAM, Answer, Reset, Scripted, endpoint
from tests.serving.gateway.test_relay import BEGUN, answered


def test_an_answer_that_was_begun_goes_on_with_the_same_weights_past_one_that_has_others(a: Scripted, b: Scripted):
    with endpoint("c") as c:
        b.weights = "d2"
        a.plan(*BEGUN, Reset())

        response = answered(STREAM, a, b, c)

    assert response.text == "Hello"
    assert (b.asked, len(c.asked)) == ([], 1)


def test_where_nobody_has_them_any_more_it_ends_with_an_error_and_nothing_is_mixed_in(a: Scripted, b: Scripted):
    b.weights = "d2"
    a.plan(*BEGUN, Reset())
    a.always = Answer([Reset()])

    response = answered(STREAM, a, b, wait_seconds=1)

    assert response.text == "He"
    assert "error" in str(response.chunks[-1])
    assert b.asked == []


def test_one_that_was_not_begun_is_asked_of_whoever_is_ready(a: Scripted, b: Scripted):
    b.weights = "d2"
    a.plan(Reset())

    response = answered(STREAM, a, b)

    assert response.text == "Hello"
    assert len(b.asked) == 1


def test_what_an_endpoint_of_before_does_not_tell_keeps_nobody_from_going_on(a: Scripted, b: Scripted):
    a.weights = ""
    a.plan(*BEGUN, Reset())

    assert answered(STREAM, a, b).text == "Hello"
