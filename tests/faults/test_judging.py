"""What the records of a trial come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.judging import Outage, compared, judge, missed, outage
from tests.faults.records import Heard, Look, Request, Trial, Word, ending

STRUCK = 100.0
AWAY = ((101.0, "no"), (103.0, "silence"), (104.0, "no"))
"""Looks from one second after the fault; the next one, at 106, is yes."""


def looks(*away: tuple[float, str], until: float = 130) -> tuple[Look, ...]:
    times = dict(away)
    return tuple(
        Look(at, at + 0.1, times.get(at, "yes"))  # type: ignore[arg-type]
        for at in sorted({90.0, 106.0, 120.0, until, *times})
    )


def request(began: float, *pieces: float, **more: Any) -> Request:
    ended = more.pop("ended", (pieces or (began,))[-1] + 0.1)
    return Request(
        **{"door": "endpoint", "began": began, "ended": ended, "ending": "answered", "pieces": pieces, **more}
    )


def trial(**changes: Any) -> Trial:
    seen = looks(*AWAY)
    whole = {
        "fault": "rank-killed",
        "replica": "a",
        "machine": "mac-1",
        "struck": STRUCK,
        "mended": None,
        "deadline": 60.0,
        "closes": frozenset(),
        "requests": (request(99, 99.5, 107), request(99, 108), request(107, 107.5, 108)),
        "probes": (request(99, 107), request(108, 108.2), request(119, 120.5)),
        "readies": seen,
        "looks": seen,
        "words": (Word(90, "ready", ""), Word(101, "failed", "rank 0 on mac-1 ended by signal 9")),
        "cold_start": 5.0,
        "cold": "agents",
        **changes,
    }
    return Trial(**whole)


GOOD = judge(trial())


def test_an_outage_lasts_from_the_first_look_without_a_yes_to_the_first_yes_that_lasts() -> None:
    assert outage(looks(*AWAY), STRUCK) == Outage(101.1, 106.1)
    assert outage(looks((101.0, "no"), (110.0, "no")), STRUCK) == Outage(101.1, 120.1)
    assert outage(looks(), STRUCK) is None


def test_what_was_not_ready_before_the_fault_is_none_of_its_doing() -> None:
    assert outage(looks((95.0, "no")), STRUCK) is None


def test_a_good_row_misses_nothing_and_tells_what_it_took() -> None:
    assert list(missed(GOOD)) == []
    assert (GOOD.noticed, GOOD.ready_again, GOOD.times_cold_start) == pytest.approx((1.1, 6.1, 1.22))
    assert GOOD.words == ("failed: rank 0 on mac-1 ended by signal 9",)


def test_an_answer_that_stood_still_is_continued_and_one_that_began_late_is_replayed() -> None:
    assert (GOOD.answered, GOOD.continued, GOOD.replayed) == (3, 1, 1)


def test_a_request_that_came_during_the_outage_and_waited_for_its_end_is_replayed_too() -> None:
    row = judge(trial(requests=(request(104, 106.5), request(104, 104.3, 104.6))))

    assert (row.continued, row.replayed) == (0, 1)


def test_an_answer_from_elsewhere_goes_on_through_the_outage() -> None:
    flowing = request(99, *(99 + n / 2 for n in range(1, 20)))

    assert (judge(trial(requests=(flowing,))).continued, judge(trial(requests=(flowing,))).replayed) == (0, 0)


def test_persons_take_their_time_and_the_way_back_begins_when_they_are_done() -> None:
    assert judge(trial(mended=105.0)).ready_again == pytest.approx(1.1)
    assert judge(trial(mended=110.0)).ready_again == pytest.approx(6.1)


@pytest.mark.parametrize(
    ("changes", "miss"),
    [
        ({"noticed": 5.2}, "noticed after 5.2 s, at most 5"),
        ({"ready_again": 6.6}, "ready again after 1.32 cold starts, at most 1.3"),
        ({"ready_again": None}, "not ready again"),
        ({"lost": 2}, "2 lost"),
        ({"altered": 1}, "1 altered"),
        ({"overdue": 1}, "1 overdue"),
        ({"lies": 3}, "/ready said yes 3 times while a completion did not come"),
    ],
)
def test_each_bound_says_how_it_was_missed(changes: dict[str, Any], miss: str) -> None:
    assert list(missed(replace(GOOD, **changes))) == [miss]


def test_a_way_back_is_compared_with_the_usual_cold_start_of_its_replica_and_kind() -> None:
    rows = [replace(GOOD, cold_start=seconds) for seconds in (4.0, 6.0, 9.0)]
    others = [replace(GOOD, cold_start=1.0, replica="b"), replace(GOOD, cold_start=2.0, cold="Macs")]

    assert [row.cold_start for row in compared([*rows, *others, replace(GOOD, cold_start=None)])] == [
        *(6.0, 6.0, 6.0),
        *(1.0, 2.0),
        6.0,
    ]


def test_a_way_back_with_somebody_elses_time_in_it_is_not_bounded() -> None:
    assert list(missed(replace(GOOD, ready_again=60.0, is_bounded=False))) == []


def test_a_replica_that_goes_on_where_it_had_to_ask_for_a_person_misses_it() -> None:
    asked = (Word(90, "ready", ""), Word(102, "broken", "cannot serve on mac-2"))

    assert list(missed(judge(trial(breaks=True)))) == ["did not ask for a person"]
    assert list(missed(judge(trial(breaks=True, words=asked)))) == []


@pytest.mark.parametrize("how", ["refused", "broken off", "disconnected"])
def test_a_request_without_an_answer_is_lost(how: str) -> None:
    row = judge(trial(requests=(request(99, ended=102.0, ending=how, said="502"),)))

    assert (row.lost, row.losses) == (1, (f"endpoint: {how}: 502",))


def test_a_connection_that_ends_with_its_process_is_cut_off_and_not_lost() -> None:
    cut = request(99, ended=100.1, ending="disconnected")
    row = judge(trial(requests=(cut, replace(cut, door="gateway")), closes=frozenset({"endpoint"})))

    assert (row.cut_off, row.lost) == (1, 1)


def test_who_is_told_that_the_endpoint_ends_is_cut_off_where_it_does() -> None:
    said = '503 {"error": {"message": "cannot answer: this endpoint of replica \'a\' ends, as its agent does."}}'
    told = request(99, ended=100.1, ending="refused", said=said)

    assert judge(trial(requests=(told,), closes=frozenset({"endpoint"}))).lost == 0
    assert judge(trial(requests=(told,))).lost == 1


def test_who_is_refused_while_a_person_is_needed_is_turned_away() -> None:
    words = (Word(90, "ready", ""), Word(101, "broken", "weights"), Word(110, "ready", ""))
    requests = tuple(request(at, ended=at, ending="refused") for at in (100.5, 105.0, 111.0))
    row = judge(trial(words=words, requests=requests))

    assert (row.turned_away, row.lost) == (1, 2)


def test_who_is_refused_between_the_last_look_before_and_the_first_at_a_broken_replica_is_turned_away() -> None:
    words = (Word(90, "ready", ""), Word(101, "broken", "weights", since=100.8))
    requests = tuple(request(at, ended=at, ending="refused") for at in (100.7, 100.9))
    row = judge(trial(words=words, requests=requests))

    assert (row.turned_away, row.lost) == (1, 1)


def test_a_yes_is_a_lie_when_the_completion_under_way_never_comes_or_too_late() -> None:
    never = (request(119, ended=120.3, ending="refused"),)
    late = (request(119, 140, ended=140.0),)
    stuck = (request(99, ended=135.0, ending="left"),)
    yes = (Look(120.0, 120.1, "yes"),)

    assert [judge(trial(probes=probes, readies=yes)).lies for probes in (never, late, stuck)] == [1, 1, 1]
    assert GOOD.lies == 0


def test_a_completion_may_take_twice_as_long_as_the_slowest_before_the_fault() -> None:
    slow = request(80, 88, ended=88.0)
    yes = (Look(120.0, 120.1, "yes"),)

    taking = [judge(trial(probes=(slow, request(119, end, ended=end)), readies=yes)).lies for end in (135.0, 137.0)]

    assert taking == [0, 1]


def test_a_yes_is_no_lie_while_others_have_all_slots_and_hear_on() -> None:
    yes, waiting = (Look(120.0, 120.1, "yes"),), (request(119, ended=135.0, ending="left"),)
    hearing = request(110, 112.0, 121.0, 127.0, 134.0)

    def lies(*requests: Request) -> int:
        return judge(trial(probes=waiting, readies=yes, requests=requests)).lies

    assert lies(hearing) == 0
    assert lies(replace(hearing, pieces=(112.0, 121.0, 134.0))) == 1
    assert lies(replace(hearing, door="gateway")) == 1


def test_a_probe_that_was_under_way_when_the_trial_ended_tells_nothing() -> None:
    assert judge(trial(probes=(request(119, ended=121, ending="left"),))).lies == 0


def test_a_yes_is_no_lie_while_the_fault_may_not_have_been_noticed_yet() -> None:
    frozen = looks((104.0, "no"), until=104.9)
    row = judge(trial(readies=(Look(101.0, 101.1, "yes"), *frozen), probes=(request(99, ended=103, ending="refused"),)))

    assert row.lies == 0


@pytest.mark.parametrize(
    ("heard", "end"),
    [
        (Heard(200, "Pong.", finished=True), "answered"),
        (Heard(200, " Pong.\n", finished=True), "answered"),
        (Heard(200, "Po", finished=True), "altered"),
        (Heard(200, "Pongo", error="lost"), "altered"),
        (Heard(200, "Po"), "broken off"),
        (Heard(200, "Po", error="lost"), "broken off"),
        (Heard(200, "", error="lost"), "refused"),
        (Heard(503, error="not ready"), "refused"),
        (Heard(200, "Po", disconnected=True, error="ReadError"), "disconnected"),
        (Heard(disconnected=True), "disconnected"),
        (Heard(200, "Po", gave_up=True), "overdue"),
        (Heard(200, "Po", left=True), "left"),
        (Heard(200, "Pu", left=True), "altered"),
    ],
)
def test_how_a_request_ended_is_told_by_what_its_client_heard(heard: Heard, end: str) -> None:
    assert ending(heard, "Pong.") == end
