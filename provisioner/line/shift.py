"""A station's shift: one board after the other until the line has nothing more for it.

Rule 1: three ways of working, one loop each: an adapter of its own (`work_separate`), the only radio of a
computer (`work_in_windows`: codes and reads first, then a window of boards, then back to the uplink to confirm),
and a person with a scanner (`work_scanned`).
Rule 2: a graceful stop ends a shift between two boards, never in the middle of one; while it waits for something
(the line, codes, the next scan) a stop ends it at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from provisioner.errors import (
    ClaimCodeUnavailable,
    CloudError,
    RunStopping,
    SwitchError,
    UplinkNotRestored,
)
from provisioner.line.confirmer import Confirmer
from provisioner.line.rows import row_of, why_of
from provisioner.line.scan_desk import ScanDesk
from provisioner.line.search import Search
from provisioner.line.station import Station
from provisioner.line.uplink import Uplink
from provisioner.line.visit import HandedOver, Visit, Wanted
from provisioner.model import ListedDevice, Outcome

RESTORE_SLACK_S = 2.0  # the back end's own limit comes first: its error says more than ours
T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """What the only radio of a computer needs: its way to the cloud, and what reads devices before it leaves that."""

    uplink: Uplink
    preload: Callable[[list[ListedDevice]], Awaitable[None]]


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

    async def work_scanned(self, desk: ScanDesk, *, window: Window | None = None) -> None:
        """One scan, one board; nothing else is ever joined. `window`: the only radio leaves the uplink for it."""
        place = desk.open(self.station.name)
        try:
            while not self.over:
                wanted = await self._wait(place.next)
                if wanted is None or self.over:
                    return
                self.station.operator = place.operator
                search = Search(self.station, wanted)
                self.station.shared.air.forgive()  # a person vouches for what is on the bench now
                try:
                    if window is None:
                        await search.run(self._next_board, self._line_opens)
                    else:
                        await self._search_away(search, window)
                finally:
                    self._write_end_of(search)
                if search.visit is not None and search.visit.handed_over is not None:
                    await self._hand_over(search.visit.handed_over)
                desk.done(place)
        finally:
            desk.close(place.name)

    def _write_end_of(self, search: Search) -> None:
        """How a scan ended: handed over, or why not."""
        visit, wanted, failure = search.visit, search.wanted, search.failure
        done = visit is not None and visit.handed_over is not None
        if not done and failure is None:
            failure = RunStopping("the run is stopping, and the board is not on its way")
        device = self.station.shared.ledger.manifest.find(wanted.device) if wanted.device is not None else None
        self.station.scribe.append(
            "scan.ended",
            operator=self.station.operator,
            **row_of(device or (visit.device if visit is not None else None)),
            outcome=Outcome.PASS if done else Outcome.FAIL,
            **why_of(None if done else failure),
        )

    async def _search_away(self, search: Search, window: Window) -> None:
        """The only radio: codes and reads first, then away for this one board, then back."""
        shared = self.station.shared
        devices = [d for d in shared.ledger.manifest if d.needs_visit and shared.ledger.may_visit(d.id)]
        if search.wanted.device is not None:
            devices = [device for device in devices if device.id == search.wanted.device]
        while await self._line_opens():
            await self._wait(lambda: shared.codes.stocked(for_s=shared.budgets.join_s))
            if self.over:
                return
            try:
                async with window.uplink.present():
                    await window.preload(devices)
            except CloudError as fault:
                shared.hold.report(fault)
                continue
            try:
                async with window.uplink.away():
                    try:
                        await search.run(self._next_board, self._still_on)
                    finally:
                        await self._restore()
            except SwitchError as fault:
                self.station.drain(fault)
                search.failure = fault
            return

    async def _still_on(self) -> bool:
        """Away from the uplink nothing is waited for: a held line is mended from there."""
        await trio.lowlevel.checkpoint()
        return not self.over and self.station.shared.hold.reason is None

    async def work_in_windows(self, window: Window) -> None:
        """The only radio: prepare on the uplink, visit a window of boards, come back, prove them, again."""
        shared = self.station.shared
        while await self._line_opens():
            await self._wait(lambda: shared.codes.stocked(for_s=shared.budgets.join_s))
            if self.over:
                return
            open_devices = [d for d in shared.ledger.manifest if d.needs_visit and shared.ledger.may_visit(d.id)]
            try:
                async with window.uplink.present():
                    await window.preload(open_devices)
            except CloudError as fault:
                shared.hold.report(fault)
                continue
            if not open_devices:
                await self._listen_while_waiting()
                continue
            try:
                async with window.uplink.away():
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
        if self.over or not self.station.shared.hold.is_open:  # since we began to listen
            self.station.shared.air.give_back(network, now_s=trio.current_time())
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
