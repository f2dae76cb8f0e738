"""Particle's own JavaScript client, unchanged, must get along with the simulated cloud.

Needs node, npm and its registry; skipped with the reason where one of them is missing. The package is installed into
a temporary copy, never into this folder.
"""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import Dice, Faults

HERE = Path(__file__).parent / "cloud_js"
DEVICES = [f"3b00210017473532363430{number:02x}" for number in range(51, 55)]
INSTALL_BUDGET_S = 120
WALK_BUDGET_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def walkthrough(tmp_path):
    """The script with its one dependency installed beside it."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    for name in ("package.json", "package-lock.json", "walkthrough.js"):
        shutil.copy(HERE / name, tmp_path / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    try:
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=INSTALL_BUDGET_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm ci took longer than {INSTALL_BUDGET_S} s: no way to the npm registry?")
    if ended.returncode:
        reason = ended.stderr.decode(errors="replace").strip().splitlines()[-3:]
        pytest.skip(f"npm ci failed, so the npm registry cannot be reached: {' '.join(reason)}")
    return tmp_path / "walkthrough.js"


class Lines:
    """Lines of JSON to and from the script."""

    def __init__(self, process):
        self._process = process
        self._held = b""

    async def send(self, message):
        await self._process.stdin.send_all(json.dumps(message).encode() + b"\n")

    async def receive(self):
        while b"\n" not in self._held:
            chunk = await self._process.stdout.receive_some(65536)
            if not chunk:
                return None
            self._held += chunk
        line, _, self._held = self._held.partition(b"\n")
        return json.loads(line)


async def play(cloud, base, script):
    """Run the script and be its Photons; return the names of the checks that passed."""
    done = []
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, ["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lines = Lines(await nursery.start(start))
        await lines.send(
            {
                "cloud": base,
                "clientId": cloud.client_id,
                "clientSecret": cloud.client_secret,
                "username": cloud.account,
                "password": cloud.password,
                "product": cloud.product.slug,
                "devices": DEVICES,
            }
        )
        while (message := await lines.receive()) is not None:
            done = message.get("done", done)
            if "online" in message:
                await lines.send({"acknowledged": cloud.device_online(*message["online"])})
    return done


async def test_both_walk_throughs_pass_through_particle_api_js(walkthrough, nursery):
    faults = Faults(cloud_latency_s=(0.0, 0.0), owner_lag_s=(0.0, 0.0))
    cloud = SimCloud(clock=SimClock(), dice=Dice(7), faults=faults)
    for number, device_id in enumerate(DEVICES):
        cloud.know_device(device_id, serial=f"PHHMAB{number:03}PAKLJZ")
    port = await nursery.start(partial(serve_cloud, cloud_app(cloud)))

    with trio.fail_after(WALK_BUDGET_S):
        done = await play(cloud, f"http://127.0.0.1:{port}", walkthrough)

    assert len(done) == 21, done
