"""Where every scan is put, whatever it came from (terminal, page, serial scanner), and where it gets its answer.

Rule 1: `put` decides at once, without waiting: a scan is taken by one station, or refused in words. There is no
queue: a station that has a board takes no other, so nothing is ever worked that the person no longer thinks of.
Rule 2: every answer is in the journal, with who scanned what, where, and by which way.
Rule 3: a station works only what was scanned for it. Of several stations the one that is named takes the scan, else
the first that is free; one with a scanner of its own only takes from that.
Rule 4: a command is about the whole run (STOP), the person (a badge), or the board scanned last by the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from provisioner.errors import (
    AlreadyConfirmed,
    AlreadyEnded,
    ImportOnly,
    NoBoardForCommand,
    NoStationForScan,
    NotVisitable,
    NotYetImported,
    OrderRefused,
    RefusedByImport,
    RunStopping,
    ScannerLost,
    ScanRefused,
    ScanRepeated,
    StationBusy,
    WaitsForProof,
)
from provisioner.journal.writer import Journal
from provisioner.line.labels import Labels
from provisioner.line.ledger import Ledger
from provisioner.line.orders import Act, Order
from provisioner.line.rows import row_of, why_of
from provisioner.line.scan_text import Command, Ordered
from provisioner.line.steps import State
from provisioner.line.visit import Wanted
from provisioner.model import ListedDevice, printable

SAME_AGAIN_S = 1.0  # a scanner that reads one label on and on is answered every time, and written down once


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as it came. `source` is the way it came (`terminal`, `page`, a device path); the rest if it is known."""

    text: str
    source: str
    station: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a scan: `code` for programs; `word`, `detail` and `todo` for the person, in this order of size.

    `taken` scans have a code of their own (`scan_taken`, `stop_taken`, ...); refused ones that of their ScanRefused.
    """

    taken: bool
    code: str
    word: str
    detail: str
    todo: str
    scanned: str
    station: str | None = None
    device: ListedDevice | None = None


class Scans:
    """The way in: made before a run and given to whoever reads scanners; leads to the run's desk while there is one."""

    def __init__(self) -> None:
        self.desk: ScanDesk | None = None

    @contextmanager
    def taken_by(self, desk: ScanDesk) -> Iterator[None]:
        """Put scans to this desk for the length of the block."""
        self.desk = desk
        try:
            yield
        finally:
            self.desk = None

    def put(self, scan: Scan) -> Answer:
        """Take a scan or refuse it, at once: as `ScanDesk.put`."""
        if self.desk is not None:
            return self.desk.put(scan)
        no = NoStationForScan("no run in scanner mode is working now")
        return Answer(False, no.code, no.word, no.detail, no.remedy, printable(scan.text.strip()))


@dataclass
class Place:
    """One station as the desk sees it: free, or with the board that was scanned last."""

    name: str
    operator: str | None = None
    wanted: Wanted | None = None
    over: bool = False
    _arrived: trio.Event = field(default_factory=trio.Event, init=False)

    async def next(self) -> Wanted | None:
        """Wait for the next scan, None if there will be none. The place is taken until `done`."""
        await self._arrived.wait()
        return self.wanted

    def take(self, wanted: Wanted) -> None:
        """Give this station a board to look for."""
        self.wanted = wanted
        self._arrived.set()

    def done(self) -> None:
        """The station is through with what was scanned."""
        self.wanted = None
        if not self.over:
            self._arrived = trio.Event()

    def end(self) -> None:
        """After the board under work there is no more."""
        self.over = True
        self._arrived.set()


class ScanDesk:
    """One for a run. `orders` carries out what commands ask for; `own` are the stations with a scanner of their own.

    `order` is the one in which a scan for no station in particular is offered to them.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        labels: Labels,
        *,
        orders: Callable[[Order], None],
        order: Sequence[str] = (),
        own: Collection[str] = (),
        operator: str | None = None,
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self.labels = labels
        self._orders = orders
        self._rank = {name: rank for rank, name in enumerate(order)}
        self._own = frozenset(own)
        self._places: dict[str, Place] = {}
        self._boards: dict[tuple[str, str | None], ListedDevice] = {}  # the one scanned last, by way and station
        self._last: tuple[Scan, str, float] | None = None
        self._changed = trio.Event()
        self.operator = operator
        self.stopping = False
        self.run_out = False
        self.last_scan_s = trio.current_time()
        self._again: Callable[[], bool] = lambda: False

    def when_scanned_again(self, act: Callable[[], bool]) -> None:
        """What to do when the board under work is scanned once more, or JOINED is; True if somebody waited for that."""
        self._again = act

    # --- the stations ---

    def open(self, station: str) -> Place:
        """A station begins to take scans."""
        place = self._places[station] = Place(station, self.operator)
        if self.run_out:
            place.end()
        self._announce()
        return place

    def close(self, station: str) -> None:
        """It takes no more."""
        self._places.pop(station, None)
        self._announce()

    def done(self, place: Place) -> None:
        """It is through with the board that was scanned."""
        place.done()
        self._announce()

    def no_more(self) -> None:
        """The last scan has been put: nothing will come any more (a file of labels has ended)."""
        self.run_out = True
        for place in self._places.values():
            place.end()

    def scanner_lost(self, source: str, station: str | None, why: str) -> None:
        """A scanner is not there: said once, until `scanner_found`."""
        lost = ScannerLost(f"the scanner {printable(source)} is not there: {why}")
        self._journal.append("scanner.lost", station=station, source=printable(source), **why_of(lost))

    def scanner_found(self, source: str, station: str | None) -> None:
        """It is there, or there again."""
        self._journal.append("scanner.found", station=station, source=printable(source))

    async def wait_free(self, station: str | None = None) -> None:
        """Wait until a scan can be taken there: for labels that come from a file, which nobody would scan again."""
        while not any(place.wanted is None for place in self._candidates(station)):
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _candidates(self, station: str | None) -> list[Place]:
        if station is not None:
            return [place for place in (self._places.get(station),) if place is not None]
        places = sorted(self._places.values(), key=lambda place: self._rank.get(place.name, len(self._rank)))
        return [place for place in places if place.name not in self._own] or places

    # --- scans ---

    def knows(self, scan: str) -> bool:
        """Whether a text is a board's label or a command, not a setup network's name; nothing is done about it."""
        try:
            text = self.labels.framing.text_of(scan)
            if self.labels.framing.command_of(text) is not None:
                return True
            return not self.labels.resolve(text).named_by_network
        except ScanRefused:
            return False

    def put(self, scan: Scan) -> Answer:
        """Take a scan or refuse it, at once. Any text may come; nothing is raised for it."""
        self.last_scan_s = trio.current_time()
        try:
            text = self.labels.framing.text_of(scan.text)
            command = self.labels.framing.command_of(text)
            answer = self._obey(command, scan, text) if command else self._take_label(text, scan)
        except (ScanRefused, OrderRefused, NotVisitable) as refused:
            return self._refuse(scan, refused)
        self._last = None
        return answer

    def _refuse(self, scan: Scan, refused: ScanRefused | OrderRefused | NotVisitable) -> Answer:
        shown = printable(scan.text.strip())
        board = self._boards.get((scan.source, self._station(scan))) if isinstance(refused, _ABOUT_THE_BOARD) else None
        station = self._station(scan)
        now_s = trio.current_time()
        last, self._last = self._last, (scan, refused.code, now_s)
        if last is None or last[:2] != (scan, refused.code) or now_s - last[2] > SAME_AGAIN_S:
            self._journal.append(
                "scan.refused",
                station=station,
                operator=self._operator(scan),
                **row_of(board),
                source=printable(scan.source),
                scanned=shown,
                **why_of(refused),
            )
        word = getattr(refused, "word", "NOT DONE")
        return Answer(False, refused.code, word, refused.detail, refused.remedy, shown, station, board)

    def _station(self, scan: Scan) -> str | None:
        """The station a scan belongs to, whether or not it takes it."""
        if scan.station in self._places:
            return scan.station
        return next(iter(self._places)) if len(self._places) == 1 else None

    def _operator(self, scan: Scan) -> str | None:
        place = self._places.get(scan.station) if scan.station is not None else None
        named = (scan.operator or "").strip() or (place.operator if place is not None else None) or self.operator
        return printable(named) if named else None

    def _take_label(self, text: str, scan: Scan) -> Answer:
        wanted = self.labels.resolve(text)
        device = self.labels.find(wanted.device) if wanted.device is not None else None
        if self._is_worked(wanted) is not None and self._again():
            return self._obeyed(scan, text, *_OBEYED[Command.JOINED])  # a person's answer: this board is joined now
        self._refuse_repeated(wanted)
        if device is not None:
            self._boards[scan.source, self._station(scan)] = device
            self._refuse_by_state(device)
        return self._give(self._free_place(scan), wanted, device, scan, text)

    def _free_place(self, scan: Scan) -> Place:
        """The station that is to take it. Raises ScanRefused."""
        if self.stopping:
            raise RunStopping("the run begins no more boards")
        places = self._candidates(scan.station)
        if not places:
            where = f"station {printable(scan.station)} does not work" if scan.station else "no station works"
            raise NoStationForScan(f"{where} in this run now")
        place = next((place for place in places if place.wanted is None), None)
        if place is None:
            raise StationBusy(f"a board is being worked at {' and at '.join(place.name for place in places)}")
        return place

    def _give(self, place: Place, wanted: Wanted, device: ListedDevice | None, scan: Scan, text: str) -> Answer:
        place.take(wanted)
        shown, operator = printable(text), self._operator(scan)
        self._journal.append(
            "scan.taken",
            station=place.name,
            operator=operator,
            **row_of(device),
            source=printable(scan.source),
            scanned=shown,
        )
        todo = f"Put the board at station {place.name}, blinking blue, and wait for the verdict."
        return Answer(True, "scan_taken", "TAKEN", f"{shown} is looked for", todo, shown, place.name, device)

    def _is_worked(self, wanted: Wanted) -> Place | None:
        places = self._places.values()
        return next((place for place in places if place.wanted is not None and place.wanted.is_same(wanted)), None)

    def _refuse_repeated(self, wanted: Wanted) -> None:
        place = self._is_worked(wanted)
        if place is not None:
            raise ScanRepeated(f"this board is being worked at station {place.name}")

    def _refuse_by_state(self, device: ListedDevice) -> None:
        """Raise what keeps a listed board from being worked now."""
        state, name = self._ledger[device.id].state, f"{device.tray}/{device.slot}"
        if not device.needs_visit:
            raise ImportOnly(f"{name} is listed for import only")
        if state is State.CONFIRMED:
            raise AlreadyConfirmed(f"{name} has passed")
        if state is State.REFUSED:
            raise RefusedByImport(f"the import refused {name}")
        if state is State.LISTED:
            raise NotYetImported(f"{name} is not in the product yet")
        if state is State.CONNECTING:
            raise WaitsForProof(f"{name} was told to connect")
        if not self._ledger.may_visit(device.id):
            raise AlreadyEnded(f"{name} has failed")

    # --- commands ---

    def _obey(self, ordered: Ordered, scan: Scan, text: str) -> Answer:
        """Do what a command barcode asks for. Raises ScanRefused, OrderRefused, NotVisitable."""
        match ordered.command:
            case Command.BADGE:
                return self._sign_on(ordered.operator, scan, text)
            case Command.REWORK:
                return self._rework(scan, text)
            case Command.JOINED:
                self._again()
            case Command.SET_ASIDE:
                self._order(Act.SET_ASIDE, scan, self._board(scan))
            case Command.STOP:
                self._order(Act.STOP, scan)
                self.stopping = True
            case Command.HOLD:
                self._order(Act.HOLD, scan)
            case Command.RESUME:
                self._order(Act.RESUME, scan)
        return self._obeyed(scan, text, *_OBEYED[ordered.command])

    def _order(self, act: Act, scan: Scan, device: ListedDevice | None = None) -> None:
        id_ = device.id if device is not None else None
        self._orders(Order(act, self._operator(scan) or "", id_, self._station(scan)))

    def _obeyed(self, scan: Scan, text: str, code: str, word: str, todo: str) -> Answer:
        self._journal.append(
            "command.scanned",
            station=self._station(scan),
            operator=self._operator(scan),
            code=code,
            source=printable(scan.source),
            scanned=printable(text),
        )
        return Answer(True, code, word, f"{printable(text)} was obeyed", todo, printable(text), self._station(scan))

    def _sign_on(self, name: str, scan: Scan, text: str) -> Answer:
        """A badge: whoever works at this station from now on, or at all of them."""
        place = self._places.get(scan.station) if scan.station is not None else None
        if place is not None:
            place.operator = name
        else:
            self.operator = name
            for every in self._places.values():
                every.operator = name
        return self._obeyed(scan, text, "badge_taken", "HELLO", f"Good work, {name}. Scan a board.")

    def _board(self, scan: Scan) -> ListedDevice:
        """The board a command is about: the one scanned last by the same way, and not under work."""
        device = self._boards.get((scan.source, self._station(scan)))
        if device is None:
            raise NoBoardForCommand("no board has been scanned here before this command")
        self._refuse_repeated(Wanted(device.id))
        return device

    def _rework(self, scan: Scan, text: str) -> Answer:
        device = self._board(scan)
        place = self._free_place(scan)
        try:
            self._refuse_by_state(device)
        except AlreadyEnded:
            self._order(Act.RERUN, scan, device)
        return self._give(place, self.labels.resolve(device.id), device, scan, text)


_ABOUT_THE_BOARD = (AlreadyConfirmed, AlreadyEnded, ImportOnly, NotYetImported, RefusedByImport, WaitsForProof)
_OBEYED = {
    Command.STOP: ("stop_taken", "STOPPING", "Leave the boards under way where they are; scan no more."),
    Command.HOLD: ("hold_taken", "HELD", "Scan RESUME when work may go on."),
    Command.RESUME: ("resume_taken", "GO ON", "Scan a board."),
    Command.JOINED: ("joined_taken", "THANK YOU", "Wait for the verdict."),
    Command.SET_ASIDE: ("set_aside_taken", "SET ASIDE", "Put the board into the red bin."),
}
