"""The virtual network behaves as a kernel's for the clients that are shipped: same calls, same errors, same ends."""

import errno
import socket
import ssl
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import trio.testing

from provisioner.network.bound import bound_socket, own_address
from provisioner.simulator.virtual.authority import authority_for
from provisioner.simulator.virtual.https import serve_https
from provisioner.simulator.virtual.network import VirtualNetwork, Way
from provisioner.simulator.virtual.pipe import WINDOW_BYTES, os_error

CLOUD, CLOUD_IP = "api.particle.io", "203.0.113.7"


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def greet(name, stream):
    async with stream:
        await stream.send_all(name.encode())


class Adapters:
    """Two adapters, each on a unit of its own at the same address."""

    def __init__(self):
        self.on = {"wlan1": "unit-1", "wlan2": "unit-2", "wlan3": None}

    def has_adapter(self, adapter):
        return adapter in self.on

    def own_address(self, adapter):
        return "192.168.0.2" if self.on[adapter] else None

    def way(self, adapter, address):
        if self.on[adapter] is None:
            raise os_error(errno.ENETUNREACH)
        if address != ("192.168.0.1", 80):
            raise os_error(errno.ECONNREFUSED)
        return Way(partial(greet, self.on[adapter]), lambda: 0.02, "192.168.0.2")


@pytest.fixture
def network():
    """A network with an echo server on the uplink and two units behind adapters."""
    made = VirtualNetwork(Adapters())
    made.add_host(CLOUD, CLOUD_IP, {7: echo}, delay_s=0.5)
    return made


@asynccontextmanager
async def running(network):
    async with trio.open_nursery() as nursery:
        with network.installed(nursery):
            yield
        nursery.cancel_scope.cancel()


async def test_names_lead_to_servers_and_connecting_takes_its_time(network, autojump_clock):
    async with running(network), await trio.open_tcp_stream(CLOUD, 7) as stream:
        assert trio.current_time() == 0.5

        await stream.send_all(b"hello")

        assert await stream.receive_some() == b"hello"
        assert stream.socket.getpeername() == (CLOUD_IP, 7)


async def test_an_unknown_name_is_not_found(network, autojump_clock):
    async with running(network):
        with pytest.raises(socket.gaierror):
            await trio.open_tcp_stream("elsewhere.example", 7)


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ((CLOUD_IP, 8), errno.ECONNREFUSED),
        (("203.0.113.8", 7), errno.EHOSTUNREACH),
        (("192.168.0.1", 80), errno.EHOSTUNREACH),
    ],
)
async def test_where_nobody_listens_the_kernel_says_so(network, autojump_clock, address, number):
    """Also a Photon's address, from a socket that is bound to no adapter."""
    async with running(network):
        sock = trio.socket.socket()
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the number is compared
            await sock.connect(address)

    assert refused.value.errno == number


async def test_without_the_uplink_there_is_no_way_and_no_name(network, autojump_clock):
    network.uplink_is_up = lambda: False
    async with running(network):
        with pytest.raises(socket.gaierror):
            await trio.open_tcp_stream(CLOUD, 7)
        with pytest.raises(OSError) as refused:  # noqa: PT011
            await trio.socket.socket().connect((CLOUD_IP, 7))

    assert refused.value.errno == errno.ENETUNREACH


async def test_a_bound_socket_reaches_the_unit_of_its_adapter(network, autojump_clock):
    async with running(network):
        for adapter, unit in (("wlan1", b"unit-1"), ("wlan2", b"unit-2")):
            sock = bound_socket(adapter)
            await sock.connect(("192.168.0.1", 80))

            assert await trio.SocketStream(sock).receive_some() == unit
            assert str(await own_address(adapter, "192.168.0.1")) == "192.168.0.2"


async def test_an_adapter_that_is_on_nothing_has_no_way_and_no_address(network, autojump_clock):
    async with running(network):
        with pytest.raises(OSError) as refused:  # noqa: PT011
            await bound_socket("wlan3").connect(("192.168.0.1", 80))

        assert refused.value.errno == errno.ENETUNREACH
        assert await own_address("wlan3", "192.168.0.1") is None


async def test_an_adapter_that_is_not_there_cannot_be_bound(network, autojump_clock):
    async with running(network):
        with pytest.raises(OSError) as refused:  # noqa: PT011
            bound_socket("wlan9")

    assert refused.value.errno == errno.ENODEV


async def test_an_adapter_that_leaves_while_connecting_gets_nowhere(network, autojump_clock):
    async with running(network), trio.open_nursery() as nursery:

        async def leave():
            await trio.sleep(0.01)
            network.air.on["wlan1"] = None

        nursery.start_soon(leave)
        with pytest.raises(OSError) as refused:  # noqa: PT011
            await bound_socket("wlan1").connect(("192.168.0.1", 80))

    assert refused.value.errno == errno.ENETUNREACH


# --- bytes ---


@asynccontextmanager
async def pair(network, port=9):
    """A connected client stream and the server's end of it."""
    ends = []

    async def take(stream):
        ends.append(stream)

    network.add_host("pair", "203.0.113.9", {port: take})
    async with running(network):
        client = await trio.open_tcp_stream("pair", port)
        await trio.testing.wait_all_tasks_blocked()
        yield client, ends[0]


async def test_a_writer_waits_while_the_window_is_full(network, autojump_clock):
    async with pair(network) as (client, server):
        with trio.move_on_after(1) as waiting:
            await client.send_all(bytes(WINDOW_BYTES + 1))
        assert waiting.cancelled_caught

        assert len(await server.receive_some(WINDOW_BYTES * 2)) == WINDOW_BYTES


async def test_many_windows_arrive_whole_and_in_order(network, autojump_clock):
    sent = bytes(range(256)) * 2048
    got = bytearray()
    async with pair(network) as (client, server), trio.open_nursery() as nursery:

        async def send():
            await client.send_all(sent)
            await client.aclose()

        nursery.start_soon(send)
        while data := await server.receive_some(1000):
            got += data

    assert bytes(got) == sent


async def test_closing_is_an_end_for_the_other_side(network, autojump_clock):
    async with pair(network) as (client, server):
        await client.send_all(b"last words")
        await client.aclose()

        assert await server.receive_some() == b"last words"
        assert await server.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await server.send_all(b"anybody there?")


async def test_closing_over_unread_bytes_is_a_reset(network, autojump_clock):
    async with pair(network) as (client, server):
        await client.send_all(b"nobody reads this")
        await server.aclose()

        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_half_closing_leaves_the_other_direction_open(network, autojump_clock):
    async with pair(network) as (client, server):
        await client.send_eof()
        assert await server.receive_some() == b""
        await server.send_all(b"still here")

        assert await client.receive_some() == b"still here"
        with pytest.raises(trio.ClosedResourceError):
            await client.send_all(b"no more")


async def test_a_stalled_connection_says_nothing_at_all(network, autojump_clock):
    """The air under it is gone: no end, no reset, and what is sent vanishes."""
    async with pair(network) as (client, server):
        server.stall()
        await server.aclose()
        await client.send_all(b"into the void")
        with trio.move_on_after(60) as waiting:
            await client.receive_some()

    assert waiting.cancelled_caught


async def test_using_a_closed_socket_is_the_callers_mistake(network, autojump_clock):
    async with pair(network) as (client, server):
        for end in (client, server):
            await end.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await end.send_all(b"x")
            with pytest.raises(trio.ClosedResourceError):
                await end.receive_some()


async def test_closing_wakes_whoever_reads(network, autojump_clock):
    async with pair(network) as (client, _), trio.open_nursery() as nursery:

        async def close_later():
            await trio.sleep(1)
            client.socket.close()

        nursery.start_soon(close_later)
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()


# --- TLS and HTTP, by the shipped client's own library ---


async def hello(scope, receive, send):
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/lost":
        raise ConnectionResetError("the answer is lost")
    answer = b"%s %s?%s %s" % (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def https(network):
    authority = authority_for(CLOUD)
    network.add_host(CLOUD, CLOUD_IP, {443: partial(serve_https, hello, authority.context)})
    return authority


def client_of(authority):
    return httpx.AsyncClient(verify=ssl.create_default_context(cadata=authority.certificate.decode()), trust_env=False)


async def test_httpx_speaks_verified_tls_over_it_and_keeps_its_connection(network, https, autojump_clock):
    async with running(network), client_of(https) as client:
        answers = [(await client.post(f"https://{CLOUD}/v1/a%20b?x=1", content=b"body")).text for _ in range(3)]

    assert answers == ["POST /v1/a b?x=1 body"] * 3
    assert network.connections == 1


def reason(error):
    """Why a certificate was not verified, from the depth of an exception's causes."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error.verify_message if error else "it was verified"


async def test_a_certificate_of_nobody_we_trust_is_refused(network, https, autojump_clock):
    async with running(network), client_of(authority_for(CLOUD)) as client:
        with pytest.raises(httpx.ConnectError) as refused:
            await client.get(f"https://{CLOUD}/")

    assert "unable to get local issuer certificate" in reason(refused.value)


async def test_a_certificate_for_another_name_is_refused(network, https, autojump_clock):
    network.add_host("other.example", "203.0.113.8", {443: partial(serve_https, hello, https.context)})
    async with running(network), client_of(https) as client:
        with pytest.raises(httpx.ConnectError) as refused:
            await client.get("https://other.example/")

    assert "Hostname mismatch" in reason(refused.value)


async def test_an_answer_that_is_lost_cuts_the_connection(network, https, autojump_clock):
    async with running(network), client_of(https) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"https://{CLOUD}/lost")
        assert (await client.get(f"https://{CLOUD}/again")).status_code == 200


async def test_what_is_no_http_ends_the_connection(network, https, autojump_clock):
    network.add_host("plain", "203.0.113.5", {80: partial(serve_https, hello, None)})
    async with running(network):
        stream = await trio.open_tcp_stream("plain", 80)
        await stream.send_all(b"\x16\x03\x01 this is no request\r\n\r\n")

        assert await stream.receive_some() == b""


async def test_a_bug_of_the_app_stops_the_world(network, autojump_clock):
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    network.add_host("broken", "203.0.113.6", {80: partial(serve_https, broken, None)})
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True, allow_unwrapped=True):
        async with running(network):
            stream = await trio.open_tcp_stream("broken", 80)
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: broken\r\n\r\n")
            await trio.sleep_forever()
