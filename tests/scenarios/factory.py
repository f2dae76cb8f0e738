"""A whole factory in virtual time: the real `app.run` over the simulated world, in memory, under a MockClock.

What a scenario changes: the boards and how they behave, the cloud's state, the settings. What it asks: the journal,
the outcome of each device, and the checkers.
"""

import io
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import trio
from rich.console import Console

from provisioner import app
from provisioner.errors import ExitCode
from provisioner.job import Job, prepare
from provisioner.journal.reader import replay
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES, Dice
from provisioner.simulator.operators import Habits
from provisioner.simulator.world import World

HEAD = "version: 1\nproduct: tempmon-v100\nwifi: factory-2g\n"
CUSTOMER = 'claim: {to: customer, customer: "line3+{tray}@example.com"}\n'


@dataclass
class Factory:
    """One world, its boards, and the files for the line."""

    folder: object
    seed: int = 1
    faults: object = PROFILES["none"]
    stations: int = 2
    uplink: str = "separate"
    claim: str = CUSTOMER
    head: str = HEAD
    budgets: dict = field(default_factory=dict)
    limits: dict = field(default_factory=dict)
    allow_takeover: tuple = ()
    wifi_password: str = TEST_ROUTER.password
    client_secret: str | None = None
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self):
        self.clock, self.dice = SimClock(), Dice(self.seed)
        self.cloud = SimCloud(clock=self.clock, dice=self.dice, faults=self.faults)
        self.world = World(seed=self.seed, cloud=self.cloud, faults=self.faults, clock=self.clock)
        self.runs_dir = self.folder / "runs"
        self.listed = []
        self.strangers = []
        self.requests = []
        self.stop = None
        self.history = []

    def boards(self, count, **how):
        """Make boards that are in the tray."""
        made = [self.world.add_photon(**how) for _ in range(count)]
        self.listed += made
        return made

    def strange_boards(self, count):
        """Make boards that are in no tray."""
        made = [self.world.add_photon() for _ in range(count)]
        self.strangers += made
        return made

    # --- the files ---

    def manifest(self):
        path = self.folder / "manifest.yaml"
        takeover = f"allow_takeover: [{', '.join(self.allow_takeover)}]\n" if self.allow_takeover else ""
        rows = "".join(f'      - {{id: "{board.device_id}", serial: {board.serial}}}\n' for board in self.listed)
        path.write_text(f"{self.head}{self.claim}{takeover}trays:\n  - id: T-0001\n    devices:\n{rows}")
        return path

    def settings(self):
        path = self.folder / "line.yaml"
        stations = "".join(
            f"  - {{name: S{n}, switcher: simulated, adapter: sim{n}, uplink: {self.uplink}}}\n"
            for n in range(1, self.stations + 1)
        )
        budgets = "".join(f"  {name}: {value}\n" for name, value in {"idle_stop_s": 300, **self.budgets}.items())
        limits = "".join(f"  {name}: {value}\n" for name, value in self.limits.items())
        path.write_text(
            "version: 1\ncloud: {client_id: tempmon06-3459, account: factory@example.com}\n"
            f"wifi:\n  factory-2g: {{ssid: {TEST_ROUTER.ssid}, security: wpa2_aes, channel: 6}}\n"
            f"stations:\n{stations}budgets:\n{budgets}" + (f"limits:\n{limits}" if limits else "")
        )
        return path

    # --- running ---

    @asynccontextmanager
    async def alive(self, *, bring=True):
        """The world for the length of a block; `bring`: operators put all boards on the bench, strangers first."""
        async with self.world.running():
            if bring:
                self.world.start_operators([*self.strangers, *self.listed], self.habits)
            yield self

    async def run(self, command="run", *, during=None):
        """One `provisioner run` (or `import`) inside a living world. `during` is a task beside it."""
        transport = _Counting(httpx.ASGITransport(cloud_app(self.cloud)), self)
        outside = app.Outside(
            environment={
                "PROVISIONER_CLIENT_SECRET": self.client_secret or self.cloud.client_secret,
                "PROVISIONER_USER_TOKEN": self.cloud.user_token,
                "PROVISIONER_WIFI_FACTORY_2G": self.wifi_password,
            },
            wall=self.clock.now,
            age_clock=trio.current_time,
            dice=random.Random(self.seed + len(self.requests)),
            load_switcher=lambda name: self.world.switchers,
            http_transport=transport,
        )
        job = Job(command, self.manifest(), self.settings(), self.runs_dir)
        self.screen = io.StringIO()
        console = Console(file=self.screen, width=200)
        self.stop = app.Stop()
        async with trio.open_nursery() as nursery:
            if during is not None:
                nursery.start_soon(during, self)
            call = partial(app.run, prepare(job, outside.environment), outside, console=console, stop=self.stop)
            end = await call()
            nursery.cancel_scope.cancel()
        return End(self, end)

    async def work(self, command="run", *, during=None):
        """The world and one run in it."""
        async with self.alive():
            return await self.run(command, during=during)


class End:
    """What a run left behind."""

    def __init__(self, factory, end):
        self.exit = end.exit_code
        self.records = list(replay(end.journal))
        factory.history += self.records
        self.screen = factory.screen.getvalue()
        self.wrong = check_all(
            Truth(
                records=factory.history,  # of all runs in this world
                photons=factory.world.history,
                cloud=factory.cloud,
                listed={board.device_id: self._owner(factory) for board in factory.listed},
                takeover_allowed=factory.allow_takeover,
                visited={board.device_id for board in factory.listed} if "wifi" in factory.head else set(),
            )
        )

    @staticmethod
    def _owner(factory):
        if "to: customer" in factory.claim or "to: online, customer" in factory.claim:
            return "line3+t-0001@example.com"
        return None if "to: none" in factory.claim else "factory@example.com"

    def events(self, name=None, device=None):
        """The events, or the records of one event, of one device if given."""
        if name is None:
            return [record.event for record in self.records]
        return [r for r in self.records if r.event == name and (device is None or r.device == device)]

    def outcome(self, board):
        """The last final record of a board: (event, code)."""
        finals = ("confirmed", "failed", "unknown", "skipped", "refused", "carried")
        last = [r for r in self.records if r.device == board.device_id and r.event in {f"device.{f}" for f in finals}]
        return last[-1].event.removeprefix("device."), last[-1].code

    def outcomes(self):
        """How often each outcome occurs in the last record."""
        return {key: value for key, value in self.records[-1].extra["counts"].items() if value}

    def good(self, **outcomes):
        """Every checker holds and the outcomes are these."""
        assert self.wrong == [], self.screen
        assert self.outcomes() == outcomes, self.screen
        return self


class _Counting(httpx.AsyncBaseTransport):
    """Notes every request before the cloud sees it."""

    def __init__(self, inner, factory):
        self.inner, self.factory = inner, factory

    async def handle_async_request(self, request):
        self.factory.requests.append((request.method, request.url.path, trio.current_time()))
        if self.factory.world.radio.uplink_away():
            raise AssertionError(f"{request.method} {request.url.path} while the uplink is away")
        return await self.inner.handle_async_request(request)


GOOD = ExitCode.ALL_GOOD
