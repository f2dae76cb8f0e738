"""What every benchmark of the line needs: a virtual factory with ample work, run by the real program, and measured.

What is measured comes from the outside: the adapters' own times from a wrapper around the switcher, the rest from
the journal, the cloud's counters and this process's CPU clock. Times are the simulated world's unless they say CPU.
"""

from __future__ import annotations

import gc
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio
from rich.console import Console

from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.virtual.run import run_virtually

TRAY = 50  # what Particle sells
BENCH_STATIONS = 32  # in one room
SPOOL_FROM = 500  # devices; from there on the simulated world's own histories are on disk


class Meter:
    """How long all adapters together did each thing, up to each moment; a shift of any length is a few numbers.

    The window of what is measured goes from the first board that was begun to the last one: what was done before and
    after it does not count, so the sums are read when a board begins.
    """

    def __init__(self):
        self.adapters, self.boards = set(), 0
        self._under_way, self._spent_s = Counter(), Counter()
        self._at_s = 0.0
        self._first = self._last = None

    @contextmanager
    def doing(self, adapter, what):
        """This adapter does this, for the length of the block."""
        self._go_on()
        if what == "board":
            self.boards += 1
            self._last = (self._at_s, self._spent_s.copy())
            self._first = self._first or self._last
        self.adapters.add(adapter)
        self._under_way[what] += 1
        try:
            yield
        finally:
            self._go_on()
            self._under_way[what] -= 1

    def _go_on(self):
        now_s = trio.current_time()
        for what, adapters in self._under_way.items():
            self._spent_s[what] += adapters * (now_s - self._at_s)
        self._at_s = now_s

    @property
    def window_s(self):
        return self._last[0] - self._first[0]

    def share(self, *what):
        """How much of the window, over all adapters, went into these things."""
        spent_s = sum(self._last[1][one] - self._first[1][one] for one in what)
        return spent_s / (self.window_s * len(self.adapters))


class MeteredFactory:
    """A switcher factory that times what its adapters do."""

    def __init__(self, inner, meter):
        self.inner, self.meter = inner, meter

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        async with self.inner.session(adapter=adapter, uplink=uplink) as switcher:
            yield MeteredSwitcher(switcher, adapter, self.meter)


class MeteredSwitcher:
    def __init__(self, inner, adapter, meter):
        self.inner, self.adapter, self.meter = inner, adapter, meter

    @property
    def traits(self):
        return self.inner.traits

    async def scan(self, **how):
        with self.meter.doing(self.adapter, "scan"):
            return await self.inner.scan(**how)

    @asynccontextmanager
    async def joined(self, network, policy):
        with self.meter.doing(self.adapter, "board"):
            async with self.inner.joined(network, policy) as link:
                yield link

    async def restore(self, **how):
        with self.meter.doing(self.adapter, "restore"):
            await self.inner.restore(**how)


class Nowhere(io.StringIO):
    """A shift says a line for every board; here nobody keeps it."""

    def write(self, text):
        return len(text)


@dataclass(frozen=True)
class Measured:
    """One run. `busy`: adapters that listen, join or work a board; `held`: from join to leave only."""

    devices: int
    stations: int
    passed: int
    hours: float
    per_hour: float
    busy: float
    held: float
    requests_each: float
    exit_code: int
    cpu_ms_each: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Work:
    """What to run: so many boards on so many stations, with always another board on the bench until they run out."""

    devices: int
    stations: int
    faults: str = "none"
    seed: int = 1
    uplink: str = "separate"
    boards_per_station: int = 4
    changes: dict = field(default_factory=dict)  # of the faults
    limits: dict = field(default_factory=dict)  # of the settings

    @property
    def benches(self):
        """Rooms that do not hear each other: nobody has 256 stations in one."""
        return [f"room {number}" for number in range(-(-self.stations // BENCH_STATIONS))]


def shift(devices, stations, **more):
    """Do it, in virtual time; returns what was measured."""
    work = Work(devices, stations, **more)
    return run_virtually(lambda: _shift(work), seed=work.seed)


async def _shift(work):
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        factory = VirtualFactory(
            seed=work.seed, faults=replace(PROFILES[work.faults], **work.changes), spooled=work.devices > SPOOL_FROM
        )
        world, boards = factory.world, factory.world.deliver(work.devices)
        trays = (
            TrayFile(f"T-{number // TRAY:05d}", map(world.label_of, boards[number : number + TRAY]), "csv")
            for number in range(0, work.devices, TRAY)
        )
        adapters = [f"sim{number}" for number in range(work.stations)]
        for number, adapter in enumerate(adapters):
            world.radio.place(adapter, work.benches[number // BENCH_STATIONS])
        line = LineFile(adapters, work.uplink, budgets={"idle_stop_s": 300}, limits=work.limits)
        manifest, settings = factory.write(folder, trays, line)
        metered = MeteredFactory(factory.world.switchers, meter)
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        async with factory.alive():
            world.start_operators(world.unpack(boards), habits(work))
            outside = replace(factory.outside(), load_switcher=lambda _: metered)
            end = await factory.run(
                Job("run", manifest, settings, folder / "runs"), console=Console(file=Nowhere()), outside=outside
            )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        measured = _measured(work, end, meter, factory)
        return replace(measured, cpu_ms_each=cpu * 1000 / work.devices, wall_s=wall)


def habits(work):
    quick = 1 / work.stations
    boards = work.boards_per_station * work.stations
    handling = (0.5 * quick * len(work.benches), 1.5 * quick * len(work.benches))
    return Habits(boards_max=boards, handling_s=handling, benches=work.benches, pack_after_s=60)


def _measured(work, end, meter, factory):
    passed = finished_ms = 0
    with end.journal.open() as lines:
        for record in map(json.loads, lines):
            if record["event"] == "device.confirmed":
                passed += 1
                finished_ms = record["mono_ms"]
    return Measured(
        devices=work.devices,
        stations=work.stations,
        passed=passed,
        hours=finished_ms / 3.6e6,
        per_hour=meter.boards / (meter.window_s / 3600),
        busy=meter.share("scan", "board", "restore"),
        held=meter.share("board"),
        requests_each=factory.cloud.limits.requests_by_window.total() / work.devices,
        exit_code=int(end.exit_code),
    )


def started(devices, stations, seed=1):
    """The same in a process of its own, which prints what `read` gives."""
    script = [sys.executable, __file__, str(devices), str(stations), str(seed)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


def read(process):
    """What the process measured: its peak in MB, how many it proved, and its exit code."""
    told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the shift of its own process ended with {process.returncode}")
    return json.loads(told)


if __name__ == "__main__":
    run = shift(int(sys.argv[1]), int(sys.argv[2]), seed=int(sys.argv[3]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mb": peak, "passed": run.passed, "exit_code": run.exit_code}))
