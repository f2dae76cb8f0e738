"""Letters five rows high."""

import pytest

from provisioner.console.big import _LETTERS, ROWS, big
from provisioner.console.stage import Kind
from provisioner.console.stage_words import words


def test_pass_looks_like_pass():
    assert big("PASS", 30) == [
        "████   ███   ████  ████",
        "█   █ █   █ █     █",
        "████  █████  ███   ███",
        "█     █   █     █     █",
        "█     █   █ ████  ████",
    ]


def test_no_letter_looks_like_another_and_each_fits_its_cell():
    assert len(set(_LETTERS.values())) == len(_LETTERS)
    assert all(len(rows) == ROWS and all(0 <= row < 32 for row in rows) for rows in _LETTERS.values())


def test_it_is_twice_as_wide_where_there_is_room_and_one_row_where_there_is_none():
    wide, narrow, row = big("FAIL", 80), big("FAIL", 30), big("FAIL", 10)

    assert max(map(len, wide)) == 2 * max(map(len, narrow))
    assert row == ["F A I L"]
    assert big("FAIL", 5) == ["FAIL"]


def test_a_word_with_a_letter_that_is_not_there_is_spaced():
    assert big("GÜT", 80) == ["G Ü T"]


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.FINISHED}))
def test_every_word_of_a_station_is_big_on_a_usual_terminal(kind):
    assert len(big(words(f"stage.{kind}"), 96)) == ROWS
