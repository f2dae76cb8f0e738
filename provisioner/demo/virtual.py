"""A factory in virtual time: the shipped program with its own clients and sockets, over the virtual network.

Rule 1: what differs from a real line comes in through `Outside` (environment, clocks, dice, adapters, syncing) and
through the settings (the throw-away certificate); the clients are not touched.
Rule 2: nothing waits for a thread or a real socket: the clock would jump over it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import trio
from rich.console import Console

from provisioner import app
from provisioner.demo.files import LineFile, TrayFile, write_manifest, write_settings
from provisioner.job import Job, prepare
from provisioner.journal.disk import Disk
from provisioner.journal.writer import new_run_id
from provisioner.line.scheduler import Stop
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import ASGIApp, cloud_app
from provisioner.simulator.cloud.sim_cloud import CloudRules, SimCloud
from provisioner.simulator.disk import UnsyncedDisk
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.faults import PROFILES, Dice, Faults
from provisioner.simulator.spool import Spool
from provisioner.simulator.virtual.air import PhotonAir
from provisioner.simulator.virtual.authority import authority_for
from provisioner.simulator.virtual.https import serve_https
from provisioner.simulator.virtual.network import VirtualNetwork
from provisioner.simulator.world import World

CLOUD = "api.particle.io"
_CLOUD_ADDRESS = "203.0.113.7"
_BESIDE_US = "127.0.0.1"  # the only address that tokens travel to without TLS
_CLOUD_CONNECT_S = 0.04
_DNS_S = 0.02


class VirtualFactory:
    """One world in virtual time. Make it, put boards into it, write the files, then `run` inside `alive`.

    `spooled`: its histories and secrets are on disk, for a shift with more of them than memory is worth. Without
    `tls` the cloud is on this computer and speaks plain HTTP: for many runs in which TLS is not what is looked at.
    """

    def __init__(
        self,
        *,
        seed: int,
        faults: Faults = PROFILES["none"],
        rules: CloudRules = CloudRules(),  # noqa: B008 - frozen
        spooled: bool = False,
        tls: bool = True,
    ) -> None:
        self.seed = seed
        self.clock, self.dice = SimClock(), Dice(seed)
        spool = Spool() if spooled else None
        self.cloud = SimCloud(clock=self.clock, dice=self.dice, faults=faults, rules=rules, spooled=spooled)
        self.world = World(seed=seed, cloud=self.cloud, faults=faults, clock=self.clock, spool=spool)
        self.network = VirtualNetwork(PhotonAir(self.world))
        self.network.uplink_is_up = lambda: not self.world.radio.uplink_away()
        self.network.dns_s = _DNS_S
        self.authority = authority_for(CLOUD) if tls else None
        self.serve(cloud_app(self.cloud))
        self.disk: Disk = UnsyncedDisk()
        self.name_run: Callable[[datetime, random.Random], str] = new_run_id
        self._runs = 0

    def serve(self, asgi: ASGIApp) -> None:
        """Let this app be the cloud: the simulated one, or something around it."""
        if self.authority is not None:
            https = partial(serve_https, asgi, self.authority.context)
            self.network.add_host(CLOUD, _CLOUD_ADDRESS, {443: https}, delay_s=_CLOUD_CONNECT_S)
        else:
            http = partial(serve_https, asgi, None)
            self.network.add_host("localhost", _BESIDE_US, {80: http}, delay_s=_CLOUD_CONNECT_S)

    def write(self, folder: Path, trays: Iterable[TrayFile], line: LineFile, **manifest: object) -> tuple[Path, Path]:
        """Write the files into a folder; return the manifest's and the settings' path."""
        where = {"ca_file": self.authority.write(folder)} if self.authority else {"base_url": f"http://{_BESIDE_US}"}
        line = replace(line, cloud={**where, **line.cloud})
        return write_manifest(folder, trays, **manifest), write_settings(folder, line)  # type: ignore[arg-type]

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """The world and its network for the length of the block."""
        async with trio.open_nursery() as connections:
            with self.network.installed(connections):
                async with self.world.running(sockets=True):
                    yield
            connections.cancel_scope.cancel()

    def outside(self, environment: Mapping[str, str] | None = None) -> app.Outside:
        """What comes from outside the program here; `environment` is added to the right secrets."""
        self._runs += 1
        return app.Outside(
            environment={
                "PROVISIONER_CLIENT_SECRET": self.cloud.client_secret,
                "PROVISIONER_USER_TOKEN": self.cloud.user_token,
                "PROVISIONER_WIFI_FACTORY_2G": TEST_ROUTER.password,
                **(environment or {}),
            },
            wall=self.clock.now,
            age_clock=trio.current_time,
            disk=self.disk,
            name_run=self.name_run,
            dice=random.Random(f"{self.seed} {self._runs}"),  # noqa: S311 - one seed, one history
            load_switcher=lambda name: self.world.switchers,
        )

    async def run(
        self, job: Job, *, console: Console, stop: Stop | None = None, outside: app.Outside | None = None
    ) -> app.RunEnd:
        """One `provisioner run` (or `import`) in the living world; `outside` where it differs from `self.outside()`."""
        outside = outside or self.outside()
        return await app.run(prepare(job, outside.environment), outside, console=console, stop=stop)
