"""Asks the cloud until a device is proven, or its budget is gone. The only stage that writes `device.confirmed`.

Rule 1: no adapter is held here. A bounded number of devices wait; when it is reached, stations wait before their
next visit instead of the queue growing.
Rule 2: waiting devices are asked in turn by a few workers, so ten dead boards do not keep a live one waiting.
Rule 3: time during which the line is held, or the uplink is away, is not counted against a device.
Rule 4: only `proof.judge` says proven; no answer, or a doubtful one, ends as unknown.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import trio

from provisioner.errors import (
    CloudError,
    ConnectIgnored,
    DeviceError,
    DeviceNotOnline,
    ImportQuarantined,
    NotClaimed,
    NotInCloud,
    NotInProduct,
    NotProven,
    OwnedBySomeoneElse,
    ProvisionerError,
    RunEnded,
    WifiCredentialsRejected,
    WrongOwner,
)
from provisioner.journal.writer import Journal
from provisioner.line.air import Air, CameBack
from provisioner.line.hold import LineHold
from provisioner.line.lookups import ReadsDevices
from provisioner.line.proof import Expectation, Verdict, judge
from provisioner.line.rows import row_of, time_text, why_of
from provisioner.line.steps import Step
from provisioner.line.uplink import Uplink
from provisioner.model import CloudDevice, DeviceID, ListedDevice, Outcome
from provisioner.pacing import polls
from provisioner.settings import Budgets

FAULTS_MAX = 3
_ROUNDING_S = 1e-6


@dataclass(slots=True)
class Awaiting:
    """One device waiting for proof. `deadline_s` is by the confirmer's own clock, which stands still with the line.

    `turn` is its one valid place in the queue; None while a worker asks about it, so that only one does.
    """

    wanted: Expectation
    station: str | None
    deadline_s: float
    waits: Iterator[float]
    last: Verdict = Verdict.NOT_YET
    last_seen: CloudDevice | None = None
    back: CameBack | None = None
    claimed: bool = False
    refusal: ProvisionerError | None = None
    faults: int = 0
    left_by_earlier_run: bool = False
    has_place: bool = False
    turn: int | None = None

    @property
    def device(self) -> ListedDevice:
        """The device that waits."""
        return self.wanted.device


class Confirmer:
    """The waiting devices and the workers that ask. `work` is run several times by the scheduler."""

    def __init__(
        self,
        *,
        read: ReadsDevices,
        claim: Callable[[ListedDevice], Awaitable[None]],
        journal: Journal,
        air: Air,
        hold: LineHold,
        uplink: Uplink,
        budgets: Budgets,
        waiting_max: int,
        may_visit_again: Callable[[DeviceID], bool],
    ) -> None:
        self._read = read
        self._claim = claim
        self._journal = journal
        self._air = air
        self._hold = hold
        self._uplink = uplink
        self._budgets = budgets
        self._may_visit_again = may_visit_again
        self._places = trio.Semaphore(waiting_max)
        self._due: list[tuple[float, int, Awaiting]] = []
        self._order = itertools.count()
        self._by_device: dict[DeviceID, Awaiting] = {}
        self._picking = trio.Lock()
        self._changed = trio.Event()

    # --- coming in ---

    async def add(self, wanted: Expectation, *, station: str | None) -> None:
        """Take in a device after its visit, or one that waits to be claimed online. Waits while the place is full."""
        await self._take_in(wanted, station=station, budget_s=self._budgets.confirm_s)

    async def settle(self, wanted: Expectation, *, budget_s: float) -> None:
        """Take in a device that an earlier run left open: if the cloud does not prove it soon, it may be visited."""
        await self._take_in(wanted, station=None, budget_s=budget_s, left_by_earlier_run=True)

    def judge_read(self, wanted: Expectation, seen: CloudDevice) -> None:
        """Give a device its outcome from a read that was just made (import only: the product list is the proof)."""
        verdict = judge(seen, wanted)
        awaiting = Awaiting(wanted, None, self._counted_s(), iter(()), verdict, seen)
        self._by_device[awaiting.device.id] = awaiting
        self._settle(awaiting)

    async def _take_in(
        self, wanted: Expectation, *, station: str | None, budget_s: float, left_by_earlier_run: bool = False
    ) -> None:
        await self._places.acquire()
        waits = polls(self._budgets.confirm_poll_first_s, self._budgets.confirm_poll_longest_s)
        awaiting = Awaiting(
            wanted, station, self._counted_s() + budget_s, waits, left_by_earlier_run=left_by_earlier_run
        )
        awaiting.has_place = True
        # It may have been heard again before it came here: behind a full queue, or within a single radio's window.
        awaiting.back = self._air.back_since_connect(awaiting.device.id)
        self._by_device[awaiting.device.id] = awaiting
        self._push(awaiting, 0.0 if station is None or awaiting.back is not None else next(waits))

    def setup_network_back(self, back: CameBack) -> None:
        """A device that was told to connect is listening again: ask once more, then give it its outcome."""
        awaiting = self._by_device.get(back.device)
        if awaiting is not None:
            awaiting.back = back
            if awaiting.turn is not None:
                self._push(awaiting, 0.0)

    @property
    def waiting(self) -> int:
        """How many devices wait for proof."""
        return len(self._by_device)

    async def wait_empty(self) -> None:
        """Wait until every device that came in has an outcome."""
        while self._by_device:
            await self._changed.wait()

    def give_up_all(self, reason: str) -> None:
        """The run ends: what is not proven by now is unknown, and the next run settles it."""
        for awaiting in list(self._by_device.values()):
            self._finish(awaiting, Outcome.UNKNOWN, RunEnded(reason))

    # --- asking ---

    async def work(self) -> None:
        """Ask about one due device after the other until cancelled."""
        while True:
            await self._ask(await self._next_due())

    async def _next_due(self) -> Awaiting:
        async with self._picking:  # one worker watches the clock, the others queue behind it
            while True:
                while self._due and self._due[0][1] != self._due[0][2].turn:
                    heapq.heappop(self._due)  # it has ended, or was given an earlier turn
                if self._due and self._due[0][0] <= trio.current_time():
                    awaiting = heapq.heappop(self._due)[2]
                    awaiting.turn = None
                    return awaiting
                with trio.move_on_at(self._due[0][0]) if self._due else trio.CancelScope():
                    await self._changed.wait()

    async def _ask(self, awaiting: Awaiting) -> None:
        await self._hold.wait_cloud_open()
        last_chance = False
        try:
            async with self._uplink.present():
                last_chance = awaiting.back is not None or self._is_over(awaiting)
                seen = await self._read(awaiting.device)
                verdict = judge(seen, awaiting.wanted)
                if verdict is Verdict.CLAIM_NOW and not awaiting.claimed:
                    await self._claim_now(awaiting)
        except NotInCloud:
            # Developer devices are shown to their owner only: not there means not claimed yet.
            seen, verdict = None, Verdict.NOT_IN_PRODUCT if awaiting.wanted.membership else Verdict.NOT_YET
        except CloudError as fault:
            self._hold.report(fault)
            self._after_fault(awaiting)
            return
        awaiting.last, awaiting.last_seen = verdict, seen
        # The owner field lags the online event by 0-10 s (facts: particle-cloud 15.12): an owner that is missing, or
        # still the old one, is judged only when the time is over.
        if awaiting.refusal is not None:
            self._finish(awaiting, Outcome.FAIL, awaiting.refusal)
        elif verdict is Verdict.PROVEN or verdict is Verdict.QUARANTINED or last_chance:
            self._settle(awaiting)
        else:
            self._push(awaiting, self._pause_s(awaiting))

    def _after_fault(self, awaiting: Awaiting) -> None:
        """No answer about this device: later again; if the time is over and others get answers, it is unknown."""
        awaiting.faults += 1
        if self._is_over(awaiting) and awaiting.faults >= FAULTS_MAX:
            self._settle(awaiting)
        else:
            self._push(awaiting, next(awaiting.waits))

    def _pause_s(self, awaiting: Awaiting) -> float:
        """How long until this device is asked about again; at once if it was heard again while it was asked about."""
        if awaiting.back is not None:
            return 0.0
        return min(next(awaiting.waits), max(0.0, awaiting.deadline_s - self._counted_s()))

    def _counted_s(self) -> float:
        """Trio's time less the time in which no question could be asked."""
        return trio.current_time() - self._hold.cloud_closed_s() - self._uplink.away_s()

    def _is_over(self, awaiting: Awaiting) -> bool:
        return self._counted_s() >= awaiting.deadline_s - _ROUNDING_S

    async def _claim_now(self, awaiting: Awaiting) -> None:
        """Policy `online`: the device is there, so claim it by its ID; the next read has to show the owner."""
        device = awaiting.device
        self._journal.append("claim.intended", **row_of(device))
        try:
            await self._claim(device)
        except (DeviceNotOnline, OwnedBySomeoneElse) as refused:
            self._journal.append("claim.refused", **why_of(refused), **row_of(device))
            if isinstance(refused, OwnedBySomeoneElse):
                awaiting.refusal = refused  # asking again would not change it
            return
        awaiting.claimed = True
        self._journal.append("claim.accepted", **row_of(device))

    # --- going out ---

    def _settle(self, awaiting: Awaiting) -> None:
        if awaiting.last is Verdict.PROVEN:
            self._finish(awaiting, Outcome.PASS, None)
            return
        failure = _why(awaiting)
        if self._comes_again(awaiting, failure):
            self._journal.append("device.returned", **row_of(awaiting.device), **why_of(failure))
            self._let_go(awaiting)
        else:
            self._finish(awaiting, Outcome.UNKNOWN if isinstance(failure, NotProven) else Outcome.FAIL, failure)

    def _comes_again(self, awaiting: Awaiting, failure: DeviceError) -> bool:
        """Whether a station shall have the device (again) instead of an outcome now."""
        if awaiting.left_by_earlier_run:
            return awaiting.device.needs_visit
        return isinstance(failure, ConnectIgnored) and self._may_visit_again(awaiting.device.id)

    def _finish(self, awaiting: Awaiting, outcome: Outcome, failure: ProvisionerError | None) -> None:
        device = awaiting.device
        event = {Outcome.PASS: "confirmed", Outcome.UNKNOWN: "unknown"}.get(outcome, "failed")
        self._journal.append(
            f"device.{event}",
            station=awaiting.station,
            **row_of(device),
            step=Step.CONFIRMING,
            outcome=outcome,
            evidence=self._evidence(awaiting),
            **why_of(failure),
        )
        self._let_go(awaiting)
        if outcome is Outcome.PASS and awaiting.wanted.visited:
            self._hold.device_passed()
        elif isinstance(failure, WifiCredentialsRejected):
            self._hold.device_met(failure, device.id)

    def _let_go(self, awaiting: Awaiting) -> None:
        del self._by_device[awaiting.device.id]
        awaiting.turn = None
        if awaiting.has_place:
            self._places.release()
        self._air.settled(awaiting.device.id)
        self._announce()

    @staticmethod
    def _evidence(awaiting: Awaiting) -> dict[str, str | bool | None]:
        """The cloud facts of the last read, beside what the cloud had shown before the visit."""
        seen, wanted = awaiting.last_seen, awaiting.wanted
        facts: dict[str, str | bool | None] = dict(seen.evidence()) if seen is not None else {"in_cloud": False}
        if wanted.visited:
            facts["handshake_before"] = time_text(wanted.handshake_before)
        return facts

    def _push(self, awaiting: Awaiting, wait_s: float) -> None:
        awaiting.turn = next(self._order)
        heapq.heappush(self._due, (trio.current_time() + wait_s, awaiting.turn, awaiting))
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _why(awaiting: Awaiting) -> DeviceError:
    """The named reason why a device is not proven now that its time is over."""
    device, back, seen = awaiting.device, awaiting.back, awaiting.last_seen
    if awaiting.last is Verdict.QUARANTINED:
        return ImportQuarantined(f"{device.id} is quarantined or denied")
    if awaiting.last is Verdict.NOT_IN_PRODUCT:
        return NotInProduct(f"{device.id} is not in the product")
    if back is not None:
        return _listening_again(device, back)
    if awaiting.last is Verdict.NOT_CLAIMED:
        return NotClaimed(f"{device.id} is online, but nobody owns it: its claim code was not honoured")
    if awaiting.last is Verdict.WRONG_OWNER and seen is not None:
        return WrongOwner(f"{device.id} is online, but belongs to {seen.owner}, not {awaiting.wanted.owner}")
    if awaiting.last is Verdict.CLAIM_NOW:
        return NotProven(f"{device.id} is online; the cloud has not shown the owner it was claimed for")
    return NotProven(f"{device.id} has not reached the cloud since its visit")


def _listening_again(device: ListedDevice, back: CameBack) -> DeviceError:
    if back.left_first:
        return WifiCredentialsRejected(f"{device.id} could not join the factory Wi-Fi and is listening again")
    return ConnectIgnored(f"{device.id} never left its setup network")
