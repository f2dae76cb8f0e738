"""`simulate` in its own process, and `softap` against its Photons."""

import json
import signal
import socket
import sys
import urllib.request
from contextlib import asynccontextmanager
from functools import partial
from subprocess import PIPE

import pytest
import trio

KEYS = {"cloud", "product", "slug", "wifi", "client_id", "client_secret", "user_token", "photons"}


@asynccontextmanager
async def simulating(bench, *args):
    """The process and its first line."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                bench.command("simulate", "--seed", 1, *args),
                check=False,
                stdin=b"",
                stdout=PIPE,
                stderr=open(bench.folder / "err", "wb"),  # noqa: ASYNC230, SIM115
                cwd=bench.folder,
                env=bench.env(),
            )
        )
        try:
            line = b""
            with trio.fail_after(30):
                while not line.endswith(b"\n"):
                    line += await process.stdout.receive_some(1)
            yield process, json.loads(line)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            with trio.fail_after(20):
                await process.wait()
            await process.stdout.aclose()


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

        said = {
            command: await bench.run("softap", command, *args, *at, "--json")
            for command, args in (("version", ()), ("device-id", ()), ("public-key", ()), ("scan-ap", ()))
        }
        text = await bench.run("softap", "scan-ap", *at)
        code = await bench.run("softap", "set", "A" * 63, *at, "--json")
        piped = await bench.run("softap", "configure-ap", *wifi, *at, stdin=f"{password}\n".encode())
        named = await bench.run("softap", "configure-ap", *wifi, *at, PROVISIONER_WIFI_PASSWORD=password)
        missing = await bench.run("softap", "configure-ap", *wifi, *at)
        connect = await bench.run("softap", "connect-ap", *at, "--json")
        device = await eventually_online(told, photon["device_id"].lower())

    assert said["version"].json == {"command": "version", "version": 2}
    assert said["device-id"].json["device_id"] == photon["device_id"].lower()
    assert said["public-key"].json["bits"] == 1024
    assert told["wifi"]["ssid"] in [network["ssid"] for network in said["scan-ap"].json["networks"]]
    assert "ssid TestRouter, signal_dbm " in text.out
    assert (code.code, len(code.json["claim_code"])) == (0, 12)
    assert "AAAA" not in code.out + code.err
    assert (piped.code, named.code) == (0, 0)
    assert (missing.code, "secret_missing" in missing.err) == (2, True)
    assert password not in piped.out + piped.err + named.out + named.err
    assert (connect.code, connect.json["accepted"]) == (0, True)
    assert device["online"] is True


async def eventually_online(told, device_id):
    request = urllib.request.Request(
        f"{told['cloud']}/v1/access_tokens/current", headers={"Authorization": f"Bearer {told['user_token']}"}
    )
    assert request.full_url.startswith("http://127.0.0.1:")
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

    said = await bench.run("softap", "device-id", "--at", at)

    assert (said.code, said.out) == (1, "")
    assert "softap_unreachable: the Photon did not take a connection for device-id: Connection refused" in said.err
    assert "--at" in said.err
    assert "station" not in said.err


async def test_what_answers_but_is_no_photon_is_said(bench):
    said = await bench.run("softap", "device-id", "--at", f"127.0.0.1:{bench.port}", "--json")

    assert (said.code, said.json["exit"]) == (1, 1)
    assert said.json["failures"][0]["remedy"].startswith(("What answers there", "Run the same command again"))


def test_a_reader_that_has_read_enough_gets_no_traceback(bench):
    import subprocess

    command = " ".join([sys.executable, "-m", "provisioner", "schema"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 1"], env=bench.env(), cwd=bench.folder, capture_output=True, check=False
    )

    assert done.stdout == b"{"
    assert done.stderr == b""
