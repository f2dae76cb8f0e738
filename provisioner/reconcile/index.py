"""One sqlite file beside the journals: what they say of each device, and where each record about it stands.

Rule 1: the journals are the truth and this file is only quick: it is built from them, goes on where it stopped, and
is thrown away and built again when a journal it has read is shorter, changed or gone, or when it is of another version.
Rule 2: a journal that fails its hash chain is read up to the bad record; all devices in it are in doubt until a later
journal proves them. One of a newer schema is refused: nothing may be guessed from it.
Rule 3: bounded memory: facts are folded in parts of `PART` records.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from pathlib import Path

from provisioner.errors import JournalCorrupt, RunsFolderUnusable
from provisioner.journal.fields import GENESIS, Record
from provisioner.journal.head import KeptHead
from provisioner.journal.reader import Mark, Replay, RunFolder, replay, runs
from provisioner.model import Outcome, printable
from provisioner.reconcile.facts import TELLS, Facts

INDEX_NAME = "index.sqlite"
VERSION = "2"  # 2: whether a device may have stored the factory Wi-Fi
PART = 200_000  # records between two writes
_BATCH = 500  # devices in one question; sqlite's own limit is 32,766
_NO_DAMAGE = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip
_TIMES = ("at", "handshake_at", "handshake_before", "cloud_from")
_COLUMNS = tuple(field.name for field in fields(Facts))
_VALUES = attrgetter(*_COLUMNS)
_SCHEMA = f"""
CREATE TABLE meta (version TEXT NOT NULL);
CREATE TABLE journals (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, records INTEGER NOT NULL,
    head TEXT NOT NULL, changed_ns INTEGER NOT NULL, started TEXT NOT NULL, trouble TEXT NOT NULL);
CREATE TABLE facts (
    device TEXT PRIMARY KEY, product TEXT NOT NULL, {", ".join(_COLUMNS)}) WITHOUT ROWID;
CREATE TABLE places (
    device TEXT NOT NULL, journal INTEGER NOT NULL, offsets TEXT NOT NULL,
    PRIMARY KEY (device, journal, offsets)) WITHOUT ROWID;
CREATE TABLE slots (tray TEXT NOT NULL, slot INTEGER NOT NULL, device TEXT NOT NULL,
    PRIMARY KEY (tray, slot, device)) WITHOUT ROWID;
CREATE TABLE serials (serial TEXT NOT NULL, device TEXT NOT NULL, PRIMARY KEY (serial, device)) WITHOUT ROWID;
CREATE TABLE files (manifest TEXT PRIMARY KEY, sha256 TEXT NOT NULL, product TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE listed (
    product TEXT NOT NULL, device TEXT NOT NULL, manifest TEXT NOT NULL, tray TEXT NOT NULL, slot INTEGER NOT NULL,
    serial TEXT, claim TEXT NOT NULL, owner TEXT, needs_visit INTEGER NOT NULL, takeover INTEGER NOT NULL,
    PRIMARY KEY (product, device, manifest)) WITHOUT ROWID;
CREATE INDEX listed_devices ON listed (device);
CREATE INDEX listed_manifests ON listed (manifest);
"""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One journal as the index knows it. `trouble` says what is wrong with it, empty if nothing."""

    run: str
    mark: Mark
    changed_ns: int
    started: dict[str, object]
    trouble: str


class Index:
    """The open index of one runs folder. Made by `open_index`."""

    def __init__(self, database: sqlite3.Connection, runs_dir: Path) -> None:
        self.database = database
        self.runs_dir = runs_dir
        self.doubled: list[str] = []  # folders that hold another run's journal
        self.cut: list[str] = []  # journals whose end is missing, as a sentence each
        self.records_read = 0

    # --- taking in ---

    def refresh(self) -> None:
        """Read what is new in the journals. Raises JournalTooNew, and JournalError for one that cannot be read."""
        folders = self._folders()
        heads = {run: KeptHead.beside(folder.journal).head for run, folder in folders.items()}  # before the records
        known = {row.run: row for row in self.journals()}
        if any(_is_another(known[run], folders.get(run)) for run in known):
            self._empty()
            known = {}
        for folder in folders.values():
            row = known.get(folder.id)
            if row is None or (not row.trouble and row.mark.bytes < folder.journal.stat().st_size):
                self._take_in(folder, row)
        self.cut = [
            f"{folders[row.run].journal} has {row.mark.records} records, and its head says that {head.records} were "
            "written: the end was cut off, or the disk lost what it had confirmed"
            for row in self.journals()
            if not row.trouble and (head := heads[row.run]) is not None and head.records > row.mark.records
        ]

    def _folders(self) -> dict[str, RunFolder]:
        """The runs to read; a folder whose journal is of another run is a copy, and left out by name."""
        folders, self.doubled = {}, []
        for folder in runs(self.runs_dir):
            with closing(replay(folder.journal)) as records:
                first = _first(records)
            if first is not None and first.run != folder.id:
                self.doubled.append(folder.id)
            else:
                folders[folder.id] = folder
        return folders

    def _take_in(self, folder: RunFolder, row: JournalRow | None) -> None:
        changed_ns = folder.journal.stat().st_mtime_ns
        records = replay(folder.journal, row.mark if row else Mark())
        part, number = _Part(self, folder.id), self._number(folder.id, row)
        started: dict[str, object] = dict(row.started) if row else {}
        trouble = ""
        try:
            for record in records:
                self.records_read += 1
                if record.event == "run.started":
                    started = _started(record)
                    part.product = str(started.get("product") or "")
                part.see(record, records.bytes)
                if part.records >= PART:
                    part.write(number)
                    part = part.next()
        except JournalCorrupt as corrupt:
            trouble = corrupt.detail
        if row is not None and not part.product:
            part.product = str(started.get("product") or "")
        part.write(number)
        mark = records.mark
        self.database.execute(
            "INSERT OR REPLACE INTO journals VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, folder.id, mark.bytes, mark.records, mark.head_hash, changed_ns, json.dumps(started), trouble),
        )
        if trouble:
            self._doubt(number, folder.id)
        self.database.commit()

    def _number(self, run: str, row: JournalRow | None) -> int:
        if row is not None:
            (number,) = self.database.execute("SELECT number FROM journals WHERE run = ?", (run,)).fetchone()
        else:
            (number,) = self.database.execute("SELECT coalesce(max(number), 0) + 1 FROM journals").fetchone()
        return int(number)

    def _doubt(self, number: int, run: str) -> None:
        """No proof counts that stands only in a journal which does not verify."""
        self.database.execute(
            "UPDATE facts SET in_doubt = 1 WHERE run = ? AND device IN (SELECT device FROM places WHERE journal = ?)",
            (run, number),
        )

    def _empty(self) -> None:
        for table in ("journals", "facts", "places", "slots"):
            self.database.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above

    # --- telling ---

    def journals(self) -> list[JournalRow]:
        """All journals read so far, in the order they were."""
        rows = self.database.execute(
            "SELECT run, bytes, records, head, changed_ns, started, trouble FROM journals ORDER BY number"
        )
        with _as_written():
            return [
                JournalRow(run, Mark(int(size), int(records), head), changed_ns, dict(json.loads(started)), trouble)
                for run, size, records, head, changed_ns, started, trouble in rows
            ]

    def facts_of(self, devices: Iterable[str]) -> dict[str, Facts]:
        """What the journals say of these devices; who is in none is left out."""
        found: dict[str, Facts] = {}
        wanted = list(devices)
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            query = f"SELECT device, {', '.join(_COLUMNS)} FROM facts WHERE device IN ({marks})"  # noqa: S608
            for device, *values in self.database.execute(query, batch):
                found[device] = facts_from(values)
        return found

    def products(self) -> list[str]:
        """The products that journals name; "" for devices outside any."""
        return [name for (name,) in self.database.execute("SELECT DISTINCT product FROM facts ORDER BY 1")]

    def all_facts(self, products: Sequence[str]) -> Iterator[tuple[str, Facts]]:
        """What the journals say of each device of a product (by all its names), in ascending order of ID."""
        marks = ",".join("?" * len(products))
        query = f"SELECT device, {', '.join(_COLUMNS)} FROM facts WHERE product IN ({marks}) ORDER BY device"  # noqa: S608
        for device, *values in self.database.execute(query, tuple(products)):
            yield device, facts_from(values)

    def places_of(self, device: str) -> Iterator[tuple[str, int]]:
        """(run, byte offset) of every record about a device, oldest first."""
        rows = self.database.execute(
            "SELECT run, offsets FROM places JOIN journals ON number = journal WHERE device = ?"
            " ORDER BY journal, CAST(offsets AS INTEGER)",
            (device,),
        )
        for run, offsets in rows:
            with _as_written():
                numbers = [int(offset) for offset in str(offsets).split(",")]
            for number in numbers:
                yield run, number


class _Part:
    """Some records of one journal, folded in memory until they are written."""

    def __init__(self, index: Index, run: str) -> None:
        self.records = 0
        self.product = ""
        self._index = index
        self._run = run
        self._offsets: dict[str, list[int]] = {}
        self._waiting: dict[str, list[Record]] = {}
        self._serials: set[tuple[str, str]] = set()

    def next(self) -> _Part:
        """The part that follows."""
        after = _Part(self._index, self._run)
        after.product = self.product
        return after

    def see(self, record: Record, offset: int) -> None:
        """Take one record in."""
        self.records += 1
        if record.device is None:
            return
        self._offsets.setdefault(record.device, []).append(offset)
        if record.event in TELLS:
            self._waiting.setdefault(record.device, []).append(record)
        if isinstance(serial := record.extra.get("serial"), str):
            self._serials.add((serial.upper(), record.device))

    def write(self, number: int) -> None:
        """Fold into what stands in the file already."""
        database, known = self._index.database, self._index.facts_of(self._waiting)
        rows, slots = [], set()
        for device, records in self._waiting.items():
            facts = known.get(device) or Facts()
            for record in records:
                facts.see(record)
            rows.append((device, self.product, *values_of(facts)))
            if facts.tray:
                slots.add((facts.tray, facts.slot, device))
        marks = ",".join("?" * (len(_COLUMNS) + 2))
        database.executemany(f"INSERT OR REPLACE INTO facts VALUES ({marks})", rows)  # noqa: S608
        database.executemany("INSERT OR IGNORE INTO slots VALUES (?, ?, ?)", slots)
        database.executemany("INSERT OR IGNORE INTO serials VALUES (?, ?)", self._serials)
        places = ((device, number, ",".join(map(str, offsets))) for device, offsets in self._offsets.items())
        database.executemany("INSERT OR IGNORE INTO places VALUES (?, ?, ?)", places)


def values_of(facts: Facts) -> tuple[object, ...]:
    """A row of the table `facts`."""
    return tuple(value.isoformat() if isinstance(value, datetime) else value for value in _VALUES(facts))


def facts_from(values: Sequence[object]) -> Facts:
    """The facts of a row."""
    row = dict(zip(_COLUMNS, values, strict=True))
    with _as_written():
        for name in _TIMES:
            if row[name] is not None:
                row[name] = datetime.fromisoformat(str(row[name]))
        row["outcome"] = Outcome(str(row["outcome"])) if row["outcome"] is not None else None
    for name in ("connecting", "has_wifi", "imported", "restored", "in_doubt"):
        row[name] = bool(row[name])
    return Facts(**row)  # type: ignore[arg-type]


def _started(record: Record) -> dict[str, object]:
    kept = ("command", "product", "lot", "manifest", "manifest_sha256", "devices", "host", "tool")
    return {"at": record.at.isoformat(), "operator": record.operator, **{k: record.extra.get(k) for k in kept}}


def _first(records: Replay) -> Record | None:
    """The first record, if it can be read; what is wrong with a journal is said when it is taken in."""
    try:
        return next(records, None)
    except JournalCorrupt:
        return None


def _is_another(row: JournalRow, folder: RunFolder | None) -> bool:
    """Whether what was read is no longer what is there: gone, shorter, or changed without growing."""
    if folder is None:
        return True
    stat = folder.journal.stat()
    return stat.st_size < row.mark.bytes or (stat.st_mtime_ns != row.changed_ns and not _still_holds(row, folder))


def _still_holds(row: JournalRow, folder: RunFolder) -> bool:
    """Whether the last record that was read still stands there; the chain makes all before it the same."""
    if row.mark.head_hash == GENESIS:
        return True
    if row.trouble:
        return False
    with folder.journal.open("rb") as file:
        tail = f'"{row.mark.head_hash}"}}\n'.encode()
        file.seek(max(0, row.mark.bytes - len(tail)))
        return file.read(len(tail)) == tail


@contextmanager
def open_index(runs_dir: Path) -> Iterator[Index]:
    """Open the index of a runs folder, and make it where there is none or only one that is damaged or older.

    Raises RunsFolderUnusable where the folder cannot be written, also in the block; and when the file turns out to be
    damaged there: then it has been taken away.
    """
    path = runs_dir / INDEX_NAME
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        database = _opened(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise RunsFolderUnusable(f"the index {path} cannot be used: {error}") from error
    try:
        with closing(database):
            yield Index(database, runs_dir)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if _is_in_use_or_full(error):
            raise RunsFolderUnusable(f"the index {path} cannot be used: {printable(str(error), 200)}") from error
        if not _is_damage(error):
            raise
        with suppress(OSError):
            _take_away(path)
        raise RunsFolderUnusable(
            f"the index {path} was damaged and has been taken away",
            remedy="Run the same command again: it is built anew from the journals.",
        ) from error


class _Damaged(sqlite3.DatabaseError):
    """A value in the file is not one that was ever written there."""


@contextmanager
def _as_written() -> Iterator[None]:
    """Around what takes a stored value apart."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        raise _Damaged("a value that was never written") from error


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return (
        isinstance(error, _Damaged | UnicodeDecodeError)
        or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or "could not decode" in str(error).lower()
    )


def _is_in_use_or_full(error: Exception) -> bool:
    """Whether the file is as it should be, and cannot be worked with now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_DAMAGE


def _take_away(path: Path) -> None:
    for left in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        left.unlink(missing_ok=True)


_TABLES = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql"


@cache
def _tables_of_ours() -> list[tuple[str]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        return database.execute(_TABLES).fetchall()


def _opened(path: Path) -> sqlite3.Connection:
    for _ in range(2):
        database = sqlite3.connect(path)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")  # a power cut can cost this file; it is built again
            database.execute("PRAGMA cache_size = -65536")
            tables = database.execute(_TABLES).fetchall()
            if not tables:
                database.executescript(_SCHEMA)
                database.execute("INSERT INTO meta VALUES (?)", (VERSION,))
                database.commit()
                return database
            version = database.execute("SELECT version FROM meta").fetchone()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # its words about itself may be unreadable, too
            if _is_in_use_or_full(error):
                database.close()
                raise
            tables, version = [], None
        if tables == _tables_of_ours() and version == (VERSION,):
            return database
        database.close()
        _take_away(path)
    raise OSError(os.strerror(5))
