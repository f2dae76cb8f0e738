"""What one run came to, folded from its journal: trays, yields, failures, takt, and what stopped the line. Pure.

Rule 1: unit yield and station yield are kept apart: a board that passes on its second station is one good unit, and
one bad visit of the first (facts: factory-anchors 5.8, row 54).
Rule 2: first pass means: proven after exactly one visit, in this run. Results carried over from earlier runs are shown
and counted in no yield.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from provisioner.console.view import Screen
from provisioner.journal.fields import Record
from provisioner.model import Outcome

TAKT_STEP_S = 5.0


@dataclass(slots=True)
class Unit:
    """One device of the run. `seconds` is from its first visit to its proof."""

    device: str
    tray: str
    slot: int
    outcome: Outcome | None = None
    carried: bool = False
    code: str = ""
    remedy: str = ""
    owner: str = ""
    visits: int = 0
    stations: list[str] = field(default_factory=list)
    began_ms: int | None = None
    ended_ms: int | None = None
    at: datetime | None = None

    @property
    def first_pass(self) -> bool:
        """Proven after one visit."""
        return self.outcome is Outcome.PASS and not self.carried and self.visits == 1

    @property
    def seconds(self) -> float | None:
        """How long it took, None while either end is unknown."""
        if self.began_ms is None or self.ended_ms is None:
            return None
        return (self.ended_ms - self.began_ms) / 1000


@dataclass(slots=True)
class StationReport:
    """One station: its visits, how many handed a board over, and how long each took, in seconds."""

    name: str
    visits: int = 0
    good: int = 0
    seconds: list[float] = field(default_factory=list)
    drained: str = ""


@dataclass
class RunReport:
    """Everything a report shows of one run."""

    run: str = ""
    screen: Screen = field(default_factory=Screen)  # what terminal and page show of it: the same verdict, the same maps
    started: Record | None = None
    finished: Record | None = None
    last: Record | None = None
    records: int = 0
    units: dict[str, Unit] = field(default_factory=dict)
    stations: dict[str, StationReport] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    stops: list[Record] = field(default_factory=list)
    passes_ms: list[int] = field(default_factory=list)
    doubt: str = ""  # why this may not be the whole journal

    @classmethod
    def of(cls, records: Iterable[Record], *, doubt: str = "") -> RunReport:
        """Fold a whole journal; `doubt` is what its head says against its end, if anything."""
        report = cls(doubt=doubt)
        for record in records:
            report.see(record)
        return report

    def see(self, record: Record) -> None:
        """Fold one record in."""
        self.screen.see(record)
        self.run, self.last = record.run, record
        self.records += 1
        match record.event:
            case "run.started":
                self.started = record
            case "run.finished":
                self.finished = record
            case "line.held" | "line.released" | "station.drained" | "run.stopping":
                self.stops.append(record)
                if record.event == "station.drained" and record.station:
                    self._station(record.station).drained = record.code or "drained"
            case "visit.ended":
                self._visited(record)
            case event if record.device is not None and event.startswith("device."):
                self._told(record)  # a stranger, or a scan of a device that never came, is no unit of this run

    def _told(self, record: Record) -> None:
        unit = self._unit(record)
        if record.event == "device.identified" and unit.began_ms is None:
            unit.began_ms = record.mono_ms
        if record.outcome is None:
            return
        unit.outcome, unit.at = record.outcome, record.at
        unit.code, unit.remedy = record.code or "", record.remedy or ""
        unit.carried = record.event == "device.carried"
        if record.outcome is Outcome.PASS:
            owner = (record.evidence or {}).get("owner")
            unit.owner, unit.code, unit.remedy = owner if isinstance(owner, str) else "", "", ""
            unit.ended_ms = record.mono_ms
            if not unit.carried:
                self.passes_ms.append(record.mono_ms)

    def _visited(self, record: Record) -> None:
        station = self._station(record.station or "?")
        station.visits += 1
        station.good += record.outcome is Outcome.PASS
        seconds = record.extra.get("seconds")
        if isinstance(seconds, int | float):
            station.seconds.append(float(seconds))
        if record.outcome is not Outcome.PASS and record.code:
            self.failures[record.code] += 1
        if record.device is not None:
            unit = self._unit(record)
            unit.visits += 1
            if station.name not in unit.stations:
                unit.stations.append(station.name)

    def _unit(self, record: Record) -> Unit:
        device = str(record.device)
        unit = self.units.get(device)
        if unit is None:
            unit = self.units[device] = Unit(device, record.tray or "", record.slot or 0)
        return unit

    def _station(self, name: str) -> StationReport:
        return self.stations.setdefault(name, StationReport(name))

    # --- figures ---

    def trays(self) -> Iterator[tuple[str, list[Unit], int]]:
        """Each tray with its units by slot, and how many devices the manifest lists in it."""
        listed = dict(self._listed())
        by_tray: dict[str, list[Unit]] = {name: [] for name in listed}
        for unit in self.units.values():
            by_tray.setdefault(unit.tray, []).append(unit)
        for name, units in by_tray.items():
            yield name, sorted(units, key=lambda unit: (unit.slot, unit.device)), listed.get(name, len(units))

    def _listed(self) -> Iterator[tuple[str, int]]:
        trays = self.started.extra.get("trays") if self.started else None
        if isinstance(trays, dict):
            yield from ((str(name), int(count)) for name, count in trays.items())

    def outcomes(self) -> Counter[str]:
        """Devices by outcome; without one: `open`."""
        return Counter(unit.outcome.value if unit.outcome else "open" for unit in self.units.values())

    def unit_yield(self) -> tuple[int, int]:
        """(proven at the first visit, devices visited or ended in this run)."""
        tried = [unit for unit in self.units.values() if not unit.carried and (unit.visits or _failed(unit))]
        return sum(unit.first_pass for unit in tried), len(tried)

    def unit_failures(self) -> Counter[str]:
        """Devices that did not pass, by code."""
        codes = (unit.code for unit in self.units.values() if unit.outcome not in (None, Outcome.PASS))
        return Counter(code or "no reason" for code in codes)

    def takts_s(self) -> list[float]:
        """Seconds between one proven device and the next, over the whole line."""
        ordered = sorted(self.passes_ms)
        return [(later - earlier) / 1000 for earlier, later in pairwise(ordered)]

    def histogram(self, values: list[float], step: float = TAKT_STEP_S, bars: int = 24) -> list[tuple[float, int]]:
        """(lower bound, count) for each step; the last bar takes all that is longer."""
        counts = Counter(min(int(value / step), bars - 1) for value in values)
        return [(number * step, counts[number]) for number in range(max(counts, default=-1) + 1)]

    def hours(self) -> float:
        """From the first record to the last."""
        return self.last.mono_ms / 3.6e6 if self.last else 0.0


def _failed(unit: Unit) -> bool:
    return unit.outcome in (Outcome.FAIL, Outcome.UNKNOWN)
