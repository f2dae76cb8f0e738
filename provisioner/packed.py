"""Columns of long lists in few bytes: device IDs that can be looked up, and short texts. Pure.

An `IDIndex` costs 18 bytes a device, where a dict of `str` takes some 170: 24 hex digits are 12 bytes, and 6 more (up
to 8 while it grows) are a place in a table of numbers (hashed, open addressing). What is known of each device is then
a place in an array, by its number.

Rule 1: the first ID has number 0, the next new one 1, and so on; none is ever taken out.
Rule 2: an ID is its one spelling, lower case: any other text, or object, is simply not in here.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, overload

_BYTES: Final = 12  # of an ID
_EXPECTED_MAX: Final = 1_000_000  # whoever only says that more will come is believed when they have come
NO_KEY: Final = bytes(_BYTES)  # for the place of a row without an ID; an ID of zeros has the same
_TEXT_MAX: Final = 255  # characters
_NO_ID: Final = "not a device ID in its one spelling"
_TWICE: Final = "a device ID that is there already"


class IDIndex(Mapping[str, int]):
    """A mapping from device IDs to their numbers. `keys`: those to begin with, as `key_of` makes them, in one;
    `expected`: how many there will be, so that it need not grow. Raises ValueError if one of them is there twice.
    """

    __slots__ = ("_keys", "_table")

    def __init__(self, keys: bytes = b"", *, expected: int = 0) -> None:
        self._keys = bytearray(keys)
        self._table = _table(keys, max(len(self), min(expected, _EXPECTED_MAX)))

    def add(self, text: str) -> int:
        """Give a new ID its number. Raises ValueError for what is no ID, and for one that is there."""
        key, number = key_of(text), len(self)
        if key is None:
            raise ValueError(_NO_ID)
        place = self._place_of(key)
        if self._table[place]:
            raise ValueError(_TWICE)
        self._keys += key
        self._table[place] = number + 1
        if 4 * (number + 1) > 3 * len(self._table):
            self._table = _table(self._keys, 4 * (number + 1) // 3)
        return number

    def id_of(self, number: int) -> str:
        """The ID with this number, which the caller knows to be one."""
        return self._keys[_BYTES * number : _BYTES * (number + 1)].hex()

    def part(self, start: int, stop: int) -> Sequence[str]:
        """The IDs with the numbers from `start` to before `stop`, as they are now and later."""
        return _Part(self, range(start, stop))

    def __getitem__(self, text: str) -> int:
        key = key_of(text)
        held = self._table[self._place_of(key)] if key is not None else 0
        if not held:
            raise KeyError(text)
        return held - 1

    def __len__(self) -> int:
        return len(self._keys) // _BYTES

    def __iter__(self) -> Iterator[str]:
        return map(self.id_of, range(len(self)))

    def _place_of(self, key: bytes) -> int:
        """Where the table has this key's number, or a free place for it."""
        table, keys = self._table, self._keys
        place = hash(key) % len(table)
        while (held := table[place]) and keys[_BYTES * (held - 1) : _BYTES * held] != key:
            place = (place + 1) % len(table)
        return place


class _Part(Sequence[str]):
    """A run of IDs of an index, which are kept there."""

    __slots__ = ("_index", "_numbers")

    def __init__(self, index: IDIndex, numbers: range) -> None:
        self._index, self._numbers = index, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        numbers = self._numbers[at]
        return self._index.id_of(numbers) if isinstance(numbers, int) else _Part(self._index, numbers)


class PackedTexts(Sequence[str | None]):
    """Short ASCII texts, or None where there is none: each takes as many bytes as the longest of them has characters.

    Raises ValueError for a text that is empty, longer than 255, not ASCII, or has a NUL.
    """

    __slots__ = ("_bytes", "_count", "_width")

    def __init__(self, texts: Sequence[str | None]) -> None:
        self._count = len(texts)
        filled = [text or "" for text in texts]
        self._width = width = max(map(len, filled), default=0)
        padded = "".join([text.ljust(width, "\0") for text in filled])
        padding = len(padded) - sum(map(len, filled))
        if "" in texts or width > _TEXT_MAX or not padded.isascii() or padded.count("\0") != padding:
            raise ValueError("not a text that can be kept so")
        self._bytes = padded.encode("ascii")

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> str | None: ...
    @overload
    def __getitem__(self, at: slice) -> list[str | None]: ...
    def __getitem__(self, at: int | slice) -> str | list[str | None] | None:
        numbers = range(self._count)[at]
        return self._text(numbers) if isinstance(numbers, int) else [self._text(number) for number in numbers]

    def _text(self, number: int) -> str | None:
        start = self._width * number
        return self._bytes[start : start + self._width].rstrip(b"\0").decode() or None


def key_of(text: object) -> bytes | None:
    """The 12 bytes of an ID, or None for what is none."""
    try:
        key = bytes.fromhex(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return key if len(key) == _BYTES and key.hex() == text else None


def key_at(keys: bytes | bytearray, number: int) -> bytes | bytearray:
    """The key with that number, of many in one."""
    return keys[_BYTES * number : _BYTES * (number + 1)]


def _table(keys: bytes | bytearray, count: int) -> array[int]:
    """A table for so many IDs, two thirds full then, with these in it: each one's number + 1; 0 is a free place.

    Raises ValueError if one is there twice.
    """
    size = count * 3 // 2 + 2
    table = array("I", bytes(4 * size))
    for number, (key,) in enumerate(struct.iter_unpack(f"{_BYTES}s", keys), start=1):
        place = hash(key) % size
        while held := table[place]:
            if keys[_BYTES * (held - 1) : _BYTES * held] == key:
                raise ValueError(_TWICE)
            place = (place + 1) % size
        table[place] = number
    return table
