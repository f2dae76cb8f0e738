"""What a run looks like now, folded from its records. Pure: no clock, no colour, no terminal.

Rule 1: `Screen.see` takes each record once, in order, in constant time; nothing else changes a screen. A later final
record of a device replaces the earlier one, so a rerun or a resumed run counts every device once.
Rule 2: the screen never says more than the records prove: what is UNPROVEN is not PASS, and `adds_up` turns false
rather than a number being adjusted.
Rule 3: text from devices and the air is kept as the journal has it; whoever shows it makes it `printable`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from provisioner.console.curve import Curve, Step
from provisioner.console.proofs import Proofs
from provisioner.console.roll import Roll
from provisioner.console.station_view import StationView, Verdict
from provisioner.console.tally import OUTCOME_OF, STATE_OF, Pace, State, Tally, Trouble, word_of
from provisioner.errors import HeldByOperator
from provisioner.journal.fields import Record
from provisioner.model import Outcome

RATE_WINDOW_MS: Final = 10 * 60 * 1000
_RATE_NEEDS_MS: Final = 30_000  # a rate over less is a guess that jumps
FAILURES_KEPT: Final = 8
STRANGERS_KEPT: Final = 1_000  # what is in the air is not ours to bound

# Where a station stands after a record; empty is between two devices. A record's own `step` wins.
STEPS: Final[Mapping[str, str]] = {
    "visit.started": "joining",
    "network.joined": "identifying",
    "device.identified": "claiming",
    "claim_code.intended": "claiming",
    "wifi.intended": "configuring",
    "connect.intended": "connecting",
    "visit.ended": "",
    "station.drained": "",
    "station.stopped": "",
}


class Screen:
    """The model of one run. All attributes are for reading; `see` changes them, at the very end `end_unrecorded`."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.run = self.command = self.product = self.lot = ""
        self.scanner = False  # only what is scanned is worked
        self.refused: Trouble | None = None  # why a scan that belongs to no station was not taken
        self.refused_text = ""
        self.resumes: tuple[str, ...] = ()
        self.roll = Roll()
        self.stations: dict[str, StationView] = {}
        self._holds: dict[str, Trouble] = {}  # the site's and a person's: they end apart
        self.stopping = False  # a person has asked for the end
        self.opening = True  # the cloud is asked for the product, adapters are opened: nothing is worked yet
        self.importing = ""
        self.finished: Outcome | None = None
        self.finished_code = ""
        self.failures: deque[Trouble] = deque(maxlen=FAILURES_KEPT)
        self.carried = 0  # outcomes that an earlier run had proved
        self.proofs = Proofs()
        self.curve = Curve()
        self.last: Record | None = None
        self._strangers: set[str | None] = set()
        self._confirmed_ms: deque[int] = deque()
        self._confirmed = 0
        self._began_ms: int | None = None
        self._started_ms = 0

    # --- what the records say ---

    def see(self, record: Record) -> None:
        """Take one record in. An event this program does not know changes nothing."""
        if record.event == "run.started":
            self._reset()
        self.last = record
        station = self._station(record.station) if record.station is not None else None
        if station is not None and record.event in STEPS:
            step = STEPS[record.event] and (record.step or STEPS[record.event])
            if step != station.step or record.event == "visit.started":
                station.step, station.since_ms = step, record.mono_ms
        self.proofs.see(record)
        fold = _FOLDS.get(record.event)
        if fold is not None:
            fold(self, record, station or StationView(""))

    def end_unrecorded(self) -> None:
        """The run ends and its journal takes no more records, so none of them says so."""
        self.finished, self.finished_code = Outcome.ABORTED, "no_record"

    def _run_started(self, record: Record, _: StationView) -> None:
        self.run = record.run
        self.command = str(record.extra.get("command", ""))
        self.product = str(record.extra.get("product", ""))
        self.lot = str(record.extra.get("lot", ""))
        self.scanner = record.extra.get("scanner") is True
        self.resumes = tuple(_texts(record, "resumes"))
        self._started_ms = record.mono_ms
        self.roll.begin(record)
        today = record.extra.get("today")
        for name in _texts(record, "stations"):
            counts = today.get(name) if isinstance(today, dict) else None
            self._station(name).today.begin(record.at.astimezone().date(), counts)

    def _run_finished(self, record: Record, _: StationView) -> None:
        self.finished = record.outcome or Outcome.UNKNOWN
        self.finished_code = record.code or ""
        self.importing = ""
        for station in self.stations.values():
            station.step, station.began_ms = "", None

    def _run_stopping(self, record: Record, _: StationView) -> None:
        self.stopping = True

    def _line_held(self, record: Record, _: StationView) -> None:
        self._holds[_whose(record)] = Trouble.of("HELD", record)

    def _line_released(self, record: Record, _: StationView) -> None:
        self._holds.pop(_whose(record), None)

    def _import_begun(self, record: Record, _: StationView) -> None:
        self.importing, self.opening = record.tray or "", False

    def _import_ended(self, record: Record, _: StationView) -> None:
        self.importing = ""

    def _device_imported(self, record: Record, _: StationView) -> None:
        self.opening = False
        device = self.roll.find(record)
        if device is not None and device.state is State.LISTED:
            self.roll.move(device, State.IMPORTED)

    def _device_resumed(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        if device is not None:
            self.roll.move(device, State.CONNECTING)

    def _device_returned(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        if device is not None:
            self.roll.move(device, State.IMPORTED)

    def _device_carried(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        if device is not None:
            self.carried += 1
            self.roll.move(device, STATE_OF.get(record.outcome or Outcome.UNKNOWN, State.UNKNOWN))
            self.roll.name_trouble(device, Trouble.of(word_of(OUTCOME_OF[device.state]), record))

    def _device_ended(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        state = _FINALS[record.event]
        if device is None:
            return
        newly = device.state is not state
        self.roll.move(device, state)
        trouble = None if state is State.CONFIRMED else Trouble.of(word_of(OUTCOME_OF[state]), record)
        self.roll.name_trouble(device, trouble)
        if trouble is not None:
            self._remember(trouble)
        elif newly:
            self._count_pass(record.mono_ms)
        verdict = _VERDICTS[OUTCOME_OF[state]]
        if newly:
            self.curve.add(record.mono_ms, _STEPS[verdict])
        self._taken_away(record, _)
        name = record.station or device.station
        if name is not None and (newly or trouble is not None):
            station = self._station(name)
            station.trouble = trouble or station.trouble
            station.device_ended(record, verdict, trouble)

    def _visit_started(self, record: Record, station: StationView) -> None:
        station.visit_started(record)
        if self._began_ms is None:
            self._began_ms = record.mono_ms

    def _joined(self, record: Record, station: StationView) -> None:
        station.joined(record)

    def _device_identified(self, record: Record, station: StationView) -> None:
        station.identified(record)
        device = self.roll.find(record)
        if device is not None:
            self._taken_away(record, station)
            device.station = record.station
            if device.state not in (State.WORKING, State.CONNECTING):
                device.before = device.state
            if device.state is not State.CONFIRMED:  # a proven device that comes round again stays proven
                self.roll.move(device, State.WORKING)

    def _connect_sent(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        if device is not None and device.state is State.WORKING:
            self.roll.move(device, State.CONNECTING)

    def _visit_ended(self, record: Record, station: StationView) -> None:
        device = self.roll.find(record) if record.device is not None else None
        if device is not None and device.state in (State.WORKING, State.CONNECTING):
            handed_over = record.outcome in (Outcome.PASS, Outcome.UNKNOWN)
            self.roll.move(device, State.CONNECTING if handed_over else device.before)
        trouble = None
        if record.outcome is Outcome.FAIL:
            trouble = station.trouble = Trouble.of("AGAIN", record)  # only a final record makes a FAIL
            self._remember(trouble)
        station.visit_ended(record, trouble)

    def _taken_away(self, record: Record, _: StationView) -> None:
        device = self.roll.find(record)
        if device is not None and device.station is not None and record.device is not None:
            self._station(device.station).taken_away(record.device)

    def _device_reopened(self, record: Record, station: StationView) -> None:
        self._taken_away(record, station)
        self._device_returned(record, station)

    def _stranger_seen(self, record: Record, station: StationView) -> None:
        station.trouble = Trouble.of("STRANGER", record)
        if len(self._strangers) < STRANGERS_KEPT:
            self._strangers.add(record.device or record.bssid)

    def _scan_taken(self, record: Record, station: StationView) -> None:
        station.scan_taken(record)
        self.refused = None

    def _scan_refused(self, record: Record, station: StationView) -> None:
        trouble = Trouble.of("SCAN", record)
        station.scan_refused(record, trouble)
        self.refused = trouble if record.station is None else None
        self.refused_text = station.scan_text

    def _scanner_changed(self, record: Record, station: StationView) -> None:
        lost = Trouble.of("SCAN", record) if record.event == "scanner.lost" else None
        for one in [station] if record.station is not None else self.stations.values():
            one.scanner_lost = lost

    def _command_scanned(self, record: Record, station: StationView) -> None:
        for one in [station] if record.station is not None else self.stations.values():
            one.command_scanned(record)
        self.refused = None

    def _scan_ended(self, record: Record, station: StationView) -> None:
        station.scan_ended(record, Trouble.of("AGAIN", record) if record.outcome is Outcome.FAIL else None)

    def _station_changed(self, record: Record, station: StationView) -> None:
        station.drained = Trouble.of("DRAINED", record) if record.event == "station.drained" else station.drained
        station.stopped = record.event == "station.stopped"
        if record.event == "station.started":
            station.drained, self.opening = None, False

    # --- counting ---

    def _station(self, name: str) -> StationView:
        return self.stations.setdefault(name, StationView(name))

    def _count_pass(self, mono_ms: int) -> None:
        self._confirmed += 1
        self._confirmed_ms.append(mono_ms)
        while self._confirmed_ms[0] < mono_ms - RATE_WINDOW_MS:
            self._confirmed_ms.popleft()

    def _remember(self, trouble: Trouble) -> None:
        """Keep the newest failures; a device's later one takes the place of its earlier one."""
        earlier = [kept for kept in self.failures if kept.device is not None and kept.device == trouble.device]
        for kept in earlier:
            self.failures.remove(kept)
        self.failures.append(trouble)

    # --- asking ---

    @property
    def held(self) -> Trouble | None:
        """What holds the line; the site before a person, because only one of them can be asked."""
        return self._holds.get("site") or self._holds.get("person")

    @property
    def held_by_person(self) -> bool:
        """Whether a person holds the line, and only a person."""
        return self._holds.keys() == {"person"}

    @property
    def all(self) -> Tally:
        """All devices of the run, counted."""
        return self.roll.all

    @property
    def trays(self) -> Mapping[str, Tally]:
        """The trays of the run, counted, in the manifest's order."""
        return self.roll.trays

    @property
    def strangers(self) -> int:
        """How many different devices were met that are in no tray (at most STRANGERS_KEPT)."""
        return len(self._strangers)

    @property
    def import_only(self) -> bool:
        """Whether this run is an `import`: then a device is through when it is in the product."""
        return self.command == "import"

    def through(self, tally: Tally) -> Tally:
        """A tray's counts, or all, as this kind of run means them: an import is through with what is in the product.

        Its PASS is then "in the product", and its `open` what the import still owes a result.
        """
        if not self.import_only:
            return tally
        shown = Tally(tally.name, tally.devices, tally.states.copy())
        shown.states[State.CONFIRMED] += shown.states.pop(State.IMPORTED, 0)
        return shown

    @property
    def left(self) -> int:
        """How many devices this run still owes a result."""
        return self.through(self.all).open

    @property
    def adds_up(self) -> bool:
        """Whether every device of the manifest is counted once, and at the end has an outcome.

        A run that was interrupted may leave devices open; they are counted as such. An import is through with a
        device that is in the product.
        """
        unsettled = self.finished not in (None, Outcome.ABORTED) and self.left > 0
        return not self.roll.misplaced and self.all.open >= 0 and not unsettled

    def troubles(self) -> Iterator[Trouble]:
        """The trouble of every device that has ended other than PASS, in the order they were first met."""
        return self.roll.troubles()

    def busy_trays(self, most: int) -> list[Tally]:
        """At most so many trays, in the manifest's order: all, or the ones where something happened last."""
        return self.roll.busy_trays(most)

    def pace(self, now_ms: int) -> Pace:
        """How fast it goes, at `now_ms` of the journal's monotonic clock."""
        began_ms = self._started_ms if self._began_ms is None else self._began_ms
        window_ms = min(RATE_WINDOW_MS, now_ms - began_ms)
        if window_ms < _RATE_NEEDS_MS or not self._confirmed:
            return Pace(None, None, None)
        recent = sum(at_ms >= now_ms - window_ms for at_ms in self._confirmed_ms) * 3_600_000 / window_ms
        overall = self._confirmed * 3_600_000 / (now_ms - began_ms)
        pace = recent or overall
        return Pace(recent, overall, self.all.open / pace * 3600)


def _texts(record: Record, key: str) -> Iterator[str]:
    found = record.extra.get(key)
    return (item for item in (found if isinstance(found, list) else ()) if isinstance(item, str))


def _whose(hold: Record) -> str:
    return "person" if hold.code == HeldByOperator.code else "site"


_VERDICTS: Final[Mapping[Outcome, Verdict]] = {
    Outcome.PASS: Verdict.PASS,
    Outcome.FAIL: Verdict.FAIL,
    Outcome.UNKNOWN: Verdict.UNPROVEN,
    Outcome.SKIPPED: Verdict.SKIPPED,
}
_STEPS: Final[Mapping[Verdict, Step]] = {
    Verdict.PASS: Step(passes=1),
    Verdict.FAIL: Step(fails=1),
    Verdict.UNPROVEN: Step(unproven=1),
    Verdict.SKIPPED: Step(),
}
_Fold: TypeAlias = Callable[[Screen, Record, StationView], None]
_FINALS: Final[Mapping[str, State]] = {
    "device.confirmed": State.CONFIRMED,
    "device.failed": State.FAILED,
    "device.refused": State.REFUSED,
    "device.unknown": State.UNKNOWN,
    "device.skipped": State.SKIPPED,
}
_FOLDS: Final[Mapping[str, _Fold]] = {
    "run.started": Screen._run_started,
    "run.finished": Screen._run_finished,
    "run.stopping": Screen._run_stopping,
    "line.held": Screen._line_held,
    "line.released": Screen._line_released,
    "import.intended": Screen._import_begun,
    **dict.fromkeys(("import.accepted", "import.settled", "import.refused"), Screen._import_ended),
    "device.imported": Screen._device_imported,
    "device.carried": Screen._device_carried,
    "device.returned": Screen._device_returned,
    "device.reopened": Screen._device_reopened,
    "device.set_aside": Screen._taken_away,
    "device.resumed": Screen._device_resumed,
    **dict.fromkeys(_FINALS, Screen._device_ended),
    "visit.started": Screen._visit_started,
    "network.joined": Screen._joined,
    "device.identified": Screen._device_identified,
    **dict.fromkeys(("connect.accepted", "connect.unanswered"), Screen._connect_sent),
    "visit.ended": Screen._visit_ended,
    "stranger.seen": Screen._stranger_seen,
    "scan.taken": Screen._scan_taken,
    "scan.refused": Screen._scan_refused,
    "scan.ended": Screen._scan_ended,
    "command.scanned": Screen._command_scanned,
    **dict.fromkeys(("scanner.lost", "scanner.found"), Screen._scanner_changed),
    **dict.fromkeys(("station.started", "station.drained", "station.stopped"), Screen._station_changed),
}
