"""Reads journals back: record by record, checking the chain as it goes. Never holds a whole file.

Rule 1: a torn last line is what a crash leaves; it was never acknowledged, so it is left out, and said. Anything
else that does not verify is refused by line number: nobody may rely on a journal that was changed.
Rule 2: reading changes nothing; only `settle` does, and its caller holds the lock of the runs folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from provisioner.errors import JournalCorrupt, JournalCut, JournalError, JournalTooNew, JournalWriteFailed
from provisioner.journal.disk import REAL_DISK, Disk, disk_of, require_all
from provisioner.journal.fields import GENESIS, Record
from provisioner.journal.head import HEAD_KEY, HEAD_NAME, LINE_BYTES, End, Head, KeptHead, compare
from provisioner.journal.records import LINE_BYTES_MAX, NotARecord, decode, is_torn
from provisioner.journal.writer import JOURNAL_NAME
from provisioner.model import printable

_STAMPED = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a whole journal turned out to be. `head_hash` is the last record's; compare it with one kept elsewhere.

    `torn_bytes` is the size of an unfinished last line (0: none); the times are None when there is no record. `end`
    is what the head that is kept beside the journal says about it, `kept` that head.
    """

    path: Path
    records: int
    torn_bytes: int
    head_hash: str
    first_at: datetime | None
    last_at: datetime | None
    end: End
    kept: Head | None

    @property
    def doubt(self) -> str:
        """Why this is not the end that the journal had; empty if nothing speaks against it."""
        told = f"{self.kept.records} records were written" if self.kept else ""
        doubts = {
            End.CUT: f"it has {self.records} records, and its head says that {told}: the end was cut off, or the disk "
            "lost what it had confirmed",
            End.REPLACED: f"its head was kept of another chain of records ({told}): the end was replaced",
            End.HEAD_MISSING: f"the head that was kept beside it ({HEAD_NAME}) is gone: its end cannot be checked",
            End.HEAD_UNREADABLE: f"the head kept beside it ({HEAD_NAME}) cannot be read: its end cannot be checked",
        }
        return f"{self.path}: {doubts[self.end]}" if self.end in doubts else ""

    @property
    def note(self) -> str:
        """What else is to say about the end; empty if it is whole."""
        if self.end is End.NOT_KEPT:
            return "An older program wrote it and kept no head: a cut-off end would not be noticed."
        if self.end is End.BEHIND and self.kept is not None:
            return f"Its head was written at {self.kept.records} records: it still runs, or a crash ended it."
        return ""

    def require_whole(self) -> None:
        """Raise JournalCut if the end of the journal is not the one that its head was kept of."""
        if self.doubt:
            raise JournalCut(self.doubt)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where reading has come to: behind so many bytes and records, whose last one has that hash."""

    bytes: int = 0
    records: int = 0
    head_hash: str = GENESIS


class Replay(Iterator[Record]):
    """One pass over a journal, from `start` on. When it has ended, `torn_bytes` is the size of the unfinished last
    line, 0 if none. `bytes` is where the last record given out began, `end` where it ended."""

    def __init__(self, path: Path, start: Mark = Mark()) -> None:
        self.path = path
        self.records = start.records
        self.torn_bytes = 0
        self.head_hash = start.head_hash
        self.bytes = self.end = start.bytes
        self._run: str | None = None
        self._lines = self._walk()

    @property
    def mark(self) -> Mark:
        """Where a later pass can go on."""
        return Mark(self.end, self.records, self.head_hash)

    def __next__(self) -> Record:
        return next(self._lines)

    def close(self) -> None:
        """Close the file without reading to its end."""
        self._lines.close()

    def _walk(self) -> Generator[Record, None, None]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.end)
                line = file.readline(LINE_BYTES_MAX + 1)
                while line:
                    following = file.readline(LINE_BYTES_MAX + 1)
                    if not following and len(line) <= LINE_BYTES_MAX and is_torn(line):
                        self.torn_bytes = len(line)
                        return
                    record = self._record(line)
                    self.bytes, self.end = self.end, self.end + len(line)
                    yield record
                    line = following
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be read: {error.strerror or error}",
                remedy="Check the name of the run (`provisioner status`) and your right to read the runs folder.",
            ) from error

    def _record(self, line: bytes) -> Record:
        place = f"{self.path}:{self.records + 1}"
        try:
            record = decode(line)
        except NotARecord as error:
            raise JournalCorrupt(f"{place}: {error}") from None
        except JournalTooNew as error:
            raise JournalTooNew(f"{place}: {error.detail}") from None
        if not line.endswith(b"\n"):
            raise JournalCorrupt(f"{place}: the line does not end")
        if record.prev != self.head_hash:
            raise JournalCorrupt(f"{place}: 'prev' is not the hash of the record before: one was changed or is missing")
        if record.seq != self.records:
            raise JournalCorrupt(f"{place}: 'seq' is {record.seq}, but this is record {self.records} (from 0)")
        if record.run != (self._run or record.run):
            raise JournalCorrupt(f"{place}: the record is of another run")
        self._run = record.run
        self.records += 1
        self.head_hash = record.hash
        return record


def replay(path: Path, start: Mark = Mark()) -> Replay:
    """Iterate over a journal's records, each checked against the chain before it is given out.

    Raises JournalCorrupt naming the line and what is wrong, JournalTooNew, JournalError when it cannot be read.
    """
    return Replay(path, start)


def verify(path: Path, *, see: Callable[[Record], None] = lambda _: None) -> Verification:
    """Check a whole journal, and compare its end with the head kept beside it (`require_whole`). Raises as `replay`.

    Each record goes to `see` as soon as it has been checked, so that one pass is enough for whoever folds it.
    """
    kept = KeptHead.beside(path)  # before the records: a run that still writes only adds some
    place = kept.head.records if kept.head else None
    hash_there = GENESIS if place == 0 else None
    pass_over = replay(path)
    first: Record | None = None
    last_at = None
    for record in pass_over:
        first, last_at = first or record, record.at
        if pass_over.records == place:
            hash_there = record.hash
        see(record)
    says_kept = first is not None and HEAD_KEY in first.extra
    return Verification(
        path,
        pass_over.records,
        pass_over.torn_bytes,
        pass_over.head_hash,
        first.at if first else None,
        last_at,
        compare(kept, records=pass_over.records, hash_there=hash_there, says_kept=says_kept),
        kept.head,
    )


def require_in_chain(path: Path, head_hash: str) -> None:
    """Raise JournalCut if no record of this journal has that hash, which was its head when a report was made."""
    wanted = head_hash.strip().lower()
    if wanted != GENESIS and not any(record.hash == wanted for record in replay(path)):
        raise JournalCut(
            f"{path}: no record has the hash {printable(wanted)}: the end was cut off or replaced since that head was "
            "kept, or it is another run's"
        )


def settle(path: Path, disk: Disk = REAL_DISK, *, see: Callable[[Record], None] = lambda _: None) -> Verification:
    """After a crash: cut an unfinished last line off, and bring the head up to the journal. Says what was found.

    Each record goes to `see`, as with `verify`.

    The caller holds the runs folder's lock. Raises as `replay` does (a corrupt journal is not touched), and
    JournalWriteFailed. A head that is ahead, or cannot be read, is left as it is: it is evidence.
    """
    found = verify(path, see=see)
    try:
        if found.torn_bytes:
            with _opened(path, disk) as descriptor:
                disk.truncate(descriptor, os.fstat(descriptor).st_size - found.torn_bytes)
                disk.sync(descriptor)
        if found.end is End.BEHIND:
            with _opened(path.with_name(HEAD_NAME), disk) as descriptor:
                mark = Head(found.records, found.head_hash).line()
                require_all(disk.write_at(descriptor, mark, LINE_BYTES), mark)
                disk.sync(descriptor)
    except OSError as error:
        raise JournalWriteFailed(
            f"{path} cannot be repaired: {error.strerror or error} ({disk_of(path)}); nothing was begun"
        ) from error
    return found


@contextmanager
def _opened(path: Path, disk: Disk) -> Iterator[int]:
    descriptor = disk.open_existing(path)
    try:
        yield descriptor
    finally:
        disk.close(descriptor)


# --- which runs there are ---


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on the disk; `path` is its folder, `journal` its journal."""

    id: str
    path: Path

    @property
    def journal(self) -> Path:
        """The run's journal."""
        return self.path / JOURNAL_NAME


def runs(runs_dir: Path) -> list[RunFolder]:
    """All runs that have a journal, oldest first; none when there is no such folder. Raises JournalError."""
    try:
        found = [
            RunFolder(entry.name, Path(entry.path))
            for entry in os.scandir(runs_dir)
            if entry.is_dir() and (Path(entry.path) / JOURNAL_NAME).is_file()
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{runs_dir} cannot be read: {error.strerror or error}") from error
    found.sort(key=lambda run: run.id)
    ordered: list[RunFolder] = []
    for _, same_second in groupby(found, key=lambda run: began_in(run.id)):
        tied = list(same_second)
        # Two runs can begin in one second (an import with nothing to do), and then the dice do not sort by time.
        ordered += sorted(tied, key=_began) if len(tied) > 1 else tied
    return ordered


def newest(runs_dir: Path) -> RunFolder | None:
    """The run that began last, if there is one."""
    return next(reversed(runs(runs_dir)), None)


def newest_shift(runs_dir: Path) -> RunFolder | None:
    """The run that worked a manifest last: a night's repairs and a `restore` are no shifts."""
    return next((run for run in reversed(runs(runs_dir)) if is_shift(run)), None)


def is_shift(run: RunFolder) -> bool:
    """Whether it worked a manifest; so does one whose first record cannot be read: whoever reads it is told why."""
    try:
        first = _first(run)
    except JournalError:
        return True
    return first is not None and first.extra.get("command") not in ("reconcile", "restore")


def began_in(run_id: str) -> str:
    """The second in which a run of that name began, as text that sorts by time."""
    stamped = _STAMPED.fullmatch(run_id)
    return stamped.group(1) if stamped else run_id


def _began(run: RunFolder) -> tuple[str, str]:
    try:
        first = _first(run)
    except JournalError:
        first = None  # listing runs must not fail on one of them; whoever reads it will be told
    return (first.at.isoformat(timespec="milliseconds") if first else "", run.id)


def _first(run: RunFolder) -> Record | None:
    with closing(replay(run.journal)) as records:
        return next(records, None)
