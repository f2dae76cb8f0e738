"""`provisioner demo`: a whole factory on this computer, in real time on loopback or in virtual time.

Rule 1: three trays, written in the three ways they come; operators bring their boards in a mixed order.
Rule 2: at the end the world's own history is asked whether what the journal says is true.
"""

from __future__ import annotations

import io
import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console

from provisioner import app, nightly
from provisioner.console.morning import class_rows, print_morning
from provisioner.console.stopped import counted
from provisioner.console.terminal import print_final
from provisioner.console.verdict import final_table, headline
from provisioner.demo.files import CUSTOMER, LineFile, TrayFile, scaled_budgets, write_manifest, write_settings
from provisioner.demo.truth import contradictions, report, say, show_injected
from provisioner.demo.virtual import VirtualFactory
from provisioner.errors import ExitCode
from provisioner.job import Job, prepare
from provisioner.journal.writer import new_run_id
from provisioner.scanner.code128 import svg
from provisioner.scanner.sheet import Label, command_sheet, page
from provisioner.scanning import scanners_of
from provisioner.simulator import faults as faults_of
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import Dice
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.virtual.run import run_virtually
from provisioner.simulator.world import World

if TYPE_CHECKING:
    from provisioner.console.web.server import Address

SPEED = 12.0
TRAINING_SPEED = 3.0  # a person scans, and shall see what happens
LABELS = "training-labels.html"
TRAYS = 3


@dataclass(frozen=True)
class Wishes:
    """What the person asked for."""

    devices: int
    stations: int
    seed: int | None
    faults: str
    keep: bool
    virtual: bool
    runs_dir: Path
    scanner: bool = False
    page: Address | None = None

    @property
    def speed(self) -> float:
        """How many times as fast as reality."""
        return TRAINING_SPEED if self.scanner else SPEED

    @property
    def adapters(self) -> list[str]:
        """The simulated adapters."""
        return [f"sim{number}" for number in range(1, self.stations + 1)]


def run_demo(wishes: Wishes, *, console: Console) -> app.RunEnd:
    """Run the whole factory; returns how the run ended. Raises what `app.run` raises."""
    seed = wishes.seed if wishes.seed is not None else random.SystemRandom().randrange(1_000_000)
    pace = "in virtual time" if wishes.virtual else f"{wishes.speed:g} times as fast as reality"
    say(
        console,
        f"A simulated factory: {counted(wishes.devices, 'Photon')} in {counted(min(TRAYS, wishes.devices), 'tray')}, "
        f"{counted(wishes.stations, 'station')}, {pace}; faults: {wishes.faults}; seed {seed}.",
    )
    with tempfile.TemporaryDirectory(prefix="provisioner-demo-") as folder:
        work = partial(_in_virtual_time if wishes.virtual else _in_real_time, wishes, seed, Path(folder), console)
        return run_virtually(work, seed=seed) if wishes.virtual else trio.run(work)


# --- real time: HTTP and TCP on loopback ---


async def _in_real_time(wishes: Wishes, seed: int, folder: Path, console: Console) -> app.RunEnd:
    faults = faults_of.PROFILES[wishes.faults]
    clock, dice = SimClock(speed=wishes.speed), Dice(seed)
    cloud = SimCloud(clock=clock, dice=dice, faults=faults)
    world = World(seed=seed, cloud=cloud, faults=faults, clock=clock)
    async with trio.open_nursery() as nursery, world.running(loopback=True):
        port = await nursery.start(partial(serve_cloud, cloud_app(cloud)))
        trays = _trays(world, wishes)
        line = LineFile(
            wishes.adapters,
            cloud={"base_url": f"http://127.0.0.1:{port}", "busy_pause_s": round(5 / wishes.speed, 3)},
            budgets=scaled_budgets(wishes.speed),
        )
        manifest, settings = write_manifest(folder, trays, lot=_lot()), write_settings(folder, line)
        job = Job("run", manifest, settings, wishes.runs_dir, scanner=wishes.scanner, watched=True)
        _bring(world, trays, wishes)
        outside = app.Outside(
            environment={
                "PROVISIONER_CLIENT_SECRET": cloud.client_secret,
                "PROVISIONER_USER_TOKEN": cloud.user_token,
                "PROVISIONER_WIFI_FACTORY_2G": TEST_ROUTER.password,
            },
            dice=dice.of("line"),
            load_switcher=lambda name: world.switchers,
        )
        prepared = prepare(job, outside.environment)
        if wishes.scanner:
            outside = replace(outside, scanners=scanners_of(prepared, page=wishes.page is not None))
            _write_labels(wishes.runs_dir, trays, console)
        end = await app.run(prepared, outside, console=console, page=wishes.page)
        morning = await _night(job, end, outside)
        nursery.cancel_scope.cancel()
    _keep(wishes, folder, end)
    return _judged(_Played(end, morning, outside.wall(), world, cloud, trays), console)


# --- virtual time: the shipped clients on the virtual network ---


async def _in_virtual_time(wishes: Wishes, seed: int, folder: Path, console: Console) -> app.RunEnd:
    factory = VirtualFactory(seed=seed, faults=faults_of.PROFILES[wishes.faults])
    trays = _trays(factory.world, wishes)
    manifest, settings = factory.write(folder, trays, LineFile(wishes.adapters), lot=_lot())
    factory.name_run = lambda *_: new_run_id(datetime.now(UTC), random.SystemRandom())
    async with factory.alive():
        _bring(factory.world, trays, wishes)
        # Nobody could read the lines of a shift that passes in seconds; the table at the end says what it came to.
        quiet = Console(file=io.StringIO(), width=100)
        job = Job("run", manifest, settings, wishes.runs_dir, watched=True)
        end = await factory.run(job, console=quiet)
        morning = await _night(job, end, factory.outside())
    print_final(final_table(end.screen), headline(end.screen), console)
    say(console, f"{trio.current_time() / 3600:.2f} hours of the simulated factory.")
    _keep(wishes, folder, end)
    return _judged(_Played(end, morning, factory.clock.now(), factory.world, factory.cloud, trays), console)


# --- both ---


def _lot() -> str:
    """Another one for every demo: an earlier demo with the same boards was another factory, and is not resumed."""
    return f"demo-{random.SystemRandom().getrandbits(24):06x}"


def _trays(world: World, wishes: Wishes) -> list[TrayFile]:
    """Make the boards: rows in the manifest, a text list, and a CSV list of boards that need no owner."""
    boards = world.make_trays(TRAYS, wishes.devices)
    how = [("T-0001", "rows", None), ("T-0002", "txt", None), ("T-0003", "csv", "{to: none}")]
    return [
        TrayFile(name, tray, form, claim, expect=len(tray))  # type: ignore[arg-type]
        for (name, form, claim), tray in zip(how, boards, strict=True)
        if tray
    ]


def _bring(world: World, trays: Sequence[TrayFile], wishes: Wishes) -> None:
    boards = list(_boards(trays))
    world.dice.of("bench").shuffle(boards)
    if wishes.scanner:  # a trainee may scan any of them, and takes their time
        world.start_operators(boards, Habits(boards_max=len(boards), handling_s=(0.0, 0.1), patience_s=math.inf))
    else:
        world.start_operators(boards, Habits(boards_max=3 * wishes.stations))


def _write_labels(runs_dir: Path, trays: Sequence[TrayFile], console: Console) -> None:
    """The labels of these boards and the commands, to scan from the screen or from paper."""
    labels = [
        Label(f"{tray.id}/{slot}", "Scan it, or type it.", board.serial, svg(board.serial))
        for tray in trays
        for slot, board in enumerate(tray.boards, start=1)
    ]
    runs_dir.mkdir(parents=True, exist_ok=True)
    path = runs_dir / LABELS
    path.write_text(page([*command_sheet(operators=["Trainee"]), *labels], title="Training"), encoding="utf-8")
    say(console, f"Scan the labels in {path}, or type one: {labels[0].title} and Enter. Ctrl-C ends it.")


def _boards(trays: Sequence[TrayFile]) -> Iterator[SimPhoton]:
    return (board for tray in trays for board in tray.boards if isinstance(board, SimPhoton))


def _owners(trays: Sequence[TrayFile]) -> Mapping[str, str | None]:
    return {
        board.device_id: None if tray.claim else CUSTOMER.format(tray=tray.id.lower())
        for tray in trays
        for board in tray.boards
    }


def _keep(wishes: Wishes, folder: Path, end: app.RunEnd) -> None:
    if wishes.keep:
        shutil.copytree(folder, end.journal.parent / "factory")


async def _night(job: Job, end: app.RunEnd, outside: app.Outside) -> nightly.Morning:
    """`reconcile` of this run alone: other demos were other factories, whose clouds are gone."""
    runs_dir = job.manifest.parent / "night"
    shutil.copytree(end.journal.parent, runs_dir / end.run_id)
    return await nightly.reconcile(nightly.NightJob(job.config, runs_dir, [job.manifest]), outside)


@dataclass(frozen=True)
class _Played:
    """A demo that has been played, ready to be judged. `now` is the factory's time of day."""

    end: app.RunEnd
    morning: nightly.Morning
    now: datetime
    world: World
    cloud: SimCloud
    trays: Sequence[TrayFile]


def _judged(played: _Played, console: Console) -> app.RunEnd:
    """Show the morning after, and say whether the journal is true; if it is not, that is a bug of ours."""
    end, morning = played.end, played.morning
    say(console, "The night after, `provisioner reconcile`:")
    print_morning(class_rows(morning.tally, played.now), morning.verdict, console, troubles=morning.troubles)
    show_injected(played.world, played.cloud, end.journal, console)
    wrong = contradictions(played.world, played.cloud, end.journal, _owners(played.trays))
    report(wrong, console)
    return end if not wrong else app.RunEnd(ExitCode.OUR_BUG, end.run_id, end.journal, end.screen)
