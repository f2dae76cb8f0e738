"""A tray as it lies on the bench: rows and columns of slots, each with the state of its device. Pure.

Rule 1: a slot that no device is listed for is a hole, and shown as one; a slot with two devices is shown as such.
Rule 2: one character a slot: a tray map costs its slots in bytes, on the wire too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provisioner.console.tally import State
from provisioner.journal.fields import Record
from provisioner.model import TrayLayout

SLOT_MAX: Final = 9_999
HOLE: Final = "."
LETTERS: Final[Mapping[State, str]] = {
    State.LISTED: "l",
    State.IMPORTED: "i",
    State.WORKING: "w",
    State.CONNECTING: "c",
    State.CONFIRMED: "P",
    State.FAILED: "F",
    State.REFUSED: "R",
    State.UNKNOWN: "U",
    State.SKIPPED: "S",
}
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


@dataclass(slots=True)
class TrayMap:
    """One tray. `cells` has one letter a slot, slot 1 first; `doubled` are slots that two devices claim."""

    name: str
    rows: int
    columns: int
    cells: bytearray
    doubled: frozenset[int] = frozenset()
    _taken: int = 0  # the slots that devices have named, a bit each

    @classmethod
    def of(cls, name: str, layout: TrayLayout, slots: Iterable[int]) -> TrayMap:
        """A tray whose devices lie in these slots. More slots than the layout has make more rows."""
        columns = layout.columns
        listed = sorted({slot for slot in slots if 1 <= slot <= SLOT_MAX})
        rows = max(layout.rows, -(-(listed[-1] if listed else 0) // columns))
        cells = bytearray(HOLE.encode() * (rows * columns))
        for slot in listed:
            cells[slot - 1] = ord(LETTERS[State.LISTED])
        return cls(name, rows, columns, cells)

    def meet(self, slot: int | None) -> None:
        """A device that was not known before names this slot as its own."""
        if slot is None or not 1 <= slot <= SLOT_MAX:
            return
        if slot > len(self.cells):
            self.rows = -(-slot // self.columns)
            self.cells.extend(HOLE.encode() * (self.rows * self.columns - len(self.cells)))
        if self._taken >> slot & 1:
            self.doubled |= {slot}
        self._taken |= 1 << slot

    def put(self, slot: int | None, state: State) -> None:
        """The device in this slot stands so now. In a doubled slot what is worse is shown."""
        if slot is None or not 1 <= slot <= len(self.cells):
            return
        letter = LETTERS[state]
        if slot in self.doubled and chr(self.cells[slot - 1]) in "FRU" and letter not in "FRU":
            return
        self.cells[slot - 1] = ord(letter)

    @property
    def letters(self) -> str:
        """All cells."""
        return self.cells.decode()

    @property
    def missing(self) -> list[int]:
        """Slots of the tray that no device is listed for, up to the last one that there is one for."""
        last = len(self.letters.rstrip(HOLE))
        return [number for number, letter in enumerate(self.letters[:last], 1) if letter == HOLE]


# --- how a run's first record tells the trays ---


def ranges_of(slots: Sequence[int]) -> str:
    """`1-22,24-50`: slots in few characters, in their order."""
    parts: list[list[int]] = []
    for slot in sorted(slots):
        if parts and slot <= parts[-1][1] + 1:
            parts[-1][1] = slot
        else:
            parts.append([slot, slot])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in parts)


def slots_in(text: str) -> Iterator[int]:
    """The slots that `ranges_of` wrote; what is not such a text names none."""
    for part in text.split(","):
        found = _RANGE.fullmatch(part)
        if found is not None:
            low = int(found.group(1))
            yield from range(low, int(found.group(2) or low) + 1)


def maps_of(started: Record, trays: Mapping[str, int]) -> dict[str, TrayMap]:
    """The empty maps of a run, from its first record: `layout`, and by tray `layouts` and `slots` where they differ."""
    common = _layout(started.extra.get("layout")) or TrayLayout()
    layouts, slots = _texts(started.extra.get("layouts")), _texts(started.extra.get("slots"))
    maps: dict[str, TrayMap] = {}
    for name, count in trays.items():
        where = slots_in(slots[name]) if name in slots else range(1, min(count, SLOT_MAX) + 1)
        maps[name] = TrayMap.of(name, _layout(layouts.get(name)) or common, where)
    return maps


def _layout(text: object) -> TrayLayout | None:
    try:
        return TrayLayout.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _texts(value: object) -> dict[str, str]:
    return {k: v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}
