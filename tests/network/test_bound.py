"""Real sockets on loopback: bound before they connect, dead with their link."""

import errno
import ipaddress
import socket

import pytest
import trio

from provisioner.errors import AdapterUnavailable, Blame
from provisioner.model import SetupNetwork
from provisioner.network import bound
from provisioner.network.bound import BoundLink, bound_socket, own_address

NETWORK = SetupNetwork("Photon-AB23", "", 0, 0.0)
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
can_bind = pytest.mark.skipif(not hasattr(socket, "SO_BINDTODEVICE"), reason="Linux has SO_BINDTODEVICE")


@pytest.fixture
async def echo(nursery):
    async def serve(stream):
        async with stream:
            async for chunk in stream:
                await stream.send_all(chunk)

    listeners = await nursery.start(trio.serve_tcp, serve, 0, )  # fmt: skip
    return listeners[0].socket.getsockname()[1]


@can_bind
async def test_a_socket_is_bound_to_its_adapter_before_it_connects():
    with bound_socket("lo") as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"


@can_bind
async def test_a_missing_adapter_is_enodev():
    with pytest.raises(OSError, match="device") as caught:
        bound_socket("no-such-wlan")
    assert caught.value.errno == errno.ENODEV


async def test_without_an_adapter_the_socket_is_plain():
    with bound_socket("") as sock:
        assert sock.family == socket.AF_INET


class Noted:
    """A socket that notes its options."""

    def __init__(self):
        self.options, self.closed = [], False

    def setsockopt(self, *option):
        self.options.append(option)

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("platform", "options"), [("darwin", [(socket.IPPROTO_IP, 25, 7)]), ("win32", [])], ids=["macOS", "Windows"]
)
async def test_other_systems_bind_by_number_or_not_at_all(monkeypatch, platform, options):
    """Not verified on either; macOS's IP_BOUND_IF is 25 and takes the interface's number (facts: network 1.4)."""
    made = Noted()
    monkeypatch.delattr(socket, "SO_BINDTODEVICE", raising=False)
    monkeypatch.setattr(bound.sys, "platform", platform)
    monkeypatch.setattr(socket, "if_nametoindex", {"en0": 7}.__getitem__, raising=False)
    monkeypatch.setattr(trio.socket, "socket", lambda *_: made)

    assert bound_socket("en0") is made
    assert made.options == options
    assert not made.closed


async def test_own_address_is_the_one_we_would_speak_from():
    assert await own_address("", "127.0.0.1") == ipaddress.IPv4Address("127.0.0.1")
    assert await own_address("lo", "127.0.0.1") == ipaddress.IPv4Address("127.0.0.1")


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL])
async def test_no_way_is_no_address(monkeypatch, code):
    monkeypatch.setattr(trio.socket, "socket", lambda *_: Unconnectable(code))

    assert await own_address("", "192.0.2.1") is None


class Unconnectable:
    def __init__(self, code):
        self.code = code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    async def connect(self, address):
        raise OSError(self.code, "no way")


@pytest.mark.parametrize("adapter", ["", "lo"])
async def test_a_link_dials_and_its_streams_die_with_it(echo, adapter):
    link = BoundLink(NETWORK, adapter, host="127.0.0.1", subnet=LOOPBACK)
    stream = await link.dial("127.0.0.1", echo)
    await stream.send_all(b"hello")
    assert await stream.receive_some() == b"hello"
    assert await link.healthy()

    link.close()

    assert not await link.healthy()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_all(b"hello")
    with pytest.raises(OSError, match="left"):
        await link.dial("127.0.0.1", echo)


async def test_a_link_is_ill_without_an_address_in_the_photons_subnet():
    assert not await BoundLink(NETWORK, "", host="127.0.0.1").healthy()


@can_bind
async def test_an_adapter_that_is_gone_is_no_devices_fault():
    with pytest.raises(AdapterUnavailable, match="no-such-wlan is gone") as caught:
        await BoundLink(NETWORK, "no-such-wlan", host="127.0.0.1", subnet=LOOPBACK).healthy()

    assert caught.value.blame is Blame.STATION


async def test_a_refused_dial_closes_its_socket(recwarn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await BoundLink(NETWORK, "").dial("127.0.0.1", taken.getsockname()[1])


async def test_a_link_that_was_left_does_not_even_try(recwarn):
    link = BoundLink(NETWORK, "")
    link.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="left"):  # and not "refused"
            await link.dial("127.0.0.1", taken.getsockname()[1])


async def test_a_link_left_while_dialling_gives_no_stream(monkeypatch, echo):
    link = BoundLink(NETWORK, "")
    made = []

    async def leave_meanwhile(sock, address):
        link.close()

    def socket_that_connects_late(adapter):
        made.append(bound_socket(adapter))
        monkeypatch.setattr(type(made[0]), "connect", leave_meanwhile)
        return made[0]

    monkeypatch.setattr(bound, "bound_socket", socket_that_connects_late)
    with pytest.raises(OSError, match="left"):
        await link.dial("127.0.0.1", echo)

    assert made[0].fileno() == -1
