"""Colours of names."""

from __future__ import annotations

from outlay_dashboard.theme import NEUTRAL, PALETTE, Colours


def test_a_name_keeps_its_colour_whatever_is_shown_beside_it() -> None:
    colours = Colours()
    first = colours.of(["gpt-4.1", "claude-sonnet-4-5"])
    later = colours.of(["a", "b", "c", "claude-sonnet-4-5", "gpt-4.1"])
    assert {name: later[name] for name in first} == first


def test_as_many_names_as_there_are_colours_are_all_told_apart() -> None:
    names = [f"model-{number}" for number in range(len(PALETTE))]
    assert set(Colours().of(names).values()) == set(PALETTE)


def test_more_names_than_colours_still_have_one_each() -> None:
    names = [f"model-{number}" for number in range(3 * len(PALETTE))]
    assert set(Colours().of(names).values()) == set(PALETTE)


def test_a_name_alone_has_the_same_colour_in_every_process() -> None:
    assert Colours().of(["gpt-4.1"]) == Colours().of(["gpt-4.1"])


def test_calls_that_did_not_say_are_grey() -> None:
    assert Colours().of([None]) == {None: NEUTRAL}
