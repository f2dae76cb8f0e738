"""Checks rows as they are read: IDs, slots and serials of one tray, and duplicates over all trays.

Rule 1: every row counts, good or bad: a bad one keeps its place, so that the slots named in mistakes are those of
the tray in front of the person who reads them.
Rule 2: one dict of all IDs is the only thing that knows every row; nothing here is done twice per row. When all is
right it is let go, and the rows are `packed`: they stay for as long as the run, the dict is for this.
Rule 3: the list of mistakes is bounded, the count of them is exact.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import repeat

from provisioner.errors import FileRefused, Mistake
from provisioner.model import DeviceID, printable
from provisioner.packed import NO_KEY, IDIndex, PackedTexts, key_at, key_of
from provisioner.secrets import looks_secret

MISTAKES_MAX = 200
SLOT_MAX = 9999
_SLOT = re.compile(r"[0-9]{1,4}")
_SERIAL = re.compile(r"[\x20-\x7e]{1,32}")
_AS_NUMBER = re.compile(r"\d+([.,]\d+)?e\+?\d+", re.IGNORECASE)


class MistakeList:
    """Mistakes as they are found: the first `MISTAKES_MAX` and how many in all.

    Their order is that of files and lines, the manifest `name` before the lists, so that a bad list does not push
    the manifest's own mistakes out of sight.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self._kept: list[Mistake] = []
        self._per_file: Counter[str] = Counter()

    def add(self, mistake: Mistake) -> None:
        """Note one mistake."""
        self.count += 1
        self._per_file[mistake.file] += 1
        self._kept.append(mistake)
        if len(self._kept) > 4 * MISTAKES_MAX:
            self._kept = self._first()

    def full_for(self, file: str) -> bool:
        """Whether a further row of `file`, read in order, can only be counted."""
        return self._per_file[file] >= MISTAKES_MAX

    def refused(self) -> FileRefused:
        """What to raise: sorted, and cut with a last line that says how many more."""
        kept = self._first()
        if self.count > len(kept):
            more = f"... and {self.count - len(kept):,} more"
            kept.append(Mistake(self.name, 0, 0, "", more, "correct these first, then check again"))
        return FileRefused(kept)

    def _first(self) -> list[Mistake]:
        return sorted(self._kept, key=lambda mistake: (mistake.file != self.name, mistake))[:MISTAKES_MAX]


class Roll:
    """All rows of all trays by device ID and by serial, as row numbers counted over the whole manifest."""

    def __init__(self, mistakes: MistakeList) -> None:
        self.mistakes = mistakes
        self.rows: dict[bytes, int] = {}  # by the bytes of an ID
        self.serials: dict[str, int] = {}
        self.trays: list[TrayRows] = []
        self._starts: list[int] = []
        self._length = 0

    def tray(self, label: str, file: str) -> TrayRows:
        """Begin the next tray. `label` is how mistakes name it; `file` holds its rows."""
        if self.trays:
            self._length += len(self.trays[-1])
        self._starts.append(self._length)
        self.trays.append(TrayRows(self, label, file, self._length))
        return self.trays[-1]

    def __contains__(self, device: DeviceID) -> bool:
        """Whether a row had this ID."""
        return key_of(device) in self.rows

    def packed(self) -> IDIndex:
        """Every row's ID by its row number, when no mistake was found."""
        self.rows, self.serials = {}, {}  # first, to make room
        return IDIndex(b"".join(tray.keys for tray in self.trays))

    def place(self, row: int) -> str:
        """Where a row stands, as a mistake about another row says it."""
        number = bisect_right(self._starts, row) - 1
        # A tray without rows starts where the next one does; bisect_right lands on the last of them, which has the row.
        return self.trays[number].place(row - self._starts[number])


class TrayRows:
    """One tray's rows while they are read: columns side by side. `start`: its first row, counted over all trays."""

    def __init__(self, roll: Roll, label: str, file: str, start: int) -> None:
        self.label = label
        self.file = file
        self.keys = bytearray()  # of the IDs, one after the other
        self.slots: array[int] | None = None  # only if some row names its slot
        self.serials: list[str | None] | None = None  # only if some row has one
        self.whole = True  # False where a list could not be read to its end, so that counting it says nothing
        self._lines = array("I")
        self._columns = array("H")
        self._no_id: set[int] = set()  # positions of rows whose ID was refused
        self._taken: dict[int, int] = {}  # slot -> position, only if some row names its slot
        self._roll = roll
        self.start = start

    def __len__(self) -> int:
        return len(self._lines)

    def add(
        self, line: int, column: int, device: str, slot: str | None = None, serial: str | None = None, *, yaml: bool
    ) -> None:
        """Take the next row. `yaml` says that the ID stood in YAML without quotes, where ` #` cuts it short."""
        position = len(self._lines)
        row = self.start + position  # one int object for both indexes: a million of them count
        self._lines.append(line)
        self._columns.append(min(column, 0xFFFF))
        key = key_of(device.strip().lower())
        self.keys += key or NO_KEY
        if slot is not None or self.slots is not None:
            self._set_slot(position, slot)
        if key is None:
            self._no_id.add(position)
            self._bad_id(position, device, yaml=yaml)
        else:
            first = self._roll.rows.setdefault(key, row)
            if first != row:
                what = f"{key.hex()} is listed twice, first at {self._roll.place(first)}"
                self.refuse(position, what, "remove one of the two: a device stands in one slot of one tray")
        if serial is not None or self.serials is not None:
            self._set_serial(position, serial, row)

    def skip(self, line: int, column: int) -> None:
        """Keep the place of a row that could not be read; its mistake has been told."""
        self._no_id.add(len(self))
        self._lines.append(line)
        self._columns.append(min(column, 0xFFFF))
        self.keys += NO_KEY
        if self.slots is not None:
            self.slots.append(len(self))
        if self.serials is not None:
            self.serials.append(None)

    def rows(self) -> Iterator[tuple[int, str, str | None]]:
        """Slot, ID (empty where it was refused) and serial of every row so far."""
        slots = range(1, len(self) + 1) if self.slots is None else self.slots
        return zip(slots, map(self._id, range(len(self))), self.serials or repeat(None, len(self)), strict=True)

    def _id(self, position: int) -> str:
        """The ID of a row, empty where it was refused."""
        return "" if position in self._no_id else key_at(self.keys, position).hex()

    def packed_slots(self) -> array[int] | None:
        """The slots to keep, or None where they are simply 1, 2, 3 to the end."""
        if self.slots is None or self.slots == array("I", range(1, len(self.slots) + 1)):
            return None
        return array("H" if max(self.slots) <= 0xFFFF else "I", self.slots)

    def packed_serials(self) -> PackedTexts | None:
        """The serials to keep, or None where no row has one. They are let go here: they are most of a loading."""
        serials, self.serials = self.serials, None
        return PackedTexts(serials) if serials is not None else None

    def where(self, position: int) -> str:
        """`tray T-0001, slot 3`."""
        return f"{self.label}, slot {position + 1 if self.slots is None else self.slots[position]}"

    def place(self, position: int) -> str:
        """File, line, tray and slot of a row."""
        return f"{self.file}:{self._lines[position]}, {self.where(position)}"

    def refuse(self, position: int, what: str, remedy: str) -> None:
        """Note a mistake in a row."""
        mistakes = self._roll.mistakes
        if mistakes.full_for(self.file):
            mistakes.count += 1
            return
        line, column = self._lines[position], self._columns[position]
        mistakes.add(Mistake(self.file, line, column, self.where(position), what, remedy))

    def _bad_id(self, position: int, device: str, *, yaml: bool) -> None:
        if self._roll.mistakes.full_for(self.file):
            self._roll.mistakes.count += 1
            return
        self.refuse(position, *_id_trouble(device.strip(), yaml=yaml))

    def _set_slot(self, position: int, slot: str | None) -> None:
        if self.slots is None:
            self.slots = array("I", range(1, position + 1))
            self._taken = {number: number - 1 for number in self.slots}
        if slot is None:
            number = position + 1
        elif _SLOT.fullmatch(slot) and int(slot) > 0:
            number = int(slot)
        else:
            self.slots.append(position + 1)
            remedy = f"write a whole number from 1 to {SLOT_MAX}, or leave it out"
            self.refuse(position, f"'{printable(slot)}' is no slot", remedy)
            return
        self.slots.append(number)
        first = self._taken.setdefault(number, position)
        if first != position:
            what = f"slot {number} is taken by {self._id(first) or 'another row'} (line {self._lines[first]})"
            self.refuse(position, what, "give each device its own slot; without `slot`, it is the place in the list")

    def _set_serial(self, position: int, serial: str | None, row: int) -> None:
        if self.serials is None:
            self.serials = [None] * position
        text = serial.strip() if serial is not None else None
        self.serials.append(text)
        if text is None:
            return
        if not _SERIAL.fullmatch(text):
            what = f"{'this' if looks_secret(text) else repr(printable(text))} is no serial"
            self.refuse(position, what, "write 1 to 32 letters, digits or signs (ASCII) as on the label")
            return
        first = self._roll.serials.setdefault(text, row)
        if first != row:
            what = f"serial {text} is given twice, first at {self._roll.place(first)}"
            self.refuse(position, what, "compare both with their labels and correct one")


def _id_trouble(text: str, *, yaml: bool) -> tuple[str, str]:
    """What is wrong with an ID, and what to do about it."""
    remedy = "compare it with the label or the supplier's list"
    if not text:
        return "the device ID is missing", "write it, or remove the row"
    if looks_secret(text):
        return "this looks like an access token, not a device ID", "remove it; secrets never stand in lists"
    if _AS_NUMBER.fullmatch(text):
        remedy = "a spreadsheet took the ID for a number and lost its digits: ask for the list again, as text"
    elif yaml and len(text) < 24:
        remedy += "; if its end is missing, write it in quotes, because ` #` starts a comment"
    try:
        DeviceID.parse(text)
    except ValueError as error:
        return str(error), remedy
    raise AssertionError("only called for what is no ID")
