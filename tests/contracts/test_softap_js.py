"""Particle's own JavaScript setup client, unchanged, must get along with a simulated Photon over both transports.

Needs node, npm and its registry; skipped with the reason where one of them is missing. The package is installed into
a temporary copy, never into this folder.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import trio

from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.firmware import V0_6_4, V0_7_0, V2_3_1
from provisioner.simulator.world import World

HERE = Path(__file__).parent / "softap_js"
CODE = "3GjxEdDu3eIWEs5C9WMun5etWsIC7KreXXHQ2JXAfBorHv+t26F04cFObo/FsL5"
INSTALL_BUDGET_S = 120
FLOW_BUDGET_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """The script with its one dependency installed beside it."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    folder = tmp_path_factory.mktemp("softap_js")
    for name in ("package.json", "package-lock.json", "flow.js"):
        shutil.copy(HERE / name, folder / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_BUDGET_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm ci took longer than {INSTALL_BUDGET_S} s: no way to the npm registry?")
    if ended.returncode:
        reason = ended.stderr.decode(errors="replace").strip().splitlines()[-3:]
        pytest.skip(f"npm ci failed, so the npm registry cannot be reached: {' '.join(reason)}")
    return folder / "flow.js"


class Cloud:
    """Acknowledges every code, and remembers them."""

    def __init__(self):
        self.codes = []
        self.called = trio.Event()

    def device_online(self, device_id, claim_code):
        self.codes.append((device_id, claim_code))
        self.called.set()
        return True

    def device_offline(self, device_id):
        pass

    def know_device(self, device_id, *, serial, platform_id=6):
        pass


@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("firmware", [V2_3_1, V0_7_0, V0_6_4], ids=lambda one: one.name)
async def test_whole_flow_through_softap_setup(flow, protocol, firmware):
    cloud = Cloud()
    world = World(seed=5, cloud=cloud, speed=50.0, faults=Faults(connect_reply_lost=0.0))
    photon = world.add_photon(device_id="3b0021001747353236343033", firmware=firmware)
    with trio.fail_after(FLOW_BUDGET_S):
        async with world.running(loopback=True):
            world.present(photon)
            while photon.session is None or not photon.session.serving:
                await trio.sleep(0.01)
            host, port = photon.http_address if protocol == "http" else photon.tcp_address
            command = ["node", "--no-deprecation", str(flow), protocol, host, str(port), CODE]
            done = await trio.run_process([*command, "TestRouter", "mywifipassword"], capture_stdout=True)
            await cloud.called.wait()
    answered = json.loads(done.stdout)

    assert answered == {
        "version": {"v": 2},
        "info": {"id": "3b0021001747353236343033", "claimed": False},
        "pem": "-----BEGIN PUBLIC KEY-----",
        "network": {"ssid": "TestRouter", "rssi": -48, "sec": 4194308, "ch": 6, "mdr": 65000},
        "configured": {"r": 0},
    }
    assert cloud.codes == [("3b0021001747353236343033", CODE)]
