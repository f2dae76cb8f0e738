"""Over real sockets: what is not the cloud gets no byte of a token, and people are told what stands in the way."""

import errno
import functools
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import trio

from provisioner.cloud.tls import why_not_connected
from provisioner.cloud.transport import Request, Transport
from provisioner.errors import Blame, CloudUnreachable
from provisioner.secrets import Secret
from provisioner.simulator.virtual.authority import authority_for

CANARY = "canary-5724113917ac1e1cbf80"
BEARER = Secret(f"Bearer {CANARY}")
NAME = "localhost"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


@functools.cache
def authority(name=NAME, days=0):
    """Making one takes a while; a test changes none."""
    return authority_for(name, as_of=datetime.now(UTC) + timedelta(days=days))


def old():
    """A server that speaks nothing newer than TLS 1.1."""
    made = authority_for(NAME)
    made.context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        made.context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        made.context.maximum_version = ssl.TLSVersion.TLSv1_1
    return made


class Server:
    """A TLS server (plain, without a context): `raw` is what came over the wire, `read` what could be made of it."""

    def __init__(self, context):
        self.context = context
        self.raw, self.read = bytearray(), bytearray()

    async def __call__(self, stream):
        with suppress(trio.BrokenResourceError, ssl.SSLError):  # the client hangs up, as it should
            await self._serve(stream)

    async def _receive(self, stream):
        data = await stream.receive_some()
        self.raw += data
        return data

    async def _serve(self, stream):
        """By hand, because trio's SSLStream swallows the alert that every real server sends."""
        if self.context is None:
            self.read += await self._receive(stream)
            await stream.send_all(OK)
            return
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(arrived, leaving, server_side=True)
        while not self.read:
            try:
                self.read += tls.read(65_536)  # and the handshake before
                tls.write(OK)
            except ssl.SSLWantReadError:
                await stream.send_all(leaving.read())
                data = await self._receive(stream)
                if not data:
                    return
                arrived.write(data)
            finally:
                alert = leaving.read()
                if alert:
                    await stream.send_all(alert)


@asynccontextmanager
async def serving(handler):
    """A handler on a loopback port, for the length of the block."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def ask(port, ca_file=None, *, times=1):
    """The last of so many answers over one Transport."""
    async with Transport(f"https://{NAME}:{port}", ca_file=ca_file) as transport:
        for _ in range(times):
            reply = await transport.send(Request("GET", "/v1/x"), authorization=BEARER, budget_s=5.0)
    return reply


async def test_the_right_server_gets_the_token_over_tls_1_2_or_newer(tmp_path):
    """So that the others can be seen not to."""
    server = Server(authority().context)
    async with serving(server) as port:
        reply = await ask(port, str(authority().write(tmp_path)))

    assert reply.status == 200
    assert CANARY.encode() in server.read
    assert CANARY.encode() not in server.raw


WRONG = {  # server, whom we trust, what is said, what to look at
    "a certificate for another name": (
        lambda: authority("other.example"),
        lambda: authority("other.example"),
        "for another name",
        "cloud.base_url",
    ),
    "an authority that nobody trusts": (authority, lambda: authority("other.example"), "vouches for", "cloud.ca_file"),
    "an expired certificate": (lambda: authority(days=-30), lambda: authority(days=-30), "has expired", "clock"),
    "a certificate of the future": (lambda: authority(days=30), lambda: authority(days=30), "not valid yet", "clock"),
    "TLS 1.1": (old, None, "only old, unsafe TLS", "old proxy or firewall"),
    "plain HTTP": (None, authority, "does not speak TLS", "captive portal"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_f32_what_is_not_the_cloud_gets_no_byte_of_a_token(tmp_path, case):
    """F32: refused in the handshake, as the site's fault, in words that say what to look at."""
    make, trusted, said, look_at = WRONG[case]
    there = make() if make else None
    server = Server(there.context if there else None)
    async with serving(server) as port:
        ca_file = str((trusted() if trusted else there).write(tmp_path))
        with pytest.raises(CloudUnreachable, match=said) as caught:
            await ask(port, ca_file)

    assert caught.value.blame is Blame.SITE
    assert look_at in caught.value.remedy
    assert "_ssl.c" not in caught.value.detail
    assert server.raw, "nobody connected"
    for seen in (server.raw, server.read):
        assert CANARY.encode() not in seen
        assert b"HTTP/1.1" not in seen


async def test_f32_a_server_that_hangs_up_in_the_handshake_is_named():
    """F32: so does a firewall that does not like our handshake."""

    async def serve(stream):
        await stream.receive_some()
        await stream.send_eof()

    async with serving(serve) as port:
        with pytest.raises(CloudUnreachable, match="TLS handshake"):
            await ask(port)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_f32_the_environment_names_no_authorities(tmp_path, monkeypatch, variable):
    """F32: whoever may set a variable of ours must not be able to stand in the cloud's place."""
    (tmp_path / "theirs").mkdir()
    file = authority().write(tmp_path / "theirs")
    monkeypatch.setenv(variable, str(file.parent if variable.endswith("DIR") else file))
    server = Server(authority().context)
    async with serving(server) as port:
        with pytest.raises(CloudUnreachable, match="vouches for"):
            await ask(port)

    assert not server.read


async def test_f35_keys_of_tls_are_not_written_where_the_environment_says(tmp_path, monkeypatch):
    """F35: SSLKEYLOGFILE; Python's own default context obeys it, and then a capture of the wire shows the token."""
    keys = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    assert ssl.create_default_context().keylog_filename == str(keys), "what we keep away from does no longer exist"
    keys.unlink(missing_ok=True)
    async with serving(Server(authority().context)) as port:
        await ask(port, str(authority().write(tmp_path)))

    assert not keys.exists()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["another host", "http", "the same host", "userinfo"])
async def test_f32_a_redirect_carries_no_token_anywhere(tmp_path, status, where):
    """F32: no second request at all, to whomever."""
    asked, elsewhere = [], []

    async def other(stream):
        elsewhere.append(await stream.receive_some())

    async with serving(other) as other_port, trio.open_nursery() as nursery:

        async def redirecting(stream):
            tls = trio.SSLStream(stream, authority().context, server_side=True, https_compatible=True)
            try:
                while request := bytes(await tls.receive_some()):
                    asked.append(request)
                    head = f"HTTP/1.1 {status} Moved\r\nLocation: {locations[where]}\r\nContent-Length: 0\r\n\r\n"
                    await tls.send_all(head.encode())
            except trio.BrokenResourceError:
                pass

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        locations = {
            "another host": f"https://127.0.0.1:{other_port}/v1/x",
            "http": f"http://localhost:{other_port}/v1/x",
            "the same host": f"https://{NAME}:{port}/v1/y",
            "userinfo": f"https://{NAME}:{port}@127.0.0.1:{other_port}/v1/x",
        }
        nursery.start_soon(trio.serve_listeners, redirecting, listeners)
        reply = await ask(port, str(authority().write(tmp_path)))
        nursery.cancel_scope.cancel()

    assert reply.status == status
    assert len(asked) == 1
    assert elsewhere == []


async def test_f32_proxies_of_the_environment_are_not_asked(tmp_path, monkeypatch):
    """F32: not for the cloud over TLS, nor for one on this computer without."""
    asked = []

    async def proxy(stream):
        asked.append(await stream.receive_some())

    async with serving(proxy) as proxy_port:
        for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"):
            for spelt in (name, name.lower()):
                monkeypatch.setenv(spelt, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with serving(Server(authority().context)) as port:
            assert (await ask(port, str(authority().write(tmp_path)))).status == 200
        async with serving(Server(None)) as port, Transport(f"http://127.0.0.1:{port}") as transport:
            assert (await transport.send(Request("GET", "/v1/x"), budget_s=5.0)).status == 200

    assert asked == []


def test_every_word_of_a_handshake_that_fails_is_for_people():
    """What is not known by number is shown, with what to look at."""
    why, remedy = why_not_connected(ssl.SSLError(1, "[SSL] something new"))

    assert why == "[SSL] something new"
    assert "proxy" in remedy
    assert why_not_connected(OSError("no route")) == ("no route", None)


async def reason(url, budget_s=5.0):
    """Why there is no connection to that address, as a person reads it, and what to do."""
    async with Transport(url) as transport:
        with pytest.raises(CloudUnreachable) as caught:
            await transport.send(Request("GET", "/v1/x"), budget_s=budget_s)
    return caught.value.detail.partition(": ")[2], caught.value.remedy


async def test_f6_a_door_that_is_shut_is_said_in_the_systems_words():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

        assert await reason(f"http://127.0.0.1:{port}") == ("connection refused", CloudUnreachable.remedy)


async def test_f6_a_door_at_which_nobody_answers_is_said(autojump_clock, monkeypatch):
    async def nobody(*_, **__):
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", nobody)

    assert await reason("https://cloud.invalid") == ("nothing answered in time", CloudUnreachable.remedy)


async def test_f6_a_name_that_nobody_knows_says_to_look_at_the_uplink(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    why, remedy = await reason("https://cloud.invalid")

    assert why == "its name was not found (Temporary failure in name resolution)"
    assert "uplink" in remedy
    assert "base_url" in remedy


def test_f6_without_any_way_out_it_says_so_once_for_all_addresses():
    addresses = [OSError(errno.ENETUNREACH, f"Error connecting to ('{host}', 443)") for host in ("::1", "192.0.2.1")]
    nowhere = OSError("all attempts to connect failed")
    nowhere.__cause__ = ExceptionGroup("all attempts to connect failed", addresses)
    why, remedy = why_not_connected(nowhere)

    assert why == "network is unreachable"
    assert "no way out" in remedy

    addresses[1] = OSError(errno.ECONNREFUSED, "Error connecting to ('192.0.2.1', 443)")
    nowhere.__cause__ = ExceptionGroup("all attempts to connect failed", addresses)

    assert why_not_connected(nowhere) == ("network is unreachable; connection refused", None)
