"""A bench for the real commands: a folder with settings and a manifest, and a simulated cloud they can call."""

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud import SimCloud
from provisioner.simulator.cloud_http import cloud_app
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.serving import serve_cloud

ROOT = Path(__file__).parents[2]
WIFI_PASSWORD = "a-password-of-this-bench"
DEVICES = tuple(f"3b00210017473532363430{number:02x}" for number in range(5))
UNKNOWN = "300021001747353236343fff"


@dataclass
class Said:
    """What one command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        (line,) = self.out.splitlines()
        return json.loads(line)


@dataclass
class Bench:
    """`run(...)` is a command in its own process, in a folder of its own; `calls` what the cloud was asked."""

    folder: Path
    cloud: SimCloud
    port: int = 0
    calls: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    async def app(self, scope, receive, send):
        if scope["type"] == "http":
            self.calls.append(f"{scope['method']} {scope['path']}")
        await cloud_app(self.cloud)(scope, receive, send)

    def called(self, word):
        return [call for call in self.calls if word in call]

    @property
    def runs(self):
        folder = self.folder / "runs"
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []

    def write(self, *, settings="", head="", devices=(*DEVICES, UNKNOWN), claim="none", wifi="wifi: none\n"):
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / "line.yaml").write_text(
            f"version: 1\n{settings}"
            f"cloud: {{base_url: 'http://127.0.0.1:{self.port}', client_id: {self.cloud.client_id}}}\n"
            "wifi: {factory-2g: {ssid: TestRouter}}\n"
            "stations: [{name: A, adapter: none0}]\n"
            "budgets: {idle_stop_s: 1, site_hold_max_s: 1, site_probe_s: 0.2}\n"
        )
        rows = "".join(f'      - "{device}"\n' for device in devices)
        (self.folder / "m.yaml").write_text(
            f"version: 1\nproduct: tempmon-v100\n{head}{wifi}claim: {{to: {claim}}}\n"
            f"trays:\n  - id: T-0001\n    devices:\n{rows}"
        )

    def command(self, *args):
        return [sys.executable, "-m", "provisioner", *map(str, args)]

    def env(self, **changes):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PROVISIONER_")}
        secrets = {"PROVISIONER_CLIENT_SECRET": self.cloud.client_secret, "PROVISIONER_WIFI_FACTORY_2G": WIFI_PASSWORD}
        wanted = {**kept, "PYTHONPATH": str(ROOT), **secrets, **self.environment, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    async def run(self, *args, stdin=b"", **changes):
        with trio.fail_after(60):
            done = await trio.run_process(
                self.command(*args),
                check=False,
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                cwd=self.folder,
                env=self.env(**changes),
            )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
async def bench(nursery, tmp_path):
    dice = Dice(1)
    cloud = SimCloud(clock=SimClock(), dice=dice, faults=Faults(cloud_latency_s=(0.0, 0.0)))
    for number, device in enumerate(DEVICES):
        cloud.know_device(device, serial=f"PHHMAB80{number:07}")
    made = Bench(tmp_path, cloud)
    made.port = await nursery.start(partial(serve_cloud, made.app))
    made.write()
    return made


def interrupt(process):
    os.kill(process.pid, signal.SIGINT)
