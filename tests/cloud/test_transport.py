"""One request out, one whole answer back, or one of three errors."""

import gzip
import inspect
import logging
import re
import socket
import ssl

import httpx
import pytest
import trio

from provisioner.cloud.transport import LONG_REPLY_BYTES_MAX, REPLY_BYTES_MAX, Request, Transport
from provisioner.errors import CloudAnswerLost, CloudError, CloudReplyUnreadable, CloudUnreachable, InputRefused
from provisioner.secrets import Secret

CANARY = "canary-5724113917ac1e1cbf80"
BEARER = Secret(f"Bearer {CANARY}")
GET = Request("GET", "/v1/products/1319")
NOTHING_SENT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
}


def httpx_errors():
    """Every exception class that httpx exports."""
    for _, value in sorted(vars(httpx).items()):
        if inspect.isclass(value) and issubclass(value, Exception):
            yield value


def made(error_class):
    if error_class is httpx.HTTPStatusError:
        reply = httpx.Response(500)
        return error_class(f"no {CANARY}", request=httpx.Request("GET", "http://x"), response=reply)
    try:
        return error_class(f"no {CANARY}")
    except TypeError:
        return error_class()


def answering(answer):
    async def handler(request):
        await trio.lowlevel.checkpoint()
        if isinstance(answer, BaseException):
            raise answer
        return answer(request) if callable(answer) else answer

    return Transport("https://api.particle.io", http_transport=httpx.MockTransport(handler))


async def ask(answer, request=GET, budget_s=30.0):
    async with answering(answer) as transport:
        return await transport.send(request, authorization=BEARER, budget_s=budget_s)


@pytest.mark.parametrize("error_class", list(httpx_errors()), ids=lambda error_class: error_class.__name__)
async def test_no_exception_of_httpx_escapes(error_class):
    expected = CloudUnreachable if error_class in NOTHING_SENT else CloudAnswerLost
    with pytest.raises(CloudError) as caught:
        await ask(made(error_class))

    assert expected is type(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_the_whole_tree_of_httpx_is_tried():
    names = {error_class.__name__ for error_class in httpx_errors()}

    assert {"ReadTimeout", "InvalidURL", "CookieConflict", "StreamClosed", "RemoteProtocolError"} <= names


@pytest.mark.parametrize("error", [ConnectionResetError("cut"), trio.BrokenResourceError(), trio.ClosedResourceError()])
async def test_a_connection_that_breaks_below_httpx_is_a_lost_answer(error):
    with pytest.raises(CloudAnswerLost):
        await ask(error)


async def test_a_bug_is_not_dressed_up_as_a_cloud_error():
    with pytest.raises(ZeroDivisionError):
        await ask(ZeroDivisionError())


async def test_the_whole_answer_and_its_headers_come_back(autojump_clock):
    headers = {"Date": "Fri, 20 Nov 2026 06:00:00 GMT", "Retry-After": "7", "Content-Type": "application/json; x=y"}
    reply = await ask(httpx.Response(429, headers=headers, content=b"{}"))

    assert (reply.status, reply.body, reply.retry_after) == (429, b"{}", "7")
    assert reply.date == "Fri, 20 Nov 2026 06:00:00 GMT"
    assert reply.is_json
    assert reply.heard_s == trio.current_time()


async def test_what_goes_out():
    seen = []
    body = b'{"ids":[]}'
    await ask(lambda r: seen.append(r) or httpx.Response(200), Request("POST", "/v1/x?a=b", body, "application/json"))
    (request,) = seen

    assert (request.method, str(request.url)) == ("POST", "https://api.particle.io/v1/x?a=b")
    assert request.content == body
    assert re.fullmatch(r"provisioner/\S+", request.headers.pop("User-Agent"))
    assert dict(request.headers) == {
        "host": "api.particle.io",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": "10",
        "content-type": "application/json",
        "authorization": f"Bearer {CANARY}",
    }


async def test_an_empty_post_says_that_it_is_empty():
    seen = []
    await ask(lambda r: seen.append(r) or httpx.Response(200), Request("POST", "/v1/device_claims"))

    assert seen[0].headers["Content-Length"] == "0"


@pytest.mark.parametrize("path", ["@evil.example/v1", "v1/x", "https://evil.example/"])
async def test_a_path_that_could_lead_to_another_host_is_our_bug(path):
    with pytest.raises(ValueError, match="path"):
        await ask(httpx.Response(200), Request("GET", path))


@pytest.mark.parametrize("location", ["https://evil.example/", "/v1/other", "//evil.example"])
async def test_a_redirect_is_never_followed(location):
    """F32: so no token goes to another host."""
    seen = []
    reply = await ask(lambda r: seen.append(r) or httpx.Response(302, headers={"Location": location}))

    assert reply.status == 302
    assert len(seen) == 1


async def test_a_cookie_is_never_sent_back():
    """F32: nothing is kept for the next request."""
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, headers={"Set-Cookie": "who=us; Domain=api.particle.io; Path=/"})

    async with answering(answer) as transport:
        await transport.send(GET, budget_s=1.0)
        await transport.send(GET, budget_s=1.0)

    assert "Cookie" not in seen[1].headers


@pytest.mark.parametrize("cap", [REPLY_BYTES_MAX, LONG_REPLY_BYTES_MAX])
async def test_an_answer_is_read_to_its_cap_and_not_further(cap):
    request = Request("GET", "/v1/x", reply_bytes_max=cap)

    assert len((await ask(httpx.Response(200, content=b"x" * cap), request)).body) == cap
    with pytest.raises(CloudReplyUnreadable, match=f"longer than {cap}"):
        await ask(httpx.Response(200, content=b"x" * (cap + 1)), request)


class EndlessStream(httpx.AsyncByteStream):
    """Bytes for ever, one part every `pause_s` seconds."""

    def __init__(self, part, pause_s):
        self.part = part
        self.pause_s = pause_s
        self.parts_sent = 0
        self.closed = False

    async def __aiter__(self):
        while True:
            await trio.sleep(self.pause_s)
            self.parts_sent += 1
            yield self.part

    async def aclose(self):
        self.closed = True


async def test_a_slow_drip_ends_at_the_budget(autojump_clock):
    """F31: from the cloud."""
    stream = EndlessStream(b"x", 0.2)
    began_s = trio.current_time()
    with pytest.raises(CloudAnswerLost, match="within 30 s"):
        await ask(httpx.Response(200, stream=stream))

    assert trio.current_time() - began_s == pytest.approx(30.0)
    assert stream.closed


async def test_an_endless_flood_ends_at_the_cap(autojump_clock):
    """F30: from the cloud."""
    stream = EndlessStream(b"x" * 1024, 0)
    with pytest.raises(CloudReplyUnreadable):
        await ask(httpx.Response(200, stream=stream))

    assert stream.parts_sent <= REPLY_BYTES_MAX // 1024 + 1
    assert stream.closed


async def test_a_compressed_answer_is_not_unpacked():
    """F30: so no bomb is."""
    bomb = gzip.compress(b"x" * 10_000_000)
    with pytest.raises(CloudReplyUnreadable, match="compressed"):
        await ask(lambda _: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=EndlessStream(bomb, 0)))


async def test_a_cancel_from_outside_is_not_swallowed(autojump_clock):
    with trio.move_on_after(1.0) as scope:
        await ask(httpx.Response(200, stream=EndlessStream(b"x", 0.2)))

    assert scope.cancelled_caught


async def test_the_token_is_in_no_message_and_no_repr():
    request = Request("POST", "/v1/x", f"secret={CANARY}".encode())
    with pytest.raises(CloudAnswerLost) as caught:
        await ask(httpx.LocalProtocolError(f"Illegal header value b'Bearer {CANARY}'"), request)
    reply = await ask(httpx.Response(200, content=CANARY.encode()))

    assert CANARY not in f"{caught.value!r} {caught.value} {request!r} {reply!r} {vars(caught.value)}"


async def test_httpx_does_not_log_urls(caplog):
    caplog.set_level(logging.DEBUG)
    await ask(httpx.Response(200))

    assert caplog.records == []


async def test_a_closed_port_is_unreachable():
    """Over real sockets: the one proof that httpx itself tells connect failures apart."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening
        async with Transport(f"http://127.0.0.1:{taken.getsockname()[1]}") as transport:
            with pytest.raises(CloudUnreachable, match=r"127\.0\.0\.1"):
                await transport.send(GET, budget_s=5.0)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"SSH-2.0-x\r\n"])
async def test_a_server_that_hangs_up_is_a_lost_answer(answer):
    """Over real sockets."""

    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        port = await nursery.start(_serve_loopback, serve)
        async with Transport(f"http://127.0.0.1:{port}") as transport:
            with pytest.raises(CloudAnswerLost):
                await transport.send(GET, budget_s=5.0)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"]
)
@pytest.mark.parametrize("then", [b"0", b""], ids=["drips", "stalls"])
async def test_a_server_that_drips_or_stalls_ends_at_the_budget(start, then):
    """F31 over real sockets: every read brings a byte in time, so only a deadline over the whole exchange ends it."""
    gone = trio.Event()

    async def serve(stream):
        try:
            await stream.receive_some()
            await stream.send_all(start)
            while then:
                await trio.sleep(0.02)
                await stream.send_all(then)
            await stream.receive_some()
        except trio.BrokenResourceError:
            pass
        gone.set()

    async with trio.open_nursery() as nursery:
        port = await nursery.start(_serve_loopback, serve)
        async with Transport(f"http://127.0.0.1:{port}") as transport:
            with trio.fail_after(10.0):  # a bug shall fail here, not hang
                with pytest.raises(CloudAnswerLost, match="within"):
                    await transport.send(GET, authorization=BEARER, budget_s=0.2)
                await gone.wait()  # the connection is not kept
        nursery.cancel_scope.cancel()


async def _serve_loopback(handler, *, task_status):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(handler, listeners)


async def test_a_server_without_tls_is_unreachable():
    """Over real sockets: a failed handshake, before any byte of ours is readable."""

    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        port = await nursery.start(_serve_loopback, serve)
        async with Transport(f"https://127.0.0.1:{port}") as transport:
            with pytest.raises(CloudUnreachable):
                await transport.send(GET, budget_s=5.0)
        nursery.cancel_scope.cancel()


def test_old_tls_is_not_spoken():
    transport = Transport("https://api.particle.io")
    context = transport._transport._pool._ssl_context

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_ca_file_that_is_none_is_refused_with_its_name(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(InputRefused, match=r"ca\.pem"):
        Transport("https://api.particle.io", ca_file=str(file))
