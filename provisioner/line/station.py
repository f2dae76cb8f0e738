"""One station's worker: find a board, join it, hand over (`handover.py`), leave, and learn from what came of it.

Rule 1: a device's failure is a value (`Visit`): it ends in the journal, never in an exception that leaves here.
Anything that is not a ProvisionerError is our bug and stops the run.
Rule 2: the adapter is held from join to leave; what waits for the cloud happens before or after.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import trio

from provisioner.errors import (
    AdapterUnavailable,
    Again,
    Blame,
    ClaimCodeUnavailable,
    CloudError,
    CommandRefused,
    LeaveFailed,
    LinkLost,
    NetworkNotFound,
    NoAddress,
    NotTheScannedDevice,
    ProvisionerError,
    SoftAPError,
    SwitchError,
)
from provisioner.journal.writer import Scribe
from provisioner.line.air import suffix_of
from provisioner.line.handover import HandOver
from provisioner.line.rows import row_of, why_of
from provisioner.line.visit import Shared, Visit, Wanted
from provisioner.model import (
    DeviceID,
    ListedDevice,
    Outcome,
    SetupNetwork,
    printable,
)
from provisioner.network.switcher import JoinPolicy, Link, NetworkSwitcher
from provisioner.softap.channel import SetupChannel

STATIC_ADDRESS = "192.168.0.200"  # far from the leases, which begin at .2; each Photon's network is its own


@dataclass
class Station:
    """One adapter at work. `open_channel` speaks to the device at the other end of a link."""

    name: str
    switcher: NetworkSwitcher
    shared: Shared
    open_channel: Callable[[Link], SetupChannel]
    faults_in_row: Counter[str] = field(default_factory=Counter)  # by setup network
    drained: ProvisionerError | None = None
    operator: str | None = None
    _heard: list[SetupNetwork] = field(default_factory=list, init=False)
    _listened_s: float = field(default=-math.inf, init=False)
    _under_way: tuple[Visit, trio.CancelScope] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.scribe: Scribe = self.shared.journal.bound(station=self.name)
        self._hand_over = HandOver(self.name, self.shared, self.scribe)

    # --- finding ---

    async def find(self, wanted: Wanted | None = None) -> SetupNetwork | None:
        """Lease a network to visit, or None: from what was heard a moment ago, else listen once. Raises SwitchError.

        Listening takes up to four seconds of the adapter's time, and one listen hears many boards. A board that was
        scanned is listened for: its name is not among what was heard before it was put down.
        """
        if wanted is None and trio.current_time() - self._listened_s < self.shared.budgets.scan_reuse_s:
            network = self._choose(Wanted())
            if network is not None:
                return network
        if wanted is not None and wanted.code is not None and not self.switcher.traits.scans:
            # A person listens with their eyes: the label says which network to look for, so nobody is asked.
            named = SetupNetwork(f"{self.shared.prefix}{wanted.code}", "", 0, trio.current_time())
            await trio.lowlevel.checkpoint()
            self._hear([named])
        else:
            await self.listen()
        return self._choose(wanted or Wanted())

    async def listen(self) -> None:
        """Hear what is in the air, and who is back there. Raises SwitchError."""
        shared = self.shared
        self._hear(await self.switcher.scan(prefix=shared.prefix, timeout=shared.budgets.scan_s))

    def _hear(self, heard: Sequence[SetupNetwork]) -> None:
        shared = self.shared
        self._heard = [network for network in heard if is_setup_name(network.ssid, shared.prefix)]
        self._listened_s = trio.current_time()
        for back in shared.air.hear(self._heard):
            shared.came_back(back)

    def _choose(self, wanted: Wanted) -> SetupNetwork | None:
        """Decide without waiting; what the cloud knows of the board is asked for while the adapter joins it."""
        shared = self.shared
        if self.hears_twins(wanted):
            return None
        network = self._lease(replace(wanted, any_name=False)) or self._lease(wanted)
        for device in self._guesses(network) if network is not None else ():
            if shared.ledger.may_visit(device.id):
                shared.lookups.ahead(device)
        return network

    def _lease(self, wanted: Wanted) -> SetupNetwork | None:
        return self.shared.air.choose(
            self._heard,
            station=self.name,
            now_s=trio.current_time(),
            fits=lambda network, device: self._fits(network, device, wanted),
        )

    def hears_twins(self, wanted: Wanted) -> bool:
        """Whether a network's name was scanned, with nothing else to know the board by, and two are called so."""
        if wanted.device is not None or wanted.code is None:
            return False
        return sum(suffix_of(network.ssid) == wanted.code for network in self._heard) > 1

    def _guesses(self, network: SetupNetwork) -> list[ListedDevice]:
        known = self.shared.air.device_of(network.key)
        if known is not None:
            device = self.shared.ledger.manifest.find(known)
            return [device] if device is not None else []
        return self.shared.suffixes.candidates(network.ssid)[:2]

    def _fits(self, network: SetupNetwork, device: DeviceID | None, wanted: Wanted) -> bool:
        if network.key in wanted.not_there or not self._may_be_named(network, wanted):
            return False
        if device is None:
            return True
        if wanted.device is not None and device != wanted.device:
            # A person sees no BSSID: two boards of one name cannot be told, so only who answers can.
            return not network.bssid or self.shared.air.may_be_another(network)
        if device not in self.shared.ledger.manifest or self.shared.ledger.may_visit(device):
            return True
        return self.shared.air.may_be_another(network)

    def _may_be_named(self, network: SetupNetwork, wanted: Wanted) -> bool:
        """Whether what was scanned may be called so: of four symbols only the label's; others if they are let in."""
        heard = suffix_of(network.ssid)
        if wanted.code is None or heard == wanted.code:
            return True
        return (
            wanted.any_name
            and wanted.device is not None
            and not wanted.named_by_network
            and len(heard) != len(wanted.code)
        )

    # --- visiting ---

    async def visit(self, network: SetupNetwork, wanted: Wanted | None = None) -> Visit:
        """Work one device from join to leave; the result is a value. Only our own bugs and cancellation raise."""
        visit = Visit(network, trio.current_time(), second_look=self.shared.air.may_be_another(network))
        if visit.second_look:
            self.shared.air.look_twice(network)
        self.scribe.append(
            "visit.started",
            operator=self.operator,
            ssid=printable(network.ssid),
            bssid=network.bssid,
            signal_dbm=network.signal_dbm,
            neighbours=max(0, len(self._heard) - 1),
        )
        let_go = trio.CancelScope()
        self._under_way = visit, let_go
        try:
            with let_go:
                await self._join_and_work(visit, wanted or Wanted())
        except ProvisionerError as failure:
            visit.failure = failure
        except trio.Cancelled:
            self._end(visit, Outcome.ABORTED, None)
            raise
        finally:
            self._under_way = None
        done = Outcome.PASS if visit.handed_over else Outcome.FAIL
        self._end(visit, Outcome.ABORTED if let_go.cancelled_caught else done, visit.failure)
        return visit

    def let_go(self) -> None:
        """The run is to end: a board that nothing was written to is left as it is, at once; another is finished."""
        if self._under_way is not None and not self._under_way[0].touched:
            self._under_way[1].cancel()

    def _end(self, visit: Visit, outcome: Outcome, failure: ProvisionerError | None) -> None:
        """Write the end of the visit and free what it held."""
        shared, network = self.shared, visit.network
        self.scribe.append(
            "visit.ended",
            **row_of(visit.device),
            ssid=printable(network.ssid),
            bssid=network.bssid,
            step=visit.step,
            outcome=outcome,
            seconds=round(trio.current_time() - visit.began_s, 3),
            **why_of(failure),
        )
        shared.air.give_back(network, now_s=trio.current_time())
        if visit.device is not None:
            shared.ledger.let_go(visit.device.id)
            shared.lookups.forget(visit.device.id)

    async def _join_and_work(self, visit: Visit, wanted: Wanted) -> None:
        budgets = self.shared.budgets
        static = self.shared.air.needs_static_address(visit.network) and self.switcher.traits.static_addresses
        policy = JoinPolicy(budgets.join_s, budgets.leave_s, STATIC_ADDRESS if static else None)
        async with AsyncExitStack() as stack:
            async with self.shared.joins:
                link = await stack.enter_async_context(self.switcher.joined(visit.network, policy))
            visit.joined = True
            self.scribe.append(
                "network.joined",
                ssid=printable(visit.network.ssid),
                bssid=visit.network.bssid,
                seconds=round(trio.current_time() - visit.began_s, 3),
                code="static_address" if static else None,
            )
            try:
                await self._hand_over.work(visit, wanted, self.open_channel(link), link)
            except SoftAPError as failure:
                # Tell a lost link from a sick device while the adapter can still say.
                if isinstance(failure, CommandRefused) or await link.healthy():
                    raise
                raise LinkLost(
                    f"the setup network vanished during {visit.step}", backend_code=failure.code
                ) from failure

    # --- what a visit means for this station and for the line ---

    def learn_from(self, visit: Visit) -> None:
        """Decide what comes of a visit: the device's next chance or end, the station's health, the line's."""
        failure = visit.failure
        if visit.joined and not isinstance(failure, SwitchError):
            self.faults_in_row.clear()  # the adapter works
        if failure is None or visit.handed_over is not None:
            if isinstance(failure, LeaveFailed):
                self.drain(failure)
            return
        self._judge_network(visit, failure)
        self._judge_device(visit, failure)
        self._judge_station(visit, failure)

    def _judge_network(self, visit: Visit, failure: ProvisionerError) -> None:
        air, now_s = self.shared.air, trio.current_time()
        if visit.stranger is not None:
            self.scribe.append(
                "stranger.seen",
                device=visit.stranger,
                ssid=printable(visit.network.ssid),
                bssid=visit.network.bssid,
                **why_of(failure),
            )
        if isinstance(failure, NoAddress):
            air.no_lease(visit.network)
        if isinstance(failure, NetworkNotFound | LinkLost):
            air.gone(visit.network, now_s=now_s)
        if isinstance(failure, NetworkNotFound):
            self._listened_s = -math.inf  # what we heard is no longer so: listen before the next
            return  # a board that is gone has not failed
        if isinstance(failure, NotTheScannedDevice):
            return  # nothing is wrong with it: it is only not the one that was asked for
        if isinstance(failure, CloudError | ClaimCodeUnavailable):
            air.leave_alone(visit.network, until_s=now_s, missed=False)  # the board did all it was asked
            return
        tries = air.misses(visit.network) + 1
        for_good = (
            (visit.second_look and not air.may_be_another(visit.network))
            or failure.again is Again.NEVER
            or (visit.device is None and tries >= self.shared.limits.device_attempts_max and not self._is_suspect)
        )
        air.leave_alone(visit.network, until_s=math.inf if for_good else now_s + 2.0 * tries)

    def _judge_device(self, visit: Visit, failure: ProvisionerError) -> None:
        device = visit.device
        if device is None or isinstance(failure, CloudError | ClaimCodeUnavailable):
            return  # the site's fault, and reported: the device is untouched and comes round again
        shared = self.shared
        if failure.blame is Blame.SITE:
            shared.hold.device_met(failure, device.id)
        exhausted = shared.ledger[device.id].visits >= shared.limits.device_attempts_max
        if failure.again is not Again.THIS_RUN or exhausted:
            self.scribe.append(
                "device.failed",
                **row_of(device),
                outcome=Outcome.FAIL,
                step=visit.step,
                **why_of(failure),
            )

    def _judge_station(self, visit: Visit, failure: ProvisionerError) -> None:
        if failure.blame is Blame.STATION and failure.again is Again.NEXT_RUN:
            self.drain(failure)
        elif visit.second_look:
            return  # a network that only beacons is no fault of the adapter
        elif isinstance(failure, SwitchError) and failure.blame in (Blame.DEVICE, Blame.STATION):
            # Different units failing one after the other on one adapter: it is the adapter.
            self.faults_in_row[visit.network.key] += 1
            boards, limit = len(self.faults_in_row), self.shared.limits.station_faults_drain_at
            if boards >= limit or (self._is_suspect and self.faults_in_row.total() >= 2 * limit):
                self.shared.air.acquit(self.faults_in_row)
                detail = f"{boards} boards in a row failed on this adapter, last: {failure.detail}"
                self.drain(AdapterUnavailable(detail))

    @property
    def _is_suspect(self) -> bool:
        """Whether so many boards failed on this adapter, and none did not, that no board shall be blamed for it."""
        return 2 * len(self.faults_in_row) > self.shared.limits.station_faults_drain_at

    def drain(self, failure: ProvisionerError) -> None:
        """Take no more boards on this station."""
        self.drained = failure
        self.scribe.append(
            "station.drained",
            **why_of(failure),
        )


def is_setup_name(ssid: str, prefix: str) -> bool:
    """Whether a name in the air is one that a Photon gives itself: the rest is never joined, whatever it spells."""
    code = ssid.removeprefix(prefix)
    return ssid.startswith(prefix) and 4 <= len(code) <= 6 and code.isascii() and code.isalnum()
