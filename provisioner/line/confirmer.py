"""Asks the cloud until a device is proven, or its budget is gone. The only stage that writes `device.confirmed`.

Rule 1: no adapter is held here. A bounded number of devices wait; when it is reached, stations wait before their
next visit instead of the queue growing.
Rule 2: waiting devices are asked in turn by a few workers, so ten dead boards do not keep a live one waiting. Those
whose turns are close are asked together, by one page of the product's list, newest connections first: the limit is
counted in requests (facts: particle-cloud 11), and one request tells about a hundred devices.
Rule 3: a page only ever proves, or says "not yet"; what a device ends with otherwise is read by itself.
Rule 4: time during which the line is held, or the uplink is away, is not counted against a device.
Rule 5: only `proof.judge` says proven; no answer, or a doubtful one, ends as unknown.
Rule 6: an answer that is older than one before says nothing, so neither order nor repetition of answers matters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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
from provisioner.line.newest import NewestConnections, RecentPage
from provisioner.line.proof import Expectation, Verdict, is_older, judge
from provisioner.line.rows import row_of, time_text, why_of
from provisioner.line.steps import Step
from provisioner.line.uplink import Uplink
from provisioner.line.waiting_room import Awaiting, WaitingRoom
from provisioner.model import CloudDevice, DeviceID, ListedDevice, Outcome
from provisioner.pacing import polls
from provisioner.settings import Budgets

FAULTS_MAX = 3
_GONE_BELIEVED, _GONE_PAUSE_S = 2, 3.0  # a device that was there and is not is looked for so often, so long after
_ONLINE = (Verdict.NOT_CLAIMED, Verdict.WRONG_OWNER)  # it is there; what it shall show follows


class Confirmer:
    """The workers that ask about waiting devices. `work` is run several times by the scheduler."""

    def __init__(
        self,
        *,
        read: ReadsDevices,
        read_recent: Callable[[int], Awaitable[RecentPage]],
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
        self._newest = NewestConnections(read_recent)
        self._claim = claim
        self._journal = journal
        self._air = air
        self._hold = hold
        self._uplink = uplink
        self._budgets = budgets
        self._may_visit_again = may_visit_again
        self._one_page = trio.Lock()
        self._room = WaitingRoom(
            waiting_max=waiting_max, lost_s=lambda: self._hold.cloud_closed_s() + self._uplink.away_s()
        )

    # --- coming in ---

    async def add(self, wanted: Expectation, *, station: str | None) -> None:
        """Take in a device after its visit, or one that waits to be claimed online. Waits while the place is full."""
        await self._take_in(wanted, station=station, budget_s=self._budgets.confirm_s)

    async def settle(self, wanted: Expectation, *, budget_s: float, returns: bool) -> None:
        """Take in a device that an earlier run left open. If the cloud does not prove it soon, it `returns` to the
        stations; at the end of a run, when none would take it, it ends as the cloud shows it."""
        await self._take_in(wanted, station=None, budget_s=budget_s, returns=returns)

    def judge_read(self, wanted: Expectation, seen: CloudDevice) -> None:
        """Give a device its outcome from a read that was just made (import only: the product list is the proof)."""
        awaiting = Awaiting(wanted, None, self._room.clock_s(), iter(()), judge(seen, wanted), seen)
        self._room.add(awaiting)
        self._settle(awaiting)

    async def _take_in(
        self, wanted: Expectation, *, station: str | None, budget_s: float, returns: bool = False
    ) -> None:
        await self._room.take_place()
        waits = polls(self._budgets.confirm_poll_first_s, self._budgets.confirm_poll_longest_s)
        awaiting = Awaiting(wanted, station, self._room.clock_s() + budget_s, waits, returns=returns)
        awaiting.has_place = True
        # It may have been heard again before it came here: behind a full queue, or within a single radio's window.
        awaiting.back = self._air.back_since_connect(awaiting.device.id)
        self._room.add(awaiting)
        self._room.push(awaiting, 0.0 if station is None or awaiting.refused else next(waits))

    def setup_network_back(self, back: CameBack) -> None:
        """Its setup network is heard again. If it had left, its Wi-Fi was refused: ask once more, then end it.

        If it never left, that says little (see `CameBack`): it keeps its time, and the news names it at the end.
        """
        awaiting = self._room.get(back.device)
        if awaiting is not None:
            awaiting.back = back
            if awaiting.refused and awaiting.turn is not None:
                self._room.push(awaiting, 0.0)

    @property
    def waiting(self) -> int:
        """How many devices wait for proof."""
        return len(self._room)

    async def wait_empty(self) -> None:
        """Wait until every device that came in has an outcome."""
        await self._room.wait_empty()

    def give_up_all(self, reason: str) -> None:
        """The run ends: what is not proven by now is unknown, and the next run settles it."""
        for awaiting in self._room:
            self._finish(awaiting, Outcome.UNKNOWN, RunEnded(reason))

    # --- asking ---

    async def work(self) -> None:
        """Ask about due devices until cancelled."""
        while True:
            first = await self._room.next_due()
            together = [first]
            if self._fits_a_page(first):
                together += self._room.also_due(self._budgets.confirm_poll_longest_s / 2, self._fits_a_page)
            if len(together) == 1:
                await self._ask(first)
            else:
                await self._ask_together(together)

    def _fits_a_page(self, awaiting: Awaiting) -> bool:
        """Whether a page of the newest connections can tell enough: not at the end of its time, which needs a name."""
        return (
            awaiting.wanted.membership
            and awaiting.wanted.cloud_from is not None
            and not awaiting.refused
            and not awaiting.alone
            and not self._room.is_over(awaiting)
        )

    async def _ask_together(self, together: list[Awaiting]) -> None:
        await self._hold.wait_cloud_open()
        online = [awaiting.device.id for awaiting in together if awaiting.last in _ONLINE]
        try:
            async with self._uplink.present(), self._one_page:
                page = await self._newest.read(online)
        except CloudError as fault:
            self._hold.report(fault)
            for awaiting in together:
                self._after_fault(awaiting)
            return
        for awaiting in together:
            self._judge_by_page(awaiting, page)

    def _judge_by_page(self, awaiting: Awaiting, page: RecentPage) -> None:
        seen, since = page.devices.get(awaiting.device.id), awaiting.wanted.cloud_from
        if seen is not None and is_older(seen, awaiting.last_seen):
            awaiting.alone = True
        elif seen is not None:
            awaiting.last, awaiting.last_seen = judge(seen, awaiting.wanted), seen
            if awaiting.last in _ONLINE:
                self._room.seen_online(awaiting)
            if awaiting.last is Verdict.PROVEN:
                self._settle(awaiting)
                return
            # A quarantined device, or a claim to be made, is looked at by itself.
            awaiting.alone = awaiting.last in (Verdict.QUARANTINED, Verdict.CLAIM_NOW)
        else:
            missed = since is None or not self._newest.would_have_seen(since - awaiting.wanted.tolerance)
            awaiting.alone = missed or awaiting.last in _ONLINE
        self._room.push(awaiting, 0.0 if awaiting.alone else self._room.pause_s(awaiting))

    async def _ask(self, awaiting: Awaiting) -> None:
        await self._hold.wait_cloud_open()
        last_chance = False
        try:
            async with self._uplink.present():
                last_chance = awaiting.refused or self._room.is_over(awaiting)
                seen = await self._read(awaiting.device)
                verdict = judge(seen, awaiting.wanted)
                if verdict in _ONLINE:
                    self._room.seen_online(awaiting)
                    last_chance = last_chance and self._room.is_over(awaiting)
                if verdict is Verdict.CLAIM_NOW and not awaiting.claimed:
                    await self._claim_now(awaiting)
        except NotInCloud:
            # Developer devices are shown to their owner only: not there means not claimed yet.
            seen, verdict = None, Verdict.NOT_IN_PRODUCT if awaiting.wanted.membership else Verdict.NOT_YET
        except CloudError as fault:
            self._hold.report(fault)
            self._after_fault(awaiting)
            return
        if self._is_suddenly_gone(awaiting, seen):
            self._room.push(awaiting, _GONE_PAUSE_S)
            return
        if seen is not None and is_older(seen, awaiting.last_seen):
            seen, verdict = awaiting.last_seen, awaiting.last  # rule 6
        awaiting.last, awaiting.last_seen, awaiting.alone = verdict, seen, False
        # The owner field lags the online event: an owner that is missing, or still the old one, is judged only when the
        # time is over, and that is not before OWNER_LAG_S after it was first seen online.
        if awaiting.refusal is not None:
            self._finish(awaiting, Outcome.FAIL, awaiting.refusal)
        elif verdict is Verdict.PROVEN or verdict is Verdict.QUARANTINED or last_chance:
            self._settle(awaiting)
        else:
            self._room.push(awaiting, self._room.pause_s(awaiting))

    @staticmethod
    def _is_suddenly_gone(awaiting: Awaiting, seen: CloudDevice | None) -> bool:
        """Whether it was there and is not, which one answer does not prove: it may come from a copy that is behind."""
        known = awaiting.last_seen
        gone = known is not None and (seen is None or (known.in_product and not seen.in_product))
        awaiting.gone = awaiting.gone + 1 if gone else 0
        return gone and awaiting.gone < _GONE_BELIEVED

    def _after_fault(self, awaiting: Awaiting) -> None:
        """No answer about this device: later again; if the time is over and others get answers, it is unknown."""
        awaiting.faults += 1
        if self._room.is_over(awaiting) and awaiting.faults >= FAULTS_MAX:
            self._settle(awaiting)
        else:
            self._room.push(awaiting, next(awaiting.waits))

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
            self._room.remove(awaiting)
            self._air.returned(awaiting.device.id)
        else:
            self._finish(awaiting, Outcome.UNKNOWN if isinstance(failure, NotProven) else Outcome.FAIL, failure)

    def _comes_again(self, awaiting: Awaiting, failure: DeviceError) -> bool:
        """Whether a station shall have the device (again) instead of an outcome now."""
        if awaiting.returns:
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
        self._room.remove(awaiting)
        self._air.settled(device.id)
        if outcome is Outcome.PASS and awaiting.wanted.visited:
            self._hold.device_passed()
        elif isinstance(failure, WifiCredentialsRejected):
            self._hold.device_met(failure, device.id)

    @staticmethod
    def _evidence(awaiting: Awaiting) -> dict[str, str | bool | None]:
        """The cloud facts of the last read, beside what the cloud had shown before the visit."""
        seen, wanted = awaiting.last_seen, awaiting.wanted
        facts: dict[str, str | bool | None] = dict(seen.evidence()) if seen is not None else {"in_cloud": False}
        if wanted.visited:
            facts["handshake_before"] = time_text(wanted.handshake_before)
        return facts


def _why(awaiting: Awaiting) -> DeviceError:
    """The named reason why a device is not proven now that its time is over."""
    device, seen = awaiting.device, awaiting.last_seen
    if awaiting.last is Verdict.QUARANTINED:
        return ImportQuarantined(f"{device.id} is quarantined or denied")
    if awaiting.last is Verdict.NOT_IN_PRODUCT:
        return NotInProduct(f"{device.id} is not in the product")
    if awaiting.refused:
        return WifiCredentialsRejected(f"{device.id} could not join the factory Wi-Fi and is listening again")
    if awaiting.last is Verdict.NOT_CLAIMED:
        return NotClaimed(f"{device.id} is online, but nobody owns it: its claim code was not honoured")
    if awaiting.last is Verdict.WRONG_OWNER and seen is not None:
        return WrongOwner(f"{device.id} is online, but belongs to {seen.owner}, not {awaiting.wanted.owner}")
    if awaiting.last is Verdict.CLAIM_NOW:
        return NotProven(f"{device.id} is online; the cloud has not shown the owner it was claimed for")
    if awaiting.back is not None:
        return ConnectIgnored(f"{device.id} never left its setup network")
    return NotProven(f"{device.id} has not reached the cloud since its visit")
