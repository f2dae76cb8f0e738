"""Records and numbers as short plain sentences, for lines without a screen and for the parts of one. Pure.

Rule 1: every text that came in a record passes `safe`: no control or bidi character reaches a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from provisioner.console.stage_words import cause, words
from provisioner.console.stopped import counted
from provisioner.console.tally import OUTCOMES, Trouble, word_of
from provisioner.console.verdict import headline
from provisioner.console.view import Screen
from provisioner.errors import NotTheScannedDevice
from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome, printable

SENTENCE_CHARACTERS_MAX: Final = 300


def safe(text: str, limit: int = SENTENCE_CHARACTERS_MAX) -> str:
    """The text as it may be shown."""
    return printable(text, limit)


def where(tray: str | None, slot: int | None, device: DeviceID | None, *, short: bool = False) -> str:
    """`T-0001/17 3b00…3034`: what a person finds the board by. `short` keeps the end of the ID, as on its label."""
    place = "/".join(str(part) for part in (tray, slot) if part is not None)
    shown = f"…{device[-6:]}" if device and short else device
    return safe(" ".join(part for part in (place, shown) if part))


def because(trouble: Trouble) -> str:
    """Why, and what to do about it."""
    why = f"{trouble.code}: {trouble.detail}" if trouble.detail else trouble.code
    return " -> ".join(safe(part) for part in (why, trouble.remedy) if part)


def clock(duration_ms: float) -> str:
    """`0:12:41`."""
    return str(timedelta(seconds=max(0, round(duration_ms / 1000))))


def about(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`: as exact as it is known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def pace_words(screen: Screen, now_ms: int) -> list[str]:
    """How fast, how long still and until when; nothing as long as it would be a guess."""
    pace = screen.pace(now_ms)
    if pace.recent_per_h is None or pace.overall_per_h is None or screen.last is None:
        return []
    words = [f"{pace.recent_per_h:.0f}/h now", f"{pace.overall_per_h:.0f}/h in all"]
    if pace.left_s is not None and screen.all.open and screen.finished is None:
        end = screen.last.at + timedelta(milliseconds=now_ms - screen.last.mono_ms, seconds=pace.left_s)
        words.append(f"{about(pace.left_s)} left, until about {end.astimezone():%H:%M}")
    return words


def queue_words(screen: Screen, now_ms: int) -> list[str]:
    """What waits for its proof, and how long the oldest has; nothing if nothing does."""
    oldest, waiting = screen.proofs.oldest, len(screen.proofs.queue)
    if oldest is None:
        return []
    since_s = (now_ms - oldest.mono_ms) / 1000
    return [f"{waiting} waiting for proof", f"oldest unproven {where(oldest.tray, oldest.slot, None)} {about(since_s)}"]


def shown_as(outcome: Outcome, screen: Screen) -> str:
    """The word for an outcome; an import has proved nothing, so its PASS is IN PRODUCT."""
    return "IN PRODUCT" if screen.import_only and outcome is Outcome.PASS else word_of(outcome)


def progress(screen: Screen, now_ms: int) -> str:
    """Where the run stands, in one line."""
    counts = [f"{screen.through(screen.all).outcome(outcome)} {shown_as(outcome, screen)}" for outcome in OUTCOMES]
    stand = [*counts, f"{screen.left} of {screen.all.devices} left", *pace_words(screen, now_ms)]
    return f"{headline(screen).word}: {', '.join(stand)}"


# --- one line a record ---


def line_of(record: Record, screen: Screen) -> str | None:
    """The line that a record is worth, without its time; None for most. `screen` has seen the record."""
    say = _LINES.get(record.event)
    return say(record, screen) if say is not None else None


def _started(record: Record, screen: Screen) -> str:
    stations = ", ".join(screen.stations) or ("import only" if screen.import_only else "no station")
    resumed = f", goes on from {counted(len(screen.resumes), 'earlier run')}" if screen.resumes else ""
    what = f"{counted(screen.all.devices, 'device')}, {counted(len(screen.trays), 'tray')}, {stations}{resumed}"
    return safe(f"run {screen.run}, product {screen.product}: {what}")


def _headlined(record: Record, screen: Screen) -> str:
    head = headline(screen)
    why = " -> ".join(safe(part) for part in (head.why, head.todo) if part)
    return f"{head.word}: {why}" if why else head.word


def _passed(record: Record, screen: Screen) -> str:
    count = f"{screen.all.outcome(Outcome.PASS)} of {screen.all.devices}"
    return f"PASS {where(record.tray, record.slot, record.device)} ({count})"


def _trouble(word: str) -> Callable[[Record, Screen], str]:
    def say(record: Record, screen: Screen) -> str:
        station = f"at {safe(record.station)}" if record.station is not None else ""
        parts = (word, where(record.tray, record.slot, record.device), station)
        return f"{' '.join(part for part in parts if part)}: {because(Trouble.of(word, record))}"

    return say


def _visit_ended(record: Record, screen: Screen) -> str | None:
    return _trouble("visit failed")(record, screen) if record.outcome is Outcome.FAIL else None


def _scan_taken(record: Record, screen: Screen) -> str:
    who = f" for {safe(record.operator)}" if record.operator else ""
    what = where(record.tray, record.slot, record.device) or safe(str(record.extra.get("scanned", "")))
    return f"{words('stage.searching')} {what} at {safe(record.station or '')}{who}: {words('todo.searching')}"


def _scan_refused(record: Record, screen: Screen) -> str:
    at = f" at {safe(record.station)}" if record.station else ""
    return f"SCAN NOT TAKEN{at}: {because(Trouble.of('SCAN', record))}"


def _scan_ended(record: Record, screen: Screen) -> str:
    if record.outcome is Outcome.PASS:
        return f"{words('stage.waiting')} {where(record.tray, record.slot, record.device)}: {words('next.scan')}"
    word = words("stage.mismatch") if record.code == NotTheScannedDevice.code else "SCAN FAILED"
    return _trouble(word)(record, screen)


def _command_scanned(record: Record, screen: Screen) -> str:
    who = f" {safe(record.operator)}" if record.operator else ""
    return f"{cause(record.code or '').upper()}{who}"


_LINES: Final[Mapping[str, Callable[[Record, Screen], str | None]]] = {
    "run.started": _started,
    "run.finished": _headlined,
    "line.held": _headlined,
    "run.stopping": _headlined,
    "line.released": _headlined,
    "device.confirmed": _passed,
    "device.failed": _trouble("FAIL"),
    "device.refused": _trouble("FAIL"),
    "device.unknown": _trouble("UNPROVEN"),
    "device.skipped": _trouble("SKIPPED"),
    "visit.ended": _visit_ended,
    "stranger.seen": _trouble("STRANGER"),
    "station.drained": _trouble("STATION DRAINED"),
    "import.refused": _trouble("import refused"),
    "scan.taken": _scan_taken,
    "scan.refused": _scan_refused,
    "scan.ended": _scan_ended,
    "command.scanned": _command_scanned,
    "scanner.lost": _trouble("SCANNER LOST"),
    "scanner.found": lambda record, screen: f"the scanner {safe(str(record.extra.get('source', '')))} is there",
    "journal.copy_left_out": lambda record, screen: safe(f"{record.detail}: it is left out"),
    "journal.end_doubted": lambda record, screen: safe(f"{record.detail}. {record.remedy}", 600),
    "journal.torn_tail_cut": lambda record, screen: "an unfinished record at the end of an earlier run was cut off",
}
