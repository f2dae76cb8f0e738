"""The cloud on a loopback socket: the curl lines of the two recorded walk-throughs, and how the server ends."""

import json
import os
import shlex
import socket
import struct
from functools import partial

import httpx
import pytest
import trio

from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.serving import serve_cloud
from provisioner.simulator.cloud.sim_cloud import What

DEVICE = "3b0021001747353236343033"
DEVELOPER_CODE = "curl -X POST https://api.particle.io/v1/device_claims?access_token=USER"
PRODUCT_TOKEN = 'curl https://api.particle.io/oauth/token -u "CLIENT:SECRET" -d grant_type=client_credentials '
PRODUCT_BY_ID = "curl https://api.particle.io/v1/products/1319?access_token=PRODUCT"
PRODUCT_BY_SLUG = "curl https://api.particle.io/v1/products/tempmon-v100?access_token=PRODUCT"
ADD_DEVICE = (
    "curl -X POST https://api.particle.io/v1/products/1319/devices -d access_token=PRODUCT "
    "-d id=3b0021001747353236343033"
)
CREATE_CUSTOMER = (
    'curl -X POST https://api.particle.io/v1/products/1319/customers -u "CLIENT:SECRET" '
    "-d email=customer5@mycompany.com -d no_password=true"
)
CUSTOMER_TOKEN = (
    'curl -X POST https://api.particle.io/oauth/token -u "CLIENT:SECRET" -d grant_type=client_credentials '
    "-d scope=customer=customer5@mycompany.com "
)
PRODUCT_CODE = "curl -X POST https://api.particle.io/v1/products/1319/device_claims?access_token=CUSTOMER"
LIST_DEVICES = "curl https://api.particle.io/v1/devices?access_token=CUSTOMER"
READ_VARIABLE = "curl https://api.particle.io/v1/devices/3b0021001747353236343033/temp?access_token=CUSTOMER"


@pytest.fixture
async def served(site, nursery):
    port = await nursery.start(partial(serve_cloud, cloud_app(site.cloud)))
    return f"http://127.0.0.1:{port}"


class Curl:
    """Runs a recorded curl line against our server, with our secrets in place of the printed ones."""

    def __init__(self, site, base):
        self.base = base
        self.words = {"USER": site.cloud.user_token, "CLIENT": site.cloud.client_id, "SECRET": site.cloud.client_secret}

    async def __call__(self, line, code=0):
        line = line.replace("https://api.particle.io", self.base)
        for word, secret in self.words.items():
            line = line.replace(word, secret)
        command = [*shlex.split(line), "--silent", "--max-time", "10", "--noproxy", "*"]
        ended = await trio.run_process(command, capture_stdout=True, check=False, env={"PATH": os.environ["PATH"]})
        assert ended.returncode == code, ended
        return json.loads(ended.stdout) if ended.stdout else None


async def test_the_recorded_developer_walk_through_works_as_printed(site, served):
    curl = Curl(site, served)
    code = await curl(DEVELOPER_CODE)

    assert list(code) == ["claim_code", "device_ids"]
    assert site.cloud.device_online(DEVICE, code["claim_code"]) is True
    assert (await curl(DEVELOPER_CODE))["device_ids"] == [DEVICE]


async def test_the_recorded_product_walk_through_works_as_printed(site, served):
    curl = Curl(site, served)
    curl.words["PRODUCT"] = (await curl(PRODUCT_TOKEN))["access_token"]

    assert (await curl(PRODUCT_BY_ID))["product"] == (await curl(PRODUCT_BY_SLUG))["product"]
    assert (await curl(ADD_DEVICE))["updated"] == 1
    assert (await curl(CREATE_CUSTOMER))["scope"] == "customer=customer5@mycompany.com"
    assert (await curl(CREATE_CUSTOMER))["error"] == "customer_exists"
    curl.words["CUSTOMER"] = (await curl(CUSTOMER_TOKEN))["access_token"]
    code = await curl(PRODUCT_CODE)
    assert code["device_ids"] == []
    assert site.cloud.device_online(DEVICE, code["claim_code"]) is True
    assert [row["id"] for row in await curl(LIST_DEVICES)] == [DEVICE]
    assert (await curl(READ_VARIABLE))["result"] == 1083
    assert await site.owner() == "customer5@mycompany.com"


async def test_a_list_is_uploaded_with_curl(site, served, tmp_path):
    tray = tmp_path / "tray.txt"
    tray.write_bytes(f"{DEVICE.upper()}\r\nNOPE\r\n".encode())

    reply = await Curl(site, served)(
        f"curl https://api.particle.io/v1/products/1319/devices -H 'Authorization: Bearer USER' -F file=@{tray}"
    )

    assert (reply["updatedDeviceIds"], reply["invalidDeviceIds"]) == ([DEVICE], ["nope"])


async def test_a_lost_answer_drops_the_connection_without_a_byte(make_site, nursery):
    site = make_site(cloud_answer_lost=1.0)
    port = await nursery.start(partial(serve_cloud, cloud_app(site.cloud)))

    await Curl(site, f"http://127.0.0.1:{port}")(DEVELOPER_CODE, code=52)  # curl: empty reply from server
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.get(f"http://127.0.0.1:{port}/v1/devices?access_token={site.cloud.user_token}")

    assert len(list(site.cloud.history.of(What.CODE_MINTED))) == 1


async def test_connections_are_kept_and_the_headers_are_ours_alone(site, served):
    async with httpx.AsyncClient(base_url=served, trust_env=False) as http:
        replies = [await http.get(f"/v1/user?access_token={site.cloud.user_token}") for _ in range(3)]

    streams = {id(reply.extensions["network_stream"]) for reply in replies}
    assert len(streams) == 1
    assert replies[0].headers.get_list("server") == ["nginx"]
    assert replies[0].headers.get_list("date") == ["Fri, 20 Nov 2026 06:00:00 GMT"]


async def test_a_body_over_the_cap_gets_its_answer_over_a_socket(site, served):
    async with httpx.AsyncClient(base_url=served, trust_env=False) as http:
        reply = await http.post("/v1/devices", content=b"x" * (9 * 1024 * 1024))

    assert reply.status_code == 413


ABORTS = {
    "before a byte": b"",
    "in the headers": b"POST /v1/devices HTTP/1.1\r\nHost: x",
    "in the body": b"POST /v1/devices HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nid=",
    "while waiting": b"GET /v1/devices HTTP/1.1\r\nHost: x\r\n\r\n",
    "after nonsense": b"\x16\x03\x01 nonsense\r\n\r\n",
    "after an upgrade": b"GET /v1/devices HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}


@pytest.mark.parametrize("lost", [0.0, 1.0], ids=["calm", "answers lost"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("said", ABORTS.values(), ids=ABORTS)
async def test_a_client_that_goes_away_does_not_stop_the_server(make_site, said, reset, lost):
    site = make_site(cloud_latency_s=(0.01, 0.01), cloud_answer_lost=lost)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_cloud, cloud_app(site.cloud)))
        client = await trio.open_tcp_stream("127.0.0.1", port)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if said:
            await client.send_all(said)
        await trio.sleep(0.005)
        await client.aclose()
        await trio.sleep(0.03)

        async with httpx.AsyncClient(trust_env=False) as http:
            preflight = await http.options(f"http://127.0.0.1:{port}/v1/devices")
        assert preflight.status_code == 204
        nursery.cancel_scope.cancel()


async def test_the_server_ends_by_its_event_and_frees_its_port(site):
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_cloud, cloud_app(site.cloud), stop=stop))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            await http.get(f"/v1/user?access_token={site.cloud.user_token}")
            stop.set()

    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


async def test_a_port_that_is_taken_is_a_plain_os_error(site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await serve_cloud(cloud_app(site.cloud), port=taken.getsockname()[1])


async def test_a_bug_in_the_app_stops_the_server_with_its_exception():
    async def buggy(scope, receive, send):
        raise ZeroDivisionError("our bug")

    async def run():
        async with trio.open_nursery() as nursery:
            port = await nursery.start(partial(serve_cloud, buggy))
            async with httpx.AsyncClient(trust_env=False) as http:
                await http.get(f"http://127.0.0.1:{port}/")

    with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError, match="our bug")):
        await run()
