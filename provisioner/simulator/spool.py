"""A history on disk instead of in memory, row by row, for worlds with more events than memory is worth.

Rule 1: a temporary file without a name on the disk: it is gone when the program is, however it ends.
"""

from __future__ import annotations

import marshal
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

_PLAIN = (str, float, int, bool, type(None))


class Spool:
    """Rows, in the order they were written; read as often as wished, also while more are written."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - lives as long as the history
        self._rows = 0
        self._is_at_end = True  # a reader leaves the file where it read last
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._rows

    def write(self, row: Sequence[object]) -> None:
        """Add a row of numbers and texts; a text of a class of its own comes back as text."""
        if not self._is_at_end:
            self._file.seek(0, os.SEEK_END)
            self._is_at_end = True
        marshal.dump([value if type(value) in _PLAIN else str(value) for value in row], self._file)
        self._rows += 1

    def rows(self) -> Iterator[list[Any]]:
        """All rows so far."""
        end = self._file.seek(0, os.SEEK_END)
        at = 0
        while at < end:
            self._file.seek(at)
            self._is_at_end = False
            row = marshal.load(self._file)  # noqa: S302 - what this program wrote, in a file without a name
            at = self._file.tell()
            yield row
