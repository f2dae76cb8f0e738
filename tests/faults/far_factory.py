"""A simulated factory that other processes work in: cloud and Photons on loopback, the air through `far_switcher`.

The world lives here, in this process; the real `provisioner` is started as a process of its own and can be killed at
any moment. What it did is in this world's history, what it said in its journals.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
from far_switcher import ADDRESS, Wire, installed_in

from provisioner.demo.files import CUSTOMER_CLAIM, LineFile, TrayFile, scaled_budgets, write_manifest, write_settings
from provisioner.errors import SwitchError
from provisioner.journal.reader import replay, runs
from provisioner.model import SetupNetwork
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES, Dice
from provisioner.simulator.operators import Habits
from provisioner.simulator.world import World

ROOT = Path(__file__).parents[2]
SPEED = 30.0
# Deadlines stay long: a busy computer must not look like a broken factory. Only what people would wait for is cut.
DEADLINES_S_MIN = 8.0
HURRIED = {"settle_s": 3.0, "scanned_board_s": 10.0, "site_hold_max_s": 20.0, "idle_stop_s": 20.0, "stop_s": 8.0}
_WATCH_S = 0.002


@dataclass
class Done:
    """How a process ended: its exit code, what it said, and how long after the first signal it was gone."""

    code: int
    out: str
    err: str
    stopped_s: float | None = None


@dataclass
class FarFactory:
    """One world and its files. Use it as `async with factory.alive()`; then `run` processes in it."""

    folder: Path
    seed: int = 1
    devices: int = 3
    stations: int = 1
    faults: object = PROFILES["none"]
    claim: str = CUSTOMER_CLAIM
    wifi_password: str = TEST_ROUTER.password
    speed: float = SPEED
    budgets: dict = field(default_factory=dict)
    operator: str | None = None
    allow_takeover: tuple = ()
    switcher: str = "far_switcher:FarFactory"
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        clock, dice = SimClock(speed=self.speed), Dice(self.seed)
        self.cloud = SimCloud(clock=clock, dice=dice, faults=self.faults)
        self.world = World(seed=self.seed, cloud=self.cloud, faults=self.faults, clock=clock)
        self.boards = [self.world.add_photon() for _ in range(self.devices)]
        self.requests = []
        self._switchers = {}
        self._started = 0
        self._address = ""
        self.cloud_url = ""

    @asynccontextmanager
    async def alive(self, *, bring=True):
        """The world for the length of the block; `bring`: operators put the boards on the bench."""
        async with trio.open_nursery() as nursery, self.world.running(loopback=True):
            port = await nursery.start(partial(serve_cloud, self._counting(cloud_app(self.cloud))))
            self.cloud_url = f"http://127.0.0.1:{port}"
            (listener,) = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
            self._address = "{}:{}".format(*listener.socket.getsockname())
            self.write()
            if bring:
                self.world.start_operators(self.boards, Habits(handling_s=(0.5, 1.0), patience_s=1e6))
            yield self
            nursery.cancel_scope.cancel()

    def _counting(self, inner):
        async def asgi(scope, receive, send):
            if scope["type"] == "http":
                self.requests.append((scope["method"], scope["path"]))
            await inner(scope, receive, send)

        return asgi

    # --- the air, for adapters in other processes ---

    async def _serve(self, stream):
        """One act of an adapter, from its first message to the end of the connection."""
        wire = Wire(stream)
        async with trio.open_nursery() as nursery:
            wish = await wire.hear()
            if wish is not None:
                acts = {"session": self._session, "scan": self._scan, "join": self._join, "restore": self._restore}
                try:
                    await acts[wish.pop("act")](wire, nursery.cancel_scope, **wish)
                except SwitchError as failure:
                    await _quietly(
                        wire.tell, error=failure.code, detail=failure.detail, backend_code=failure.backend_code
                    )
                except trio.BrokenResourceError:
                    pass  # whoever asked was killed
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(stream)

    async def _session(self, wire, scope, *, adapter, uplink):
        async with self.world.switchers.session(adapter=adapter, uplink=Uplink(uplink)) as switcher:
            self._switchers[adapter] = switcher
            try:
                await wire.tell(ok=True)
                await wire.hear()  # until its process closes it, or is killed
            finally:
                del self._switchers[adapter]

    async def _scan(self, wire, scope, *, adapter, prefix, timeout):
        heard = await self._while_there(wire, partial(self._switchers[adapter].scan, prefix=prefix, timeout=timeout))
        now_s = trio.current_time()
        rows = [(one.ssid, one.bssid, one.signal_dbm, now_s - one.heard_s, one.channel) for one in heard or ()]
        await wire.tell(heard=rows)

    async def _restore(self, wire, scope, *, adapter, timeout):
        await self._switchers[adapter].restore(timeout=timeout)
        await wire.tell(ok=True)

    async def _join(self, wire, scope, *, adapter, ssid, bssid, budget_s, leave_budget_s, static_address):
        network = SetupNetwork(ssid, bssid, -50, trio.current_time(), 11)
        policy = JoinPolicy(budget_s, leave_budget_s, static_address)
        async with AsyncExitStack() as stack:
            enter = partial(stack.enter_async_context, self._switchers[adapter].joined(network, policy))
            link = await self._while_there(wire, enter)
            if link is None:
                return
            photon = link.photon
            await wire.tell(ports={80: photon.http_address[1], 5609: photon.tcp_address[1]})
            while (wish := await wire.hear()) is not None and wish["act"] == "healthy":
                await wire.tell(healthy=link.alive)
        if wish is not None:
            await wire.tell(ok=True)

    async def _while_there(self, wire, act):
        """Do it, unless whoever asked is gone before it is done: then None. (It says nothing meanwhile.)"""
        result = failure = None
        async with trio.open_nursery() as nursery:

            async def until_gone():
                await trio.lowlevel.wait_readable(wire.stream.socket)
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_gone)
            try:
                result = await act()
            except SwitchError as refused:
                failure = refused
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return result

    # --- the files, and the program ---

    @property
    def runs_dir(self):
        return self.folder / "runs"

    @property
    def manifest(self):
        return self.folder / "manifest.yaml"

    def owners(self):
        """Who shall own each board, by the manifest's claim policy."""
        owner = "line3+t-0001@example.com" if "customer" in self.claim else None
        return {board.device_id: owner for board in self.boards}

    def write(self, **manifest):
        """Write manifest, settings and the switcher's entry point."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wished = {"claim": self.claim, "lot": "", "allow_takeover": self.allow_takeover, **manifest}
        write_manifest(self.folder, [TrayFile("T-0001", self.boards)], **wished)
        self.write_settings([f"sim{number}" for number in range(1, self.stations + 1)], operator=self.operator)
        installed_in(self.folder / "site", self.switcher)

    def write_settings(self, adapters, *, name="line.yaml", operator=None):
        """The settings of one computer: its adapters, and who works there."""
        cloud = {"base_url": self.cloud_url, "busy_pause_s": 0.2}
        line = LineFile(adapters, cloud=cloud, budgets={**_budgets(self.speed), **self.budgets})
        text = write_settings(self.folder, line).read_text()
        (self.folder / name).write_text(text + (f"operator: {operator}\n" if operator else ""))

    def command(self, *args):
        return [sys.executable, "-m", "provisioner", *map(str, args)]

    def env(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PROVISIONER_")}
        path = os.pathsep.join([str(ROOT), str(self.folder / "site"), str(Path(__file__).parent)])
        secrets = {
            "PROVISIONER_CLIENT_SECRET": self.cloud.client_secret,
            "PROVISIONER_USER_TOKEN": self.cloud.user_token,
            "PROVISIONER_WIFI_FACTORY_2G": self.wifi_password,
        }
        return {**kept, **secrets, "PYTHONPATH": path, ADDRESS: self._address, **self.environment}

    async def run(self, *args, at=None, when=None, then=None, runs_dir=None, prefix=(), seconds=90):
        """`provisioner run` (or other arguments) to its end. `at` is (event, n): when this run's journal has the n-th
        record of that event, or `when()` is true, `then(process)` is called once; else it ends by itself."""
        runs_dir = runs_dir or self.runs_dir
        args = args or ("run", "manifest.yaml", "--config", "line.yaml", "--runs-dir", runs_dir)
        before = {run.id for run in runs(runs_dir)}
        stopped_s = None
        self._started += 1
        out, err = (self.folder / f"{name}-{self._started}" for name in ("out", "err"))
        with ExitStack() as files, trio.fail_after(seconds):
            async with trio.open_nursery() as nursery:
                process = await nursery.start(
                    partial(
                        trio.run_process,
                        [*prefix, *self.command(*args)],
                        check=False,
                        stdin=b"",
                        stdout=files.enter_context(out.open("wb")),
                        stderr=files.enter_context(err.open("wb")),
                        cwd=self.folder,
                        env=self.env(),
                    )
                )
                reached = at is not None and await self._reached(process, runs_dir, before, *at)
                if reached or (when is not None and await _came_true(process, when)):
                    began_s = trio.current_time()
                    await then(process)
                    await process.wait()
                    stopped_s = trio.current_time() - began_s
        return Done(process.returncode, *(path.read_text(errors="replace") for path in (out, err)), stopped_s)

    async def _reached(self, process, runs_dir, before, event, nth):
        """Watch the newest journal until it has the n-th record of the event; False if its process ends first."""
        word, seen = f'"event":"{event}"'.encode(), 0
        file = None
        try:
            while process.poll() is None:
                if file is None:
                    new = [run for run in runs(runs_dir) if run.id not in before]
                    file = new[0].journal.open("rb") if new else None
                if file is not None:
                    seen += file.read().count(word)
                    if seen >= nth:
                        return process.poll() is None
                await trio.sleep(_WATCH_S)
        finally:
            if file is not None:
                file.close()
        return False

    def journals(self, runs_dir=None):
        """Every run's records, oldest run first."""
        return [list(replay(run.journal)) for run in runs(runs_dir or self.runs_dir)]


async def killed(process):
    """kill -9."""
    process.send_signal(signal.SIGKILL)


async def terminated(process):
    """What a service manager sends."""
    process.send_signal(signal.SIGTERM)


async def hung_up(process):
    """What the kernel sends when the terminal is closed."""
    process.send_signal(signal.SIGHUP)


async def interrupted(process):
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)


async def interrupted_twice(process):
    """Ctrl-C, and again before anything could have come of the first."""
    process.send_signal(signal.SIGINT)
    await trio.sleep(0.03)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)


async def _came_true(process, when):
    while process.poll() is None:
        if when():
            return True
        await trio.sleep(_WATCH_S)
    return False


def _budgets(speed):
    scaled = scaled_budgets(speed)
    from provisioner.settings import Budgets

    for name, value in Budgets().model_dump().items():
        if value >= DEADLINES_S_MIN and name not in HURRIED:
            scaled[name] = max(scaled[name], min(value, DEADLINES_S_MIN))
    return {**scaled, **HURRIED}


async def _quietly(tell, **message):
    with suppress(trio.BrokenResourceError):
        await tell(**message)
