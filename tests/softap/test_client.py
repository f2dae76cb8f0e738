"""One Photon over memory streams: every exchange ends, closes what it opened, and says what was certainly not sent."""

import errno
import json
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from provisioner import errors
from provisioner.model import DeviceID, SecurityType, WifiProfile
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import REDIAL_S, SoftAPClient
from provisioner.softap.protocol import Command
from provisioner.softap.reply_buffer import REPLY_BYTES_MAX

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "softap"
PRIVATE = load_pem_private_key((ROOT / "fixtures" / "keys" / "throwaway_private_key.pem").read_bytes(), password=None)
CODE = ClaimCode("4i8pwFwPkImsnLmIj54BYJA4Z94j0OLyl7vwKecELzYGKjS9mBbM5Vra6H9T0DI")
PROFILE = WifiProfile("factory", "TestRouter", SecurityType.WPA2_AES, 6)
PASSWORD = Secret("mywifipassword")
DEVICE = DeviceID.parse("3b0021001747353236343033")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
BUDGETS = Budgets()

ACTS = {
    Command.VERSION: lambda client: client.version(),
    Command.DEVICE_ID: lambda client: client.identify(),
    Command.SCAN_AP: lambda client: client.scan(),
    Command.PUBLIC_KEY: lambda client: client.prepare(),
    Command.SET: lambda client: client.set_claim_code(CODE),
    Command.CONFIGURE_AP: lambda client: client.set_wifi(WifiProfile("g", "Guest", SecurityType.OPEN), None),
    Command.CONNECT_AP: lambda client: client.connect(),
}


class WatchedStream(trio.abc.Stream):
    """A stream that knows how many writes it got and whether it was closed."""

    def __init__(self, inner):
        self.inner, self.writes, self.closed = inner, 0, False

    async def send_all(self, data):
        self.writes += 1
        await self.inner.send_all(data)

    async def receive_some(self, max_bytes=None):
        return await self.inner.receive_some(max_bytes)

    async def wait_send_all_might_not_block(self):
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self):
        self.closed = True
        await self.inner.aclose()


class FakePhoton:
    """Bytes in, bytes out: `ports` maps a port to an answer, or to the OSError that dialling it raises."""

    def __init__(self, nursery, ports):
        self.nursery, self.ports = nursery, ports
        self.dialled, self.requests, self.streams = [], [], []

    async def dial(self, host, port):
        assert host == "192.168.0.1"
        await trio.lowlevel.checkpoint()
        self.dialled.append(port)
        answer = self.ports[port]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, OSError):
            raise answer
        ours, theirs = trio.testing.memory_stream_pair()
        self.streams.append(WatchedStream(ours))
        self.nursery.start_soon(self.serve, theirs, answer)
        return self.streams[-1]

    async def serve(self, stream, answer):
        try:
            request = bytes(await stream.receive_some())
            self.requests.append(request)
            if request:
                await answer(stream, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    def client(self, transport="http", **settings):
        return SoftAPClient(self.dial, settings=SoftAPSettings(**settings), budgets=BUDGETS, transport=transport)


def recorded(suffix, **changes):
    """Answer every command with its recorded bytes; `changes` name another file, as `set_="set-empty"`."""

    async def answer(stream, request):
        first = request.split(b" HTTP")[0] if suffix == ".http" else request.split(b"\n")[0]
        command = first.split(b"/")[-1].decode()
        name = changes.get(command.replace("-", "_"), command)
        await stream.send_all((FIXTURES / f"{name}{suffix}").read_bytes())
        if suffix == ".http":
            await stream.aclose()  # the TCP side is never closed: device-os issue 1252

    return answer


async def hang(stream, request):
    await trio.sleep_forever()


async def drop(stream, request):
    await stream.aclose()


@pytest.fixture
def photon(nursery):
    def make(http=None, tcp=None):
        return FakePhoton(nursery, {80: http or recorded(".http"), 5609: tcp or recorded(".tcp")})

    return make


@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_seven_commands_with_one_write_and_one_closed_connection_each(autojump_clock, photon, transport):
    unit = photon()
    client = unit.client(transport)

    assert await client.version() == 2
    assert await client.identify() == DEVICE
    assert (await client.identity()).claimed_before is True
    assert [network.ssid for network in await client.scan()] == ["TestRouter", "Photon-8GCS", "Küche", "odd"]
    await client.prepare()
    await client.set_claim_code(CODE)
    await client.set_wifi(PROFILE, PASSWORD)
    await client.connect()

    assert unit.dialled == [80 if transport == "http" else 5609] * 8
    assert all(stream.closed and stream.writes == 1 for stream in unit.streams)
    for command in (Command.DEVICE_ID, Command.PUBLIC_KEY, Command.SET, Command.CONNECT_AP):
        assert (FIXTURES / "requests" / f"{command}.{transport}").read_bytes() in unit.requests


async def test_the_password_reaches_the_device_sealed_with_its_own_key(autojump_clock, photon):
    slot = PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).ljust(294, b"\0")

    async def own_key(stream, request):
        if b"/public-key" not in request:
            return await recorded(".http")(stream, request)
        body = json.dumps({"b": slot.hex().upper(), "r": 0}).encode()
        return await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    unit = photon(own_key)
    client = unit.client()
    await client.set_wifi(PROFILE, PASSWORD)
    await client.set_wifi(PROFILE, PASSWORD)

    sent = [json.loads(request.split(b"\r\n\r\n")[1]) for request in unit.requests if b"/configure-ap" in request]
    sealed = [PRIVATE.decrypt(bytes.fromhex(fields["pwd"]), padding.PKCS1v15()) for fields in sent]
    assert sealed == [b"mywifipassword"] * 2
    assert sum(b"/public-key" in request for request in unit.requests) == 1  # kept for this link
    assert not any(b"mywifipassword" in request for request in unit.requests)


async def test_an_open_network_needs_no_key(autojump_clock, photon):
    unit = photon()
    await ACTS[Command.CONFIGURE_AP](unit.client())

    assert len(unit.requests) == 1
    assert b'"sec":0' in unit.requests[0]
    assert b"pwd" not in unit.requests[0]


async def test_a_password_that_cannot_be_is_refused_with_nothing_sent(autojump_clock, photon):
    unit = photon()
    with pytest.raises(errors.WifiProfileRefused):
        await unit.client().set_wifi(PROFILE, Secret("short"))

    assert unit.dialled == []


async def test_a_secured_network_without_a_password_is_our_bug(autojump_clock, photon):
    unit = photon()
    with pytest.raises(ValueError, match="open network"):
        await unit.client().set_wifi(PROFILE, None)

    assert unit.dialled == []


@pytest.mark.parametrize(
    ("act", "changes", "kind"),
    [
        (Command.SET, {"set": "set-refused"}, errors.CommandRefused),
        (Command.SET, {"set": "set-empty"}, errors.SoftAPEmptyReply),
        (Command.SET, {"set": "set-not-found"}, errors.SoftAPNotFound),
        (Command.CONFIGURE_AP, {"configure_ap": "configure-ap-not-heard"}, errors.FactoryNetworkNotHeard),
        (Command.DEVICE_ID, {"device_id": "device-id-busy"}, errors.SoftAPBusy),
        (Command.DEVICE_ID, {"device_id": "version"}, errors.SoftAPReplyUnreadable),
    ],
)
async def test_what_the_firmware_answers_is_raised_as_what_it_means(autojump_clock, photon, act, changes, kind):
    unit = photon(recorded(".http", **changes))
    with pytest.raises(kind) as caught:
        await ACTS[act](unit.client())

    assert caught.value.command == act
    assert unit.streams[0].closed
    assert unit.dialled == [80]


async def test_a_scan_with_broken_json_gives_what_can_be_read(autojump_clock, photon):
    unit = photon(recorded(".http", scan_ap="scan-ap-quotes"))

    assert [network.channel for network in await unit.client().scan()] == [6, 1, 2, 3]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_f32_a_photon_that_sends_us_elsewhere_is_no_photon(autojump_clock, photon, act, status):
    """F32: a captive portal answers like this. Nobody is asked there: no claim code, no password leaves for it."""

    async def redirect(stream, request):
        head = f"HTTP/1.1 {status} Moved\r\nLocation: http://192.168.0.99/{act}\r\nContent-Length: 0\r\n\r\n"
        await stream.send_all(head.encode())

    unit = photon(redirect)
    with pytest.raises(errors.SoftAPReplyUnreadable, match=str(status)):
        await ACTS[act](unit.client())

    assert unit.dialled == [80]
    assert len(unit.requests) == 1


async def test_f32_a_cookie_of_a_photon_is_never_sent_back(autojump_clock, photon):
    """F32: every request is the same bytes whatever was answered before."""

    async def baking(stream, request):
        answer = (FIXTURES / "device-id.http").read_bytes()
        await stream.send_all(answer.replace(b"\r\n", b"\r\nSet-Cookie: who=us; Path=/\r\n", 1))

    unit = photon(baking)
    client = unit.client()
    for _ in range(2):
        assert await client.identify() == DEVICE

    assert unit.requests == [(FIXTURES / "requests" / "device-id.http").read_bytes()] * 2


# --- deadlines and caps ---


@pytest.mark.parametrize("act", ACTS)
async def test_a_silent_photon_ends_at_the_budget_of_the_command(autojump_clock, photon, act):
    unit = photon(hang)
    slow = act in (Command.SCAN_AP, Command.CONFIGURE_AP)
    with pytest.raises(errors.SoftAPSilent) as caught:
        await ACTS[act](unit.client())

    assert trio.current_time() == (BUDGETS.softap_slow_command_s if slow else BUDGETS.softap_command_s)
    assert caught.value.command == act
    assert unit.streams[0].closed


@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_a_photon_that_drips_ends_at_the_budget(autojump_clock, photon, transport):
    """F31: from a Photon."""

    async def drip(stream, request):
        for byte in b"HTTP/1.1 200 OK\r\n\r\n{" + b" " * 1000 if transport == "http" else b"\n\n{" + b" " * 1000:
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.2)

    unit = photon(drip, drip)
    with pytest.raises(errors.SoftAPSilent):
        await unit.client(transport).identify()

    assert trio.current_time() == BUDGETS.softap_command_s
    assert unit.streams[0].closed


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_a_photon_that_stalls_in_mid_answer_ends_at_the_budget(autojump_clock, photon, act, transport):
    """F31: half an answer is none, and it was asked once."""

    async def half(stream, request):
        data = (FIXTURES / f"{act}.{transport}").read_bytes()
        await stream.send_all(data[: data.rindex(b"{") + 2])
        await trio.sleep_forever()

    unit = photon(half, half)
    with pytest.raises(errors.SoftAPSilent):
        await ACTS[act](unit.client(transport))

    assert len(unit.requests) == 1
    assert unit.streams[0].closed


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 99),
        (b"HTTP/1.1 200 OK\r\n\r\n{", b" " * 999),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n" * 99),
    ],
)
async def test_an_endless_answer_is_cut_at_the_cap(autojump_clock, photon, start, more):
    """F30: from a Photon."""
    sent = 0

    async def flood(stream, request):
        nonlocal sent
        await stream.send_all(start)
        while True:
            await stream.send_all(more)
            sent += len(more)

    unit = photon(flood)
    with pytest.raises(errors.SoftAPReplyUnreadable):
        await unit.client().identify()

    assert unit.streams[0].closed
    await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() < BUDGETS.softap_command_s


async def test_no_more_than_the_cap_is_ever_read(autojump_clock, photon):
    read = 0

    async def flood(stream, request):
        await stream.send_all(b"\n\n{" + b" " * 10 * REPLY_BYTES_MAX)

    unit = photon(tcp=flood)
    client = unit.client("tcp")
    dial = client._dial

    async def counted(host, port):
        stream = await dial(host, port)
        receive = stream.receive_some

        async def receive_some(max_bytes=None):
            nonlocal read
            chunk = await receive(max_bytes)
            read += len(chunk)
            return chunk

        stream.receive_some = receive_some
        return stream

    client._dial = counted
    with pytest.raises(errors.SoftAPReplyUnreadable):
        await client.identify()

    assert read <= REPLY_BYTES_MAX + 4096


# --- dialling ---


async def test_a_dial_that_hangs_was_certainly_not_received(autojump_clock):
    async def dial(host, port):
        await trio.sleep_forever()

    client = SoftAPClient(dial, settings=SoftAPSettings(), budgets=BUDGETS)
    with pytest.raises(errors.SoftAPUnreachable):
        await client.connect()

    assert trio.current_time() == BUDGETS.softap_command_s


async def test_a_server_that_listens_a_moment_late_is_dialled_again(autojump_clock, photon):
    unit = photon([REFUSED, REFUSED, recorded(".http")])

    assert await unit.client().identify() == DEVICE
    assert unit.dialled == [80, 80, 80]


async def test_without_an_http_server_port_5609_is_used_and_remembered(autojump_clock, photon):
    unit = photon([REFUSED])
    client = unit.client()

    assert await client.identify() == DEVICE
    assert set(unit.dialled[:-1]) == {80}
    assert trio.current_time() <= REDIAL_S
    unit.dialled.clear()
    await client.connect()
    assert unit.dialled == [5609]


@pytest.mark.parametrize(
    ("transport", "fallback", "ports"), [("http", "none", {80}), ("tcp", "tcp", {5609}), ("http", "tcp", {80, 5609})]
)
async def test_a_photon_that_refuses_every_connection_is_unreachable_within_bounds(
    autojump_clock, photon, transport, fallback, ports
):
    unit = photon([REFUSED], [REFUSED])
    with pytest.raises(errors.SoftAPUnreachable, match="Connection refused"):
        await unit.client(transport, fallback=fallback).connect()

    assert set(unit.dialled) == ports
    assert trio.current_time() <= 2 * REDIAL_S


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV, errno.ENETDOWN])
async def test_what_is_not_refused_is_not_dialled_again(autojump_clock, photon, code):
    unit = photon([OSError(code, "nothing there")], [OSError(code, "nothing there")])
    with pytest.raises(errors.SoftAPUnreachable, match="nothing there"):
        await unit.client().identify()

    assert unit.dialled == [80, 5609]


async def test_refused_is_known_inside_what_trio_makes_of_it(autojump_clock, photon):
    wrapped = OSError("all attempts to connect failed")
    wrapped.__cause__ = ExceptionGroup("multiple", [REFUSED, REFUSED])
    unit = photon([wrapped, recorded(".http")])

    assert await unit.client().identify() == DEVICE
    assert unit.dialled == [80, 80]


@pytest.mark.parametrize("act", ACTS)
async def test_once_bytes_went_out_nothing_is_sent_again_by_any_way(autojump_clock, photon, act):
    unit = photon(drop)
    with pytest.raises(errors.SoftAPCutShort) as caught:
        await ACTS[act](unit.client())

    assert caught.value.command == act
    assert unit.dialled == [80]


# --- the connection drops anywhere ---


@pytest.mark.parametrize("transport", ["http", "tcp"])
@pytest.mark.parametrize("act", [Command.SET, Command.CONNECT_AP, Command.DEVICE_ID])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_drop_at_every_byte_of_the_answer(autojump_clock, photon, act, transport, reset):
    data = (FIXTURES / f"{act}.{transport}").read_bytes()
    seen = set()
    for place in range(len(data)):

        async def partly(stream, request, place=place):
            await stream.send_all(data[:place])
            if reset:
                stream.receive_stream.close()
                await trio.sleep(1)
            await stream.aclose()

        unit = photon(partly, partly)
        try:
            await ACTS[act](unit.client(transport))
        except errors.SoftAPError as error:
            seen.add((place > data.rindex(b"}"), type(error)))
        else:
            seen.add((place > data.rindex(b"}"), None))
        assert all(stream.closed for stream in unit.streams)
        assert len(unit.dialled) == 1

    before = {errors.SoftAPCutShort} | ({errors.SoftAPEmptyReply} if transport == "tcp" else set())
    assert {kind for after, kind in seen if not after} == before
    assert {kind for after, kind in seen if after} <= {None}


@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_a_drop_at_every_byte_of_the_request(autojump_clock, transport):
    golden = (FIXTURES / "requests" / f"connect-ap.{transport}").read_bytes()
    for place in range(len(golden)):
        taken = bytearray()

        class Breaking(WatchedStream):
            async def send_all(self, data, place=place, taken=taken):
                taken += data[:place]
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError from OSError(errno.ECONNRESET, "reset")

        stream = Breaking(trio.testing.memory_stream_pair()[0])

        async def dial(host, port, stream=stream):
            return stream

        client = SoftAPClient(dial, settings=SoftAPSettings(), budgets=BUDGETS, transport=transport)
        with pytest.raises(errors.SoftAPCutShort):
            await client.connect()
        assert stream.closed
        assert bytes(taken) == golden[:place]


# --- cancellation ---


@pytest.mark.parametrize("transport", ["http", "tcp"])
@pytest.mark.parametrize("after_s", [0.0, 0.5])
async def test_cancelled_it_leaves_no_open_stream_and_can_ask_again(autojump_clock, photon, transport, after_s):
    unit = photon(hang, hang)
    client = unit.client(transport)
    with trio.move_on_after(after_s) as scope:
        await client.identify()

    assert scope.cancelled_caught
    assert all(stream.closed for stream in unit.streams)
    unit.ports = {80: recorded(".http"), 5609: recorded(".tcp")}
    assert await client.identify() == DEVICE


async def test_port_5609_never_sees_a_connection_without_its_request(autojump_clock, photon):
    """Firmware up to 0.6.4 would loop for ever: connected means sent, though we are being cancelled."""
    unit = photon()
    client = unit.client("tcp")
    dial = client._dial
    with trio.CancelScope() as scope:

        async def cancelled_while_dialling(host, port):
            stream = await dial(host, port)
            scope.cancel()
            return stream

        client._dial = cancelled_while_dialling
        await client.connect()
    await trio.testing.wait_all_tasks_blocked()

    assert scope.cancelled_caught
    assert unit.requests == [(FIXTURES / "requests" / "connect-ap.tcp").read_bytes()]
    assert unit.streams[0].closed


async def test_http_sends_nothing_more_once_cancelled(autojump_clock, photon):
    unit = photon()
    client = unit.client("http")
    dial = client._dial
    with trio.CancelScope() as scope:

        async def cancelled_while_dialling(host, port):
            stream = await dial(host, port)
            scope.cancel()
            return stream

        client._dial = cancelled_while_dialling
        await client.connect()
    await trio.testing.wait_all_tasks_blocked()

    assert scope.cancelled_caught
    assert unit.requests == [b""]


async def test_two_requests_at_once_are_our_bug(autojump_clock, photon, nursery):
    unit = photon(hang)
    client = unit.client()
    with trio.CancelScope() as scope:
        nursery.start_soon(swallow, client.identify)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await client.version()
        scope.cancel()


async def swallow(act):
    with pytest.raises(errors.SoftAPSilent):
        await act()


async def test_a_link_that_is_left_under_way_cuts_the_exchange_short(autojump_clock, photon, nursery):
    unit = photon(hang)

    async def leave():
        await trio.sleep(1)
        await unit.streams[0].inner.aclose()

    nursery.start_soon(leave)
    with pytest.raises(errors.SoftAPCutShort):
        await unit.client().identify()


async def test_no_error_names_a_secret(autojump_clock, photon):
    for http in (hang, drop, recorded(".http", set="set-empty"), recorded(".http", set="set-refused")):
        with pytest.raises(errors.SoftAPError) as caught:
            await photon(http).client().set_claim_code(CODE)
        assert CODE.reveal() not in repr(caught.value)
        assert caught.value.detail.isprintable()
