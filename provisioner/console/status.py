"""`provisioner status`: where a run stands, from its journal, and what has waited longest for its proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from provisioner.console.lines import safe
from provisioner.console.morning import age_words
from provisioner.console.station_view import StationView
from provisioner.console.terminal import print_final
from provisioner.console.verdict import final_table, headline, summary
from provisioner.console.view import Screen
from provisioner.journal.fields import JSON, Record
from provisioner.model import DeviceID


@dataclass
class Status:
    """A run's screen, and which run it is."""

    screen: Screen = field(default_factory=Screen)
    run: str = ""
    last_at: datetime | None = None

    @property
    def waiting(self) -> Mapping[DeviceID, Record]:
        """The devices that were told to connect and are not proven, each with the record that told it."""
        return self.screen.proofs.open

    @property
    def oldest(self) -> Record | None:
        """The one that waits longest."""
        return self.screen.proofs.oldest


def status_of(records: Iterable[Record]) -> Status:
    """Fold a whole journal. Raises as reading it does."""
    status = Status()
    for record in records:
        status.screen.see(record)
        status.run, status.last_at = record.run, record.at
    return status


def print_status(status: Status, beat: Mapping[str, JSON] | None, now: datetime, console: Console) -> None:
    """Print it; the last line says how the last reconciliation ended."""
    console.print(Text(f"run {safe(status.run)}", "bold"), soft_wrap=not console.is_terminal)
    print_final(final_table(status.screen), headline(status.screen), console)
    for name, station in sorted(status.screen.stations.items()):
        console.print(Text(f"station {safe(name)}: {_station_words(station)}"), soft_wrap=not console.is_terminal)
    console.print(Text(_oldest_words(status.oldest, now)), soft_wrap=not console.is_terminal)
    console.print(Text(_night_words(beat, now)), soft_wrap=not console.is_terminal)


def _station_words(station: StationView) -> str:
    words = [f"{station.visits} visits", f"{station.passes} passes"]
    if station.drained is not None:
        words.append(f"drained: {safe(station.drained.code)}")
    return ", ".join(words)


def _oldest_words(oldest: Record | None, now: datetime) -> str:
    if oldest is None:
        return "Nothing waits for a proof."
    place = f"{oldest.tray}/{oldest.slot} " if oldest.tray else ""
    return f"Oldest unproven: {safe(place)}{oldest.device}, told to connect {age_words(oldest.at, now)} ago."


def _night_words(beat: Mapping[str, JSON] | None, now: datetime) -> str:
    if beat is None:
        return "Never reconciled here: run `provisioner reconcile`."
    began = datetime.fromisoformat(str(beat.get("began")))
    if not beat.get("ended"):
        return f"The last reconciliation began {age_words(began, now)} ago and has not ended."
    return f"Reconciled {age_words(began, now)} ago: {safe(str(beat.get('verdict') or beat.get('stopped_by')), 200)}"


def status_object(status: Status, now: datetime) -> dict[str, Any]:
    """The same for machines."""
    oldest = status.oldest
    return {
        **summary(status.screen),
        "run": status.run,
        "unproven": len(status.waiting),
        "oldest_unproven": None
        if oldest is None
        else {
            "device": oldest.device,
            "tray": oldest.tray,
            "slot": oldest.slot,
            "since": oldest.at.isoformat(),
            "age_s": round((now - oldest.at).total_seconds()),
        },
    }
