"""What a person may order of a running line, from wherever they stand: a page, a terminal, a command barcode.

Rule 1: an order is carried out at once or refused with what to do instead; it never waits.
Rule 2: each one that is carried out stands in the journal with the operator's name. An order without a name is refused.
Rule 3: nothing is changed under a board that a station holds, or that waits for its proof.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from provisioner.errors import (
    AlreadySo,
    DeviceBusy,
    NotInManifest,
    NotRunning,
    NotVisitable,
    OrderRefused,
    SetAside,
)
from provisioner.journal.writer import Journal
from provisioner.line.air import Air
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger, Standing
from provisioner.line.rows import row_of, why_of
from provisioner.line.steps import State
from provisioner.model import DeviceID, ListedDevice, Outcome, printable

OPERATOR_CHARACTERS_MAX = 64
_ENDED = frozenset({State.FAILED, State.UNKNOWN, State.SKIPPED})


class Act(enum.StrEnum):
    """The acts, as pages and barcodes name them."""

    STOP = "stop"
    HOLD = "hold"
    RESUME = "resume"
    RERUN = "rerun"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `device` for RERUN and SET_ASIDE; `station` is where the person stood, if they stood at one."""

    act: Act
    operator: str
    device: DeviceID | None = None
    station: str | None = None


class Orders:
    """The way in: made before a run and given to whoever asks people; takes orders while a run takes them."""

    def __init__(self) -> None:
        self._line: LineOrders | None = None

    @contextmanager
    def taken_by(self, line: LineOrders) -> Iterator[None]:
        """Hand orders to this run for the length of the block: from its first record on, also while it still opens."""
        self._line = line
        try:
            yield
        finally:
            self._line = None

    def give(self, order: Order) -> None:
        """Carry it out. Raises OrderRefused, NotInManifest or NotVisitable; then nothing was changed."""
        if self._line is None:
            raise NotRunning("no run is working now")
        self._line.carry_out(order)


@dataclass
class LineOrders:
    """One run's answer to orders."""

    ledger: Ledger
    hold: LineHold
    air: Air
    journal: Journal
    stop: Callable[[str], None]
    _over: bool = field(default=False, init=False)

    @contextmanager
    def until_over(self) -> Iterator[None]:
        """The block is the line's work: what is ordered after it could change nothing any more, and is refused."""
        try:
            yield
        finally:
            self._over = True

    def carry_out(self, order: Order) -> None:
        """As `Orders.give`."""
        if self._over:
            raise NotRunning("the run has ended its work")
        operator = printable(order.operator.strip(), OPERATOR_CHARACTERS_MAX)
        if not operator:
            raise OrderRefused("an order without a name", remedy="Say who you are: scan your badge or type your name.")
        match order.act:
            case Act.STOP:
                self.stop(operator)
            case Act.HOLD:
                self.hold.hold_by_person(operator)
            case Act.RESUME:
                self.hold.resume(operator)
            case Act.RERUN:
                self._rerun(self._listed(order.device), operator, order.station)
            case Act.SET_ASIDE:
                self._set_aside(self._listed(order.device), operator, order.station)

    def _listed(self, device: DeviceID | None) -> ListedDevice:
        found = self.ledger.manifest.find(device) if device is not None else None
        if found is None:
            raise NotInManifest(f"{device or 'nothing'} is no device of this manifest")
        return found

    def _rerun(self, device: ListedDevice, operator: str, station: str | None) -> None:
        """Give a device that ended without PASS another try in this run."""
        standing = self._at_rest(device)
        if standing.state is State.IMPORTED:
            raise AlreadySo(f"{device.id} is still to be worked", remedy="Bring the board to a station, blinking blue.")
        if standing.state not in _ENDED or not device.needs_visit:
            raise NotVisitable(f"{device.id} is {standing.state}: no station would work it")
        self.journal.append("device.reopened", **row_of(device), operator=operator, station=station)
        self.air.give_another_chance(device.id)

    def _set_aside(self, device: ListedDevice, operator: str, station: str | None) -> None:
        """Take a board off the bench: one that failed keeps its outcome, one that had no turn fails."""
        standing = self._at_rest(device)
        if standing.state in (State.CONFIRMED, State.REFUSED):
            raise AlreadySo(f"{device.id} is {standing.state}: no station will work it")
        if standing.state in _ENDED:
            self.journal.append("device.set_aside", **row_of(device), operator=operator, station=station)
            return
        why = why_of(SetAside(f"{device.id} was set aside by {operator}"))
        self.journal.append(
            "device.failed", **row_of(device), operator=operator, station=station, outcome=Outcome.FAIL, **why
        )

    def _at_rest(self, device: ListedDevice) -> Standing:
        """Where it stands. Raises DeviceBusy."""
        standing = self.ledger[device.id]
        if standing.with_station is not None:
            raise DeviceBusy(f"{device.id} is with station {standing.with_station}")
        if standing.state not in (State.IMPORTED, State.CONFIRMED, State.REFUSED, *_ENDED):
            raise DeviceBusy(f"{device.id} is {standing.state.replace('_', ' ')}")
        return standing
