"""A history on disk instead of in memory: rows of JSON, for worlds with more events than memory is worth.

Rule 1: a temporary file without a name on the disk: it is gone when the program is, however it ends.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterator, Sequence

# Made once: `json.dumps` would make one for every row.
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class Spool:
    """Rows, in the order they were written; read as often as wished, also while more are written."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the history
        self._rows = 0
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._rows

    def write(self, row: Sequence[object]) -> None:
        """Add a row of plain values."""
        self._file.write(_ENCODE(row) + "\n")
        self._rows += 1

    def rows(self) -> Iterator[list[str]]:
        """All rows so far."""
        end = self._file.tell()
        at = 0
        while at < end:
            self._file.seek(at)
            line = self._file.readline()
            at = self._file.tell()
            yield json.loads(line)
        self._file.seek(end)
