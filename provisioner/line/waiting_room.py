"""Who waits for proof, and when each is asked about next: the confirmer's queue. It asks nobody itself.

Rule 1: a bounded number of devices wait; `take_in` waits for a place.
Rule 2: a device has one valid turn in the queue, or none while somebody asks about it: one question at a time.
Rule 3: a deadline is by the room's own clock, which stands still while no question can be asked.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import trio

from provisioner.errors import ProvisionerError
from provisioner.line.air import CameBack
from provisioner.line.proof import Expectation, Verdict
from provisioner.model import CloudDevice, DeviceID, ListedDevice

_ROUNDING_S = 1e-6


OWNER_LAG_S = 15.0  # the owner field lags the online event by 0-10 s (facts: particle-cloud 15.12)


@dataclass(slots=True)
class Awaiting:
    """One device waiting for proof. `deadline_s` is by the room's clock.

    `returns`: an earlier run left it open, and a station shall have it if it is not proven.
    `turn` is its one valid place in the queue; None while a worker asks about it. `alone`: a page of the product's
    list did not tell enough about it, so it is read by itself next time. `gone`: so many reads in a row do not have
    it that was there before.
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
    gone: int = 0
    returns: bool = False
    has_place: bool = False
    alone: bool = False
    online: bool = False
    turn: int | None = None

    @property
    def device(self) -> ListedDevice:
        """The device that waits."""
        return self.wanted.device

    @property
    def refused(self) -> bool:
        """Whether it is heard again as after a refused Wi-Fi password."""
        return self.back is not None and self.back.left_first


class WaitingRoom:
    """The waiting devices. `lost_s` tells for how long in all no question could be asked until now."""

    def __init__(self, *, waiting_max: int, lost_s: Callable[[], float]) -> None:
        self._lost_s = lost_s
        self._places = trio.Semaphore(waiting_max)
        self._due: list[tuple[float, int, Awaiting]] = []
        self._order = itertools.count()
        self._by_device: dict[DeviceID, Awaiting] = {}
        self._picking = trio.Lock()
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._by_device)

    def __iter__(self) -> Iterator[Awaiting]:
        return iter(list(self._by_device.values()))

    def get(self, device: DeviceID) -> Awaiting | None:
        """The one that waits for this device, if any."""
        return self._by_device.get(device)

    def clock_s(self) -> float:
        """Trio's time less the time in which no question could be asked."""
        return trio.current_time() - self._lost_s()

    def is_over(self, awaiting: Awaiting) -> bool:
        """Whether its time is over."""
        return self.clock_s() >= awaiting.deadline_s - _ROUNDING_S

    def pause_s(self, awaiting: Awaiting) -> float:
        """How long until it is asked about again; at once if it was refused while it was asked about."""
        if awaiting.refused:
            return 0.0
        return min(next(awaiting.waits), max(0.0, awaiting.deadline_s - self.clock_s()))

    def seen_online(self, awaiting: Awaiting) -> None:
        """A visited board is in the cloud: its owner may show later, also when it came at the very end of its time."""
        if not awaiting.online and awaiting.station is not None:
            awaiting.online = True
            awaiting.deadline_s = max(awaiting.deadline_s, self.clock_s() + OWNER_LAG_S)

    async def take_place(self) -> None:
        """Wait for a place; `add` with `has_place` gives it back when the device leaves."""
        await self._places.acquire()

    def add(self, awaiting: Awaiting) -> None:
        """Take a device in, without a turn yet."""
        self._by_device[awaiting.device.id] = awaiting

    def push(self, awaiting: Awaiting, wait_s: float) -> None:
        """Give it a turn in so many seconds, instead of the one it had."""
        awaiting.turn = next(self._order)
        heapq.heappush(self._due, (trio.current_time() + wait_s, awaiting.turn, awaiting))
        self._announce()

    def remove(self, awaiting: Awaiting) -> None:
        """It has an outcome."""
        del self._by_device[awaiting.device.id]
        awaiting.turn = None
        if awaiting.has_place:
            self._places.release()
        self._announce()

    async def next_due(self) -> Awaiting:
        """Wait for the next turn and take it."""
        async with self._picking:  # one worker watches the clock, the others queue behind it
            while True:
                self._drop_ended()
                if self._due and self._due[0][0] <= trio.current_time():
                    return self._pop()
                with trio.move_on_at(self._due[0][0]) if self._due else trio.CancelScope():
                    await self._changed.wait()

    def also_due(self, within_s: float, fits: Callable[[Awaiting], bool]) -> list[Awaiting]:
        """Take every turn that comes within so many seconds, of those that fit, until one does not."""
        taken: list[Awaiting] = []
        until_s = trio.current_time() + within_s
        self._drop_ended()
        while self._due and self._due[0][0] <= until_s and fits(self._due[0][2]):
            taken.append(self._pop())
            self._drop_ended()
        return taken

    async def wait_empty(self) -> None:
        """Wait until every device that came in has an outcome."""
        while self._by_device:
            await self._changed.wait()

    def _drop_ended(self) -> None:
        while self._due and self._due[0][1] != self._due[0][2].turn:
            heapq.heappop(self._due)  # it has ended, or was given an earlier turn

    def _pop(self) -> Awaiting:
        awaiting = heapq.heappop(self._due)[2]
        awaiting.turn = None
        return awaiting

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
