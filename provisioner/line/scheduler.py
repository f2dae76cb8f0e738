"""The run's one nursery: import, then stations beside confirmers, until every device has an outcome.

Rule 1: whoever works longer than a call is started here; nothing outlives `run_line`.
Rule 2: the order is fixed: carry over what is proven, import, settle what an earlier run left open, work, close
the books. Every listed device leaves with exactly one outcome.
Rule 3: a stop finishes the boards under way (a signal: those that were written to, within `stop_s`); a hold for good
and an empty bench end the run; a second stop cancels. In all cases the books are closed and the sums match.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVarTuple

import trio

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import ExitCode
from provisioner.journal.writer import Journal
from provisioner.line.air import CameBack, Suffixes
from provisioner.line.books import Books
from provisioner.line.claim_codes import ClaimCodes
from provisioner.line.confirmer import Confirmer
from provisioner.line.desk import CloudDesk
from provisioner.line.importer import Chunk, Importer
from provisioner.line.ledger import Earlier, History, Ledger
from provisioner.line.lookups import Lookups
from provisioner.line.manifest import Manifest
from provisioner.line.membership import Membership, membership_proves
from provisioner.line.orders import LineOrders
from provisioner.line.rows import row_of
from provisioner.line.scan_desk import ScanDesk
from provisioner.line.shift import Shift, Window
from provisioner.line.site_watch import SiteWatch
from provisioner.line.station import Station
from provisioner.line.steps import State
from provisioner.line.uplink import Uplink
from provisioner.line.visit import HandedOver, Shared
from provisioner.model import ClaimTo, ListedDevice, WifiProfile
from provisioner.network.switcher import Link, NetworkSwitcher
from provisioner.network.switcher import Uplink as UplinkKind
from provisioner.secrets import Secret
from provisioner.settings import Settings
from provisioner.softap.channel import SetupChannel

_Args = TypeVarTuple("_Args")
READERS = 4  # owner reads and claim codes ahead of visits; each is one request of a few hundred milliseconds


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of; `app.py` builds it. `product` is None for account devices outside products."""

    manifest: Manifest
    settings: Settings
    cloud: CloudClient
    product: ProductInfo | None
    journal: Journal
    ledger: Ledger
    history: History
    books: Books
    todo: Sequence[ListedDevice]  # what no earlier run has proven
    wifi: Mapping[str, tuple[WifiProfile, Secret | None]]
    stations: Sequence[tuple[str, NetworkSwitcher]]
    open_channel: Callable[[Link], SetupChannel]
    age_clock: Callable[[], float]
    orders: LineOrders
    scans: ScanDesk | None = None


@dataclass
class Stop:
    """How a run is asked to end: `gently` between two boards; `asked` if a person (or the system) wants it.

    `hurried`: by a signal. Who ends a process does not wait long; who orders it on the page has boards in their hands.
    """

    gently: trio.Event = field(default_factory=trio.Event)
    asked: trio.Event = field(default_factory=trio.Event)
    why: str = "the run was stopped"
    hurried: bool = False
    line_started: bool = False  # before that there are no boards to finish: a stop is a stop

    @property
    def by_person(self) -> bool:
        """Whether somebody asked for it."""
        return self.asked.is_set()

    def ask(self, journal: Journal, operator: str | None = None) -> None:
        """A person by name, or a signal, asks for the end: boards under way are finished, the rest waits."""
        journal.append("run.stopping", operator=operator)
        self.why, self.hurried = "the run was stopped", operator is None
        self.asked.set()
        self.gently.set()


async def run_line(parts: Parts, stop: Stop, *, import_only: bool = False) -> ExitCode:
    """Work the manifest until every device has an outcome; return what the end means to a script."""
    run = _Run(parts, stop)
    stop.line_started = True
    try:
        async with trio.open_nursery() as line:
            line.start_soon(run.watch_site)
            line.start_soon(run.watch_stop)
            line.start_soon(run.watch_person)
            with run.work_scope, parts.orders.until_over():
                await run.prepare()
                if not import_only:
                    await run.work(line)
            line.cancel_scope.cancel()
    finally:
        run.confirmer.give_up_all(stop.why)
        run.books.close(stop.why, import_only=import_only)
    return run.books.exit_code(held=run.hold.for_good)


class _Run:
    """The parts of one run, wired."""

    def __init__(self, parts: Parts, stop: Stop) -> None:
        settings, budgets, limits = parts.settings, parts.settings.budgets, parts.settings.limits
        self.parts = parts
        self.stop = stop
        self.work_scope = trio.CancelScope()
        self.last_visit_s = trio.current_time()
        self.uplink, self.hold, self.air = Uplink(), parts.orders.hold, parts.orders.air
        account = settings.cloud.account
        membership, self.importer = _importer(parts)
        self.books = parts.books
        self.desk = CloudDesk(
            parts.cloud, parts.product, membership, parts.journal, account, budgets.cloud_clock_tolerance_s
        )
        self.lookups = Lookups(self.desk.read_device, self.uplink, report=self.hold.report)
        self.codes = ClaimCodes(
            self.desk.make_code,
            parts.ledger,
            self.uplink,
            self.hold,
            each_max=_codes_for_each_owner(parts),
            ready_max=limits.codes_max(len(parts.stations)),
            age_max_s=budgets.claim_code_age_s,
            clock=parts.age_clock,
            give_up_s=budgets.site_hold_max_s,
        )
        self.confirmer = Confirmer(
            read=self.desk.read_device,
            read_recent=self.desk.read_recent,
            claim=self.desk.claim_online,
            journal=parts.journal,
            air=self.air,
            hold=self.hold,
            uplink=self.uplink,
            budgets=budgets,
            waiting_max=limits.backlog_max(len(parts.stations)),
            may_visit_again=lambda device: parts.ledger[device].visits < limits.device_attempts_max,
        )
        self._shifts: list[Shift] = []
        self._shifts_open = 0
        self._shifts_over = trio.Event()
        self._shifts_over.set()

    # --- before the stations: import, settle ---

    async def prepare(self) -> None:
        """Bring every device to the point where stations, or nobody, need to touch it."""
        self._know_the_air()
        if self.importer is None:
            for device in self.parts.todo:
                self.parts.journal.append("device.imported", **row_of(device), code="no_product")
            return
        await self._import(self.importer, self.parts.todo)

    def _know_the_air(self) -> None:
        """Whose network is whose, from earlier runs: of boards that are proven, or in doubt. Others are met anew."""
        ledger, history = self.parts.ledger, self.parts.history
        for key, device in history.networks():
            if device in self.parts.manifest:
                settled, earlier = ledger[device].state is State.CONFIRMED, history.of(device)
                if settled or (earlier is not None and earlier.connecting):
                    self.air.knew(key, device, settled=settled)

    async def _import(self, importer: Importer, todo: Sequence[ListedDevice]) -> None:
        await self._patiently(importer.look, todo)
        for round_ in itertools.count(1):
            chunks = importer.chunks(round_)
            if not chunks or self.stop.gently.is_set():
                break
            async with trio.open_nursery() as senders:
                for _ in range(min(self.parts.settings.cloud.import_chunks_at_once, len(chunks))):
                    senders.start_soon(self._send_chunks, importer, chunks)
            await self._patiently(importer.look_again, self.stop.gently)
        importer.record(complete=not self.stop.gently.is_set())

    async def _send_chunks(self, importer: Importer, chunks: list[Chunk]) -> None:
        while chunks and not self.stop.gently.is_set():
            chunk = chunks.pop(0)
            await self._patiently(importer.send, chunk)

    async def _patiently(self, act: Callable[[*_Args], Awaitable[None]], *args: *_Args) -> None:
        budgets = self.parts.settings.budgets
        await self.hold.patiently(act, *args, pause_s=budgets.site_probe_s, most_s=budgets.site_hold_max_s)

    # --- the stations' time ---

    async def work(self, line: trio.Nursery) -> None:
        """Start everybody and wait until all devices ended, or nobody is left who could end them."""
        for _ in range(READERS):
            line.start_soon(self.codes.keep_stocked)
            line.start_soon(self.lookups.work)
        for _ in range(self.parts.settings.limits.confirmations_at_once):
            line.start_soon(self.confirmer.work)
        self._confirm_imported()
        line.start_soon(self._settle, self.books.resume_earlier(), True)
        self._shifts_open = len(self.parts.stations)
        if self._shifts_open:
            self._shifts_over = trio.Event()
        for name, switcher in self.parts.stations:
            line.start_soon(self._shift, name, switcher)
        line.start_soon(self._claim_when_online)
        line.start_soon(self._watch_bench)
        await self.parts.ledger.wait_all_ended()

    def _confirm_imported(self) -> None:
        """Import only: the list just read is the proof. Nobody needs it after that."""
        if self.importer is None:
            return
        for device in self.parts.ledger.devices_in([State.IMPORTED]):
            if membership_proves(device):
                self.confirmer.judge_read(self.desk.expect(device), self.importer.membership.proofs[device.id])
        self.importer.membership.forget()
        self.importer = None

    async def _settle(self, found: list[tuple[ListedDevice, Earlier]], returns: bool) -> None:  # noqa: FBT001
        """Ask the cloud about these; a board that was told to connect a moment ago gets the rest of its time."""
        budgets = self.parts.settings.budgets
        for device, earlier in found:
            now = self.parts.cloud.clock.at(trio.current_time())
            since_s = (now - earlier.cloud_from).total_seconds() if now and earlier.cloud_from else budgets.confirm_s
            await self.confirmer.settle(
                self.desk.expect(device, visited=True, before=earlier.handshake_before, since=earlier.cloud_from),
                budget_s=max(budgets.settle_s, budgets.confirm_s - since_s),
                returns=returns,
            )

    async def _claim_when_online(self) -> None:
        """Policy `online` without Wi-Fi: no station sees the device; it is claimed when the cloud does."""
        imported = self.parts.ledger.devices_in([State.IMPORTED])
        waiting = [one for one in imported if not one.needs_visit and one.claim.to is ClaimTo.ONLINE]
        for device in waiting:
            await self.confirmer.add(self.desk.expect(device), station=None)

    async def _shift(self, name: str, switcher: NetworkSwitcher) -> None:
        station = Station(name, switcher, self._shared, self.parts.open_channel)
        shift = Shift(station, self.stop.gently, self.confirmer, self._hand_over, self._visited)
        self._shifts.append(shift)
        station.scribe.append("station.started")
        try:
            shared = switcher.traits.uplink is UplinkKind.SHARED
            window = Window(self.uplink, self._preload)
            if self.parts.scans is not None:
                await shift.work_scanned(self.parts.scans, window=window if shared else None)
            elif shared:
                await shift.work_in_windows(window)
            else:
                await shift.work_separate()
        finally:
            station.scribe.append("station.stopped")
            self._shifts_open -= 1
        if self._shifts_open == 0:
            self._shifts_over.set()
            self._end_soon("no station is left" if station.drained else self.stop.why)

    @functools.cached_property
    def _shared(self) -> Shared:
        """One for all stations: the index of suffixes costs as much as the manifest."""
        parts, settings = self.parts, self.parts.settings
        return Shared(
            joins=trio.Semaphore(settings.limits.joins_at_once),
            journal=parts.journal,
            ledger=parts.ledger,
            air=self.air,
            hold=self.hold,
            lookups=self.lookups,
            codes=self.codes,
            suffixes=parts.scans.labels.suffixes if parts.scans is not None else Suffixes(parts.manifest),
            budgets=settings.budgets,
            limits=settings.limits,
            prefix=settings.softap.prefix,
            wifi=parts.wifi,
            account=settings.cloud.account,
            membership=parts.product is not None,
            cloud_time=parts.cloud.clock.at,
            hand_over=self._hand_over,
            came_back=self._came_back,
        )

    async def _hand_over(self, done: HandedOver) -> None:
        wanted = self.desk.expect(done.device, visited=True, before=done.handshake_before, since=done.cloud_from)
        await self.confirmer.add(wanted, station=done.station)

    def _came_back(self, back: CameBack) -> None:
        self.confirmer.setup_network_back(back)

    def _visited(self) -> None:
        self.last_visit_s = trio.current_time()

    async def _preload(self, devices: list[ListedDevice]) -> None:
        self.lookups.preload(await self.desk.read_many(devices), {device.id for device in devices})

    # --- ending ---

    async def watch_person(self) -> None:
        """Somebody wants the run to end now: nothing is waited for but boards under way. If it was a signal, only for
        boards that have been written to, if they are quick."""
        await self.stop.asked.wait()
        if self.stop.hurried:
            for shift in self._shifts:
                shift.station.let_go()
        with trio.move_on_after(self.parts.settings.budgets.stop_s if self.stop.hurried else math.inf):
            await self._shifts_over.wait()
        self.work_scope.cancel()

    async def watch_stop(self) -> None:
        """A graceful stop: stations finish the board they have, and what was told to connect gets its time."""
        await self.stop.gently.wait()
        self.codes.lay_in_no_more()
        if self.parts.scans is not None:
            self.parts.scans.stopping = True
        self._leave_off()
        await self._shifts_over.wait()
        if self.hold.cloud_is_open:
            with trio.move_on_after(self.parts.settings.budgets.confirm_s):
                await self.confirmer.wait_empty()
                # Once more: a board may have come online since. No station would take it now, so it ends here.
                await self._settle(self.books.resume_earlier(), False)
                await self.confirmer.wait_empty()
        self.work_scope.cancel()

    async def watch_site(self) -> None:
        """While the line is held: see whether the cloud answers again; end the run when a person is needed."""
        budgets = self.parts.settings.budgets
        watch = SiteWatch(self.hold, self.parts.cloud, self.uplink, budgets.site_probe_s, budgets.site_hold_max_s)
        await watch.until_held_for_good(self._visited)  # a bench of a held line does not lie idle by itself
        self._end_soon("the line is held")
        self._leave_off()

    def _leave_off(self) -> None:
        for shift in self._shifts:
            shift.leave_off()

    async def _watch_bench(self) -> None:
        """End the run when no board has come for a long time and none waits for proof."""
        budgets, scans = self.parts.settings.budgets, self.parts.scans
        # With a scanner a person is there who decides; they may be at lunch.
        idle_stop_s = budgets.idle_stop_s if scans is None else budgets.scanner_idle_stop_s
        while (left_s := self._last_sign_s() + idle_stop_s - trio.current_time()) > 0:
            await trio.sleep(left_s)
            await self.confirmer.wait_empty()
            if not self.hold.is_open:  # a pause of a person or of the cloud may be longer than a bench may lie idle
                await self.hold.wait_open()
                self.last_visit_s = trio.current_time()
        self._end_soon("no board has come to any station for a long time")

    def _last_sign_s(self) -> float:
        """When something was last done at a bench."""
        return max(self.last_visit_s, self.parts.scans.last_scan_s if self.parts.scans is not None else 0.0)

    def _end_soon(self, why: str) -> None:
        if not self.stop.gently.is_set():
            self.stop.why = why
        self.stop.gently.set()


def _codes_for_each_owner(parts: Parts) -> int:
    """How many codes may lie ready for one owner: one for each station, or a window's worth for the only radio."""
    shared = any(switcher.traits.uplink is UplinkKind.SHARED for _, switcher in parts.stations)
    return parts.settings.limits.window_devices_max if shared else max(1, len(parts.stations))


def _importer(parts: Parts) -> tuple[Membership | None, Importer | None]:
    """The importer and what it reads with; none for developer devices outside any product."""
    if parts.product is None:
        return None, None
    chunk_max = parts.settings.cloud.import_chunk_devices_max
    learn = parts.scans.labels.learn if parts.scans is not None else None
    membership = Membership(parts.cloud, parts.product, parts.manifest, chunk_max=chunk_max, learn=learn)
    return membership, Importer(parts.cloud, parts.product, membership, parts.journal, chunk_max=chunk_max)
