"""What stands largest on a station's screen, and what the operator does with their hands. Pure.

Rule 1: one thing at a time, by this order: the run's end, a drained station, the board on the jig, the line's hold,
the board that was scanned, the last verdict, and only then "put the next board down".
Rule 2: only PASS is green. What is not proven says so, and FAIL shares neither its shape nor its tone with anything
that is still going on.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from provisioner.console.station_view import Board, StationView, Verdict
from provisioner.console.tally import Trouble
from provisioner.console.view import Screen
from provisioner.errors import Blame, SetAside
from provisioner.line.steps import Step


class Kind(enum.StrEnum):
    """What a station's screen is about. The page and the terminal have one word, shape and tone for each."""

    STARTING = "starting"
    READY = "ready"
    SEARCHING = "searching"  # a board was scanned and is looked for
    RUNNING = "running"
    WAITING = "waiting"
    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNPROVEN = "unproven"
    AGAIN = "again"
    STRANGER = "stranger"
    MISMATCH = "mismatch"
    HELD = "held"
    PAUSED = "paused"  # held by a person
    STOPPING = "stopping"
    DRAINED = "drained"
    FINISHED = "finished"


class Bin(enum.IntEnum):
    """Where a board goes. The bins of a bench have these numbers."""

    GOOD = 1
    REWORK = 2
    LATER = 3  # nothing is wrong with it that is known: keep it, it comes round again
    ASK = 4


class Led(enum.StrEnum):
    """What the board's light shows if all is well."""

    BLINKING_BLUE = "blinking_blue"  # listening mode
    BLINKING_GREEN = "blinking_green"  # looks for the factory Wi-Fi
    BLINKING_CYAN = "blinking_cyan"  # speaks to the cloud
    BREATHING_CYAN = "breathing_cyan"  # connected


# While a station holds a board, it is in listening mode; from connect-ap on it is on its way.
_LED_OF_STEP: Final = {
    **dict.fromkeys((Step.JOINING, Step.IDENTIFYING, Step.CLAIMING, Step.CONFIGURING), Led.BLINKING_BLUE),
    Step.CONNECTING: Led.BLINKING_GREEN,
}
_LED_OF_KIND: Final = {
    Kind.READY: Led.BLINKING_BLUE,
    Kind.SEARCHING: Led.BLINKING_BLUE,
    Kind.AGAIN: Led.BLINKING_BLUE,
    Kind.WAITING: Led.BLINKING_CYAN,
    Kind.PASS: Led.BREATHING_CYAN,
}
_KIND_OF: Final = {
    Verdict.PASS: Kind.PASS,
    Verdict.FAIL: Kind.FAIL,
    Verdict.UNPROVEN: Kind.UNPROVEN,
    Verdict.WAITING: Kind.WAITING,
    Verdict.AGAIN: Kind.AGAIN,
    Verdict.STRANGER: Kind.STRANGER,
    Verdict.MISMATCH: Kind.MISMATCH,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What a station's screen is about; `board` and `trouble` where there are any."""

    kind: Kind
    board: Board | None = None
    trouble: Trouble | None = None
    led: Led | None = None
    bin: Bin | None = None


def stage_of(screen: Screen, station: StationView) -> Stage:
    """What this station shows now."""
    if screen.finished is not None:
        return Stage(Kind.FINISHED)
    if station.drained is not None:
        return Stage(Kind.DRAINED, trouble=station.drained)
    if station.began_ms is not None:
        return Stage(Kind.RUNNING, led=_led_of(station.step))
    if screen.stopping or station.stopped:
        return Stage(Kind.STOPPING)
    if screen.held is not None:
        return Stage(Kind.PAUSED if screen.held_by_person else Kind.HELD, trouble=screen.held)
    if station.scanned is not None:
        return Stage(Kind.SEARCHING, station.scanned, led=Led.BLINKING_BLUE)
    board = station.board
    if board is not None and board.verdict in _KIND_OF:
        kind = _KIND_OF[board.verdict]
        return Stage(kind, board, board.trouble, _LED_OF_KIND.get(kind), bin_of(board.verdict, board.trouble))
    return Stage(Kind.STARTING if screen.opening else Kind.READY, led=Led.BLINKING_BLUE)


def bin_of(verdict: Verdict, trouble: Trouble | None) -> Bin | None:
    """Which bin a board goes into; None: it stays where it is, or with its tray."""
    if verdict is Verdict.PASS:
        return Bin.GOOD
    if verdict is Verdict.STRANGER:
        return Bin.ASK
    if verdict is Verdict.UNPROVEN:
        return Bin.LATER
    if verdict is not Verdict.FAIL:
        return None
    if trouble is None or trouble.blame == Blame.DEVICE or trouble.code == SetAside.code:
        return Bin.REWORK
    # The site's fault, or a station's: good boards are not thrown away for it.
    return Bin.ASK if trouble.blame == Blame.OPERATOR else Bin.LATER


def _led_of(step: str) -> Led:
    return _LED_OF_STEP.get(Step(step), Led.BLINKING_BLUE) if step in list(Step) else Led.BLINKING_BLUE
