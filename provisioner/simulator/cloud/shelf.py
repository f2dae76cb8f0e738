"""Things by key: those asked for last are in memory, the others at rest in a temporary database on the disk.

Rule 1: one key is one object for as long as anybody holds it. It is written when it leaves memory, and it leaves only
when nobody else holds it any more: so no change is lost, whoever makes it, and however late.
Rule 2: the database has no name: it is gone when the program is, however it ends. A small one never touches the disk.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

AT_HAND = 512  # five pages of a list; what is asked for after that costs microseconds
_CACHE_KIB = 1024


def temporary_database() -> sqlite3.Connection:
    """A private one. It is never committed, because nobody will ever read it again."""
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # any thread may collect it as garbage
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    return db


def first_row(db: sqlite3.Connection, question: str, text: str) -> tuple[Any, ...] | None:
    """The first row of an answer. No row has a lone surrogate, which JSON may hold and the database cannot."""
    try:
        row: tuple[Any, ...] | None = db.execute(question, (text,)).fetchone()
    except UnicodeEncodeError:
        return None
    return row


class Shelf(Generic[T]):
    """The things of one table, which has a `key` and a `state`; whoever made the table may have more columns in it."""

    def __init__(
        self,
        db: sqlite3.Connection,
        table: str,
        *,
        pack: Callable[[T], bytes],
        unpack: Callable[[bytes], T],
        at_hand: int | None = None,
    ) -> None:
        self._db = db
        self._pack, self._unpack = pack, unpack
        self._read = f"SELECT state FROM {table} WHERE key = ?"  # noqa: S608 - our own table's name
        self._write = f"UPDATE {table} SET state = ? WHERE key = ?"  # noqa: S608
        self._delete = f"DELETE FROM {table} WHERE key = ?"  # noqa: S608
        self._at_hand = at_hand or AT_HAND
        self._near: dict[str, tuple[T, bytes]] = {}  # with the state as it was read; what was asked for last is last

    def put(self, key: str, thing: T) -> None:
        """A new thing, whose row has just been made."""
        self._near[key] = (thing, b"")
        self._make_room()

    def get(self, key: str) -> T | None:
        """The thing of that key, or None."""
        found = self._near.pop(key, None)
        if found is not None:
            self._near[key] = found
            return found[0]
        row = first_row(self._db, self._read, key)
        if row is None:
            return None
        thing = self._unpack(row[0])
        self._near[key] = (thing, row[0])
        self._make_room()
        return thing

    def drop(self, key: str) -> None:
        """Forget a thing and its row."""
        self._near.pop(key, None)
        self._db.execute(self._delete, (key,))

    def _make_room(self) -> None:
        """Two may go for one that came: so what was held too long leaves, too, once it is let go."""
        for _ in range(2):
            if len(self._near) <= self._at_hand:
                return
            self._let_go(next(iter(self._near)))

    def _let_go(self, key: str) -> None:
        thing, as_read = self._near.pop(key)
        state = self._pack(thing)
        if state != as_read:
            self._db.execute(self._write, (state, key))
        held = weakref.ref(thing)
        del thing
        still = held()
        if still is not None:  # somebody else holds it, and may change it yet
            self._near[key] = (still, state)
