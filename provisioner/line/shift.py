"""A station's shift: one board after the other until the line has nothing more for it.

Rule 1: three ways of working, one loop each: an adapter of its own (`work_separate`), the only radio of a
computer (`work_in_windows`: codes and reads first, then a window of boards, then back to the uplink to confirm),
and a person with a scanner (`work_scanned`).
Rule 2: a graceful stop ends a shift between two boards, never in the middle of one; while it waits for something
(the line, codes, the next scan) a stop ends it at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import trio

from provisioner.errors import (
    Again,
    Blame,
    ClaimCodeUnavailable,
    CloudError,
    NotTheScannedDevice,
    ProvisionerError,
    RunStopping,
    ScannedNotHeard,
    StrangerDevice,
    SwitchError,
    UplinkNotRestored,
)
from provisioner.line.confirmer import Confirmer
from provisioner.line.rows import row_of, why_of
from provisioner.line.scan_desk import ScanDesk
from provisioner.line.station import Station
from provisioner.line.uplink import Uplink
from provisioner.line.visit import HandedOver, Visit, Wanted
from provisioner.model import ListedDevice, Outcome

RESTORE_SLACK_S = 2.0  # the back end's own limit comes first: its error says more than ours
T = TypeVar("T")


@dataclass
class Shift:
    """What the loops need besides the station: when to stop, and where devices go after their visit."""

    station: Station
    stop: trio.Event
    confirmer: Confirmer
    hand_over: Callable[[HandedOver], Awaitable[None]]
    visited: Callable[[], None]
    scan_faults: int = field(default=0)
    _waiting: trio.CancelScope | None = field(default=None, init=False)
    _handing_over: bool = field(default=False, init=False)

    @property
    def over(self) -> bool:
        """Whether this station takes no more boards."""
        return self.stop.is_set() or self.station.drained is not None

    async def work_separate(self) -> None:
        """Visit whatever listed board is heard; hand it over after leaving; begin the next."""
        while await self._line_opens():
            visit = await self._next_board(None)
            if visit is not None and visit.handed_over is not None:
                await self._hand_over(visit.handed_over)

    def leave_off(self) -> None:
        """The run is stopping: end the wait under way, but for a board that can still come to the confirmer."""
        if self._waiting is not None and (not self._handing_over or self.station.shared.hold.for_good):
            self._waiting.cancel()

    async def _wait(self, what: Callable[[], Awaitable[T]]) -> T | None:
        """Wait for something that `leave_off` may end; None if it did."""
        with trio.CancelScope() as self._waiting:
            return await what()
        return None

    async def _line_opens(self) -> bool:
        """Wait until the next board may begin; False when the shift is over."""
        if not self.over:
            await self._wait(self.station.shared.hold.wait_open)
        return not self.over

    async def _hand_over(self, done: HandedOver) -> None:
        """Give a board to the confirmer; held for good, nobody can prove it, so nobody waits for a place."""
        if not self.station.shared.hold.for_good:
            self._handing_over = True
            await self._wait(lambda: self.hand_over(done))
            self._handing_over = False

    async def work_scanned(self, desk: ScanDesk) -> None:
        """One scan, one board; nothing else is ever joined."""
        place = desk.open(self.station.name)
        try:
            while not self.over:
                wanted = await self._wait(place.next)
                if wanted is None or self.over:
                    return
                self.station.operator = place.operator
                visit = await self._scanned_board(wanted)
                if visit is not None and visit.handed_over is not None:
                    await self._hand_over(visit.handed_over)
                desk.done(place)
        finally:
            desk.close(place.name)

    async def _scanned_board(self, wanted: Wanted) -> Visit | None:
        """Look for the board that was scanned until it is found, or its time is over; write down how it ended."""
        self.station.shared.air.forgive()  # a person vouches for what is on the bench now
        visit, failure = await self._look_for(wanted)
        if visit is not None and visit.handed_over is not None:
            failure = None
        elif failure is None:
            name = wanted.device or f"{self.station.shared.prefix}{wanted.code}"
            failure = RunStopping("the run is stopping") if self.over else ScannedNotHeard(f"{name} is not heard here")
        self.station.scribe.append(
            "scan.ended",
            operator=self.station.operator,
            **row_of(self._listed(wanted, visit)),
            outcome=Outcome.FAIL if failure is not None else Outcome.PASS,
            **why_of(failure),
        )
        return visit

    async def _look_for(self, wanted: Wanted) -> tuple[Visit | None, ProvisionerError | None]:
        """Visit what may be the scanned board until it is; the last visit, and why it is not done."""
        budgets = self.station.shared.budgets
        began_s = trio.current_time()
        visit, failure = None, None
        while await self._line_opens() and trio.current_time() < began_s + budgets.scanned_board_s:
            late = trio.current_time() >= began_s + budgets.other_names_after_s
            visit = await self._next_board(replace(wanted, any_name=late or wanted.code is None))
            if visit is None:
                if late and isinstance(failure, NotTheScannedDevice | StrangerDevice):
                    break  # all who could be it have answered
                continue
            failure = visit.failure
            if visit.handed_over is not None:
                break
            if wanted.device is not None and isinstance(failure, NotTheScannedDevice | StrangerDevice):
                wanted = replace(wanted, not_there=wanted.not_there | {visit.network.key})
            elif self._is_final(visit):
                break
        return visit, failure

    def _is_final(self, visit: Visit) -> bool:
        """Whether another try at the scanned board makes no sense now."""
        failure, device = visit.failure, visit.device
        if failure is None or failure.again is not Again.THIS_RUN or failure.blame is Blame.OPERATOR:
            return True
        return device is not None and not self.station.shared.ledger.may_visit(device.id)

    def _listed(self, wanted: Wanted, visit: Visit | None) -> ListedDevice | None:
        if wanted.device is not None:
            return self.station.shared.ledger.manifest.find(wanted.device)
        return visit.device if visit is not None else None

    async def work_in_windows(self, uplink: Uplink, preload: Callable[[list[ListedDevice]], Awaitable[None]]) -> None:
        """The only radio: prepare on the uplink, visit a window of boards, come back, prove them, again."""
        shared = self.station.shared
        while await self._line_opens():
            await self._wait(lambda: shared.codes.stocked(for_s=shared.budgets.join_s))
            if self.over:
                return
            open_devices = [d for d in shared.ledger.manifest if d.needs_visit and shared.ledger.may_visit(d.id)]
            try:
                async with uplink.present():
                    await preload(open_devices)
            except CloudError as fault:
                shared.hold.report(fault)
                continue
            if not open_devices:
                await self._listen_while_waiting()
                continue
            try:
                async with uplink.away():
                    try:
                        done = await self._window()
                    finally:
                        await self._restore()
            except SwitchError as fault:
                self.station.drain(fault)
                return
            for handed_over in done:
                await self._hand_over(handed_over)
            with trio.move_on_after(shared.budgets.confirm_s):
                while self.confirmer.waiting and not self.over:
                    await self._listen_while_waiting()

    async def _restore(self) -> None:
        """Back to the uplink, also when the run is cancelled. Raises SwitchError."""
        budget_s = self.station.shared.budgets.restore_s
        with trio.move_on_after(budget_s + RESTORE_SLACK_S, shield=True) as bound:
            await self.station.switcher.restore(timeout=budget_s)
        if bound.cancelled_caught:
            raise UplinkNotRestored(f"the adapter was not back on the uplink network within {budget_s:g} s")

    async def _window(self) -> list[HandedOver]:
        """Boards one after the other without the cloud; ends when none is heard, or the codes would grow old."""
        shared = self.station.shared
        done: list[HandedOver] = []
        # The last board must have its code before it grows old, also if joining takes all its time.
        left_s = shared.budgets.claim_code_age_s - shared.codes.oldest_age_s() - shared.budgets.join_s
        end_s = trio.current_time() + left_s
        for number in range(shared.limits.window_devices_max):
            in_time = number == 0 or trio.current_time() < end_s  # the codes outlast the first join
            visit = await self._next_board(None) if in_time and not self.over else None
            if visit is None or isinstance(visit.failure, CloudError | ClaimCodeUnavailable):
                break  # nothing is heard, or what is missing lies on the uplink
            if visit.handed_over is not None:
                done.append(visit.handed_over)
        return done

    async def _listen_while_waiting(self) -> None:
        """Hear whether a board that was told to connect is back; take none."""
        await self._at_the_adapter(self.station.listen)
        await trio.sleep(self.station.shared.budgets.scan_pause_s)

    async def _next_board(self, wanted: Wanted | None) -> Visit | None:
        network = await self._at_the_adapter(lambda: self.station.find(wanted))
        if network is None:
            with trio.move_on_after(self.station.shared.budgets.scan_pause_s):
                await self.stop.wait()
            return None
        self.visited()
        visit = await self.station.visit(network, wanted)
        self.station.learn_from(visit)
        return visit

    async def _at_the_adapter(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Listen, or find by listening; an adapter that fails at it several times in a row drains its station."""
        try:
            result = await act()
        except SwitchError as fault:
            self.scan_faults += 1
            if self.scan_faults >= self.station.shared.limits.station_faults_drain_at:
                self.station.drain(fault)
            return None
        self.scan_faults = 0
        return result
