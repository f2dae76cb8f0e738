"""Holding the line: a bad site must not burn good boards.

Rule 1: only faults with blame `site` come here. One that can pass by itself (cloud unreachable, busy) holds the
line until the cloud answers again; one that needs a person (credentials, factory Wi-Fi) holds it for good.
Rule 2: while the line is held, no station begins a visit. While the cloud is the reason, no claim code is made
and no confirmation gives up; when it is the factory Wi-Fi, boards already told to connect are still confirmed.
Rule 3: a person may hold the line too. That is a hold of its own: only a person ends it, it lasts as long as they
like, and boards already told to connect are still confirmed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import trio

from provisioner.errors import Again, AlreadySo, CloudError, HeldByOperator, HeldBySite, ProvisionerError
from provisioner.journal.writer import Journal
from provisioner.line.rows import why_of
from provisioner.model import DeviceID

_Args = TypeVarTuple("_Args")


class LineHold:
    """Open until something holds it. `same_fault_holds_at` devices in a row with one site fault hold it for good."""

    def __init__(self, journal: Journal, *, same_fault_holds_at: int) -> None:
        self._journal = journal
        self._same_fault_holds_at = same_fault_holds_at
        self._row: list[tuple[str, DeviceID]] = []
        self._open = trio.Event()
        self._open.set()
        self._cloud_open = trio.Event()
        self._cloud_open.set()
        self._cloud_closed_at_s: float | None = None
        self._cloud_closed_s = 0.0
        self._held = trio.Event()
        self._person_lets = trio.Event()
        self._person_lets.set()
        self.reason: ProvisionerError | None = None
        self.for_good = False
        self._announced = False

    def report(self, fault: ProvisionerError) -> None:
        """A site fault that concerns everybody: stop at once; for good if only a person can mend it.

        A fault that may have been a single lost answer is announced when a first question confirms it.
        """
        for_good = fault.again is not Again.THIS_RUN or not isinstance(fault, CloudError)
        if self.for_good or (self.reason is not None and not for_good):
            return
        self.reason, self.for_good = fault, for_good
        self._open = trio.Event()
        if isinstance(fault, CloudError) and self._cloud_open.is_set():
            self._cloud_open = trio.Event()
            self._cloud_closed_at_s = trio.current_time()
        self._held.set()
        if for_good:
            self._announced = False
            self.announce()

    def announce(self) -> None:
        """Say it, once: the cloud does not answer the first question after the fault either."""
        if self.reason is not None and not self._announced:
            self._announced = True
            self._journal.append("line.held", **why_of(self.reason))

    def device_met(self, fault: ProvisionerError, device: DeviceID) -> None:
        """A site fault that one device met (it could not join the factory Wi-Fi): hold when it repeats in a row."""
        if self._row and self._row[-1][0] != fault.code:
            self._row.clear()
        if all(seen != device for _, seen in self._row):
            self._row.append((fault.code, device))
        if len(self._row) >= self._same_fault_holds_at:
            self.report(fault)

    def device_passed(self) -> None:
        """A device was proven: the site works, the row is broken."""
        self._row.clear()

    def release(self) -> None:
        """The cloud answers again."""
        if self.reason is not None and not self.for_good:
            if self._announced:
                self._journal.append("line.released", code=self.reason.code)
            self.reason, self._announced = None, False
            self._held = trio.Event()
            self._cloud_closed_s, self._cloud_closed_at_s = self.cloud_closed_s(), None
            self._cloud_open.set()
            self._open.set()

    def give_up(self) -> None:
        """The passing fault has lasted too long: from now on it needs a person."""
        self.announce()
        self.for_good = True

    # --- a person's hold ---

    @property
    def by_person(self) -> bool:
        """Whether a person holds the line."""
        return not self._person_lets.is_set()

    def hold_by_person(self, operator: str) -> None:
        """No station begins a board until `resume`. Raises AlreadySo."""
        if self.by_person:
            raise AlreadySo("a person holds the line already")
        self._person_lets = trio.Event()
        reason = HeldByOperator(f"held by {operator}")
        self._journal.append("line.held", operator=operator, **why_of(reason))

    def resume(self, operator: str) -> None:
        """A person lets the line go on. Raises AlreadySo, and HeldBySite if it was never theirs to let go."""
        if self.by_person:
            self._journal.append("line.released", operator=operator, code=HeldByOperator.code)
            self._person_lets.set()
        elif self.reason is not None:
            raise HeldBySite(f"the line is held by the site: {self.reason.detail}")
        else:
            raise AlreadySo("no person holds the line")

    # --- waiting ---

    async def wait_open(self) -> None:
        """Wait until stations may begin a visit."""
        await self._open.wait()
        while self.by_person or not self._open.is_set():
            await self._person_lets.wait()
            await self._open.wait()

    @property
    def is_open(self) -> bool:
        """Whether stations may begin a visit now."""
        return self._open.is_set() and not self.by_person

    @property
    def cloud_is_open(self) -> bool:
        """Whether asking the cloud makes sense now."""
        return self._cloud_open.is_set()

    def cloud_closed_s(self) -> float:
        """For how long in all it has made no sense to ask the cloud, in seconds, until now."""
        if self._cloud_closed_at_s is None:
            return self._cloud_closed_s
        return self._cloud_closed_s + trio.current_time() - self._cloud_closed_at_s

    async def patiently(
        self, act: Callable[[*_Args], Awaitable[None]], *args: *_Args, pause_s: float, most_s: float
    ) -> None:
        """Do a part of the import; while the cloud is away, wait for it instead of failing.

        The cloud may answer the first question after a fault, and still not this: it is asked for this again after a
        pause, and at most for `most_s` seconds in all.
        """
        failed_s: float | None = None
        while True:
            try:
                return await act(*args)
            except CloudError as fault:
                self.report(fault)
                if failed_s is not None:
                    self.announce()
                    if trio.current_time() - failed_s > most_s:
                        self.give_up()
                    await trio.sleep(pause_s)
                failed_s = trio.current_time() if failed_s is None else failed_s
                await self.wait_cloud_open()

    async def wait_cloud_open(self) -> None:
        """Wait until asking the cloud makes sense."""
        await self._cloud_open.wait()

    async def wait_held(self) -> None:
        """Wait until something holds the line."""
        await self._held.wait()
