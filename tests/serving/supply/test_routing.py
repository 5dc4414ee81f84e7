"""Who hands which file to whom: a chain in a mesh, a star around a hub, both ways where Macs have different files."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from serving.supply.routing import Part, route

FILES = {"a": 10, "b": 20, "c": 30}
ALL = frozenset(FILES)
NAMES = ("m1", "m2", "m3", "m4")
MESH = {frozenset(pair) for pair in combinations(NAMES, 2)}


def takes(parts: dict[str, Part]) -> dict[str, dict[str, tuple[str, ...]]]:
    return {name: dict(part.takes) for name, part in parts.items()}


def holding(**held: frozenset[str] | set[str]) -> dict[str, frozenset[str] | set[str]]:
    return {name: held.get(name, frozenset()) for name in NAMES}


def test_nothing_travels_where_all_have_all():
    assert route(FILES, dict.fromkeys(NAMES, ALL), NAMES, MESH) == {}


def test_in_a_mesh_one_mac_gets_all_from_outside_and_hands_on_in_a_chain():
    parts = route(FILES, holding(), NAMES, MESH)

    assert {name: part.outside for name, part in parts.items() if part.outside} == {"m1": ("a", "b", "c")}
    assert {name: tuple(part.takes) for name, part in parts.items()} == {
        "m1": (),
        "m2": ("m1",),
        "m3": ("m2",),
        "m4": ("m3",),
    }
    assert [part.gives_to for part in parts.values()] == [("m2",), ("m3",), ("m4",), ()]


def test_cables_come_before_the_management_lan():
    line = {frozenset(("m1", "m3")), frozenset(("m3", "m2")), frozenset(("m2", "m4"))}

    assert {name: tuple(part.takes) for name, part in route(FILES, holding(), NAMES, line).items()} == {
        "m1": (),
        "m3": ("m1",),
        "m2": ("m3",),
        "m4": ("m2",),
    }


def test_around_one_mac_that_is_cabled_to_all_others_it_is_a_star():
    star = {frozenset(("m1", name)) for name in NAMES[1:]}
    parts = route(FILES, holding(), NAMES, star)

    assert parts["m1"].gives_to == ("m2", "m3", "m4")


def test_the_mac_with_most_of_it_goes_on():
    begun = route(FILES, holding(), NAMES, MESH, begun={"m3": 5})
    roomy = route(FILES, holding(), NAMES, MESH, room={"m2": 100})

    assert begun["m3"].outside == ("a", "b", "c")
    assert roomy["m2"].outside == ("a", "b", "c")


def test_what_any_mac_has_does_not_come_from_outside():
    parts = route(FILES, holding(m4={"c"}), ("m1", "m2"), MESH)

    assert [part.outside for part in parts.values() if part.outside] == [("a", "b")]
    assert "m4" in parts
    assert not parts["m4"].takes


def test_several_that_have_all_of_it_share_the_work():
    parts = route(FILES, holding(m1=ALL, m2=ALL), NAMES, MESH)

    assert takes(parts)["m3"].keys() | takes(parts)["m4"].keys() == {"m1", "m2"}


HELD = st.fixed_dictionaries({name: st.frozensets(st.sampled_from(sorted(FILES))) for name in NAMES})
CABLES = st.frozensets(st.sampled_from(sorted(MESH, key=sorted)))
WANTED = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)


@given(HELD, WANTED, CABLES)
def test_whatever_there_is_each_mac_gets_each_file_once_and_no_file_comes_from_outside_twice(held, wanted, cables):
    parts = route(FILES, held, wanted, cables)
    nowhere = [path for path in FILES if not any(path in has for has in held.values())]
    outside = [path for part in parts.values() for path in part.outside]
    lacking = [name for name in wanted if held[name] != ALL]

    assert sorted(outside) == (sorted(nowhere) if lacking else [])
    for name, part in parts.items():
        coming = [*part.outside, *(path for paths in part.takes.values() for path in paths)]
        assert len(coming) == len(set(coming))
        assert not set(coming) & held[name]
        assert name not in lacking or set(coming) | held[name] == ALL
        for giver, paths in part.takes.items():
            has = {*held[giver], *parts[giver].outside, *(p for ps in parts[giver].takes.values() for p in ps)}
            assert set(paths) <= has
            assert name in parts[giver].gives_to
    assert arrives(parts, held)


def arrives(parts: dict[str, Part], held: dict[str, frozenset[str]]) -> bool:
    """Whether everything comes in the end, when each hands on only what it has by then: nobody waits in a circle."""
    has = {name: {*held[name], *part.outside} for name, part in parts.items()}
    waiting = {(name, giver, path) for name, part in parts.items() for giver, ps in part.takes.items() for path in ps}
    while ready := {each for each in waiting if each[2] in has[each[1]]}:
        for name, _, path in ready:
            has[name].add(path)
        waiting -= ready
    return not waiting
