"""What a key may still ask for: decided over a clock and what was counted."""

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import KeyRefused
from serving.gateway.keys import Key
from serving.gateway.limits import Counts

KEY = Key(owner="anna", sha256="0" * 64)


def seconds(most: int) -> st.SearchStrategy[float]:
    """Times that a float holds exactly, and so do their sums."""
    return st.integers(0, most * 64).map(lambda parts: parts / 64)


def key(**limits: int) -> Key:
    return KEY.model_copy(update=limits)


def begun(counts: Counts, key: Key, now: float) -> bool:
    """Whether a request that is over at once may begin."""
    try:
        with counts.admitted(key, now):
            return True
    except KeyRefused:
        return False


def refusal(counts: Counts, key: Key, now: float) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught, counts.admitted(key, now):
        pass
    return caught.value


def test_a_key_without_limits_has_none():
    counts = Counts()

    assert all(begun(counts, KEY, 0) for _ in range(1000))


@given(st.integers(1, 5), st.lists(seconds(30), max_size=60))
def test_no_minute_holds_more_requests_than_are_allowed_and_whoever_waits_as_told_comes_in(
    limit: int, waits: Sequence[float]
):
    counts, limited, now, let_in = Counts(), key(requests_per_minute=limit), 0.0, list[float]()
    for wait in waits:
        now += wait
        if begun(counts, limited, now):
            let_in.append(now)
        else:
            told = refusal(counts, limited, now).retry_seconds
            assert told is not None
            assert 1 <= told <= 60
            now += told
            assert begun(counts, limited, now)
            let_in.append(now)

    for first in let_in:
        assert sum(first <= when < first + 60 for when in let_in) <= limit


def test_the_wait_is_no_longer_than_it_has_to_be():
    counts, limited = Counts(), key(requests_per_minute=2)
    for now in (0.0, 40.0):
        begun(counts, limited, now)

    assert refusal(counts, limited, 50.0).retry_seconds == 10
    assert not begun(counts, limited, 59.9)
    assert begun(counts, limited, 60.0)
    assert refusal(counts, limited, 60.0).retry_seconds == 40


def test_what_was_refused_is_not_counted():
    counts, limited = Counts(), key(requests_per_minute=1)
    begun(counts, limited, 0)
    for now in range(1, 60):
        begun(counts, limited, now)

    assert begun(counts, limited, 60)


@given(st.integers(1, 500), st.lists(st.tuples(seconds(20), st.integers(0, 3000)), min_size=1, max_size=40))
def test_tokens_are_paid_off_evenly_and_whoever_waits_as_told_comes_in(
    limit: int, answers: Sequence[tuple[float, int]]
):
    counts, limited, now, used = Counts(), key(tokens_per_minute=limit), 0.0, 0
    for wait, tokens in answers:
        now += wait
        if not begun(counts, limited, now):
            refused = refusal(counts, limited, now)
            assert (refused.code, refused.status) == ("tokens_per_minute", 429)
            assert refused.retry_seconds is not None
            # One that comes a second earlier is too early.
            assert refused.retry_seconds == 1 or not begun(counts, limited, now + refused.retry_seconds - 1 - 1e-5)
            now += refused.retry_seconds
            assert begun(counts, limited, now)
        # All but the last answer is paid for, save a minute's worth.
        assert used <= limit * (now / 60 + 1) + 1e-6
        counts.used("anna", tokens, now)
        used += tokens


def test_only_so_many_are_under_way_at_once_and_whoever_ends_makes_room():
    counts, limited = Counts(), key(concurrent_requests=2)
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(counts.admitted(limited, 0))
        second.enter_context(counts.admitted(limited, 0))
        refused = refusal(counts, limited, 0)
        second.close()

        assert (refused.code, refused.retry_seconds) == ("concurrent_requests", 1)
        assert begun(counts, limited, 0)
    assert begun(counts, limited, 0)


def test_a_request_that_fails_makes_room_as_well():
    counts, limited = Counts(), key(concurrent_requests=1)
    with pytest.raises(RuntimeError), counts.admitted(limited, 0):
        raise RuntimeError

    assert begun(counts, limited, 0)


def test_limits_are_each_owners_own():
    counts, limited = Counts(), key(requests_per_minute=1)
    begun(counts, limited, 0)

    assert not begun(counts, limited, 1)
    assert begun(counts, limited.model_copy(update={"owner": "ben"}), 1)


@pytest.mark.parametrize("new", [1, 3])
def test_another_limit_counts_at_once_with_what_was_counted_before(new: int):
    counts = Counts()
    for _ in range(2):
        begun(counts, key(requests_per_minute=2), 0)

    assert begun(counts, key(requests_per_minute=new), 1) is (new == 3)


def test_tokens_of_an_owner_without_a_limit_are_nobodys_debt():
    counts = Counts()
    begun(counts, KEY, 0)
    counts.used("anna", 10**9, 0)
    counts.used("nobody", 5, 0)
    counts.used(None, 5, 0)

    assert begun(counts, key(tokens_per_minute=1), 0)


def test_of_several_reasons_the_longest_is_told():
    counts, limited = Counts(), key(requests_per_minute=1, tokens_per_minute=60, concurrent_requests=1)
    begun(counts, limited, 0)
    counts.used("anna", 60 + 100, 0)
    with counts.admitted(key(), 0):
        refused = refusal(counts, limited, 0)

    assert (refused.code, refused.retry_seconds) == ("tokens_per_minute", 101)
