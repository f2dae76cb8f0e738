"""How far a journal had come, kept beside it: its number of records and the hash of the last one. Pure but for reading.

The hash chain finds what was changed in a journal, but not that its end was cut off. The head does, and so does the
copy of it that every report shows.

Rule 1: it is written after its record is on the disk, never before. So it can be behind the journal, after a kill or a
power cut, but not ahead of it: then records are missing that the disk had confirmed.
Rule 2: two lines of one length, each with a checksum of its own. The first stands from the journal's birth (no records)
and is never written again; the second is written over after every record. A power cut that tears it leaves the first,
which accuses nobody; both unreadable is what no crash of ours leaves.
Rule 3: the journal's first record says that a head is kept (`HEAD_KEY`), so a head that was deleted is missed.
"""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioner.journal.fields import GENESIS

HEAD_NAME: Final = "journal.head"
HEAD_KEY: Final = "head"
_LINE = re.compile(rb"(\d{12}) ([0-9a-f]{64}) ([0-9a-f]{16})\n")
LINE_BYTES: Final = 12 + 1 + 64 + 1 + 16 + 1


@dataclass(frozen=True, slots=True)
class Head:
    """So many records, the last of which has that hash."""

    records: int = 0
    hash: str = GENESIS

    def line(self) -> bytes:
        """Its line in the file."""
        text = f"{self.records:012d} {self.hash}".encode()
        return text + b" " + _checksum(text) + b"\n"


class End(enum.StrEnum):
    """What a journal's head says about its end."""

    WHOLE = "whole"
    BEHIND = "behind"  # the head is: a kill or a power cut left it so; nothing is missing that it knows of
    NOT_KEPT = "not_kept"  # an older program wrote the journal
    # and what no crash of ours leaves:
    CUT = "cut"
    REPLACED = "replaced"  # another chain than the one whose head was kept
    HEAD_MISSING = "head_missing"
    HEAD_UNREADABLE = "head_unreadable"


@dataclass(frozen=True, slots=True)
class KeptHead:
    """The head beside a journal, as it was found: None with `there` set is one that cannot be read."""

    head: Head | None
    there: bool

    @classmethod
    def beside(cls, journal: Path) -> KeptHead:
        """Read it. A file that cannot be opened counts as unreadable: it is there, and says nothing."""
        try:
            data = journal.with_name(HEAD_NAME).read_bytes()
        except FileNotFoundError:
            return cls(None, there=False)
        except OSError:
            return cls(None, there=True)
        return cls(parsed(data), there=True)


def born() -> bytes:
    """The file's content at the journal's birth: both lines say that there are no records."""
    return Head().line() * 2


def parsed(data: bytes) -> Head | None:
    """The newer of the two lines that can be read; None if neither can."""
    lines = (_LINE.fullmatch(data[at : at + LINE_BYTES]) for at in (0, LINE_BYTES))
    heads = [
        Head(int(line[1]), line[2].decode())
        for line in lines
        if line is not None and _checksum(line[0][: -len(line[3]) - 2]) == line[3]
    ]
    return max(heads, key=lambda head: head.records, default=None)


def compare(kept: KeptHead, *, records: int, hash_there: str | None, says_kept: bool) -> End:
    """What the head says about the end of a journal of so many records.

    `hash_there` is the hash of the journal's own record at the head's place (`GENESIS` for no records), None if the
    journal does not reach so far. `says_kept`: its first record says that a head is kept.
    """
    if kept.head is None:
        if kept.there:  # a power cut at its birth can tear it, before there is any record
            return End.HEAD_UNREADABLE if records else End.BEHIND
        return End.HEAD_MISSING if says_kept else End.NOT_KEPT
    if hash_there is None:
        return End.CUT
    if hash_there != kept.head.hash:
        return End.REPLACED
    return End.WHOLE if records == kept.head.records else End.BEHIND


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
