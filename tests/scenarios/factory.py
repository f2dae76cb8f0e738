"""A whole factory in virtual time: the real `app.run` and its own clients over the virtual network, under a MockClock.

What a scenario changes: the boards and how they behave, the cloud's state, the settings. What it asks: the journal,
the outcome of each device, and the checkers. Every run is looked through for secrets, asked or not (F35).
"""

import io
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import trio
from rich.console import Console

from provisioner import app
from provisioner.console.reports.page import as_html
from provisioner.console.reports.run_report import RunReport
from provisioner.console.reports.tables import as_csv, as_json, as_junit
from provisioner.demo.files import CUSTOMER_CLAIM, LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.errors import ExitCode
from provisioner.job import Job
from provisioner.journal.reader import newest, replay
from provisioner.line.orders import Orders
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.sim_cloud import CloudRules
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.leaks import secrets_of
from provisioner.simulator.operators import Habits

CUSTOMER = CUSTOMER_CLAIM


@dataclass
class Factory:
    """One world, its boards, and the files for the line."""

    folder: object
    seed: int = 1
    faults: object = PROFILES["none"]
    stations: int = 2
    uplink: str = "separate"
    claim: str = CUSTOMER
    product: str | None = "tempmon-v100"
    wifi: str | None = "factory-2g"
    rules: CloudRules = field(default_factory=CloudRules)
    budgets: dict = field(default_factory=dict)
    limits: dict = field(default_factory=dict)
    allow_takeover: tuple = ()
    wifi_password: str = TEST_ROUTER.password
    client_secret: str | None = None
    habits: Habits = field(default_factory=Habits)
    scanner: dict = field(default_factory=dict)
    serials: bool = True

    def __post_init__(self):
        self.virtual = VirtualFactory(seed=self.seed, faults=self.faults, rules=self.rules)
        self.clock, self.dice = self.virtual.clock, self.virtual.dice
        self.cloud, self.world = self.virtual.cloud, self.virtual.world
        self.whole = cloud_app(self.cloud)
        self.virtual.serve(self._counting(self.whole))
        self.runs_dir = self.folder / "runs"
        self.listed = []
        self.strangers = []
        self.requests = []
        self.addresses = []
        self.front = None  # an app that answers in the cloud's place
        self.stop = self.orders = None
        self.history = []

    def _counting(self, inner):
        """Notes every request before the cloud sees it."""

        async def asgi(scope, receive, send):
            self.requests.append((scope["method"], scope["path"], trio.current_time()))
            self.addresses.append(scope["raw_path"] + b"?" + scope["query_string"])
            if self.world.radio.uplink_away():
                raise AssertionError(f"{scope['method']} {scope['path']} while the uplink is away")
            await (self.front or inner)(scope, receive, send)

        return asgi

    def boards(self, count, **how):
        """Make boards that are in the tray."""
        made = [self.world.add_photon(**how) for _ in range(count)]
        self.listed += made
        return made

    def strange_boards(self, count, **how):
        """Make boards that are in no tray."""
        made = [self.world.add_photon(**how) for _ in range(count)]
        self.strangers += made
        return made

    # --- the files ---

    def files(self):
        """Write what a person would have written; return the manifest and the settings."""
        adapters = [f"sim{n}" for n in range(1, self.stations + 1)]
        budgets = {"idle_stop_s": 300, **self.budgets}
        line = LineFile(adapters, self.uplink, budgets=budgets, limits=self.limits, scanner=self.scanner)
        return self.virtual.write(
            self.folder,
            [TrayFile("T-0001", self.listed, serials=self.serials)],
            line,
            claim=self.claim,
            wifi=self.wifi,
            product=self.product,
            lot="",
            allow_takeover=self.allow_takeover,
        )

    # --- running ---

    @asynccontextmanager
    async def alive(self, *, bring=True):
        """The world for the length of a block; `bring`: operators put all boards on the bench, strangers first."""
        async with self.virtual.alive():
            if bring:
                self.world.start_operators([*self.strangers, *self.listed], self.habits)
            yield self

    async def run(self, command="run", *, during=None, scanner=None, watched=True, **changes):
        """One `provisioner run` (or `import`) inside a living world. `during` is a task beside it; `scanner` a person
        who puts scans to the run's desk; what else is given comes from outside the program (clocks, for example)."""
        secrets = {"PROVISIONER_WIFI_FACTORY_2G": self.wifi_password}
        if self.client_secret:
            secrets["PROVISIONER_CLIENT_SECRET"] = self.client_secret
        self.orders = Orders()
        dice = random.Random(self.seed + len(self.requests))
        changes |= {"dice": dice, "orders": self.orders, "scanners": [scanner] if scanner else []}
        outside = replace(self.virtual.outside(secrets), **changes)
        job = Job(command, *self.files(), self.runs_dir, scanner=scanner is not None, watched=watched)
        self.screen = io.StringIO()
        console = Console(file=self.screen, width=200)
        self.stop = app.Stop()
        self.began_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            if during is not None:
                nursery.start_soon(during, self)
            end = await self.virtual.run(job, console=console, stop=self.stop, outside=outside)
            nursery.cancel_scope.cancel()
        if leaks := self.leaks(end.journal):
            raise AssertionError("\n".join(leaks))
        return End(self, end)

    def history_so_far(self, event):
        """The records of one event in the newest journal, while its run goes on; none before there is one."""
        run = newest(self.runs_dir)
        return [record for record in replay(run.journal) if record.event == event] if run else []

    def leaks(self, journal):
        """Secrets in the files, on the screen, in reports of every form, and in addresses; there may be none."""
        canaries = secrets_of(self.cloud, TEST_ROUTER.password, self.wifi_password)
        shown = {"the screen": self.screen.getvalue().encode(), "addresses": b"\n".join(self.addresses)}
        shown |= {form: text.encode() for form, text in reports_of(journal).items()}
        return [
            *canaries.leaks_under(self.folder),
            *(leak for where, data in shown.items() for leak in canaries.leaks_in(data, where)),
        ]

    async def work(self, command="run", *, during=None, watched=True):
        """The world and one run in it."""
        async with self.alive():
            return await self.run(command, during=during, watched=watched)


def reports_of(journal):
    """The reports of a run, by the name of their form."""
    report = RunReport.of(replay(journal))
    return {write.__name__: write(report) for write in (as_html, as_csv, as_json, as_junit)}


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
                visited={board.device_id for board in factory.listed} if factory.wifi else set(),
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


GOOD = ExitCode.ALL_GOOD
