"""A bench for the real commands: a folder with settings and a manifest, and a simulated cloud they can call.

What every command said and left, temporary files included, is looked through for secrets (F35).
"""

import io
import json
import os
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from provisioner.cli import main
from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.leaks import secrets_of

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
    client_id: str = ""
    calls: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    async def app(self, scope, receive, send):
        if scope["type"] == "http":
            query = scope["query_string"].decode()
            self.calls.append(f"{scope['method']} {scope['path']}{'?' * bool(query)}{query}")
        await cloud_app(self.cloud)(scope, receive, send)

    def called(self, word):
        return [call for call in self.calls if word in call]

    @property
    def temporary(self):
        """Where its commands' temporary files go."""
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def runs(self):
        folder = self.folder / "runs"
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []

    def write(self, *, settings="", head="", devices=(*DEVICES, UNKNOWN), claim="none", wifi="wifi: none\n"):
        client_id = self.client_id or self.cloud.client_id
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / "line.yaml").write_text(
            f"version: 1\n{settings}"
            f"cloud: {{base_url: 'http://127.0.0.1:{self.port}', client_id: {client_id}}}\n"
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
        where = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        wanted = {**kept, **where, **secrets, **self.environment, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    async def start(self, *args, task_status):
        """For `nursery.start`: a command that goes on; what it says is in the files `out` and `err`."""
        files = ExitStack()
        out, err = (files.enter_context((self.folder / name).open("wb")) for name in ("out", "err"))
        with files:
            await trio.run_process(
                self.command(*args),
                check=False,
                stdin=b"",
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env=self.env(),
                task_status=task_status,
            )

    async def until_written(self, path, word):
        """Wait until that file of this folder has that word in it."""
        with trio.fail_after(30):
            found = []
            while not (found and word in found[-1].read_bytes()):
                await trio.sleep(0.02)
                found = sorted(self.folder.glob(path))
        return found[-1]

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
        return self.searched(Said(done.returncode, done.stdout.decode(), done.stderr.decode()))

    def searched(self, said):
        """The same, after looking for secrets in it and in this folder."""
        canaries = secrets_of(self.cloud, WIFI_PASSWORD)
        shown = {"stdout": said.out, "stderr": said.err, "requests": "\n".join(self.calls)}
        leaks = [leak for where, text in shown.items() for leak in canaries.leaks_in(text.encode(), where)]
        assert [*leaks, *canaries.leaks_under(self.folder)] == []
        return said

    async def call(self, *args, stdin=b"", **changes):
        """As `run`, but in a thread of this process, which starts at once: for commands that take no signals."""
        with trio.fail_after(60):
            return self.searched(await trio.to_thread.run_sync(self._call, [str(arg) for arg in args], stdin, changes))

    def _call(self, args, stdin, changes):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
            patch.dict(os.environ, self.env(**changes), clear=True),
            chdir(self.folder),
            pytest.raises(SystemExit) as ended,
        ):
            main(args)
        for stream in (out, err):
            stream.flush()
        return Said(ended.value.code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


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


@pytest.fixture
def provisioner(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PROVISIONER_")]:
        monkeypatch.delenv(name)

    def run(*args):
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return run
