"""Every curl command of the documents, as printed, against a Photon on loopback."""

import json
import shutil
import subprocess

import pytest
import trio

CODE = "4i8pwFwPkImsnLmIj54BYJA4Z94j0OLyl7vwKecELzYGKjS9mBbM5Vra6H9T0DI"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
async def curl(make_world, tools):
    """Runs curl with 192.168.0.1 led to the Photon's loopback port; `curl.photon` is that Photon."""
    world = make_world(speed=100.0)
    photon = world.add_photon(device_id="3b0021001747353236343033")

    async def run(*arguments):
        host, port = photon.http_address
        command = ["curl", "-sS", "--noproxy", "*", "--connect-to", f"192.168.0.1:80:{host}:{port}", *arguments]
        done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode()

    with trio.fail_after(30):
        async with world.running(loopback=True):
            world.present(photon)
            await tools.until_serving(photon)
            await trio.sleep(0.05)
            run.photon = photon
            yield run


async def test_whole_way_as_printed(curl, cloud, tools):
    assert await curl("http://192.168.0.1/device-id") == '{"id":"3B0021001747353236343033","c":"0"}'
    claim = f'{{"k":"cc","v":"{CODE}"}}'
    assert await curl("-X", "POST", "-d", claim, "http://192.168.0.1/set") == '{"r":0}'
    key = json.loads(await curl("http://192.168.0.1/public-key"))
    assert (len(key["b"]), key["r"], list(key)) == (588, 0, ["b", "r"])
    scan = json.loads(await curl("http://192.168.0.1/scan-ap"))
    assert {"ssid": "TestRouter", "rssi": -48, "sec": 4194308, "ch": 6, "mdr": 65000} in scan["scans"]
    sealed = tools.seal(curl.photon, b"mywifipassword")
    wifi = f'{{"idx":0,"ssid":"TestRouter","sec":4194308,"ch":6,"pwd":"{sealed}"}}'
    assert await curl("-X", "POST", "http://192.168.0.1/configure-ap", "-d", wifi) == '{"r":0}'
    assert await curl("-X", "POST", "http://192.168.0.1/connect-ap", "-d", '{"idx":0}') == '{"r":0}'
    while not curl.photon.flash.claimed:
        await trio.sleep(0.01)

    assert cloud.happened == [("online", "3b0021001747353236343033", CODE)]


async def test_wrong_requests_as_described(curl):
    wrong_key, unquoted = '{"k":"xx","v":"abc"}', "{k:cc}"

    assert await curl("-X", "POST", "-d", wrong_key, "http://192.168.0.1/set") == '{"r":-1}'
    assert await curl("-X", "POST", "-d", unquoted, "http://192.168.0.1/set") == ""
    json_type = await curl("-i", "-H", "Content-Type: application/json", "-d", wrong_key, "http://192.168.0.1/set")
    assert json_type.startswith("HTTP/1.1 404 Not Found")


async def test_large_body_in_many_segments(curl):
    padding = "x" * 12_000
    body = f'{{"ssid":"TestRouter","sec":0,"ca":"{padding}"}}'

    assert await curl("-X", "POST", "-d", body, "http://192.168.0.1/configure-ap") == '{"r":0}'


async def test_redirects_lead_to_hello(curl):
    assert await curl("-L", "--output", "-", "http://192.168.0.1/") == "Soft AP Setup\0"
