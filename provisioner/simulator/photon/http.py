"""Port 80 of a simulated Photon, byte for byte as its firmware answers (facts: photon-softap 1.1, T1, T2, T5, T11).

Rule 1: parsed like the firmware does it, by searching for fixed strings in one received segment; nothing here is a
correct HTTP server, and nothing here is shared with the line's client.
Rule 2: what the firmware ignores gets no answer and keeps its socket; only a bug of ours may raise.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

import trio

from provisioner.simulator.photon.ap import hang_up
from provisioner.simulator.photon.commands import NAMES
from provisioner.simulator.photon.sim_photon import SimPhoton

SEGMENT_BYTES = 1460
_SHORTEST_REQUEST = 18
_URL_BYTES = 255
_METHODS = (b"GET ", b"POST ", b"PUT ")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")

# The firmware's own table, searched by prefix; a type that is not in it counts as absent (T1).
_OCTETS, _PLAIN = b"application/octet-stream", b"text/plain"
_KNOWN_TYPES = (
    b"application/x-tlv8", b"application/x-apple-binary-plist", b"application/x-ns-proxy-autoconfig",
    b"application/javascript", b"application/json", b"application/hap+json", b"application/pairing+tlv8",
    b"application/hap+verify", b"text/html", _PLAIN, b"text/event-stream", b"text/css", b"image/png", b"image/gif",
    b"image/vnd.microsoft.icon", _OCTETS,
)  # fmt: skip

_CACHE = b"Cache-Control: no-store, no-cache, must-revalidate, post-check=0, pre-check=0\r\nPragma: no-cache\r\n"
_KEEP = b"Connection: Keep-Alive\r\n"
_CHUNKED = b"Access-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n" + _CACHE + _KEEP + b"Content-Length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"  # no blank line: the firmware never sends it
_TO_INDEX = b"HTTP/1.1 301\r\nLocation: /index\r\nContent-Length: 0\r\n\r\n"
_HELLO_BODY = b"Soft AP Setup\0"
_HELLO = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + _CACHE + _KEEP
    + b"Content-Length: %d\r\n\r\n%s" % (len(_HELLO_BODY), _HELLO_BODY)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """What the firmware found in the first segment. `url` has no query and is decoded."""

    url: bytes
    content_type: bytes | None
    body_bytes: int
    body_begun: bytes = field(repr=False)
    closes: bool


def parse_request(segment: bytes) -> HTTPRequest | None:
    """Find a request in one segment; None for everything the firmware leaves unanswered."""
    method = next((method for method in _METHODS if segment.startswith(method)), None)
    end = segment.find(b"\r\n\r\n")
    line = segment.split(b"\r\n", 1)[0]
    if len(segment) < _SHORTEST_REQUEST or method is None or end < 0 or b" HTTP/1.1" not in line:
        return None
    url = line[len(method) : line.index(b" HTTP/1.1")][:_URL_BYTES].split(b"?", 1)[0]
    head, body = segment[: end + 2], segment[end + 4 :]
    length = re.search(rb"Content-Length: (\d{1,9})", head)
    if length is not None:
        body_bytes = int(length[1]) & 0xFFFF
    else:  # a chunked body is seen but not decoded: its framing is taken for JSON
        body_bytes = len(body) if b"Transfer-Encoding: chunked" in head else 0
    content_type = re.search(rb"Content-Type: ([^\r]*)", head)
    return HTTPRequest(
        url=_ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), url.replace(b"+", b" ")),
        content_type=content_type[1] if content_type else None,
        body_bytes=body_bytes,
        body_begun=body[:body_bytes],
        closes=b"Connection: close" in segment,
    )


def fits_page(content_type: bytes | None, page_type: bytes) -> bool:
    """Whether the server shows a page of `page_type` to a request of this type: equal, or unknown to its table."""
    known = next((known for known in _KNOWN_TYPES if (content_type or b"").startswith(known)), None)
    return known in (None, page_type)


@functools.lru_cache(maxsize=256)  # a public key has 600 writes, and there are no more keys than this
def chunked(writes: tuple[bytes, ...], *, status: bytes = b"200 OK", content_type: bytes = b"application/json",
            extra: bytes = b"") -> bytes:  # fmt: skip
    """An answer as the firmware's pages make it: one chunk for each write of the page."""
    head = b"HTTP/1.1 " + status + b"\r\n" + extra + b"Content-Type: " + content_type + b"\r\n" + _CACHE + _KEEP
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(write), write) for write in writes)
    return head + _CHUNKED + chunks + b"0\r\n\r\n"


async def serve_http(photon: SimPhoton, stream: trio.abc.Stream, *, via: str = "socket") -> None:
    """Answer one connection to port 80 until either side ends it, or the setup network is gone; then close it."""
    session = photon.session
    try:
        if session is None or not session.serving:
            return
        with session.connection():
            if session.firmware.http_sockets == 1:
                await session.http_sockets.acquire()  # old firmware: the next connection waits for the first to close
            elif session.http_sockets.value == 0 or photon.busy_socket():
                await _refuse(stream)
                return
            else:
                session.http_sockets.acquire_nowait()
            try:
                await _serve(photon, stream, via)
            finally:
                session.http_sockets.release()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the client went away in the middle: the firmware does not mind
    finally:
        await hang_up(stream)


async def _refuse(stream: trio.abc.Stream) -> None:
    """503 instead of an answer. After the request, so that no reset overtakes it."""
    if await stream.receive_some(SEGMENT_BYTES):
        await stream.send_all(_BUSY)


async def _serve(photon: SimPhoton, stream: trio.abc.Stream, via: str) -> None:
    while segment := bytes(await stream.receive_some(SEGMENT_BYTES)):
        request = parse_request(segment)
        if request is None:
            continue
        body = await _whole_body(stream, request, photon.firmware.body_wait_s)
        if body is None:
            return
        answer = await _answer(photon, request, body, via)
        if answer is not None:
            await stream.send_all(answer)
            if request.closes:
                return


def _page(url: bytes, *, by_prefix: bool) -> str | None:
    """The command whose page this is, if any; old firmware looks only at the beginning, in any case of letters."""
    name = url[1:].decode("latin-1")
    if by_prefix:
        return next((page for page in NAMES if name.lower().startswith(page)), None)
    return name if name in NAMES else None


async def _whole_body(stream: trio.abc.Stream, request: HTTPRequest, wait_s: float) -> bytes | None:
    """The body, as much as comes within the firmware's patience; None if the client is gone.

    What comes too late is taken for the next request, and for none.
    """
    if len(request.body_begun) >= request.body_bytes:
        return request.body_begun
    body = bytearray(request.body_begun)
    with trio.move_on_after(wait_s):
        while len(body) < request.body_bytes:
            more = await stream.receive_some(SEGMENT_BYTES)
            if not more:
                return None
            body += more
    return bytes(body[: request.body_bytes])


async def _answer(photon: SimPhoton, request: HTTPRequest, body: bytes, via: str) -> bytes | None:
    """The bytes of the answer; None if the answer is lost."""
    if request.url == b"/":
        return _TO_INDEX
    name = _page(request.url, by_prefix=photon.firmware.pages_by_prefix)
    if not fits_page(request.content_type, _PLAIN if request.url == b"/hello" else _OCTETS):
        return _NOT_FOUND
    if request.url == b"/hello":
        return _HELLO
    if request.url == b"/index":
        return chunked((), status=b"301", content_type=_PLAIN, extra=b"Location: /hello\r\n")
    if name is None:
        return chunked((), status=b"404 Not Found", content_type=_PLAIN)
    writes = await photon.perform(name, body, via=via)
    return None if writes is None else chunked(writes)
