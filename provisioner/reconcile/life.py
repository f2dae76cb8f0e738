"""One device's whole life over all runs: which device is meant, and every record about it, oldest first.

Rule 1: the index only says where to look; what is shown is read from the journals and checked against its own hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioner.errors import InputRefused, JournalCorrupt, JournalError
from provisioner.journal.fields import Record
from provisioner.journal.records import LINE_BYTES_MAX, NotARecord, decode
from provisioner.journal.writer import JOURNAL_NAME
from provisioner.model import DeviceID, printable
from provisioner.reconcile.facts import Facts
from provisioner.reconcile.index import Index, JournalRow

_SLOT = re.compile(r"(?P<tray>.+)/(?P<slot>\d{1,6})")


@dataclass(frozen=True, slots=True)
class Life:
    """A device, where it is listed now, what the journals say in the end, and the runs it was in with their records."""

    device: DeviceID
    places: Sequence[str]
    serial: str | None
    facts: Facts
    runs: Sequence[tuple[JournalRow, Sequence[Record]]]


def find(index: Index, text: str) -> DeviceID:
    """The device a person means by its ID, its serial number or TRAY/SLOT. Raises InputRefused: none, or several."""
    found = sorted(set(_matches(index, text.strip())))
    if not found:
        raise InputRefused(
            f"no journal and no manifest knows {printable(text)}",
            remedy="Give a device ID (24 hex digits), a serial number, or TRAY/SLOT, as the manifest has them.",
        )
    if len(found) > 1:
        raise InputRefused(
            f"{printable(text)} has been {len(found)} devices: {', '.join(found[:5])}",
            remedy="Name the one you mean by its device ID.",
        )
    return DeviceID(found[0])


def _matches(index: Index, text: str) -> Iterator[str]:
    ask = index.database.execute
    try:
        device = DeviceID.parse(text)
    except ValueError:
        pass
    else:
        known = ask(
            "SELECT 1 FROM places WHERE device = ? UNION SELECT 1 FROM listed WHERE device = ?", (device, device)
        )
        if known.fetchone():
            yield device
        return
    if slot := _SLOT.fullmatch(text):
        pair = (slot["tray"], int(slot["slot"]))
        listed = [device for (device,) in ask("SELECT device FROM listed WHERE tray = ? AND slot = ?", pair)]
        worked = [device for (device,) in ask("SELECT device FROM slots WHERE tray = ? AND slot = ?", pair)]
        yield from listed or worked
        return
    yield from (device for (device,) in ask("SELECT device FROM serials WHERE serial = ?", (text.upper(),)))
    yield from (device for (device,) in ask("SELECT device FROM listed WHERE upper(serial) = ?", (text.upper(),)))


def devices_of_tray(index: Index, tray: str) -> list[DeviceID]:
    """All devices of a tray, by slot, as manifests list them; as runs worked them where no manifest is known."""
    for table in ("listed", "slots"):
        rows = index.database.execute(
            f"SELECT DISTINCT device FROM {table} WHERE tray = ? ORDER BY slot",  # noqa: S608 - one of two names
            (tray,),
        )
        if found := [DeviceID(device) for (device,) in rows]:
            return found
    return []


def life_of(index: Index, device: DeviceID) -> Life:
    """Everything the journals have about a device. Raises JournalCorrupt, JournalError."""
    rows = {row.run: row for row in index.journals()}
    runs: dict[str, list[Record]] = {}
    offsets: dict[str, list[int]] = {}
    for run, offset in index.places_of(device):
        offsets.setdefault(run, []).append(offset)
    for run, places in offsets.items():
        runs[run] = list(_records(index.runs_dir / run / JOURNAL_NAME, places))
    listed = index.database.execute(
        "SELECT manifest, tray, slot, serial FROM listed WHERE device = ? ORDER BY manifest", (device,)
    ).fetchall()
    serial = next((serial for *_, serial in listed if serial), None)
    return Life(
        device,
        [f"{tray}/{slot} of {manifest}" for manifest, tray, slot, _ in listed],
        serial,
        index.facts_of([device]).get(device, Facts()),
        [(rows[run], records) for run, records in runs.items()],
    )


def _records(journal: Path, offsets: Sequence[int]) -> Iterator[Record]:
    try:
        with journal.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield decode(file.readline(LINE_BYTES_MAX))
    except NotARecord as error:
        raise JournalCorrupt(f"{journal}: {error}") from None
    except OSError as error:
        raise JournalError(f"{journal} cannot be read: {error.strerror or error}") from error
