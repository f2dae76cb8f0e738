"""A tray as it lies there: holes and doubled slots are seen, any shape fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.console.tally import State
from provisioner.console.tray_map import LETTERS, SLOT_MAX, TrayMap, ranges_of, slots_in
from provisioner.model import TrayLayout


def test_every_state_has_its_own_letter():
    assert set(LETTERS) == set(State)
    assert len(set(LETTERS.values())) == len(State)


def test_a_tray_of_fifty_is_five_by_ten_and_its_devices_are_listed(fold):
    screen = fold(started=("run.started", {"trays": {"T-0001": 49}, "devices": 49, "stations": []}))

    tray = screen.roll.maps["T-0001"]
    assert (tray.rows, tray.columns, tray.letters) == (5, 10, "l" * 49 + ".")


def test_the_hole_where_slot_23_should_be_is_seen(fold):
    told = {"trays": {"T-0001": 49}, "devices": 49, "stations": [], "slots": {"T-0001": "1-22,24-50"}}

    tray = fold(started=("run.started", told)).roll.maps["T-0001"]

    assert tray.missing == [23]
    assert tray.letters[22] == "."


def test_layouts_of_the_settings_and_of_single_trays(fold):
    told = {"trays": {"A": 4, "B": 4}, "devices": 8, "stations": [], "layout": "2x2", "layouts": {"B": "1x4"}}

    maps = fold(started=("run.started", told)).roll.maps

    assert [(tray.rows, tray.columns) for tray in maps.values()] == [(2, 2), (1, 4)]


@pytest.mark.parametrize("junk", ["x", "0x3", "7", None, ""])
def test_a_layout_that_is_none_is_five_by_ten(fold, junk):
    told = {"trays": {"A": 4}, "devices": 4, "stations": [], "layout": junk, "layouts": {"A": junk or ""},
            "slots": {"A": junk or ""}}  # fmt: skip

    tray = fold(started=("run.started", told)).roll.maps["A"]

    assert (tray.rows, tray.columns) == (5, 10)


def test_more_slots_than_the_layout_has_make_more_rows(fold):
    tray = fold(started=("run.started", {"trays": {"A": 64}, "devices": 64, "stations": []})).roll.maps["A"]

    assert (tray.rows, tray.columns, len(tray.cells)) == (7, 10, 70)


def test_a_slot_shows_where_its_device_stands(fold):
    screen = fold(
        ("device.imported", {"device": 1, "code": "added"}),
        ("device.identified", {"device": 1, "station": "ST1"}),
        ("device.failed", {"device": 2, "outcome": "fail", "code": "x"}),
    )

    assert screen.roll.maps["T-0001"].letters.startswith("wFl")


def test_two_devices_in_one_slot_are_seen_and_the_worse_is_shown(fold):
    screen = fold(
        ("device.failed", {"device": 1, "slot": 2, "outcome": "fail", "code": "x"}),
        ("device.confirmed", {"device": 2, "slot": 2, "outcome": "pass"}),
    )

    tray = screen.roll.maps["T-0001"]
    assert tray.doubled == {2}
    assert tray.letters[1] == "F"


@given(st.sets(st.integers(1, SLOT_MAX), max_size=200))
def test_ranges_say_the_same_slots_again(slots):
    assert sorted(slots_in(ranges_of(sorted(slots)))) == sorted(slots)


@given(st.lists(st.tuples(st.integers(-5, 12_000), st.sampled_from(State)), max_size=50))
def test_no_slot_number_breaks_a_map(moves):
    tray = TrayMap.of("A", TrayLayout(2, 3), [1, 2, 5])
    for slot, state in moves:
        tray.meet(slot)
        tray.put(slot, state)

    assert len(tray.cells) == tray.rows * tray.columns <= 9_999 + 3
