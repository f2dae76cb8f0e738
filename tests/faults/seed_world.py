"""Plays one seed: a whole factory in virtual time, the shipped program in it, and everything its plan does to them.

Rule 1: one life is one start of `provisioner run` on the same runs folder. A life that ends by losing power, or is
killed, leaves nothing behind but what the disk held at that moment; its boards and the cloud go on without it.
Rule 2: people do what the screen tells them: they start again, and bring back the boards that did not pass. After
the days of the plan comes a calm one on which nothing is injected; then the night.
Rule 3: what is told about it afterwards (`Played`) is the world's own: its histories, and when what was done to it.
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio
from rich.console import Console
from seed_plan import End, Ends, Nature, Plan, Policy, Tray
from seed_site import Note, Site

from provisioner import app, nightly
from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.errors import ExitCode, JournalError, JournalLocked, RunsFolderUnusable
from provisioner.job import Job
from provisioner.reconcile.lists import keep_up
from provisioner.settings import load_settings
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.power import PowerCut, PowerDisk
from provisioner.simulator.virtual.run import run_virtually
from provisioner.simulator.world import World

LONGEST_LIFE_S = 12 * 3600.0  # of virtual time: whatever takes longer has a wait without an end
CALM_DAYS = 4
OTHER = "somebody-else@example.com"
_PATIENCE_S = 20_000.0  # a board stays where it is put until the day is over
# Shorter than the shipped ones where a seed would only spend its time waiting.
_BUDGETS = {
    "idle_stop_s": 45,
    "site_hold_max_s": 200,
    "confirm_s": 60,
    "confirm_poll_first_s": 2,
    "confirm_poll_longest_s": 8,
}


@dataclass(frozen=True)
class Listed:
    """One row of the manifest, with what the plan says of it."""

    device: str
    tray: Tray
    nature: Nature
    photon: SimPhoton | None


@dataclass
class Life:
    """One start of the program: from when to when (trio's seconds and the world's), and how it ended."""

    began_s: float
    began_world_s: float
    how: str = ""
    exit: ExitCode | None = None
    ended_world_s: float = 0.0
    failed_s: float | None = None  # when its disk failed, in the world's seconds
    calm: bool = False
    night: bool = False
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def cut(self) -> bool:
        """Whether the program died without a chance to say so."""
        return self.how in (Ends.POWER, Ends.HALL, Ends.KILLED)


@dataclass
class Played:
    """What happened, for the checkers."""

    plan: Plan
    folder: Path
    cloud: SimCloud
    world: World
    listed: list[Listed]
    strangers: list[SimPhoton]
    lives: list[Life]
    notes: list[Note]
    stolen_s: dict[str, float]
    morning: nightly.Morning | None
    classes: dict[str, str]
    screen: str
    violations: list[str]
    began: dict[str, float]
    slept: list[tuple[float, float]]
    last: dict[str, str]

    def world_s(self, run: str, mono_ms: int) -> float:
        """When a record of a run was written, in the world's seconds: trio's clock does not count a suspend."""
        at_s = self.began[run] + mono_ms / 1000
        return at_s + sum(long_s for then_s, long_s in self.slept if then_s <= at_s)

    @property
    def runs_dir(self) -> Path:
        """Where the journals are."""
        return self.folder / "runs"


def play(plan: Plan, folder: Path) -> Played:
    """Play a plan in a folder of its own, in virtual time."""
    return run_virtually(lambda: _Play(plan, folder).all(), seed=plan.seed)


class _Play:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.virtual = VirtualFactory(seed=plan.seed, faults=plan.faults, rules=plan.rules, tls=plan.tls)
        self.cloud, self.world = self.virtual.cloud, self.virtual.world
        self.disk = PowerDisk(at_cut=self._remember, clock=self.virtual.clock.seconds)
        self.virtual.disk = self.disk
        self.site = Site(self.virtual, clock_off_s=plan.clock_off_s, retry_after_s=plan.rules.busy_retry_after_s)
        self.site.second_start = self._second_start
        self.screen = io.StringIO()
        self.lives: list[Life] = []
        self.violations: list[str] = []
        self.stolen_s: dict[str, float] = {}
        self.remembered: dict[Path, bytes] = {}
        self.running = False
        self.last: dict[str, str] = {}
        self.numbers = itertools.count()
        self.began: dict[str, float] = {}
        self.listed = [row for tray in plan.trays for row in self._tray(tray)]
        self.photons = [row.photon for row in self.listed if row.photon is not None]
        self.strangers = [self.world.add_photon() for _ in range(plan.strangers)]
        self.manifest, self.settings = self._files()
        self.runs_dir = folder / "runs"

    # --- the factory ---

    def _tray(self, tray: Tray) -> Iterator[Listed]:
        for nature in tray.natures:
            if nature is Nature.UNHEARD:
                yield Listed(f"{self.plan.of('unheard', next(self.numbers)).getrandbits(96):024x}", tray, nature, None)
                continue
            photon = self.world.add_photon(faults=self._faults_of(nature))
            self._arrange(photon.device_id, nature)
            yield Listed(photon.device_id, tray, nature, photon)

    def _faults_of(self, nature: Nature):
        if nature is not Nature.BAD_KEY:
            return None
        chance = self.plan.of("key", next(self.numbers)).random()
        return replace(self.plan.faults, key_missing=float(chance < 0.5), key_damaged=float(chance >= 0.5))

    def _arrange(self, device: str, nature: Nature) -> None:
        cloud, fleet = self.cloud, self.cloud.fleet
        if nature in (Nature.OTHERS, Nature.ALLOWED):
            cloud.put_in_product(device)
            cloud.set_owner(device, OTHER)
        elif nature is Nature.OUTSIDE:
            cloud.set_owner(device, "a-stranger@example.net")
        elif nature is Nature.PROTECTED:
            fleet.find(device).protected = True
        elif nature in (Nature.QUARANTINED, Nature.DENIED):
            cloud.quarantine(device, denied=nature is Nature.DENIED)

    def _files(self) -> tuple[Path, Path]:
        trays = []
        for tray in self.plan.trays:
            labels = [
                row.photon or _Label(row.device, f"UNHEARD{row.device[:8].upper()}")
                for row in self.listed
                if row.tray is tray
            ]
            wifi = "none" if tray.policy is Policy.IMPORT_ONLY else None
            trays.append(TrayFile(tray.name, labels, tray.form, tray.policy.value.strip(), wifi))
        allowed = [row.device for row in self.listed if row.nature is Nature.ALLOWED]
        line = LineFile([f"sim{number}" for number in range(self.plan.stations)], budgets=_BUDGETS)
        return self.virtual.write(self.folder, trays, line, allow_takeover=allowed)

    # --- the days ---

    async def all(self) -> Played:
        async with self.virtual.alive():
            async with trio.open_nursery() as troubles:
                self._start_troubles(troubles)
                self._bring([*self.strangers, *self._boards()])
                await self._days()
                troubles.cancel_scope.cancel()
            await self._calm_days()
            morning, classes = await self._nights()
        return Played(
            self.plan, self.folder, self.cloud, self.world, self.listed, self.strangers, self.lives,
            self.site.notes, self.stolen_s, morning, classes, self.screen.getvalue(), self.violations, self.began,
            self.site.slept,
            self.last,
        )  # fmt: skip

    def _start_troubles(self, nursery: trio.Nursery) -> None:
        for event in self.plan.events:
            nursery.start_soon(self.site.befall, event)
        thefts = zip((row for row in self.listed if row.nature is Nature.STOLEN), self.plan.stolen_at_s, strict=True)
        for row, at_s in thefts:
            nursery.start_soon(self._steal, row, at_s)

    def _boards(self) -> list[SimPhoton]:
        """The boards for the benches, in an order that mixes the trays."""
        boards = [row.photon for row in self.listed if row.photon is not None and row.tray.policy.visited]
        self.plan.of("benches").shuffle(boards)
        return boards

    async def _steal(self, row: Listed, at_s: float) -> None:
        await trio.sleep(at_s)
        self.cloud.fleet.own(self.cloud.fleet.find(row.device), self.cloud.add_customer(OTHER))
        self.stolen_s[row.device] = self.virtual.clock.seconds()
        self.site.note(Nature.STOLEN, row.device)

    async def _days(self) -> None:
        """One life for each planned end, and one that nothing ends, if there is still work."""
        if self.plan.wrong_secret_first:
            await self._life(None, secret="not the secret")
            self.site.note("a wrong client secret")
        for end in (*self.plan.ends, None):
            life = await self._life(end)
            if life.exit is ExitCode.ALL_GOOD:
                return
            await trio.sleep(end.down_s if end is not None else 20)
            self._bring_back()

    async def _calm_days(self) -> None:
        """Nothing is injected any more, and what did not pass is brought again, until all that can pass has."""
        self._calm()
        for day in range(CALM_DAYS):
            await self._power_again(setup=day > 0)
            life = await self._life(None, calm=True)
            if life.exit is ExitCode.ALL_GOOD or not self._still_to_pass():
                return
            await trio.sleep(60)

    def _calm(self) -> None:
        calm = replace(PROFILES["none"], stock=self.plan.faults.stock)
        self.site.calm()
        self.cloud.faults = self.world.faults = self.world.radio.faults = calm
        self.world.radio.repair_adapters()
        for row in self.listed:
            if row.photon is not None:
                row.photon.weak = False  # it was put nearer to the adapters
                if row.nature is not Nature.BAD_KEY:
                    row.photon.faults = calm

    def _still_to_pass(self) -> list[Listed]:
        can = (Nature.GOOD, Nature.ALLOWED, Nature.QUARANTINED, Nature.DENIED)
        twins = twins_of(self.listed, self.strangers)
        return [
            row
            for row in self.listed
            if row.nature in can and row.device not in twins and self.last.get(row.device) != "pass"
        ]

    # --- hands ---

    def _bring(self, boards: Sequence[SimPhoton]) -> None:
        stations = self.plan.stations
        self.world.start_operators(
            boards, Habits(boards_max=4 * stations, handling_s=(0.1, 0.5), patience_s=_PATIENCE_S)
        )

    def _bring_back(self) -> None:
        """What has no power is brought again; what failed gets SETUP held, as the screen says."""
        again = []
        for row in self.listed:
            photon = row.photon
            if photon is None or not row.tray.policy.visited or self.last.get(row.device) == "pass":
                continue
            if not photon.powered:
                again.append(photon)
            elif self.last.get(row.device) == "fail":
                photon.hold_setup()
        self._bring(again)

    async def _power_again(self, *, setup: bool) -> None:
        """What has passed is packed; the rest is switched off and on, some, and all on later days, with SETUP held."""
        dice = self.plan.of("calm", len(self.lives))
        again, held = [], []
        for row in self.listed:
            photon = row.photon
            if photon is None or not row.tray.policy.visited:
                continue
            if self.last.get(row.device) == "pass":
                photon.power_off()  # it is packed
            elif not photon.powered:
                again.append(photon)
            else:
                photon.power_cycle()
                if setup or self.last.get(row.device) != "unknown" or dice.random() < 0.5:
                    held.append(photon)
        await trio.sleep(1)
        for photon in held:
            photon.hold_setup()
        self._bring(again)

    # --- lives ---

    async def _life(self, end: End | None, *, calm: bool = False, secret: str = "") -> Life:
        """Start the program once; it may die on the way."""
        life = Life(trio.current_time(), self.virtual.clock.seconds(), calm=calm)
        self.lives.append(life)
        environment = {"PROVISIONER_CLIENT_SECRET": secret} if secret else {}
        outside = replace(self.virtual.outside(environment), wall=self.site.wall, age_clock=self.virtual.clock.seconds)
        watched = len(self.lives) % 2 == 1  # by people, at every other start
        job = Job("run", self.manifest, self.settings, self.runs_dir, watched=watched)
        stop = app.Stop()
        self.running, ended = True, None
        with self._dying(life, end) as scope:
            async with trio.open_nursery() as nursery:
                if end is not None:
                    nursery.start_soon(self._end, life, end, scope)
                ended = await self.virtual.run(job, console=Console(file=self.screen), stop=stop, outside=outside)
                life.exit = ended.exit_code
                nursery.cancel_scope.cancel()
        self.running = False
        if ended is not None and not life.cut:
            self._read_screen(ended.journal)
            keep_up(self.runs_dir, self.manifest, load_settings(self.settings).settings)
        self._after(life, end)
        return life

    @contextmanager
    def _dying(self, life: Life, end: End | None) -> Iterator[trio.CancelScope]:
        """Whatever comes out of a program without power is nobody's: it is gone. The rest must be what was planned."""
        self.disk.calls = 0
        if end is not None and end.call:
            self._arm(end)
        scope = trio.CancelScope(deadline=trio.current_time() + LONGEST_LIFE_S)
        try:
            with _signals_taken(), scope:
                yield scope
        except BaseException as error:
            if not self.disk.on and not _cancelled(error):
                life.how = life.how or (end.how if end is not None else "")
                return
            failing = end is not None and end.how in (Ends.DISK_WRITE, Ends.DISK_SYNC)
            if not failing or not all(isinstance(leaf, JournalError | RunsFolderUnusable) for leaf in _leaves(error)):
                raise
            life.how, life.exit, life.failed_s = end.how, ExitCode.HELD_BY_SITE, self.disk.failed_at_s
            return
        if not self.disk.on:
            life.how = life.how or (end.how if end is not None else "")
        elif scope.cancelled_caught:
            self.violations.append(f"I8: a life of the program had no end within {LONGEST_LIFE_S / 3600:g} hours")

    def _arm(self, end: End) -> None:
        if end.how in (Ends.POWER, Ends.HALL, Ends.KILLED):
            self.disk.cut_at(end.call, after=end.after)
        elif end.how is Ends.DISK_WRITE:
            self.disk.fail_from(end.call, "write", self.plan.of("errno").choice((errno.ENOSPC, errno.EROFS, errno.EIO)))
        elif end.how is Ends.DISK_SYNC:
            self.disk.fail_from(end.call, "sync", errno.EIO)

    async def _end(self, life: Life, end: End, scope: trio.CancelScope) -> None:
        """End this life at its time, if its end is not one that the disk counts out."""
        by_call = end.call and end.how not in (Ends.STOPPED, Ends.STOPPED_TWICE)
        if by_call:
            return
        await trio.sleep(end.at_s)
        life.how = end.how
        if end.how in (Ends.STOPPED, Ends.STOPPED_TWICE):
            signal.raise_signal(signal.SIGTERM)
            if end.how is Ends.STOPPED_TWICE:
                await trio.sleep(2)
                signal.raise_signal(signal.SIGINT)
        elif end.how in (Ends.DISK_WRITE, Ends.DISK_SYNC):
            self.disk.fail_from(0, "write" if end.how is Ends.DISK_WRITE else "sync", errno.EIO)
        else:
            self.disk.cut()
            scope.cancel()

    def _after(self, life: Life, end: End | None) -> None:
        """The disk as the next life finds it, and what the power's failing did to the boards."""
        for path in self.runs_dir.glob("*/"):
            self.began.setdefault(path.name, life.began_s)  # a life makes one run, at its beginning
        life.ended_world_s = self.virtual.clock.seconds()
        if life.how:
            self.site.note(life.how)
        if not self.disk.on:
            dice = self.plan.of("power", len(self.lives))
            for path, data in self.remembered.items():
                path.write_bytes(data)
            life.lost = self.disk.restart(dice, kept=life.how is Ends.KILLED)
            if life.how is not Ends.KILLED:
                _harm_the_rest(self.runs_dir, dice)
            if life.how is Ends.HALL:
                for photon in (*self.photons, *self.strangers):
                    if photon.powered:
                        photon.power_cycle()
        else:
            self.disk.restart(random.Random(0), kept=True)

    def _remember(self) -> None:
        """What else stands in the runs folder at the moment of death: a dying program must not change it."""
        self.remembered = {
            path: path.read_bytes()
            for name in ("auth-breaker.json", "reconcile.json", "reconcile.csv")
            if (path := self.runs_dir / name).exists()
        }

    def _read_screen(self, journal: Path) -> None:
        """What the people at the benches saw at the end of a run: each device's outcome."""
        for line in journal.read_bytes().splitlines():
            if b'"outcome":' in line:
                record = json.loads(line)
                if record["event"].startswith("device.") and "outcome" in record:
                    self.last[record["device"]] = record["outcome"]

    async def _second_start(self) -> None:
        """Somebody starts the program again while it runs."""
        if not self.running or not self.disk.on:
            return
        job = Job("run", self.manifest, self.settings, self.runs_dir)
        outside = replace(self.virtual.outside(), wall=self.site.wall)
        try:
            await self.virtual.run(job, console=Console(file=self.screen), outside=outside)
        except JournalLocked as locked:
            if "is in use by process" not in locked.detail:
                self.violations.append(f"I11: a second start does not say who holds the folder: {locked.detail}")
        except (PowerCut, JournalError, RunsFolderUnusable):
            pass  # the disk failed under this one
        else:
            self.violations.append("I11: a second start on the same runs folder was not refused")

    # --- nights ---

    async def _nights(self) -> tuple[nightly.Morning | None, dict[str, str]]:
        """A night that may be cut, and one that is not."""
        if self.plan.night_end is not None:
            await self._night(self.plan.night_end)
        return await self._night(None)

    async def _night(self, end: End | None) -> tuple[nightly.Morning | None, dict[str, str]]:
        life = Life(trio.current_time(), self.virtual.clock.seconds(), calm=end is None, night=True)
        self.lives.append(life)
        outside = replace(self.virtual.outside(), wall=self.site.wall)
        morning = None
        with self._dying(life, end) as scope:
            async with trio.open_nursery() as nursery:
                if end is not None:
                    nursery.start_soon(self._end, life, end, scope)
                job = nightly.NightJob(self.settings, self.runs_dir, [self.manifest], repair=True)
                morning = await nightly.reconcile(job, outside)
                life.exit = morning.exit_code
                nursery.cancel_scope.cancel()
        self._after(life, end)
        return morning, _classes_in(self.runs_dir / "reconcile.csv") if morning is not None else {}


def twins_of(listed: Sequence[Listed], strangers: Sequence[SimPhoton]) -> set[str]:
    """The devices that share their BSSID with another one: on one bench they look like one network, the stronger."""
    photons = [*strangers, *(row.photon for row in listed if row.photon is not None)]
    count = Counter(photon.bssid for photon in photons)
    return {photon.device_id for photon in photons if count[photon.bssid] > 1}


def _classes_in(findings: Path) -> dict[str, str]:
    """The class of every device that is not well, as the night's own file says it."""
    with findings.open(encoding="utf-8", newline="") as file:
        return {row["device"]: row["class"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class _Label:
    """The label of a board that is not there."""

    device_id: str
    serial: str


def _harm_the_rest(runs_dir: Path, dice: random.Random) -> None:
    """What nobody syncs may come back as it was, empty, or not at all: the program must not need it."""
    for name in ("auth-breaker.json", "reconcile.csv"):
        path = runs_dir / name
        if path.exists() and (roll := dice.random()) < 0.5:
            path.unlink() if roll < 0.25 else path.write_bytes(b"")
    index = runs_dir / "index.sqlite"
    wal = runs_dir / "index.sqlite-wal"
    roll = dice.random()
    if roll < 0.2:
        for path in (index, wal, runs_dir / "index.sqlite-shm"):
            path.unlink(missing_ok=True)
    elif roll < 0.4 and index.exists():
        data = index.read_bytes()
        index.write_bytes(data[: dice.randrange(len(data) + 1)])
    elif roll < 0.6 and wal.exists():
        data = wal.read_bytes()
        wal.write_bytes(data[: dice.randrange(len(data) + 1)])


@contextmanager
def _signals_taken() -> Iterator[None]:
    """A signal that comes after the program has ended must not end this one."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _cancelled(error: BaseException) -> bool:
    return any(isinstance(leaf, trio.Cancelled) for leaf in _leaves(error))
