"""What the journals of one runs folder say, read by a reader of our own: JSON lines, nothing of the program's.

Rule 1: a torn last line is left out, as the contract says; anything else that is no record is a violation.
Rule 2: a record's time is the world's: when its program was started (the world knows), and `mono_ms` since.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from provisioner.model import Outcome

GENESIS = "0" * 64
FINALS = ("device.confirmed", "device.failed", "device.unknown", "device.skipped", "device.refused", "device.carried")


@dataclass(slots=True)
class Word:
    """One record."""

    run: str
    seq: int
    mono_ms: int
    event: str
    device: str | None
    outcome: Outcome | None
    code: str | None
    extra: dict


@dataclass
class Run:
    """One journal: `whole` if it ends as a run ends. `head`: the records and the last hash that the file beside it
    tells, None if it tells none."""

    name: str
    words: list[Word]
    torn: bool
    head: tuple[int, str] | None = None

    @property
    def whole(self) -> bool:
        """Whether its program could close its books."""
        return bool(self.words) and self.words[-1].event == "run.finished"


@dataclass
class Words:
    """All journals, in the order in which their programs were started."""

    runs: list[Run]
    broken: list[str] = field(default_factory=list)
    last_outcome: dict[str, str] = field(default_factory=dict)
    last_code: dict[str, str] = field(default_factory=dict)
    by_device: dict[str, list[Word]] = field(default_factory=lambda: defaultdict(list))

    def __iter__(self):
        return (word for run in self.runs for word in run.words)


def read(runs_dir: Path) -> Words:
    """Read and chain-check all journals below a runs folder."""
    words = Words([])
    for path in sorted(runs_dir.glob("*/journal.jsonl")):
        words.runs.append(_read(path, words.broken))
    words.runs.sort(key=_began)
    for word in words:
        if word.device is None:
            continue
        words.by_device[word.device].append(word)
        if word.event in FINALS and word.outcome is not None:
            words.last_outcome[word.device], words.last_code[word.device] = word.outcome.value, word.code or ""
    return words


def _began(run: Run) -> tuple[int, str]:
    """By how many runs it knows of: each run names those before it."""
    return (len(run.words[0].extra.get("resumes", ())) if run.words else 0, run.name)


def _read(path: Path, broken: list[str]) -> Run:
    lines = path.read_bytes().split(b"\n")
    torn = lines.pop() != b""
    run, head = Run(path.parent.name, [], torn, _head(path.with_name("journal.head"))), GENESIS
    for seq, line in enumerate(lines):
        try:
            record = json.loads(line)
            body, _, seal = line.rpartition(b',"hash":"')
            sound = seal == hashlib.sha256(body).hexdigest().encode() + b'"}'
        except ValueError:
            record, sound = {}, False
        if not sound:
            if seq == len(lines) - 1 and not torn:
                run.torn = True  # a whole line of which sectors are missing
                break
            broken.append(f"I12: {path.parent.name}, line {seq + 1} is no record")
            break
        if record["prev"] != head or record["seq"] != seq:
            broken.append(f"I12: {path.parent.name}, line {seq + 1} does not follow the one before")
        head = record["hash"]
        run.words.append(_word(record))
    return run


def _head(path: Path) -> tuple[int, str] | None:
    """The farthest of the lines that their own checksum vouches for."""
    told = []
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        text, _, checksum = line.rpartition(b" ")
        if text and hashlib.sha256(text).hexdigest()[:16].encode() == checksum:
            records, _, last = text.decode().partition(" ")
            told.append((int(records), last))
    return max(told, default=None)


def _word(record: dict) -> Word:
    outcome = record.get("outcome")
    return Word(
        record["run"], record["seq"], record["mono_ms"], record["event"], record.get("device"),
        Outcome(outcome) if outcome else None, record.get("code"), record,
    )  # fmt: skip
