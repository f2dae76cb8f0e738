"""Lists of device IDs as they come by e-mail: TXT with one ID a line, or CSV. Bytes in, rows out.

Rule 1: a row is passed on as it was written, but for blanks, quotes and comments around it; whether it is an ID, a
slot or a serial is decided elsewhere, by the same code as for rows in YAML.
Rule 2: what a mail program or a spreadsheet adds (BOM, CRLF, quotes, header, other columns, blank lines) is no
mistake; what it destroys (UTF-16, a workbook instead of a CSV) is one sentence.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Refuse: TypeAlias = Callable[[int, int, str, str], None]  # line, column (from 1; 0: none), what, remedy

BYTES_MAX = 64 * 1024 * 1024
LINE_CHARACTERS_MAX = 4096
_DEVICE_ID = re.compile(r"[0-9a-fA-F]{24}")
_AROUND = " \t\r\n\xa0\u200b\ufeff\"'"  # what mail programs and spreadsheets leave around a cell
_HEADER = {
    "id": "id",
    "deviceid": "device",
    "serial": "serial",
    "serialnumber": "serial",
    "serialno": "serial",
    "slot": "slot",
}
_SAVE_AS_UTF8 = "save the list as UTF-8 text (in a spreadsheet: CSV UTF-8)"


class Row(NamedTuple):
    """One row as written; `slot` and `serial` are None where the list has no such cell, or an empty one."""

    line: int
    column: int
    id: str
    slot: str | None
    serial: str | None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which cell holds what. `separator` is None for a list with one column."""

    separator: str | None
    id: int
    slot: int | None = None
    serial: int | None = None


def rows(data: bytes, refuse: Refuse) -> Iterator[Row]:
    """Yield the rows of a list; what cannot be a row, or a list at all, goes to `refuse`."""
    columns: _Columns | None = None
    bare = False  # one column: the common case, a million times over
    for number, line in enumerate(_lines(data, refuse), start=1):
        if bare and (text := line.rstrip("\n")).isalnum() and len(text) <= LINE_CHARACTERS_MAX:
            yield Row(number, 1, text, None, None)
            continue
        text = line.strip(_AROUND)
        if not text or text[0] == "#":
            continue
        if len(line) > LINE_CHARACTERS_MAX:
            refuse(
                number, 1, f"a line of {len(line):,} characters is no row of a device list", "write one device a line"
            )
            continue
        if columns is None:
            separator = _separator(text)
            cells = _cells(line, separator)
            header = _header(cells, separator)
            if header is not None:
                if isinstance(header, str):
                    refuse(number, 1, header, "name one column device_id")
                    return
                columns, bare = header, separator is None
                continue
            columns, bare = _columns(cells, separator), separator is None
            if columns is None:
                refuse(
                    number,
                    1,
                    "no cell of this line is a device ID (24 of 0-9 and a-f)",
                    "correct the ID, or name its column device_id in the first line",
                )
                continue
        cells = _cells(line, columns.separator)
        if any(cells):  # else a spreadsheet's empty row: nothing but separators
            yield _row(number, line, cells, columns)


def _lines(data: bytes, refuse: Refuse) -> Iterator[str]:
    """Lines of text, whatever ends them; stops at what is not text, after saying so."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        refuse(0, 0, "the list is UTF-16 text", _SAVE_AS_UTF8)
        return
    if data.startswith(b"PK\x03\x04"):
        refuse(0, 0, "the list is a workbook or ZIP archive, not text", _SAVE_AS_UTF8)
        return
    nul = data.find(b"\0")
    if nul >= 0:
        refuse(data.count(b"\n", 0, nul) + 1, 0, "the list is a binary file, not text", "name the list itself")
        return
    try:
        yield from io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=None)
    except UnicodeDecodeError:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:  # the wrapper counts from its own buffer, this one from the start
            refuse(data.count(b"\n", 0, error.start) + 1, 0, "the list is not UTF-8 text", _SAVE_AS_UTF8)


def _separator(text: str) -> str | None:
    content = text.partition("#")[0]
    return next((mark for mark in "\t;," if mark in content), None)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        cells = [line.partition("#")[0]]
    elif '"' in line:
        cells = next(csv.reader([line.strip("\r\n")], delimiter=separator, skipinitialspace=True), [])
    else:
        cells = line.split(separator)
    return [_bare(cell) for cell in cells]


def _bare(cell: str) -> str:
    """A cell without what stands around it; `="3000..."` is how a spreadsheet is told to leave digits alone."""
    return cell.strip(_AROUND).lstrip("=").strip(_AROUND)


def _header(cells: list[str], separator: str | None) -> _Columns | str | None:
    """The columns a header names; a sentence where it is one but cannot be used; None where it is not a header."""
    names = [_HEADER.get(re.sub(r"[^a-z0-9]", "", cell.lower())) for cell in cells]
    found = {name: names.index(name) for name in names if name}
    if not found:
        return None
    twice = next((name for name in found if names.count(name) > 1), None)
    if twice is not None:
        return f"the header names two columns {'device_id' if twice == 'device' else twice}"
    where = found.get("device", found.get("id"))
    if where is None:
        return "the header names no column of device IDs"
    return _Columns(separator, where, found.get("slot"), found.get("serial"))


def _columns(cells: list[str], separator: str | None) -> _Columns | None:
    """Without a header, the column that holds an ID; a list with one column is taken as it is."""
    if separator is None:
        return _Columns(None, 0)
    where = next((index for index, cell in enumerate(cells) if _DEVICE_ID.fullmatch(cell)), None)
    return None if where is None else _Columns(separator, where)


def _row(number: int, line: str, cells: list[str], columns: _Columns) -> Row:
    def cell(index: int | None) -> str | None:
        return cells[index] or None if index is not None and index < len(cells) else None

    found = cell(columns.id) or ""
    return Row(number, line.find(found) + 1, found, cell(columns.slot), cell(columns.serial))
