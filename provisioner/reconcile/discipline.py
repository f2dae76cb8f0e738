"""What makes an unattended night safe: one at a time, a sign of life, and every finding in a file.

Rule 1: an flock on `runs/reconcile.lock`; the kernel frees it however the process ends.
Rule 2: the heartbeat file is written at the start and at the end, whole or not at all. "It did not run" is a heartbeat
that is too old; "it half ran" is one that began and has not ended.
Rule 3: text from outside is neutralised before a spreadsheet sees it.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from provisioner import portable
from provisioner.errors import ReconcileRunning, RunsFolderUnusable
from provisioner.journal.fields import JSON
from provisioner.model import harmless, harmless_json
from provisioner.reconcile.classes import Class, Standing
from provisioner.reconcile.reconciler import Found

LOCK_NAME = "reconcile.lock"
HEARTBEAT_NAME = "reconcile.json"
FINDINGS_NAME = "reconcile.csv"
COLUMNS = ("device", "class", "sentence", "action", "manifest", "tray", "slot", "outcome", "code", "run", "since",
           "owner", "wanted_owner")  # fmt: skip
# What a spreadsheet may take for a formula, at the start of a cell; in some countries a semicolon ends one.
_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")


@contextmanager
def one_at_a_time(runs_dir: Path) -> Iterator[None]:
    """Hold the lock for the block. Raises ReconcileRunning, RunsFolderUnusable."""
    path = runs_dir / LOCK_NAME
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | portable.PRIVATE | portable.NO_LINK, 0o640)
    except OSError as error:
        raise RunsFolderUnusable(f"{path} cannot be used: {error.strerror or error}") from error
    try:
        try:
            portable.lock(lock)
        except BlockingIOError:
            raise ReconcileRunning(f"another `provisioner reconcile` works in {runs_dir}") from None
        yield
    finally:
        os.close(lock)


def beat(runs_dir: Path, said: Mapping[str, JSON]) -> None:
    """Write the heartbeat."""
    new = runs_dir / f"{HEARTBEAT_NAME}.new"
    with new.open("w", encoding="utf-8") as file:
        file.write(harmless_json(json.dumps(said, ensure_ascii=False)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(runs_dir / HEARTBEAT_NAME)


def last_beat(runs_dir: Path) -> Mapping[str, JSON] | None:
    """The heartbeat of the last night, or None where there is none that can be read: its `began` is a UTC time."""
    try:
        said = json.loads((runs_dir / HEARTBEAT_NAME).read_bytes())
        began = datetime.fromisoformat(said["began"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return said if isinstance(said, dict) and began.tzinfo is not None else None


class Findings:
    """Every device that is not well, one row each, in a file that replaces the last night's when it is complete."""

    def __init__(self, runs_dir: Path) -> None:
        self.path = runs_dir / FINDINGS_NAME
        self._new = self.path.with_name(f"{FINDINGS_NAME}.new")
        self._file: IO[str] = self._new.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def note(self, found: Found) -> None:
        """Write one device down, unless all is well with it."""
        if found.kind.meaning.standing is Standing.GOOD:
            return
        self._rows.writerow(neutral(str("" if value is None else value)) for value in row_of_finding(found))

    def close(self, *, complete: bool) -> None:
        """Keep the file; a partial walk leaves the last night's where it is."""
        self._file.close()
        if complete:
            self._new.replace(self.path)
        else:
            self._new.unlink(missing_ok=True)


def row_of_finding(found: Found) -> tuple[object, ...]:
    """A device in the order of `COLUMNS`."""
    listed, facts, seen = found.listed, found.facts, found.seen
    meaning = found.kind.meaning
    return (
        found.device,
        found.kind.value,
        meaning.sentence,
        meaning.action,
        listed.manifest if listed else None,
        (listed.tray if listed else None) or (facts.tray if facts else None),
        listed.slot if listed else facts.slot if facts else None,
        facts.outcome if facts else None,
        facts.code if facts else None,
        facts.run if facts else None,
        facts.at.isoformat(timespec="seconds") if facts and facts.at else None,
        seen.owner if seen else None,
        listed.owner if listed else None,
    )


def neutral(text: str) -> str:
    """Text that no spreadsheet takes for a formula and no terminal for a command: a cell of every table we write."""
    return _FORMULA.sub(r"\1\2'", harmless(text).replace("\n", "\\n"))


def words_of(kind: Class) -> str:
    """A class as people read it."""
    return kind.value.replace("_", " ")
