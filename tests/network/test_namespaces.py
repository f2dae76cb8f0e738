"""Eight Photons at one address on eight adapters of one computer: real sockets, real kernels' routes, in namespaces.

Needs root (or a user namespace with its own network); everything is in namespaces that the test makes and removes.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tests" / "radiobench" / "photon_server.py"
PHOTONS = 8

pytestmark = pytest.mark.slow

ASK = """
import json, socket, sys
import trio
from provisioner.model import SetupNetwork
from provisioner.network.bound import BoundLink
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

async def one(adapter, results):
    link = BoundLink(SetupNetwork("Photon-AAAA", "", 0, 0.0), adapter)
    client = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets(softap_command_s=2))
    for _ in range(3):
        try:
            results.setdefault(adapter, []).append(str(await client.identify()))
        except Exception as error:
            results.setdefault(adapter, []).append(type(error).__name__)

async def main():
    results = {}
    async with trio.open_nursery() as nursery:
        for adapter in sys.argv[1:]:
            nursery.start_soon(one, adapter, results)
    print(json.dumps(results))

trio.run(main)
"""


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def hall():
    """A station's namespace with eight adapters, each wired to a namespace with one Photon; all leases are equal."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    tag = f"pv{os.getpid() % 10_000}"
    station = f"{tag}st"
    with ExitStack() as stack:
        try:
            run("ip", "netns", "add", station)
        except RuntimeError as error:
            pytest.skip(f"no network namespace can be made here: {error}")
        stack.callback(run, "ip", "netns", "delete", station, check=False)
        for name in ("all", "default"):
            run("ip", "netns", "exec", station, "sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=2", check=False)
        ids = {}
        for number in range(PHOTONS):
            space, adapter = f"{tag}p{number}", f"ph{number}"
            run("ip", "netns", "add", space)
            stack.callback(run, "ip", "netns", "delete", space, check=False)
            run("ip", "link", "add", adapter, "netns", station, "type", "veth", "peer", "name", "ap0", "netns", space)
            for where, name, address in ((space, "ap0", "192.168.0.1/24"), (station, adapter, "192.168.0.2/24")):
                run("ip", "-n", where, "addr", "add", address, "dev", name)
                run("ip", "-n", where, "link", "set", name, "up")
            command = ["ip", "netns", "exec", space, sys.executable, str(SERVER), str(number), f"Photon-AB{number}"]
            server = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            stack.callback(server.stdout.close)
            stack.callback(server.wait)
            stack.callback(server.kill)
            ids[adapter] = json.loads(server.stdout.readline())["device_id"]
        yield station, ids


def asked(station, adapters):
    command = ["ip", "netns", "exec", station, sys.executable, "-c", ASK, *adapters]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, timeout=120)
    return json.loads(done.stdout)


def test_the_right_photon_answers_every_single_time(hall):
    station, ids = hall

    assert asked(station, ids) == {adapter: [device] * 3 for adapter, device in ids.items()}


def test_an_unbound_request_would_be_answered_by_the_wrong_unit_with_200(hall):
    """What binding is for: by address alone all requests reach one Photon, and it is glad to answer."""
    station, ids = hall
    get = "import urllib.request as u; print(u.urlopen('http://192.168.0.1/device-id', timeout=5).read().decode())"
    answers = {run("ip", "netns", "exec", station, sys.executable, "-c", get).lower() for _ in range(3)}

    assert len(answers) == 1
    assert sum(device in answer for answer in answers for device in ids.values()) == 1


def test_a_strict_reverse_path_filter_breaks_all_but_one_and_doctor_says_so(hall):
    station, ids = hall
    for name in ("all", *ids):
        run("ip", "netns", "exec", station, "sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=1")
    try:
        good = [adapter for adapter, got in asked(station, ids).items() if got == [ids[adapter]] * 3]
        assert len(good) <= 1
        look = (
            "from provisioner.network.host import look\n"
            "print([f.remedy for f in look(['ph0', 'ph1']) if f.what == 'reverse path filter'])"
        )
        command = ["ip", "netns", "exec", station, sys.executable, "-c", look]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
        assert "sysctl" in said
    finally:
        for name in ("all", *ids):
            run("ip", "netns", "exec", station, "sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=2")
