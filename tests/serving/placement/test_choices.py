"""Refusals and choices, one row each: weights and machines, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.errors import MachineUnknown, PlacementRefused
from serving.placement.chips import chip, machine, machines
from serving.placement.choosing import choices
from serving.placement.deciding import Decision, decide
from serving.placement.wish import Choice, Wish
from tests.serving.dimensions import anatomy, source


@dataclass(frozen=True)
class Asked:
    """A plan: weights, machines by words, and what is wished of them."""

    weights: str
    on: tuple[str, ...]
    bits: int | None = 4
    wish: dict[str, Any] = field(default_factory=dict[str, Any])
    lighter: tuple[int, ...] = ()
    more: tuple[int, ...] = ()
    """Splits over more machines than there are, looked at for what would work."""


def decision(asked: Asked) -> Decision:
    named = [machine(words, f"mac-{number}") for number, words in enumerate(asked.on, start=1)]
    ranks = (*range(2, len(named) + 1), *asked.more)
    lighter = [source(asked.weights, bits).anatomy(ranks) for bits in asked.lighter]
    return decide(anatomy(asked.weights, asked.bits, ranks), named, Wish(**asked.wish), lighter=lighter)


def said_of(found: Decision, how: str) -> str:
    return " ".join(reason for choice in found.choices if choice.name == how for reason in choice.refusals)


STUDIO, SMALLER, MINI = "M3 Ultra 512", "M3 Ultra 256", "M4 Pro 64"

REFUSED = {
    "671B at 8 bit on one 512 GB": (
        Asked("deepseek-v3", (STUDIO,), bits=8),
        ["needs 71", "GB on mac-1", "512 GB let the GPU wire 461.8 GB", "1 more Mac (M3 Ultra with 512 GB)"],
    ),
    "671B at 16 bit where fewer bits would do": (
        Asked("deepseek-v3", (STUDIO,), bits=None, lighter=(8, 4)),
        ["needs 13", "4 bit, groups of 64, by one Mac"],
    ),
    "70B at 16 bit on a mini": (
        Asked("llama-70b", (MINI,), bits=None, more=(4,)),
        ["needs 152", "64 GB let the GPU wire 57.7 GB", "3 more Macs (M4 Pro with 64 GB), by tensor over 4"],
    ),
    "128k context on a full machine": (
        Asked("llama-70b", ("M4 Max 64",), wish={"context": 131072, "slots": 1}),
        ["42.9 for 131072 tokens in each of 1 slots", "a context of"],
    ),
    "more slots than memory": (
        Asked("llama-8b", ("M4 Pro 24",), wish={"context": 32768, "slots": 16}),
        ["in each of 16 slots", "2 slots, by one Mac"],
    ),
    "nothing near it works": (
        Asked("deepseek-v3", ("M4 24",), bits=8),
        ["needs 71", "Nothing near it works either"],
    ),
}


@pytest.mark.parametrize(("asked", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_placed_is_refused_with_numbers_and_the_nearest_that_works(asked: Asked, words: list[str]):
    found = decision(asked)

    assert found.winner is None
    assert found.sentence.startswith(f"cannot place '{asked.weights}'")
    assert [part for part in words if part not in " ".join((found.sentence, *found.nearest))] == []


REFUSED_WAYS = {
    "KV heads that do not divide by 4": (
        Asked("qwen2.5-3b", (STUDIO,) * 4),
        "tensor over 4",
        "cannot split the tensors",
    ),
    "KV heads that do not divide by 8": (Asked("small", (STUDIO,) * 8), "tensor over 8", "cannot split the tensors"),
    "three machines, tensors": (Asked("llama-70b", (STUDIO,) * 3), "tensor over 3", "across 3 devices"),
    "quantised groups that do not divide": (Asked("qwen2-72b", (STUDIO,) * 4), "tensor over 4", "group size 64"),
    "a type that mlx-lm cannot split by tensors": (
        Asked("mixtral", (STUDIO,) * 2),
        "tensor over 2",
        "no tensor split for mixtral",
    ),
    "a type that mlx-lm cannot split by layers": (
        Asked("llama-70b", (STUDIO,) * 2),
        "pipeline over 2",
        "cannot give whole layers of 'llama-70b' (llama) to several machines",
    ),
    "more machines than layers": (Asked("small", (STUDIO,) * 8), "pipeline over 7", "6 layers for 7 machines"),
    "RDMA without Thunderbolt 5": (
        Asked("qwen3-30b", ("M2 Ultra 192",) * 2, wish={"transport": "jaccl"}),
        "tensor over 2",
        "RDMA needs Thunderbolt 5; mac-1 (M2 Ultra) has Thunderbolt 4",
    ),
    "a mesh of more machines than ports": (
        Asked("qwen3-30b", (MINI,) * 5, wish={"transport": "jaccl"}),
        "pipeline over 5",
        "mac-1 would need 4 cables and has 3 ports",
    ),
    "a cable that is not there": (
        Asked("qwen3-30b", (STUDIO,) * 2, wish={"cables": frozenset[frozenset[str]]()}),
        "tensor over 2",
        "'mac-1' has no cable to 'mac-2', which transport 'jaccl' needs",
    ),
    "64 + 32 GB, tensors": (
        Asked("llama-70b", ("M4 Pro 64", "M4 Max 36"), wish={"context": 65536}),
        "tensor over 2",
        "GB on mac-2",
    ),
    "one of two machines is too small for a copy": (
        Asked("llama-70b", (STUDIO, "M4 Pro 24")),
        "2 copies, each on one Mac",
        "needs 4",
    ),
}


@pytest.mark.parametrize(("asked", "way", "words"), REFUSED_WAYS.values(), ids=REFUSED_WAYS.keys())
def test_a_way_that_cannot_be_gone_says_why(asked: Asked, way: str, words: str):
    assert words in said_of(decision(asked), way)


CHOSEN = {
    "one Mac alone": (Asked("llama-8b", (STUDIO,)), "one Mac"),
    "small active weights on two Macs": (Asked("qwen3-30b", (STUDIO,) * 2), "2 copies, each on one Mac"),
    "small active weights on three Macs": (Asked("qwen3-30b", (STUDIO,) * 3), "3 copies, each on one Mac"),
    "one conversation with dense weights and fast synchronisation": (
        Asked("llama-70b", (STUDIO,) * 4, bits=None, wish={"slots": 1, "fast_synch": True}),
        "tensor over 4",
    ),
    "one conversation with small weights, though there are four Macs": (
        Asked("qwen3-30b", (STUDIO,) * 4, wish={"slots": 1}),
        "one Mac",
    ),
    "one conversation with experts, synchronisation off": (
        Asked("qwen3-235b", (STUDIO,) * 4, wish={"slots": 1}),
        "one Mac",
    ),
    "one conversation with experts, synchronisation on": (
        Asked("qwen3-235b", (STUDIO,) * 2, bits=8, wish={"slots": 1, "fast_synch": True}),
        "tensor over 2",
    ),
    "671B at 8 bit on two": (Asked("deepseek-v3", (STUDIO,) * 2, bits=8), "tensor over 2"),
    "671B at 4 bit on three smaller ones": (Asked("deepseek-v3", (SMALLER,) * 3), "tensor over 2"),
    "235B at 8 bit on three that cannot hold it in twos": (
        Asked("qwen3-235b", ("M4 Max 128",) * 3, bits=8, wish={"slots": 1}),
        "pipeline over 3",
    ),
    "over TCP whole layers are better than tensors": (
        Asked("qwen3-235b", ("M2 Ultra 192",) * 2, bits=8, wish={"slots": 1}),
        "pipeline over 2",
    ),
    "unequal machines that only together hold them": (
        Asked("qwen3-30b", ("M4 Pro 24", "M4 16"), bits=6, wish={"slots": 1, "context": 2048}),
        "pipeline over 2",
    ),
    "64 + 32 GB, neither of which holds them alone or half of them each": (
        Asked("qwen3-30b", ("M4 Pro 64", "M4 32"), bits=None, wish={"slots": 1, "context": 2048}),
        "pipeline over 2",
    ),
    "KV heads that divide by 2 only": (
        Asked("qwen2.5-3b", ("M4 Pro 24",) * 4, bits=None, wish={"slots": 1, "fast_synch": True}),
        "tensor over 2",
    ),
    "128k context on two where one would be full": (
        Asked("llama-70b", ("M4 Max 64",) * 2, wish={"context": 131072, "slots": 1}),
        "tensor over 2",
    ),
    "mixed chips that must hold them together": (
        Asked("deepseek-v3", (STUDIO, "M4 Max 128"), bits=5, wish={"slots": 1}),
        "pipeline over 2",
    ),
    "mixed chips, each good for itself": (Asked("llama-8b", (STUDIO, "M4 Max 128")), "2 copies, each on one Mac"),
}


@pytest.mark.parametrize(("asked", "way"), CHOSEN.values(), ids=CHOSEN.keys())
def test_the_best_way_is_chosen(asked: Asked, way: str):
    found = decision(asked)

    assert found.winner is not None, found.sentence
    assert found.winner.name == way
    assert way in found.sentence


def test_it_says_plainly_when_one_mac_is_the_better_answer():
    assert "One Mac is the better answer" in decision(Asked("qwen3-30b", (STUDIO,) * 2)).sentence


def test_synchronisation_decides_whether_experts_are_better_split():
    def split(*, fast_synch: bool) -> float:
        asked = Asked("qwen3-235b", (STUDIO,) * 2, bits=8, wish={"slots": 1, "fast_synch": fast_synch})
        return way(decision(asked), "tensor over 2") / way(decision(asked), "one Mac")

    assert split(fast_synch=True) > 1 > split(fast_synch=False)


def way(found: Decision, name: str) -> float:
    choice = next(each for each in found.choices if each.name == name)
    assert choice.expected is not None
    return choice.expected.answer


def test_machines_with_different_memory_get_layers_in_proportion():
    found = decision(Asked("qwen3-30b", ("M4 Pro 24", "M4 16"), bits=6, wish={"slots": 1, "context": 2048}))

    assert found.winner is not None
    assert found.winner.layers is not None
    assert sum(found.winner.layers) == 48
    assert found.winner.layers[0] > found.winner.layers[1]


def test_a_raised_limit_makes_room():
    plain = machine("M3 Ultra 512", "studio")
    raised = type(plain)(plain.name, plain.chip, plain.memory_gb, wired_limit_bytes=500 * 2**30)
    weights = anatomy("deepseek-v3", 5, ())

    assert not choices(weights, [plain], Wish())[0].works
    assert choices(weights, [raised], Wish())[0].works


def test_speeds_fall_with_context_and_rise_with_slots():
    def expected(**wish: int) -> Choice:
        return choices(anatomy("llama-8b"), [machine(STUDIO)], Wish(**wish))[0]

    short, long, alone = expected(context=1024), expected(context=65536), expected(context=1024, slots=1)

    assert short.expected is not None
    assert long.expected is not None
    assert alone.expected is not None
    assert short.expected.answer > long.expected.answer
    assert short.expected.answers > alone.expected.answers


def test_without_a_machine_there_is_nothing_to_decide():
    with pytest.raises(PlacementRefused, match="no machine was given"):
        decide(anatomy("small"), [], Wish())


@pytest.mark.parametrize(
    ("words", "name", "cores", "memory"),
    [
        ("M3 Ultra 512", "M3 Ultra", 80, 512),
        ("Mac Studio M3 Ultra 60c 256GB", "M3 Ultra", 60, 256),
        ("Mac mini M4 Pro 64GB", "M4 Pro", 20, 64),
        ("M4 Mac mini 10c 32GB", "M4", 10, 32),
        ("M1 Max Mac Studio 64GB", "M1 Max", 32, 64),
        ("MacBook Pro M3 Pro 18GB", "M3 Pro", 18, 18),
        ("m4 max 36", "M4 Max", 32, 36),
        ("Apple M5 Max 128 GB", "M5 Max", 40, 128),
        ("M3 Max 64GB, 40-core GPU", "M3 Max", 40, 64),
    ],
)
def test_machines_are_known_by_what_people_call_them(words: str, name: str, cores: int, memory: int):
    found = machine(words)

    assert (found.chip.name, found.chip.cores, found.memory_gb) == (name, cores, memory)


def test_several_machines_can_be_told_at_once():
    found = machines("Mac Studio M3 Ultra (2x512GB+2x256GB)", 3)
    mixed = machines("M3 Ultra 512GB + M5 Max 128GB", 2)

    assert [each.memory_gb for each in found] == [512, 512, 256]
    assert [each.chip.name for each in mixed] == ["M3 Ultra", "M5 Max"]


@pytest.mark.parametrize(
    ("words", "said"), [("M3 Ultra", "how much memory"), ("Xeon 512", "which chip"), ("M9 64", "which chip")]
)
def test_words_that_name_no_machine_are_refused(words: str, said: str):
    with pytest.raises(MachineUnknown, match=said):
        machine(words)


def test_a_chip_without_cores_is_told_by_its_memory():
    assert chip("Apple M4 Max", 36).cores == 32
    assert chip("Apple M4 Max", 128).cores == 40
