"""The one hand that writes a run's journal: append, sync, then tell.

Rule 1: one writer. An exclusive flock on `runs/lock` is held for the whole run; the kernel frees it when the process
dies, however it dies, so a crash never leaves a lock behind.
Rule 2: `append` returns only when the whole line is on the disk. It has no checkpoint (STYLE R8), and Ctrl-C is kept
out of it: neither can fall between an act and its record.
Rule 3: after a write or a sync that did not succeed the journal is broken for good. A second fsync after a failed one
may say "fine" about pages the kernel has already thrown away, so it is never asked (facts: reliability 2.1, F4).
Whoever asked to be told (`when_broken`) is told at once, so that nobody goes on while one task cleans up.
"""

from __future__ import annotations

import errno
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Unpack

import trio

from provisioner.errors import JournalLocked, JournalWriteFailed, RunsFolderUnusable
from provisioner.journal.disk import REAL_DISK, Disk, disk_of, require_all
from provisioner.journal.fields import GENESIS, Fields, Record
from provisioner.journal.head import HEAD_KEY, HEAD_NAME, LINE_BYTES, Head, born
from provisioner.journal.records import compose
from provisioner.model import printable

JOURNAL_NAME: Final = "journal.jsonl"
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{4})")
_HOLDER_BYTES_MAX = 400

Listener = Callable[[Record], None]


def new_run_id(now: datetime, dice: random.Random) -> str:
    """`20261120T231600Z-4f2a`: sorts by time; the dice keep two computers that share a backup apart."""
    return f"{now.astimezone(UTC):{_STAMP}}-{dice.getrandbits(16):04x}"


class Journal:
    """A run's journal, open for appending. Made by `open_journal`.

    `run_id` and `path` say which; `seq` and `head` are the number of records and the hash of the last one. They are
    kept beside the journal (`head.py`): so it can be told that the end of the file was cut off.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        run_id: str,
        *,
        head_descriptor: int,
        wall: Callable[[], datetime],
        mono: Callable[[], float],
        disk: Disk,
    ) -> None:
        self.run_id = run_id
        self.path = path
        self.seq = 0
        self.head = GENESIS
        self._descriptor = descriptor
        self._head_descriptor = head_descriptor
        self._wall = wall
        self._mono = mono
        self._opened_s = mono()
        self._disk = disk
        self._broken = ""
        self._remedy: str | None = None
        self._telling = False
        self._listeners: list[Listener] = []
        self._when_broken: list[Callable[[], None]] = []

    def mono_ms(self) -> int:
        """Milliseconds since the journal was opened, by the clock that the records have."""
        return round((self._mono() - self._opened_s) * 1000)

    @trio.lowlevel.enable_ki_protection
    def append(self, event: str, **fields: Unpack[Fields]) -> Record:
        """Write one record, and return it when it is on the disk and every listener has seen it.

        Raises ValueError for fields that break the schema or hold a secret (our bug; nothing is written), and
        JournalWriteFailed when the disk did not take it, and from then on always.
        """
        if self._broken:
            raise self._failure()
        if self._telling:
            raise RuntimeError("a listener must not append: it would make other listeners see records out of order")
        at, mono_ms = self._wall(), self.mono_ms()
        whole = fields if self.seq else {**fields, HEAD_KEY: HEAD_NAME}
        record, line = compose(event, whole, seq=self.seq, at=at, mono_ms=mono_ms, run=self.run_id, prev=self.head)
        self._write(line, Head(self.seq + 1, record.hash))
        self.seq += 1
        self.head = record.hash
        self._telling = True
        try:
            for listener in self._listeners:
                listener(record)
        finally:
            self._telling = False
        return record

    def bound(self, **defaults: Unpack[Fields]) -> Scribe:
        """Return a journal that fills these fields in by itself: a station's, or a visit's."""
        return Scribe(self, defaults)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every later record, after it is on the disk. It must be quick and must not append.

        What it raises goes to whoever appended: a broken listener is our bug and stops the run.
        """
        self._listeners.append(listener)

    def when_broken(self, act: Callable[[], None]) -> None:
        """Do this, which must be quick, when a record does not get onto the disk: nothing may be done any more."""
        self._when_broken.append(act)

    def close(self) -> None:
        """Make the head durable, too. Raises JournalWriteFailed; a journal that is broken is left as it is."""
        if not self._broken:
            with self._breaking():
                self._disk.sync_data(self._head_descriptor)

    def _write(self, line: bytes, head: Head) -> None:
        """The record, safely; and then, as quick as it goes, how far the journal has come."""
        with self._breaking():
            require_all(self._disk.write(self._descriptor, line), line)
            self._disk.sync_data(self._descriptor)
            mark = head.line()
            require_all(self._disk.write_at(self._head_descriptor, mark, LINE_BYTES), mark)

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        """What does not come to its end in here breaks the journal for good."""
        self._broken = "an earlier write did not come to its end"  # true until this one has
        try:
            yield
        except OSError as error:
            self._broken, self._remedy = error.strerror or str(error), _REMEDIES.get(error.errno or 0)
            for act in self._when_broken:
                act()
            raise self._failure() from error
        self._broken = ""

    def _failure(self) -> JournalWriteFailed:
        detail = f"{self.path} cannot be written: {self._broken} ({disk_of(self.path)}); the line stops here"
        return JournalWriteFailed(detail, remedy=self._remedy)


_ELSEWHERE = (
    "Copy the runs folder to another disk, name it with --runs-dir, then run the same command again: what is proven "
    "stays so."
)
_REMEDIES = {
    errno.ENOSPC: "Free some space on that disk, then run the same command again: nothing is lost.",
    errno.EDQUOT: "Free some of this account's space on that disk, then run the same command again: nothing is lost.",
    errno.EFBIG: "Lift this account's limit on the size of files (`ulimit -f`), then run the same command again.",
    errno.EROFS: f"That disk is mounted read-only; a system does so to one that fails. {_ELSEWHERE}",
    errno.EIO: f"That disk fails: no other program can rely on it either. {_ELSEWHERE}",
}


class Scribe:
    """A journal with some fields already filled in; fields given to `append` win over them."""

    __slots__ = ("_defaults", "_journal")

    def __init__(self, journal: Journal, defaults: Fields) -> None:
        self._journal = journal
        self._defaults = defaults

    @trio.lowlevel.enable_ki_protection
    def append(self, event: str, **fields: Unpack[Fields]) -> Record:
        """As `Journal.append`."""
        together: Fields = {**self._defaults, **fields}
        return self._journal.append(event, **together)

    def bound(self, **defaults: Unpack[Fields]) -> Scribe:
        """Return one with more fields filled in."""
        return Scribe(self._journal, {**self._defaults, **defaults})


# --- opening ---


@contextmanager
def open_journal(
    runs_dir: Path,
    run_id: str,
    *,
    wall: Callable[[], datetime],
    mono: Callable[[], float],
    disk: Disk = REAL_DISK,
    operator: str | None = None,
) -> Iterator[Journal]:
    """Lock the runs folder, create `runs_dir/run_id/journal.jsonl` and yield the Journal of that file.

    `wall` gives an aware time, `mono` seconds of a clock that is never set. Only tests and virtual time have a reason
    to hand in another `disk`. `operator` is named to whoever finds the folder in use. A run ID that would not sort
    after all that are there gets a later second (`Journal.run_id`): whoever reads the runs reads them in their order.

    Raises RunsFolderUnusable when nothing could be recorded there, JournalLocked when another process works in it.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run ID: {printable(run_id)!r}")
    with _held_lock(runs_dir, _Holder(run_id, operator, wall), disk):
        run_id = _after_all(runs_dir, run_id)
        path = runs_dir / run_id / JOURNAL_NAME
        with ExitStack() as stack:
            with _folder_refused(runs_dir):
                disk.make_folder(path.parent)
                # The head is safe before there is a journal: a crash in between leaves no journal with a torn head.
                head_descriptor = _new_head(path.with_name(HEAD_NAME), disk)
                stack.callback(disk.close, head_descriptor)
                descriptor = disk.open_new(path)
                stack.callback(disk.close, descriptor)
                disk.sync(descriptor)
                for folder in (path.parent, runs_dir):  # a file is only safe when its name is, and so its folder's
                    disk.sync_folder(folder)
            journal = Journal(
                descriptor, path, run_id, head_descriptor=head_descriptor, wall=wall, mono=mono, disk=disk
            )
            yield journal
            journal.close()  # only after a clean end: it must not hide what ended the run


def _new_head(path: Path, disk: Disk) -> int:
    """Write the head of a journal without records, and open it to be written over."""
    new = disk.open_new(path)
    try:
        require_all(disk.write(new, born()), born())
        disk.sync(new)
    finally:
        disk.close(new)
    return disk.open_existing(path)  # what was opened for appending cannot be written over


def _after_all(runs_dir: Path, run_id: str) -> str:
    """This run ID, or one of a later second if a run that is there would sort behind it: a clock that was set back (or
    stood ahead for a day) must not make an old run the last word on a device."""
    with _folder_refused(runs_dir):
        stamps = [found[1] for name in os.listdir(runs_dir) if (found := _STAMPED.fullmatch(name))]
    own = _STAMPED.fullmatch(run_id)
    last = max(stamps, default="")
    if own is None or own[1] > last:
        return run_id
    try:
        later = datetime.strptime(last, _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):  # somebody made a folder of that name
        return run_id
    return f"{later:{_STAMP}}-{own[2]}"


@dataclass(frozen=True)
class _Holder:
    """Who holds the runs folder, for whoever wants it too and has to find him: perhaps on another computer."""

    run_id: str
    operator: str | None
    wall: Callable[[], datetime]

    def __str__(self) -> str:
        who = f", operator {printable(self.operator, 64)}" if self.operator else ""
        where = f"process {os.getpid()} on {printable(socket.gethostname(), 64)}"
        return f"{where}{who}, run {self.run_id}, since {self.wall().isoformat(timespec='seconds')}"


@contextmanager
def _held_lock(runs_dir: Path, holder: _Holder, disk: Disk) -> Iterator[None]:
    """Hold `runs_dir/lock`. The file stays when the lock goes: deleting it could give two processes a lock each."""
    with _folder_refused(runs_dir):
        whole = runs_dir.absolute()
        missing = [folder for folder in (whole, *whole.parents) if not folder.exists()]
        for folder in reversed(missing):
            disk.make_folder(folder)
            disk.sync_folder(folder.parent)
        lock = disk.open_lock(runs_dir / "lock")
    try:
        with _folder_refused(runs_dir):
            try:
                disk.lock(lock)
            except BlockingIOError:
                raise JournalLocked(f"{runs_dir} is in use by {_holder(lock, disk)}") from None
            disk.truncate(lock, 0)
            disk.write_at(lock, f"{holder}\n".encode(), 0)
        yield
    finally:
        disk.close(lock)  # which also lets go of the lock


def _holder(lock: int, disk: Disk) -> str:
    text = disk.read_at(lock, _HOLDER_BYTES_MAX, 0).decode(errors="replace").strip()
    return printable(text, _HOLDER_BYTES_MAX) or "another process"


@contextmanager
def _folder_refused(runs_dir: Path) -> Iterator[None]:
    """Turn what the system says about the runs folder into RunsFolderUnusable."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        raise RunsFolderUnusable(
            f"the runs folder {runs_dir} cannot be used: {what}{f' ({error.filename})' if error.filename else ''}",
            remedy="Give this account the right to write there, free some space, or name another folder on a local "
            "disk with --runs-dir.",
        ) from error
