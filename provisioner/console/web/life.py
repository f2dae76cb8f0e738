"""One device's life for the page: earlier runs by the index, the run that is being written straight from its journal.

Rule 1: it runs in a thread and reads files; the line does not wait for it, and nothing is written.
Rule 2: the journal that grows is searched for the device's own lines; only those are decoded and checked.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import trio

from provisioner.console.life import record_object
from provisioner.errors import InputRefused
from provisioner.journal.fields import Record
from provisioner.journal.records import NotARecord, decode
from provisioner.model import DeviceID, printable
from provisioner.reconcile.index import INDEX_NAME, open_index
from provisioner.reconcile.life import find, life_of

RECORDS_MAX: Final = 400
_SLOT = re.compile(r"([A-Za-z0-9._-]{1,32})/(\d{1,4})")


class LifeDesk:
    """Answers for one runs folder. `journal` is the one that the page shows; `known` finds a device in its manifest."""

    def __init__(
        self, runs_dir: Path, journal: Callable[[], Path | None], known: Callable[[str], DeviceID | None]
    ) -> None:
        self._runs_dir = runs_dir
        self._journal = journal
        self._known = known
        self._one = trio.CapacityLimiter(1)

    async def life(self, text: str) -> Mapping[str, object]:
        """A device's life by its ID, its serial number or TRAY/SLOT. Raises InputRefused, JournalError."""
        return await trio.to_thread.run_sync(self._life, text.strip(), limiter=self._one, abandon_on_cancel=True)

    def _life(self, text: str) -> Mapping[str, object]:
        journal = self._journal()
        device = self._known(text) or (_in_journal(journal, text) if journal else None)
        runs: list[dict[str, object]] = []
        places: list[str] = []
        serial = None
        if (self._runs_dir / INDEX_NAME).exists():
            with open_index(self._runs_dir) as index:
                if device is None:
                    device = find(index, text)
                life = life_of(index, device)
                places, serial = list(life.places), life.serial
                for row, records in life.runs:
                    if journal is None or row.run != journal.parent.name:
                        started = {key: row.started.get(key) for key in ("at", "command", "operator")}
                        runs.append({"run": row.run, **started, "records": [record_object(r) for r in records]})
        if device is None:
            raise InputRefused(
                f"no device is known as {printable(text)}",
                remedy="Scan the label on the board, or type TRAY/SLOT as on the tray.",
            )
        if journal is not None:
            records = list(_of_device(journal, device))
            if records:
                runs.append({"run": journal.parent.name, "records": [record_object(r) for r in records]})
        return {"device": device, "serial": serial, "places": places, "runs": runs}


def _in_journal(journal: Path, text: str) -> DeviceID | None:
    """The device of a slot, or of an ID, as the journal that is being written has it."""
    try:
        return DeviceID.parse(text)
    except ValueError:
        slot = _SLOT.fullmatch(text)
    if slot is None:
        return None
    pattern = f'"tray":"{re.escape(slot.group(1))}","slot":{int(slot.group(2))},"device":"([0-9a-f]{{24}})"'
    with _mapped(journal) as data:
        found = re.search(pattern.encode(), data)
        return DeviceID(found.group(1).decode()) if found is not None else None


def _of_device(journal: Path, device: DeviceID) -> Iterator[Record]:
    needle = f'"device":"{device}"'.encode()
    with _mapped(journal) as data:
        at, number = data.find(needle), 0
        while at >= 0 and number < RECORDS_MAX:
            start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
            if end < 0:
                return
            record = _readable(data[start:end])
            if record is not None:
                yield record
            at, number = data.find(needle, end), number + 1


def _mapped(journal: Path) -> mmap.mmap:
    with journal.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _readable(line: bytes) -> Record | None:
    """One record, or None for what is none: `journal verify` says why, a life is shown as far as it can be read."""
    try:
        return decode(line)
    except NotARecord:
        return None
