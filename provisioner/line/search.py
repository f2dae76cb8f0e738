"""Looking for the one board that was scanned, until it has been worked or its time is over.

Rule 1: the network its label names comes first, alone, for as long as a board takes to boot; after that those whose
names no label can tell (six symbols) are asked as well. Whoever answers and is not the board gets no write.
Rule 2: a try that can succeed the second time is made again by itself: the person has scanned, and waits.
Rule 3: the end is one failure, or none: what it says is the verdict on the screen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import trio

from provisioner.errors import (
    Again,
    Blame,
    ClaimCodeUnavailable,
    CloudError,
    NetworkAmbiguous,
    NotTheScannedDevice,
    ProvisionerError,
    ScannedNotHeard,
    StrangerDevice,
)
from provisioner.line.air import suffix_of
from provisioner.line.station import Station
from provisioner.line.visit import Visit, Wanted


@dataclass
class Search:
    """One scan at one station. `visit` is the last visit, `failure` why the board is not on its way."""

    station: Station
    wanted: Wanted
    visit: Visit | None = None
    failure: ProvisionerError | None = None
    _others: list[Visit] = field(default_factory=list, init=False)

    async def run(
        self, next_board: Callable[[Wanted], Awaitable[Visit | None]], go_on: Callable[[], Awaitable[bool]]
    ) -> None:
        """Visit what may be the board until it is. `go_on` says, perhaps after a wait, whether the line lets us; that
        wait is none of the board's time. Without `visit` and `failure` at the end, it did not."""
        budgets = self.station.shared.budgets
        began_s = trio.current_time()
        while trio.current_time() < began_s + budgets.scanned_board_s:
            asked_s = trio.current_time()
            if not await go_on():
                return
            began_s += trio.current_time() - asked_s
            late = trio.current_time() >= began_s + budgets.other_names_after_s
            visit = await next_board(replace(self.wanted, any_name=late or self.wanted.code is None))
            if visit is not None:
                self.visit, self.failure = visit, visit.failure
                if self._is_over(visit):
                    return
            elif self.station.hears_twins(self.wanted):
                self.failure = NetworkAmbiguous(f"several boards are called {self._name} here")
                return
            elif late and self._others:
                break  # all who could be it have answered
        if self.failure is None:
            self.failure = self._not_found()

    @property
    def _name(self) -> str:
        return str(self.wanted.device or f"{self.station.shared.prefix}{self.wanted.code}")

    def _is_over(self, visit: Visit) -> bool:
        """Whether this visit was the end; if not, what it has shown is kept for the next try."""
        failure = visit.failure
        if visit.handed_over is not None:
            return True
        if self.wanted.device is not None and isinstance(failure, NotTheScannedDevice | StrangerDevice):
            self._others.append(visit)
            self.wanted = replace(self.wanted, not_there=self.wanted.not_there | {visit.network.key})
            self.failure = None
            return False
        if isinstance(failure, CloudError | ClaimCodeUnavailable):
            # Away from the uplink it would fail the same way; else the line sees to the site first.
            return self.station.shared.lookups.uplink_is_away
        if failure is None or failure.again is not Again.THIS_RUN or failure.blame is Blame.OPERATOR:
            return True
        return visit.device is not None and not self.station.shared.ledger.may_visit(visit.device.id)

    def _not_found(self) -> ProvisionerError:
        """Who answered under the label's own name, or as the only board here, is on the jig instead of it."""
        named = [visit for visit in self._others if suffix_of(visit.network.ssid) == self.wanted.code]
        instead = named or (self._others if len(self._others) == 1 else [])
        if instead:
            failure = instead[-1].failure
            who = failure.detail if failure is not None else ""
            return NotTheScannedDevice(f"{self._name} was scanned, and another board is here: {who}")
        asked = f"; {len(self._others)} others were asked who they are" if self._others else ""
        return ScannedNotHeard(f"{self._name} is not heard here{asked}")
