"""The composition root: puts settings, secrets, cloud, adapters, journal and the line together for one command.

Rule 1: nothing here decides about devices; it builds `Parts`, runs the line, and cleans up.
Rule 2: everything from outside the program (environment, clocks, dice, adapters, the HTTP stack) comes in through
`Outside`, so the simulated factory runs this very code.
Rule 3: the order is: read and check files, then secrets, then the runs folder, and only then the cloud. What the
person got wrong is said before anything is touched.
"""

from __future__ import annotations

import functools
import os
import platform
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console

from provisioner import signals
from provisioner.cloud.client import CloudClient, open_cloud
from provisioner.console.stopped import leaves_of
from provisioner.console.terminal import Display, shown
from provisioner.console.tray_map import ranges_of
from provisioner.console.view import Screen
from provisioner.earlier_runs import EarlierRuns, read_earlier_runs
from provisioner.errors import (
    CloudError,
    ExitCode,
    InputRefused,
    JournalCut,
    SwitchError,
)
from provisioner.job import Prepared, RunSecrets, stations_of
from provisioner.journal.disk import REAL_DISK, Disk
from provisioner.journal.writer import Journal, new_run_id, open_journal
from provisioner.line.books import Books
from provisioner.line.ledger import History, Ledger
from provisioner.line.membership import Membership, TrayPlan
from provisioner.line.orders import LineOrders, Orders
from provisioner.line.scan_desk import ScanDesk, Scans
from provisioner.line.scheduler import Parts, Stop, run_line
from provisioner.line.tray import Rows
from provisioner.live_page import Ways, live_page
from provisioner.logs import configure_logs
from provisioner.model import Outcome
from provisioner.network import backends
from provisioner.network.switcher import SwitcherFactory
from provisioner.opening import ask_first, open_orders, open_stations, opened_books, read_product
from provisioner.scanning import scan_desk_of
from provisioner.softap.client import SoftAPClient
from provisioner.today import counted_today, today_of

if TYPE_CHECKING:
    from provisioner.console.web.server import Address

_END = {
    ExitCode.ALL_GOOD: Outcome.PASS,
    ExitCode.SOME_FAILED: Outcome.FAIL,
    ExitCode.SOME_UNKNOWN: Outcome.UNKNOWN,
    ExitCode.HELD_BY_SITE: Outcome.ABORTED,
    ExitCode.INPUT_REFUSED: Outcome.ABORTED,
    ExitCode.INTERRUPTED: Outcome.ABORTED,
    ExitCode.OUR_BUG: Outcome.ABORTED,
}
BREAKER_FILE = "auth-breaker.json"


def _boot_time() -> float:
    """Seconds since boot, counting suspend where the system can: a laptop's lid must not make claim codes younger."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


@dataclass(frozen=True)
class Outside:
    """What comes from outside the program. The defaults are the real world."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    age_clock: Callable[[], float] = _boot_time
    disk: Disk = REAL_DISK
    name_run: Callable[[datetime, random.Random], str] = new_run_id
    dice: random.Random = field(default_factory=random.SystemRandom)
    load_switcher: Callable[[str], SwitcherFactory] = backends.load
    http_transport: object | None = None
    orders: Orders = field(default_factory=Orders)
    scans: Scans = field(default_factory=Scans)
    scanners: Sequence[Callable[[ScanDesk], Awaitable[None]]] = ()  # each puts what one of them sends to the desk


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, for the command line."""

    exit_code: ExitCode
    run_id: str
    journal: Path
    screen: Screen


# --- the commands ---


async def run(
    prepared: Prepared, outside: Outside, *, console: Console, stop: Stop | None = None, page: Address | None = None
) -> RunEnd:
    """`import` and `run`: work the manifest to the end, and say what the end means. `page`: serve it there meanwhile.

    Raises InputRefused and JournalError before any device or product is touched; what happens later stands in the
    journal and in the exit code.
    """
    async with signals.heard() as arrivals:  # from before the first record to after the last word
        return await _run(prepared, outside, arrivals, console=console, stop=stop or Stop(), page=page)


async def _run(
    prepared: Prepared,
    outside: Outside,
    arrivals: AsyncIterator[int],
    *,
    console: Console,
    stop: Stop,
    page: Address | None,
) -> RunEnd:
    secrets = RunSecrets.of(prepared)
    run_id = outside.name_run(outside.wall(), outside.dice)
    screen = Screen()
    switchers = _switchers(prepared, outside)
    dialogue = any(getattr(factory, "uses_terminal", False) for factory in switchers.values())
    with (
        open_journal(
            prepared.job.runs_dir,
            run_id,
            wall=outside.wall,
            mono=trio.current_time,
            disk=outside.disk,
            operator=prepared.settings.operator,
        ) as journal,
        configure_logs(journal.path.with_name("debug.jsonl")),
        shown(screen, console=console, now_ms=journal.mono_ms, dialogue=dialogue) as display,
    ):
        ledger = Ledger(
            prepared.manifest,
            account=prepared.settings.cloud.account,
            visits_max=prepared.settings.limits.device_attempts_max,
        )
        for listener in (ledger.see, screen.see, display.see):
            journal.subscribe(listener)
        journal.when_broken(screen.end_unrecorded)
        orders = open_orders(prepared, journal, ledger, stop)
        earlier = read_earlier_runs(prepared, journal, outside.disk)
        ways = Ways(outside.orders, outside.scans)
        async with live_page(page, screen, journal, prepared, ways):
            _say_started(prepared, journal, earlier, counted_today(prepared.job.runs_dir, run_id, outside.wall()))
            desk = scan_desk_of(prepared, journal, ledger, outside.orders) if prepared.job.scanner else None
            code = ExitCode.OUR_BUG
            try:
                async with _stoppable(arrivals, stop, journal), _people(display, orders, desk, outside):
                    code = await _work(
                        prepared,
                        outside,
                        journal,
                        ledger,
                        history=earlier.history,
                        secrets=secrets,
                        stop=stop,
                        switchers=switchers,
                        orders=orders,
                        desk=desk,
                        ways=ways,
                    )
                if stop.asked.is_set():
                    code = ExitCode.INTERRUPTED
            except* CloudError as faults:
                fault = next(leaf for leaf in leaves_of(faults) if isinstance(leaf, CloudError))
                orders.hold.report(fault)  # unless it is what holds the line already
                orders.hold.announce()
                code = ExitCode.HELD_BY_SITE
            except* InputRefused:
                code = ExitCode.INPUT_REFUSED
                raise
            except* SwitchError:  # no station has an adapter
                code = ExitCode.SOME_FAILED
                raise
            finally:
                counts = {outcome.value: count for outcome, count in ledger.outcomes().items()}
                today = today_of(screen, outside.wall()) or None
                journal.append("run.finished", outcome=_END[code], code=code.name.lower(), counts=counts, today=today)
    return RunEnd(code, journal.run_id, journal.path, screen)


@asynccontextmanager
async def _people(display: Display, orders: LineOrders, desk: ScanDesk | None, outside: Outside) -> AsyncIterator[None]:
    """While the block runs, people see the screen, and their orders and scans are taken."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(display.refresh_forever)
        with ExitStack() as scope:
            scope.enter_context(outside.orders.taken_by(orders))
            if desk is not None:
                scope.enter_context(outside.scans.taken_by(desk))
                for scanner in outside.scanners:
                    nursery.start_soon(scanner, desk)
            yield
        nursery.cancel_scope.cancel()


async def _work(
    prepared: Prepared,
    outside: Outside,
    journal: Journal,
    ledger: Ledger,
    *,
    history: History,
    secrets: RunSecrets,
    stop: Stop,
    switchers: Mapping[str, SwitcherFactory],
    orders: LineOrders,
    desk: ScanDesk | None,
    ways: Ways,
) -> ExitCode:
    """Open what a run holds (cloud, adapters), run the line, close everything."""
    import_only = prepared.job.command == "import"
    books = Books(prepared.manifest, ledger, history, journal, prepared.settings.cloud.account)
    with opened_books(books, stop, import_only=import_only) as todo:
        async with AsyncExitStack() as stack:
            with orders.until_over():  # what is ordered while all is closed again could change nothing
                cloud = await stack.enter_async_context(
                    _cloud(prepared, outside, secrets, breaker_file=prepared.job.runs_dir / BREAKER_FILE)
                )
                ways.cloud = cloud
                budgets = prepared.settings.budgets
                product = await ask_first(
                    orders.hold,
                    partial(read_product, prepared, cloud),
                    patiently=prepared.job.watched,
                    pause_s=budgets.site_probe_s,
                    hold_max_s=budgets.site_hold_max_s,
                )
                parts = Parts(
                    manifest=prepared.manifest,
                    settings=prepared.settings,
                    cloud=cloud,
                    product=product,
                    journal=journal,
                    ledger=ledger,
                    history=history,
                    books=books,
                    todo=todo,
                    wifi=secrets.wifi,
                    stations=[] if import_only else await open_stations(prepared, switchers, journal, stack),
                    open_channel=lambda link: SoftAPClient(
                        link.dial, settings=prepared.settings.softap, budgets=budgets
                    ),
                    age_clock=outside.age_clock,
                    orders=orders,
                    scans=desk,
                )
                return await run_line(parts, stop, import_only=import_only)


@asynccontextmanager
async def _stoppable(arrivals: AsyncIterator[int], stop: Stop, journal: Journal) -> AsyncIterator[None]:
    """The work of a run: ended at once by a second signal, and by a journal that takes no more records.

    Signals are heard until everything is cleaned up: an impatient third one must not end the process while an adapter
    is still on a setup network.
    """
    work = trio.CancelScope()
    journal.when_broken(work.cancel)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_signals, arrivals, stop, work, journal)
        nursery.start_soon(_end_before_the_line, stop, work)
        with work:
            yield
        nursery.cancel_scope.cancel()


async def _watch_signals(arrivals: AsyncIterator[int], stop: Stop, scope: trio.CancelScope, journal: Journal) -> None:
    """The first signal ends the run between two boards, the second at once."""
    async for _ in arrivals:
        if stop.by_person:
            scope.cancel()
        else:
            stop.ask(journal)


async def _end_before_the_line(stop: Stop, scope: trio.CancelScope) -> None:
    """Before the line works there are no boards to finish: whoever asks for the end then has it at once."""
    await stop.asked.wait()
    if not stop.line_started:
        scope.cancel()


async def plan_import(prepared: Prepared, outside: Outside) -> list[TrayPlan]:
    """`import --dry-run`: read what the product holds and say what would be sent. Writes nothing anywhere."""
    async with _cloud(prepared, outside, RunSecrets.of(prepared), breaker_file=None) as cloud:
        product = await read_product(prepared, cloud)
        if product is None:
            return []
        membership = Membership(
            cloud, product, prepared.manifest, chunk_max=prepared.settings.cloud.import_chunk_devices_max
        )
        await membership.look(Rows(prepared.manifest.row, range(len(prepared.manifest))))
        return membership.plan()


# --- the parts ---


def _cloud(
    prepared: Prepared, outside: Outside, secrets: RunSecrets, *, breaker_file: Path | None
) -> AbstractAsyncContextManager[CloudClient]:
    return open_cloud(
        prepared.settings.cloud,
        client_secret=secrets.client_secret,
        user_token=secrets.user_token,
        dice=outside.dice,
        wall=outside.wall,
        breaker_file=breaker_file,
        http_transport=outside.http_transport,
    )


def _switchers(prepared: Prepared, outside: Outside) -> dict[str, SwitcherFactory]:
    """The back ends this run's stations use; none if no device is to be visited. Raises BackendUnknown."""
    if prepared.job.command != "run" or not any(device.needs_visit for device in prepared.manifest):
        return {}
    return {name: outside.load_switcher(name) for name in {station.switcher for station in stations_of(prepared)}}


@functools.cache  # reading the package's own files takes longer than the rest of the record
def _tool() -> str:
    return f"provisioner {version('provisioner')}"


def _say_started(
    prepared: Prepared, journal: Journal, earlier: EarlierRuns, today: Mapping[str, Sequence[int]]
) -> None:
    """The first record: everything needed to understand the others."""
    manifest = prepared.manifest
    journal.append(
        "run.started",
        operator=prepared.settings.operator,
        tool=_tool(),
        command=prepared.job.command,
        cloud=prepared.settings.cloud.base_url,
        product=manifest.product or "",
        lot=manifest.lot or "",
        manifest=str(prepared.job.manifest.resolve()),
        manifest_sha256=manifest.sha256,
        settings=str(prepared.loaded.file.resolve()),
        settings_sha256=prepared.loaded.sha256,
        clock="system UTC; durations by a monotonic clock",
        host=f"{socket.gethostname()} ({platform.system()} {platform.release()})",
        devices=len(manifest),
        trays={tray.id: len(tray.devices) for tray in manifest.trays},
        layout=prepared.settings.tray_layout,
        layouts={tray.id: str(tray.layout) for tray in manifest.trays if tray.layout is not None} or None,
        slots={tray.id: ranges_of(slots) for tray in manifest.trays if (slots := tray.odd_slots)} or None,
        stations=[station.name for station in stations_of(prepared)] if prepared.job.command == "run" else [],
        resumes=list(earlier.resumes),
        scanner=prepared.job.scanner or None,
        today=today or None,
    )
    for folder in earlier.copies:
        journal.append("journal.copy_left_out", detail=f"the folder {folder} holds a copy of another run's journal")
    for run_id, cut in earlier.torn.items():
        journal.append("journal.torn_tail_cut", detail=f"the last record of {run_id} was torn by a crash", bytes=cut)
    for doubt in earlier.cut.values():
        journal.append("journal.end_doubted", code=JournalCut.code, detail=doubt, remedy=JournalCut.remedy)
