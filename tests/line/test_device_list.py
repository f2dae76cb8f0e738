"""Bytes of an e-mailed list in, rows out: what mail programs add is no mistake, what they destroy is one sentence."""

import pytest

from provisioner.line.device_list import LINE_CHARACTERS_MAX, Row, rows

A, B = "3b0021001747353236343033", "3b0021001747353236343034"


def read(text):
    refused = []
    data = text if isinstance(text, bytes) else text.encode()
    return list(rows(data, lambda *mistake: refused.append(mistake))), refused


def test_a_row_knows_its_line_and_column():
    found, refused = read(f"# order 7\n\n{A}\nx\n  {B}\n")

    assert found == [Row(3, 1, A, None, None), Row(4, 1, "x", None, None), Row(5, 3, B, None, None)]
    assert refused == []


def test_a_bom_is_no_part_of_a_row_nor_of_its_column():
    """F29: Two lists pasted together have one in the middle."""
    found, _ = read(f"\ufeff{A};1\n\ufeff{B};2\n\ufeff\n")

    assert found == [Row(1, 1, A, None, None), Row(2, 2, B, None, None)]


def test_a_csv_row_gives_slot_and_serial_and_none_for_empty_cells():
    found, refused = read(f"Slot,Device ID,Serial No.,Note\n4,{A},S1,x\n,{B},,\n")

    assert found == [Row(2, 3, A, "4", "S1"), Row(3, 2, B, None, None)]
    assert refused == []


def test_a_row_is_passed_on_as_written_good_or_bad():
    """Whether it is an ID is decided elsewhere, by the same code as for rows in YAML."""
    found, _ = read(f"device_id,slot\n{A.upper()},zero\n3b00,1\nonly\n")

    assert [(row.id, row.slot) for row in found] == [(A.upper(), "zero"), ("3b00", "1"), ("only", None)]


def test_device_id_wins_over_a_running_number_called_id():
    found, _ = read(f"id,device_id\n1,{A}\n")

    assert [row.id for row in found] == [A]


def test_without_a_header_the_column_with_an_id_counts():
    found, _ = read(f"PHHMAB804PAKLJZ;{A};1\nPHHMAB804PAKLJY;{B};2\n")

    assert [row.id for row in found] == [A, B]


def test_an_unknown_header_is_refused_and_the_rows_below_are_read():
    found, refused = read(f"Photon,Box\n{A},1\n{B},2\n")

    assert [row.id for row in found] == [A, B]
    assert [(line, what[:28]) for line, _, what, _ in refused] == [(1, "no cell of this line is a de")]


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (f"{A}\n".encode("utf-16"), 0, "UTF-16"),
        (f"{A}\n".encode("utf-16-be").join([b"\xfe\xff", b""]), 0, "UTF-16"),
        (b"PK\x03\x04rest", 0, "workbook"),
        (f"{A}\n{B}\n\0".encode(), 3, "binary"),
        (f"{A}\n{B}\n\xff".encode("latin-1"), 3, "not UTF-8"),
        (f"{A}\n".encode() * 5000 + b"\xff\n", 5001, "not UTF-8"),
    ],
    ids=["utf-16", "utf-16-be", "workbook", "nul", "latin-1", "far down"],
)
def test_what_is_not_text_is_one_sentence_with_its_line(data, line, what):
    _, refused = read(data)

    assert len(refused) == 1
    assert refused[0][0] == line
    assert what in refused[0][2]


@pytest.mark.parametrize(
    ("header", "what"),
    [("serial;slot", "names no column of device IDs"), ("Device ID;device_id", "two columns device_id")],
)
def test_a_header_that_does_not_say_where_the_ids_are_stops_the_list(header, what):
    found, refused = read(f"{header}\n{A};{B}\n")

    assert found == []
    assert [what in sentence for _, _, sentence, _ in refused] == [True]


def test_a_line_without_end_is_refused_and_not_passed_on():
    found, refused = read(f"{A}\n{'f' * (LINE_CHARACTERS_MAX + 1)}\n{B}\n")

    assert [row.id for row in found] == [A, B]
    assert [line for line, *_ in refused] == [2]


def test_a_comment_may_hold_separators():
    found, refused = read(f"{A}   # box 1; shelf 2, left\n{B}\n")

    assert [row.id for row in found] == [A, B]
    assert refused == []


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "\ufeff", ";;;\n"])
def test_a_list_of_nothing_has_no_rows(text):
    found, _ = read(text)

    assert found == []
