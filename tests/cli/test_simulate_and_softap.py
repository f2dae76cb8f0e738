"""`simulate` in its own process, and `softap` against its Photons."""

import json
import signal
import socket
import sys
import urllib.request
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

KEYS = {"cloud", "product", "slug", "wifi", "client_id", "client_secret", "user_token", "photons"}


@asynccontextmanager
async def simulating(bench, *args):
    """The process and its first line."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(bench.start, "simulate", "--seed", 1, *args))
        try:
            out = await bench.until_written("out", b"\n")
            told = json.loads(out.read_bytes())
            out.unlink()  # its line tells the simulated cloud's secrets on purpose; nothing else may
            yield process, told
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)


async def test_the_first_line_says_where_everything_is_and_ctrl_c_ends_it(bench):
    async with simulating(bench, "--photons", "2") as (process, told):
        process.send_signal(signal.SIGINT)
        with trio.fail_after(10):
            await process.wait()

    assert set(told) == KEYS
    assert set(told["wifi"]) == {"ssid", "password", "security", "channel"}
    assert (told["product"], told["slug"], len(told["photons"])) == ("1319", "tempmon-v100", 2)
    assert all(set(photon) == {"http", "tcp", "device_id", "ssid"} for photon in told["photons"])
    assert process.returncode == 130
    assert (bench.folder / "err").read_text() == "seed 1\n"


async def test_a_port_in_use_is_a_sentence(bench):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = await bench.run("simulate", "--cloud", f"127.0.0.1:{taken.getsockname()[1]}")

    assert (said.code, said.out) == (2, "")
    assert "cannot be served at 127.0.0.1:" in said.err
    assert "Address already in use" in said.err


@pytest.mark.parametrize("tcp", [False, True])
async def test_all_seven_commands_and_the_photon_comes_online(bench, tcp):
    async with simulating(bench, "--photons", "1", "--online-delay", "1") as (_, told):
        photon = told["photons"][0]
        at = ["--at", photon["tcp" if tcp else "http"], *(["--tcp"] if tcp else [])]
        wifi = ["--ssid", told["wifi"]["ssid"], "--security", told["wifi"]["security"]]
        password = told["wifi"]["password"]

        version = await bench.call("softap", "version", *at, "--json")
        identity = await bench.call("softap", "device-id", *at, "--json")
        key = await bench.call("softap", "public-key", *at, "--json")
        scan = None if tcp else await bench.call("softap", "scan-ap", *at)  # five seconds, as on a real one
        code = await bench.call("softap", "set", "A" * 63, *at, "--json")
        missing = await bench.call("softap", "configure-ap", *wifi, *at)
        told_how = {"PROVISIONER_WIFI_PASSWORD": password} if tcp else {"stdin": f"{password}\n".encode()}
        stored = await bench.call("softap", "configure-ap", *wifi, *at, **told_how)
        connect = await bench.call("softap", "connect-ap", *at, "--json")
        device = await eventually_online(told, photon["device_id"].lower())

    assert version.json == {"command": "version", "version": 2}
    assert identity.json["device_id"] == photon["device_id"].lower()
    assert key.json["bits"] == 1024
    assert tcp or "ssid TestRouter, signal_dbm " in scan.out
    assert (code.code, len(code.json["claim_code"])) == (0, 12)
    assert "AAAA" not in code.out + code.err
    assert (missing.code, "secret_missing" in missing.err) == (2, True)
    assert stored.code == 0
    assert password not in stored.out + stored.err
    assert (connect.code, connect.json["accepted"]) == (0, True)
    assert device["online"] is True


async def eventually_online(told, device_id):
    with trio.fail_after(20):
        while True:
            device = await trio.to_thread.run_sync(_read_device, told, device_id)
            if device.get("online"):
                return device
            await trio.sleep(0.1)


def _read_device(told, device_id):
    headers = {"Authorization": f"Bearer {told['user_token']}"}
    base = f"{told['cloud']}/v1/products/{told['product']}/devices"
    body = f'--x\r\nContent-Disposition: form-data; name="file"; filename="d.txt"\r\n\r\n{device_id}\n\r\n--x--\r\n'
    post = urllib.request.Request(
        base, data=body.encode(), headers={**headers, "Content-Type": "multipart/form-data; boundary=x"}
    )
    urllib.request.urlopen(post, timeout=10).close()
    with urllib.request.urlopen(urllib.request.Request(f"{base}/{device_id}", headers=headers), timeout=10) as answer:
        return json.load(answer)


async def test_nobody_listening_is_a_sentence_and_not_the_stations_remedy(bench):
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"

    said = await bench.call("softap", "device-id", "--at", at)

    assert (said.code, said.out) == (1, "")
    assert "softap_unreachable: the Photon did not take a connection for device-id: Connection refused" in said.err
    assert "--at" in said.err
    assert "station" not in said.err


async def test_what_answers_but_is_no_photon_is_said(bench):
    said = await bench.call("softap", "device-id", "--at", f"127.0.0.1:{bench.port}", "--json")

    assert (said.code, said.json["exit"]) == (1, 1)
    assert said.json["failures"][0]["remedy"].startswith(("What answers there", "Run the same command again"))


async def test_a_reader_that_has_read_enough_gets_no_traceback(bench):
    command = f"{sys.executable} -m provisioner schema | head -c 1"
    done = await trio.run_process(
        ["bash", "-c", command], env=bench.env(), cwd=bench.folder, capture_stdout=True, capture_stderr=True
    )

    assert (done.stdout, done.stderr) == (b"{", b"")
