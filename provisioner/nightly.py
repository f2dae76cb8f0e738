"""The composition root of the night: `reconcile` puts files, index, cloud and repairs together, and says what it means.

Rule 1: the order is: settings and manifests, then secrets, then the lock, and only then the cloud.
Rule 2: whatever ends it, the heartbeat says so; a night that began and does not end in it was killed.
Rule 3: everything from outside comes in through `app.Outside`, so the simulated factory has nights too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import trio

from provisioner.app import BREAKER_FILE, Outside
from provisioner.cloud.client import CloudClient, open_cloud
from provisioner.console.stopped import counted
from provisioner.errors import CloudError, ExitCode, InputRefused, JournalLocked, OutOfBudget, ProvisionerError
from provisioner.journal.fields import JSON
from provisioner.journal.writer import Journal, open_journal
from provisioner.reconcile.classes import Class, Night, Standing
from provisioner.reconcile.discipline import Findings, beat, one_at_a_time
from provisioner.reconcile.index import Index, open_index
from provisioner.reconcile.lists import Lists
from provisioner.reconcile.reconciler import Found, Product, Reconciler, Tally
from provisioner.reconcile.repair import PLAN_MAX, Planned, Repairs, planned
from provisioner.settings import LoadedSettings, SecretSource, load_settings

MANIFESTS = "manifests"
TOOL = "provisioner reconcile"


@dataclass(frozen=True)
class NightJob:
    """What the person, or cron, asked for. `manifests` empty: all beside the settings, in `manifests/`."""

    config: Path
    runs_dir: Path
    manifests: Sequence[Path] = ()
    repair: bool = False
    budget: int | None = None
    deadline_s: float | None = None
    silent_days: float = 30.0


@dataclass
class Morning:
    """What the night came to. `partial` says why it did not get to the end; `troubles` name files that are not well."""

    tally: Tally
    listed: int = 0
    manifests: Sequence[str] = ()
    troubles: list[str] = field(default_factory=list)
    repairs: Mapping[str, int] = field(default_factory=dict)
    repair_run: str | None = None
    requests: int = 0
    seconds: float = 0.0
    records_read: int = 0
    partial: ProvisionerError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What the night means to a script."""
        if self.partial is not None:
            return ExitCode.HELD_BY_SITE
        if self.tally.standing(Standing.WRONG):
            return ExitCode.SOME_FAILED
        return ExitCode.SOME_UNKNOWN if self.tally.standing(Standing.OPEN) else ExitCode.ALL_GOOD

    @property
    def verdict(self) -> str:
        """The last line: everything adds up, or what does not."""
        total = self.tally.classes.total()
        if self.partial is not None:
            far = f"{self.tally.pages} of {self.tally.pages_total} pages" if self.tally.pages_total else "no page"
            seen = f"{counted(total, 'device')} compared, {far} of the cloud's list read"
            return f"NOT FINISHED: {seen}: {self.partial.detail}"
        wrong, open_ = self.tally.standing(Standing.WRONG), self.tally.standing(Standing.OPEN)
        if not wrong and not open_:
            return f"EVERYTHING ADDS UP: {counted(total, 'device')}, {counted(len(self.manifests), 'manifest')}."
        good = total - wrong - open_
        return f"IT DOES NOT ADD UP: {wrong} wrong, {open_} open, {good} good, of {counted(total, 'device')}."


async def reconcile(job: NightJob, outside: Outside, *, progress: Callable[[Tally], None] = lambda _: None) -> Morning:
    """One night. Raises InputRefused and JournalError before the cloud is asked; cloud trouble is in the Morning."""
    loaded = load_settings(job.config)
    manifests = list(job.manifests) or manifests_beside(job.config)
    began_s = trio.current_time()
    with one_at_a_time(job.runs_dir), open_index(job.runs_dir) as index:
        began = outside.wall().isoformat(timespec="seconds")
        beat(job.runs_dir, {"began": began, "ended": None, "tool": TOOL})
        morning = Morning(Tally())
        try:
            index.refresh()
            lists = Lists(index.database)
            lists.take_in(manifests, loaded.settings)
            morning.manifests, morning.listed = lists.names(), lists.count()
            morning.troubles = list(_troubles(index, morning.manifests))
            with trio.move_on_after(math.inf if job.deadline_s is None else job.deadline_s) as deadline:
                await _compare(_Night(job, loaded, outside, index, lists, progress), morning)
            if deadline.cancelled_caught:
                morning.partial = OutOfBudget(f"the deadline of {job.deadline_s:g} s is over")
            morning.records_read = index.records_read
            morning.seconds = trio.current_time() - began_s
        except BaseException as error:
            beat(
                job.runs_dir, {"began": began, "ended": _now(outside), "tool": TOOL, "stopped_by": type(error).__name__}
            )
            raise
        beat(job.runs_dir, {"began": began, "ended": _now(outside), "tool": TOOL, **summary_of(morning)})
    return morning


def _now(outside: Outside) -> str:
    return outside.wall().isoformat(timespec="seconds")


def manifests_beside(config: Path) -> list[Path]:
    """All manifests of the site: `manifests/*.yaml` beside the settings. Raises InputRefused where there is none."""
    folder = config.parent / MANIFESTS
    found = sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yaml", ".yml"))
    if not found:
        raise InputRefused(
            f"there is no manifest in {folder}", remedy="Name manifests on the command line, or put them there."
        )
    return found


@dataclass
class _Night:
    """What the steps of one night share."""

    job: NightJob
    loaded: LoadedSettings
    outside: Outside
    index: Index
    lists: Lists
    progress: Callable[[Tally], None]
    plan: list[tuple[Product, Planned]] = field(default_factory=list)


async def _compare(night: _Night, morning: Morning) -> None:
    async with _cloud(night) as cloud:
        reconciler = Reconciler(night.index, night.lists, cloud, budget=night.job.budget, progress=night.progress)
        try:
            products = await _products(night, cloud)
            await _pass(night, reconciler, cloud, products)
            if night.job.repair and night.plan and await _repair(night, cloud, morning):
                night.index.refresh()
                await _pass(night, reconciler, cloud, products)
        except CloudError as fault:
            morning.partial = fault
        finally:
            morning.tally = reconciler.tally
            traffic = cloud.governor.traffic
            morning.requests = traffic.line + traffic.bulk + traffic.token


async def _pass(night: _Night, reconciler: Reconciler, cloud: CloudClient, products: Sequence[Product]) -> None:
    """Walk once; what is found is written into a file, and the repairs of it into the plan."""
    night.plan = []
    with _findings(night.job.runs_dir) as note:

        def see(product: Product, found: Found) -> None:
            note(found)
            one = planned(found)
            if one is not None and len(night.plan) < PLAN_MAX:
                night.plan.append((product, one))

        await reconciler.run(products, lambda product: _night_of(night, product, cloud), note=see)


@contextmanager
def _findings(runs_dir: Path) -> Iterator[Callable[[Found], None]]:
    findings, complete = Findings(runs_dir), False
    try:
        yield findings.note
        complete = True
    finally:
        findings.close(complete=complete)


def _night_of(night: _Night, product: Product, cloud: CloudClient) -> Night:
    settings = night.loaded.settings
    return Night(
        account=settings.cloud.account,
        now=cloud.clock.at(trio.current_time()) or night.outside.wall(),
        silent_after=timedelta(days=night.job.silent_days),
        tolerance=timedelta(seconds=settings.budgets.cloud_clock_tolerance_s),
        membership=product.info is not None,
    )


async def _products(night: _Night, cloud: CloudClient) -> list[Product]:
    """Each product once, with all the names that manifests and journals have for it."""
    by_id: dict[int, Product] = {}
    found: list[Product] = []
    for name in night.lists.products():
        if not name:
            found.append(Product(None, ("",)))
            continue
        info = await cloud.product(name)
        names = (*(by_id[info.id].names if info.id in by_id else ()), name, info.slug, str(info.id))
        by_id[info.id] = Product(info, tuple(dict.fromkeys(names)))
    return [*by_id.values(), *found]


async def _repair(night: _Night, cloud: CloudClient, morning: Morning) -> bool:
    """Carry the plan out in a run of its own; False where a shift is writing, and nothing was done."""
    outside, job = night.outside, night.job
    run_id = outside.name_run(outside.wall(), outside.dice)
    try:
        with open_journal(
            job.runs_dir, run_id, wall=outside.wall, mono=trio.current_time, disk=outside.disk
        ) as journal:
            morning.repair_run = journal.run_id
            _say_started(night, journal)
            await _carry_out(night, cloud, journal, morning)
            journal.append("run.finished", counts=morning.repairs)
    except JournalLocked as locked:
        morning.troubles.append(f"Nothing was repaired: {locked.detail}. {locked.remedy}")
        return False
    return True


async def _carry_out(night: _Night, cloud: CloudClient, journal: Journal, morning: Morning) -> None:
    for product in dict.fromkeys(product for product, _ in night.plan):
        repairs = Repairs(
            cloud,
            product,
            journal,
            night=_night_of(night, product, cloud),
            chunk_max=night.loaded.settings.cloud.import_chunk_devices_max,
        )
        try:
            await repairs.carry_out([one for of, one in night.plan if of is product])
        finally:
            morning.repairs = Counter(morning.repairs) + repairs.done


def _say_started(night: _Night, journal: Journal) -> None:
    counts: dict[str, int] = {}
    for _, one in night.plan:
        counts[one.kind.value] = counts.get(one.kind.value, 0) + 1
    products = {product.names[0] for product, _ in night.plan}
    journal.append(
        "run.started",
        operator=night.loaded.settings.operator,
        tool=TOOL,
        command="reconcile",
        cloud=night.loaded.settings.cloud.base_url,
        product=products.pop() if len(products) == 1 else "",
        manifests=night.lists.names(),
        settings=str(night.loaded.file.resolve()),
        settings_sha256=night.loaded.sha256,
    )
    journal.append("repair.planned", counts=counts)


def _troubles(index: Index, manifests: Sequence[str]) -> Iterator[str]:
    """Files that are not well, each with what follows from it."""
    for row in index.journals():
        if row.trouble:
            yield f"{row.trouble}. The devices of run {row.run} are open until another run proves them."
        manifest = row.started.get("manifest")
        if isinstance(manifest, str) and manifest and manifest not in manifests and not Path(manifest).exists():
            yield f"The manifest of run {row.run} is gone: {manifest}"
    for cut in index.cut:
        yield f"{cut}. What it has lost is open until another run, or the cloud, proves it."
    for folder in index.doubled:
        yield f"The folder {folder} holds a copy of another run's journal; it is left out."


def _cloud(night: _Night) -> AbstractAsyncContextManager[CloudClient]:
    settings, source = night.loaded.settings, SecretSource(night.outside.environment, night.job.config.parent)
    products = night.lists.products()
    return open_cloud(
        settings.cloud,
        client_secret=source.client_secret(settings.cloud) if any(products) else None,
        user_token=source.user_token(settings.cloud) if "" in products else None,
        dice=night.outside.dice,
        wall=night.outside.wall,
        breaker_file=night.job.runs_dir / BREAKER_FILE,
        http_transport=night.outside.http_transport,
    )


def summary_of(morning: Morning) -> dict[str, JSON]:
    """The night as one JSON object, for machines and the heartbeat."""
    tally = morning.tally
    return {
        "exit": int(morning.exit_code),
        "verdict": morning.verdict,
        "devices": tally.classes.total(),
        "listed": morning.listed,
        "outside": tally.outside,
        "manifests": list(morning.manifests),
        "classes": {kind.value: tally.classes[kind] for kind in Class},
        "open": tally.standing(Standing.OPEN),
        "wrong": tally.standing(Standing.WRONG),
        "pages": tally.pages,
        "requests": morning.requests,
        "seconds": round(morning.seconds, 3),
        "repairs": dict(morning.repairs),
        "repair_run": morning.repair_run,
        "troubles": list(morning.troubles),
    }
