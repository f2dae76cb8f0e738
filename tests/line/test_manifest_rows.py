"""Rows as they are read: places, duplicates, and a bounded list of mistakes with an exact count."""

import gc
import tracemalloc

import pytest

from provisioner.errors import Mistake
from provisioner.line.manifest import load_manifest
from provisioner.line.manifest_rows import MISTAKES_MAX, MistakeList, Roll

A, B, C = (f"3b002100174735323634303{n}" for n in range(3))


@pytest.fixture
def mistakes():
    return MistakeList("m.yaml")


@pytest.fixture
def roll(mistakes):
    return Roll(mistakes)


def texts(mistakes):
    return [str(mistake) for mistake in mistakes.refused().mistakes]


def test_a_trays_columns_stay_away_while_no_row_needs_them(roll, mistakes):
    tray = roll.tray("tray T", "m.yaml")
    tray.add(1, 1, A, yaml=False)
    tray.add(2, 1, B.upper(), yaml=False)

    assert len(tray) == 2
    assert list(roll.packed()) == [A, B]
    assert tray.slots is None
    assert tray.serials is None
    assert mistakes.count == 0


def test_rows_before_the_first_slot_or_serial_get_theirs_afterwards(roll):
    tray = roll.tray("tray T", "m.yaml")
    tray.add(1, 1, A, yaml=False)
    tray.add(2, 1, B, "7", "S1", yaml=False)
    tray.add(3, 1, C, yaml=False)

    assert list(tray.rows()) == [(1, A, None), (7, B, "S1"), (3, C, None)]


def test_a_row_that_could_not_be_read_keeps_its_place(roll):
    tray = roll.tray("tray T", "m.yaml")
    tray.add(1, 1, A, "5", "S1", yaml=False)
    tray.skip(2, 1)
    tray.add(3, 1, B, yaml=False)

    assert list(tray.rows()) == [(5, A, "S1"), (2, "", None), (3, B, None)]
    assert tray.where(2) == "tray T, slot 3"


def test_a_duplicate_names_the_tray_that_has_the_row_even_behind_empty_ones(roll, mistakes):
    roll.tray("tray none", "m.yaml")
    roll.tray("tray T", "m.yaml").add(4, 1, A, yaml=False)
    roll.tray("tray none either", "m.yaml")
    roll.tray("tray U", "u.txt").add(9, 3, A, yaml=False)

    (found,) = texts(mistakes)
    assert found.startswith(f"u.txt:9:3: tray U, slot 1: {A} is listed twice, first at m.yaml:4, tray T, slot 1;")


def test_a_serial_given_twice_names_the_first(roll, mistakes):
    tray = roll.tray("tray T", "m.yaml")
    tray.add(1, 1, A, serial=" S1 ", yaml=False)
    tray.add(2, 1, B, serial="S1", yaml=False)

    (found,) = texts(mistakes)
    assert "serial S1 is given twice, first at m.yaml:1, tray T, slot 1" in found


def test_columns_beyond_a_two_byte_number_do_not_break_the_count(roll, mistakes):
    roll.tray("tray T", "m.yaml").add(1, 70_000, "x", yaml=False)

    assert "m.yaml:1:65535" in texts(mistakes)[0]


def test_the_first_mistakes_are_kept_however_late_they_are_found(mistakes):
    total = 10 * MISTAKES_MAX
    for line in range(total, 0, -1):
        mistakes.add(Mistake("m.yaml", line, 1, "", "wrong", "correct it"))

    found = mistakes.refused().mistakes
    assert [mistake.line for mistake in found[:-1]] == list(range(1, MISTAKES_MAX + 1))
    assert found[-1].what == f"... and {total - MISTAKES_MAX:,} more"


def test_exactly_the_greatest_number_needs_no_last_line(mistakes):
    for line in range(MISTAKES_MAX):
        mistakes.add(Mistake("m.yaml", line + 1, 1, "", "wrong", "correct it"))

    assert len(mistakes.refused().mistakes) == MISTAKES_MAX


def test_what_is_kept_of_a_list_is_some_bytes_a_row(tmp_path):
    count = 2_000
    rows = [(f"{number:012x}{number:012X}", number + 1, f"PHHMAB8{number:08}") for number in range(count)]
    (tmp_path / "list.csv").write_text("id,slot,serial\n" + "".join(f"{id_},{s},{n}\n" for id_, s, n in rows))
    head = "version: 1\nproduct: 1319\ntrays:\n"
    (tmp_path / "m.yaml").write_text(f"{head}  - id: T\n    file: list.csv\n")
    load_manifest(tmp_path / "m.yaml", None)  # what is made once stays out of the count
    gc.collect()
    tracemalloc.start()
    try:
        manifest = load_manifest(tmp_path / "m.yaml", None)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert held / count < 18 + 15 + 7  # the ID with its place in the index, the serial; and all else of a manifest
    assert [(row.id, row.slot, row.serial) for row in manifest] == [(id_.lower(), s, n) for id_, s, n in rows]
    assert dict(manifest.rows) == {row.id: number for number, row in enumerate(manifest)}


@pytest.mark.parametrize("slots", [["3", "1", "2"], ["2", "3", "4"], ["1", "2", "9999"]])
def test_slots_that_are_not_simply_counted_are_kept(roll, slots):
    tray = roll.tray("tray T", "m.yaml")
    for device, slot in zip((A, B, C), slots, strict=True):
        tray.add(1, 1, device, slot, yaml=False)

    assert list(tray.packed_slots()) == [int(slot) for slot in slots]
    assert tray.packed_slots().itemsize == 2


def test_slots_that_are_simply_counted_are_not_kept(roll):
    tray = roll.tray("tray T", "m.yaml")
    for device, slot in ((A, "1"), (B, None), (C, "3")):
        tray.add(1, 1, device, slot, yaml=False)

    assert tray.packed_slots() is None
