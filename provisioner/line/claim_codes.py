"""The right claim code at the right time: made late, one use, one device, aged by a clock that never steps.

Rule 1: a code is ready before the device asks for it, so no adapter waits for the cloud. It is made as soon as a
station knows whom it will be for (`expected`); besides, some lie ready for every owner whose devices are still open,
never more than `ready_max` in all. A station whose board has its code needs the next one when that visit is over, not
before: so a crash loses one code for each station, not two.
Rule 2: a code that was sent to a device, or may have been, is never sent to another. One that grew old is dropped:
the cloud's limit is an hour, ours 45 minutes (facts: particle-cloud 7).
Rule 3: codes are never written down; the journal knows their fingerprints only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from provisioner.errors import ClaimCodeUnavailable, CloudError
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.uplink import Uplink
from provisioner.pacing import polls
from provisioner.secrets import ClaimCode

Owner = str | None  # a customer's name, or the account's (None where none is configured)


class MakesCodes(Protocol):
    """Makes one new code for an owner; the first time, the customer too."""

    async def __call__(self, owner: Owner) -> ClaimCode:
        """Return a new code. Raises CloudError."""
        ...


@dataclass(frozen=True, slots=True)
class _Ready:
    code: ClaimCode
    made_s: float


@dataclass(slots=True)
class Claimant:
    """One device on a station: it will take a code, has taken it, or fails before it does."""

    codes: ClaimCodes
    owner: Owner
    has_code: bool = False

    async def take(self, *, wait_s: float) -> ClaimCode:
        """Take its code. Raises ClaimCodeUnavailable when none comes within `wait_s`."""
        code = await self.codes.hand_to(self, wait_s)
        if code is None:
            raise ClaimCodeUnavailable("no claim code was ready for this device")
        return code


class ClaimCodes:
    """A small stock of codes for each owner. A few `keep_stocked` tasks fill it; stations take from it."""

    def __init__(
        self,
        make: MakesCodes,
        ledger: Ledger,
        uplink: Uplink,
        hold: LineHold,
        *,
        each_max: int,
        ready_max: int,
        age_max_s: float,
        clock: Callable[[], float],
        give_up_s: float,
    ) -> None:
        self._make = make
        self._ledger = ledger
        self._uplink = uplink
        self._hold = hold
        self._each_max = each_max
        self._ready_max = ready_max
        self._age_max_s = age_max_s
        self._clock = clock
        self._give_up_s = give_up_s
        self._failing_since_s: float | None = None
        self._pauses = polls(*_PAUSES_S)
        self._ready: dict[Owner, deque[_Ready]] = {}
        self._expected: Counter[Owner] = Counter()  # devices on stations that have no code yet
        self._with_code: Counter[Owner] = Counter()  # and those that have theirs
        self._making: Counter[Owner] = Counter()
        self._stocking = True
        self._looking = trio.Lock()
        self._wake = trio.Event()
        self._arrived = trio.Event()

    @contextmanager
    def expected(self, owner: Owner) -> Iterator[Claimant]:
        """A device of this owner is on a station for the length of this block."""
        claimant = Claimant(self, owner)
        self._expected[owner] += 1
        self._wake.set()
        try:
            yield claimant
        finally:
            self._count(self._with_code if claimant.has_code else self._expected, owner, -1)
            self._wake.set()

    async def take(self, owner: Owner, *, wait_s: float) -> ClaimCode:
        """Take a code for a device that is on no station. Raises ClaimCodeUnavailable."""
        with self.expected(owner) as claimant:
            return await claimant.take(wait_s=wait_s)

    async def hand_to(self, claimant: Claimant, wait_s: float) -> ClaimCode | None:
        """Wait for this claimant's code; None when none comes in time."""
        code = self._pop(claimant.owner)
        with trio.move_on_after(wait_s):
            while code is None:
                await self._arrived.wait()
                code = self._pop(claimant.owner)
        if code is not None:
            claimant.has_code = True
            self._count(self._expected, claimant.owner, -1)
            self._count(self._with_code, claimant.owner, +1)
            self._wake.set()
        return code

    @staticmethod
    def _count(of: Counter[Owner], owner: Owner, change: int) -> None:
        of[owner] += change
        if not of[owner]:
            del of[owner]

    def lay_in_no_more(self) -> None:
        """The run ends: only devices that are on a station still get a code."""
        self._stocking = False

    async def keep_stocked(self) -> None:
        """Fill the stock until cancelled."""
        while True:
            async with self._looking:  # one of the makers watches, the others make or queue behind it
                owner = await self._wait_wanted()
                self._making[owner] += 1
            try:
                await self._stock_one(owner)
            finally:
                self._making[owner] -= 1

    async def _wait_wanted(self) -> Owner:
        while True:
            await self._hold.wait_cloud_open()
            owner = self._next_wanted()
            if owner is not _NOBODY:
                return owner  # type: ignore[return-value]
            with trio.move_on_after(30):  # codes age while nothing else happens
                await self._wake.wait()
            self._wake = trio.Event()

    async def stocked(self, *, for_s: float) -> None:
        """Wait until every wanted code lies ready: before a single radio leaves the uplink for a window.

        Those that would grow old within `for_s` are not waited for but replaced.
        """
        self._drop_old(for_s)
        while self._making.total() or self._next_wanted() is not _NOBODY:
            self._wake.set()
            with trio.move_on_after(_LOOK_AGAIN_S):  # another station may take the last device that wanted one
                await self._arrived.wait()

    def oldest_age_s(self) -> float:
        """Age of the oldest code that lies ready, in seconds; 0 if none does."""
        made = [ready.made_s for stock in self._ready.values() for ready in stock]
        return self._clock() - min(made) if made else 0.0

    async def _stock_one(self, owner: Owner) -> None:
        # Aged from before the request: the cloud's hour began somewhere after it.
        made_s = self._clock()
        try:
            async with self._uplink.present():
                code = await self._make(owner)
        except CloudError as fault:
            await self._after_fault(fault)
            return
        self._failing_since_s, self._pauses = None, polls(*_PAUSES_S)
        self._ready.setdefault(owner, deque()).append(_Ready(code, made_s))
        self._announce()

    async def _after_fault(self, fault: CloudError) -> None:
        """Hold the line. A cloud that answers everything but this is asked more and more seldom, then not at all."""
        now_s = trio.current_time()
        self._failing_since_s = now_s if self._failing_since_s is None else self._failing_since_s
        self._hold.report(fault)
        if now_s - self._failing_since_s > self._give_up_s:
            self._hold.give_up()
        await trio.sleep(next(self._pauses))

    def _next_wanted(self) -> Owner | object:
        """Whose code to make next: who is expected first, then one for every owner, then up to `each_max`."""
        self._drop_old()
        for owner, count in self._expected.items():
            if self._there(owner) < count and self._may_make(owner):
                return owner
        full = sum(len(stock) for stock in self._ready.values()) + self._making.total() >= self._ready_max
        if full or not self._stocking:
            return _NOBODY
        return self._least_stocked()

    def _least_stocked(self) -> Owner | object:
        least, fewest = _NOBODY, self._each_max
        for owner, open_devices in self._ledger.codes_wanted():
            there = self._there(owner) + self._with_code[owner]
            if there < min(open_devices, fewest) and self._may_make(owner):
                if not there:
                    return owner
                least, fewest = owner, there
        return least

    def _there(self, owner: Owner) -> int:
        """How many codes lie ready or are being made."""
        return len(self._ready.get(owner, ())) + self._making[owner]

    def _may_make(self, owner: Owner) -> bool:
        """The first code of an owner comes alone: it may have to create the customer."""
        return owner in self._ready or not self._making[owner]

    def _pop(self, owner: Owner) -> ClaimCode | None:
        self._drop_old()
        stock = self._ready.get(owner)
        return stock.popleft().code if stock else None

    def _drop_old(self, within_s: float = 0.0) -> None:
        oldest_s = self._clock() - self._age_max_s + within_s
        for stock in self._ready.values():
            while stock and stock[0].made_s <= oldest_s:
                stock.popleft()

    def _announce(self) -> None:
        self._arrived.set()
        self._arrived = trio.Event()


_NOBODY = object()
_LOOK_AGAIN_S = 1.0
_PAUSES_S = (0.2, 30.0, 2.0)  # first, longest, factor
