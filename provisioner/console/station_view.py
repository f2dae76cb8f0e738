"""One station as people see it: the board on its jig, the last verdict, the boards to take away, how it fares. Pure.

Rule 1: a verdict stays until the next board or scan; no time passing clears it.
Rule 2: a board that failed stays on the list of boards to take away until somebody does so, or it comes round again.
Rule 3: everything is bounded: a station that runs for a month holds no more than one that runs for an hour.
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Final

from provisioner.console.tally import Trouble
from provisioner.errors import Blame
from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome

HOUR_MS: Final = 3_600_000
BOARDS_KEPT: Final = 8
ASIDE_KEPT: Final = 50
_ENDS_KEPT: Final = 1_000  # also in an hour
_USUAL_OF: Final = 50


class Verdict(enum.StrEnum):
    """What a station says of a board."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNPROVEN = "unproven"  # its time is over and the cloud has not proven it
    WAITING = "waiting"  # it was told to connect: the cloud is being asked
    AGAIN = "again"  # the visit came to nothing; the board may come round again
    STRANGER = "stranger"
    MISMATCH = "mismatch"  # another board than the one that was scanned, or that the visit began with
    SKIPPED = "skipped"


_VISIT_VERDICTS: Final = {
    "stranger_device": Verdict.STRANGER,
    "not_the_scanned_device": Verdict.MISMATCH,
    "device_changed": Verdict.MISMATCH,
}


@dataclass(slots=True)
class Board:
    """One board that a station had, and what is known of it since."""

    tray: str | None
    slot: int | None
    device: DeviceID | None
    verdict: Verdict
    at_ms: int
    trouble: Trouble | None = None
    ssid: str = ""


@dataclass(slots=True)
class DayCount:
    """What a station came to on one day, by the clock of this computer."""

    day: date | None = None
    passes: int = 0
    fails: int = 0
    unproven: int = 0

    def begin(self, day: date, counts: object) -> None:
        """Go on from what earlier runs of that day have counted: `as_row` of theirs; anything else is nothing."""
        self.day, self.passes, self.fails, self.unproven = day, 0, 0, 0
        if isinstance(counts, list) and len(counts) == len(self.as_row()) and all(type(c) is int for c in counts):
            self.passes, self.fails, self.unproven = counts

    def as_row(self) -> list[int]:
        """PASS, FAIL, not proven: as a journal keeps them."""
        return [self.passes, self.fails, self.unproven]

    def add(self, day: date, verdict: Verdict) -> None:
        """Count one device's end; a new day begins at nothing."""
        if day != self.day:
            self.begin(day, None)
        self.passes += verdict is Verdict.PASS
        self.fails += verdict is Verdict.FAIL
        self.unproven += verdict is Verdict.UNPROVEN


@dataclass(slots=True)
class StationView:
    """One station: what it does now, since when (`mono_ms` of the journal), and how it has fared."""

    name: str
    step: str = ""  # empty: between two devices
    since_ms: int = 0
    began_ms: int | None = None  # of the visit under way
    ssid: str = ""
    device: DeviceID | None = None
    tray: str | None = None
    slot: int | None = None
    visits: int = 0
    passes: int = 0
    trouble: Trouble | None = None  # the last one, of whatever age
    drained: Trouble | None = None
    stopped: bool = False
    board: Board | None = None  # the last one that there is a verdict on
    scanned: Board | None = None  # the one that was scanned, and is looked for or worked
    refused: Trouble | None = None  # why the last scan was not taken
    scan_text: str = ""
    operator: str = ""  # who scans here
    scanner_lost: Trouble | None = None
    boards: deque[Board] = field(default_factory=lambda: deque(maxlen=BOARDS_KEPT))
    aside: dict[DeviceID, Trouble] = field(default_factory=dict)
    today: DayCount = field(default_factory=DayCount)
    join_faults: set[str] = field(default_factory=set)  # boards in a row that did not let this adapter in
    _ends_ms: array[int] = field(default_factory=lambda: array("q"))  # of the last hour, and the last two of all
    _visits_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_USUAL_OF))
    _joins_s: deque[float] = field(default_factory=lambda: deque(maxlen=_USUAL_OF))

    # --- what the records say ---

    def scan_taken(self, record: Record) -> None:
        """A board was scanned: what was shown until now is over."""
        self.refused, self.board = None, None
        self.operator = record.operator or ""
        self.scan_text = _text(record, "scanned")
        self.scanned = Board(
            record.tray, record.slot, record.device, Verdict.WAITING, record.mono_ms, ssid=self.scan_text
        )

    def scan_refused(self, record: Record, trouble: Trouble) -> None:
        """A scan was not taken; the board under work is not touched by that."""
        self.refused, self.scan_text = trouble, _text(record, "scanned")

    def command_scanned(self, record: Record) -> None:
        """A command was obeyed; a badge says who works here from now on."""
        self.refused, self.operator = None, record.operator or self.operator

    def scan_ended(self, record: Record, trouble: Trouble | None) -> None:
        """The station is through with what was scanned; how its visit went is told already, if there was one."""
        looked_for, self.scanned = self.scanned, None
        if record.outcome is Outcome.FAIL:
            self._say(record, _VISIT_VERDICTS.get(record.code or "", Verdict.AGAIN), trouble)
            if self.board is not None and self.board.device is None and looked_for is not None:
                self.board.ssid = looked_for.ssid

    def visit_started(self, record: Record) -> None:
        """A board is joined; nobody knows yet which."""
        self.visits += 1
        self.refused = None
        self.began_ms, self.ssid = record.mono_ms, record.ssid or ""
        self.device = self.tray = self.slot = None

    def joined(self, record: Record) -> None:
        """The adapter works."""
        self.join_faults.clear()
        seconds = record.extra.get("seconds")
        if isinstance(seconds, int | float):
            self._joins_s.append(float(seconds))

    def identified(self, record: Record) -> None:
        """It is known which board this is."""
        self.device, self.tray, self.slot = record.device, record.tray, record.slot
        if record.device is not None:
            self.aside.pop(record.device, None)
        if self.trouble is not None and self.trouble.word == "STRANGER":
            self.trouble = None  # it has been taken away

    def visit_ended(self, record: Record, trouble: Trouble | None) -> None:
        """The board has left the jig: handed over to the cloud's proof, or not."""
        began_ms, self.began_ms = self.began_ms, None
        if record.outcome is Outcome.ABORTED:
            return
        if record.outcome is Outcome.PASS:
            self._note_end(record.mono_ms)
            if began_ms is not None:
                self._visits_ms.append(record.mono_ms - began_ms)
            self._say(record, Verdict.WAITING, None)
            return
        if record.step == "joining" and record.blame in (Blame.DEVICE, Blame.STATION):
            self.join_faults.add(record.bssid or record.ssid or "")
        if self.scanned is not None:
            return  # it was only asked who it is, or is tried again: the verdict is the scan's
        self._say(record, _VISIT_VERDICTS.get(record.code or "", Verdict.AGAIN), trouble)

    def device_ended(self, record: Record, verdict: Verdict, trouble: Trouble | None) -> None:
        """One of this station's boards has its outcome."""
        self.passes += verdict is Verdict.PASS
        self.today.add(record.at.astimezone().date(), verdict)
        if record.device is not None:
            self.aside.pop(record.device, None)
            if verdict is Verdict.FAIL and trouble is not None and len(self.aside) < ASIDE_KEPT:
                self.aside[record.device] = trouble
        self._say(record, verdict, trouble)

    def taken_away(self, device: DeviceID) -> None:
        """Somebody has put it into its bin, or wants it worked again."""
        self.aside.pop(device, None)

    def _note_end(self, at_ms: int) -> None:
        """Keep what the takt of an hour is counted from: eight bytes an end."""
        ends = self._ends_ms
        over = max(bisect_left(ends, at_ms - HOUR_MS), len(ends) + 1 - _ENDS_KEPT)
        del ends[: max(0, min(over, len(ends) - 1))]
        ends.append(at_ms)

    def _say(self, record: Record, verdict: Verdict, trouble: Trouble | None) -> None:
        known = next((b for b in self.boards if b.device is not None and b.device == record.device), None)
        if known is not None:
            self.boards.remove(known)
        self.board = Board(record.tray, record.slot, record.device, verdict, record.mono_ms, trouble, record.ssid or "")
        self.boards.append(self.board)

    # --- asking ---

    def usual_visit_ms(self) -> int | None:
        """How long a visit that came to its end has taken here: the median of the last fifty."""
        return round(median(self._visits_ms)) if self._visits_ms else None

    def usual_join_s(self) -> float | None:
        """How long a join has taken here."""
        return median(self._joins_s) if self._joins_s else None

    def takt_ms(self, now_ms: int) -> tuple[int | None, int | None]:
        """Between the last two boards, and on average over the last hour."""
        if len(self._ends_ms) < 2:
            return None, None
        last = self._ends_ms[-1] - self._ends_ms[-2]
        recent = [at_ms for at_ms in self._ends_ms if at_ms >= now_ms - HOUR_MS]
        mean = round((recent[-1] - recent[0]) / (len(recent) - 1)) if len(recent) > 1 else None
        return last, mean


def _text(record: Record, key: str) -> str:
    value = record.extra.get(key)
    return value if isinstance(value, str) else ""
