"""The nouns of the screen: states and their counts, a trouble, a pace. Pure; `view.py` fills them in."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome


class State(enum.StrEnum):
    """Where one device stands, in the progress words."""

    LISTED = "listed"
    IMPORTED = "imported"
    WORKING = "working"
    CONNECTING = "connecting"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


OUTCOME_OF: Final[Mapping[State, Outcome]] = {
    State.CONFIRMED: Outcome.PASS,
    State.FAILED: Outcome.FAIL,
    State.REFUSED: Outcome.FAIL,
    State.UNKNOWN: Outcome.UNKNOWN,
    State.SKIPPED: Outcome.SKIPPED,
}
STATE_OF: Final[Mapping[Outcome, State]] = {
    Outcome.PASS: State.CONFIRMED,
    Outcome.FAIL: State.FAILED,
    Outcome.UNKNOWN: State.UNKNOWN,
    Outcome.SKIPPED: State.SKIPPED,
}
OUTCOMES: Final = tuple(STATE_OF)  # the four a device can end with, in the order people see them
_WORDS: Final = {Outcome.UNKNOWN: "UNPROVEN"}  # the journal's word would sound like a fault of ours


def word_of(outcome: Outcome) -> str:
    """The word people see: PASS, FAIL, UNPROVEN, SKIPPED, ABORTED."""
    return _WORDS.get(outcome, outcome.value.upper())


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong and what to do about it. `word` is FAIL, UNPROVEN, SKIPPED, DRAINED,
    HELD, STRANGER, or AGAIN for a visit that failed while the device may still come round."""

    word: str
    at: datetime
    mono_ms: int
    station: str | None
    tray: str | None
    slot: int | None
    device: DeviceID | None
    code: str
    blame: str
    remedy: str
    detail: str

    @classmethod
    def of(cls, word: str, record: Record) -> Trouble:
        """What a record says about it; what it does not say is empty."""
        return cls(
            word,
            record.at,
            record.mono_ms,
            record.station,
            record.tray,
            record.slot,
            record.device,
            record.code or "",
            record.blame.value if record.blame else "",
            record.remedy or "",
            record.detail or "",
        )


@dataclass(slots=True)
class Tally:
    """How many devices there are, by the manifest, and how many stand where: one tray's, or all. They sum up."""

    name: str
    devices: int = 0
    states: Counter[State] = field(default_factory=Counter)

    def outcome(self, outcome: Outcome) -> int:
        """How many devices ended so."""
        return sum(self.states[state] for state, meaning in OUTCOME_OF.items() if meaning is outcome)

    def move(self, old: State, new: State) -> None:
        """Count one device over from `old` to `new`."""
        self.states[old] -= 1
        self.states[new] += 1

    @property
    def open(self) -> int:
        """How many devices have no outcome yet."""
        return self.devices - sum(self.states[state] for state in OUTCOME_OF)


@dataclass(frozen=True, slots=True)
class Pace:
    """Confirmed devices per hour over the last ten minutes and over the run, and how long the rest will take.

    None is "not known yet".
    """

    recent_per_h: float | None
    overall_per_h: float | None
    left_s: float | None
