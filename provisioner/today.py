"""What each station has come to today before this run: for the figure that an operator looks at, and nothing else.

Rule 1: a run that ended has its day's figures in its last record, those of earlier runs included; only the journal of
one that did not end is read whole.
Rule 2: it is a figure: a journal that cannot be read counts nothing, and stops nobody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from provisioner.console.view import Screen
from provisioner.errors import JournalError
from provisioner.journal.fields import Record
from provisioner.journal.reader import RunFolder, is_shift, replay, runs
from provisioner.journal.records import NotARecord, decode

_TAIL_BYTES = 64 * 1024  # the last record names every station; a thousand of them fit


def counted_today(runs_dir: Path, run_id: str, now: datetime) -> dict[str, list[int]]:
    """By station: PASS, FAIL, not proven, of the shifts that ended or broke off today."""
    last = next((run for run in reversed(runs(runs_dir)) if run.id != run_id and is_shift(run)), None)
    if last is None:
        return {}
    with suppress(JournalError, OSError):
        ended = _last_record(last)
        if ended is not None and ended.event == "run.finished":
            told = ended.extra.get("today")
            same_day = ended.at.astimezone().date() == now.astimezone().date()
            return _rows(told) if same_day and isinstance(told, dict) else {}
        return today_of(_folded(last), now)
    return {}


def today_of(screen: Screen, now: datetime) -> dict[str, list[int]]:
    """The figures of today that a screen holds."""
    day = now.astimezone().date()
    return {
        name: station.today.as_row()
        for name, station in screen.stations.items()
        if station.today.day == day and any(station.today.as_row())
    }


def _rows(told: Mapping[str, object]) -> dict[str, list[int]]:
    return {name: list(row) for name, row in told.items() if isinstance(row, list)}


def _folded(run: RunFolder) -> Screen:
    screen = Screen()
    with closing(replay(run.journal)) as records:
        for record in records:
            screen.see(record)
    return screen


def _last_record(run: RunFolder) -> Record | None:
    with run.journal.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        lines = file.read().splitlines()
    try:
        return decode(lines[-1]) if lines else None
    except NotARecord:
        return None
