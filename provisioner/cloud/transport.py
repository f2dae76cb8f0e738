"""The one place that knows httpx: one request out, one whole answer back, or one of three errors.

Rule 1: the deadline is trio's and covers the whole exchange; httpx's own time-outs only bound a single read, so a
slow drip would pass them for ever. httpx times the pool and the connect alone, because those two prove that nothing
was sent.
Rule 2: CloudUnreachable means certainly not carried out; CloudAnswerLost means perhaps; CloudReplyUnreadable means
an answer that cannot be used. No other exception leaves, and none of them drags an httpx object (with our
Authorization header on it) along as its cause.
Rule 3: the token goes to `base_url` and nowhere else: no redirects, no proxies from the environment, no cookies. So
httpx's transport is used without its client, which would add these, and half the time of a request.
Rule 4: answers are capped and never decompressed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx  # upstream has stood still since 2024-12; httpx2 has the same API: the way out is this line
import trio

from provisioner.cloud.tls import tls_context, why_not_connected
from provisioner.errors import CloudAnswerLost, CloudError, CloudReplyUnreadable, CloudUnreachable
from provisioner.model import printable
from provisioner.secrets import Secret

REPLY_BYTES_MAX = 64 * 1024
LONG_REPLY_BYTES_MAX = 8 * 1024 * 1024  # list pages, import echoes, and `device_ids` of an account with many devices
# httpcore 1.0.9 counts every connection as kept alive and its cost grows with their square (facts: stack 6).
CONNECTIONS_MAX, KEPT_MAX = 8, 4
_CLOSE_BUDGET_S = 5.0
_HTTPX_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is quoted, starts with `/` and holds no secret; `reply_bytes_max` caps the answer."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    content_type: str | None = None
    reply_bytes_max: int = REPLY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer; `heard_s` is the trio time at which it was whole. The body may hold a token."""

    status: int
    body: bytes = field(repr=False)
    heard_s: float
    content_type: str | None = None
    date: str | None = None
    retry_after: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether it calls itself JSON, as every answer of the API with a body does."""
        return (self.content_type or "").split(";")[0].strip().lower() == "application/json"


class Transport:
    """A small pool of connections to one cloud. Use it as `async with Transport(...)`.

    `http_transport` is httpx's own seam (MockTransport, ASGITransport): the simulated cloud and the tests answer
    there. httpx does not apply any time-out over those; our deadline holds over all.
    """

    def __init__(self, base_url: str, *, ca_file: str | None = None, http_transport: object | None = None) -> None:
        for name in ("httpx", "httpcore"):  # httpx logs every URL at INFO
            logging.getLogger(name).setLevel(logging.WARNING)
        self._base_url = base_url.rstrip("/")
        self.host = printable(urlsplit(base_url).netloc)
        self._transport: Any = http_transport
        if http_transport is None:
            self._transport = httpx.AsyncHTTPTransport(
                verify=tls_context(ca_file) if base_url.startswith("https:") else False,
                limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=KEPT_MAX),
                trust_env=False,
            )
        self._headers = [
            ("User-Agent", f"provisioner/{_version()}"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
        ]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with trio.move_on_after(_CLOSE_BUDGET_S, shield=True):
            await self._transport.aclose()

    async def send(self, request: Request, *, authorization: Secret | None = None, budget_s: float) -> Reply:
        """Send one request and return the whole answer, whatever its status, within `budget_s` seconds."""
        if not request.path.startswith("/"):
            raise ValueError("a path starts with /: anything else could send the token to another host")
        failure: CloudError
        try:
            with trio.fail_after(budget_s):
                return await self._exchange(request, authorization, budget_s)
        except trio.TooSlowError:
            failure = CloudAnswerLost(f"No whole answer from {self.host} within {budget_s:g} s ({_name(request)})")
        except _NOTHING_SENT as error:
            why, remedy = why_not_connected(error)
            failure = CloudUnreachable(f"No connection to {self.host}: {why}", remedy=remedy)
        except (*_HTTPX_ERRORS, OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            lost = f"The answer from {self.host} was lost ({_name(request)}, {type(error).__name__})"
            failure = CloudAnswerLost(lost)
        raise failure  # outside the handlers, so that the foreign exception does not hang on it as its context

    async def _exchange(self, request: Request, authorization: Secret | None, budget_s: float) -> Reply:
        response: httpx.Response = await self._transport.handle_async_request(
            self._message(request, authorization, budget_s)
        )
        try:
            headers = dict(response.headers.items())  # lower-case names; to look each up there walks all of them
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise CloudReplyUnreadable(f"{self.host} sent a compressed answer that nobody asked for")
            body = bytearray()
            # Leaving a half-read stream by `break` would leave httpx's generators to the garbage collector.
            with trio.CancelScope() as reading:
                async for part in response.stream:  # type: ignore[union-attr]
                    if len(body) + len(part) > request.reply_bytes_max:
                        reading.cancel()
                    else:
                        body += part
            if reading.cancel_called:
                raise CloudReplyUnreadable(
                    f"The answer from {self.host} is longer than {request.reply_bytes_max} bytes ({_name(request)})"
                )
            return Reply(
                status=response.status_code,
                body=bytes(body),
                heard_s=trio.current_time(),
                content_type=headers.get("content-type"),
                date=headers.get("date"),
                retry_after=headers.get("retry-after"),
            )
        finally:
            await response.aclose()

    def _message(self, request: Request, authorization: Secret | None, budget_s: float) -> httpx.Request:
        headers = list(self._headers)
        if request.content_type:
            headers.append(("Content-Type", request.content_type))
        if authorization is not None:
            headers.append(("Authorization", authorization.reveal()))
        # Pool, TCP and TLS each have a third less a bit, so that they end before the whole and say "not sent".
        timeout = {"pool": 0.3 * budget_s, "connect": 0.3 * budget_s, "read": None, "write": None}
        url = _url(self._base_url + request.path)
        message = httpx.Request(
            request.method, url, content=request.body, headers=headers, extensions={"timeout": timeout}
        )
        message.stream = _Body(request.body)
        return message


class _Body(httpx.AsyncByteStream):
    """A body that is sent once. httpx's own is read by a generator: when the connection is cut meanwhile, that stays
    behind half read, for the garbage collector to complain of."""

    def __init__(self, body: bytes) -> None:
        self._rest = iter([body] if body else [])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for part in self._rest:
            return part
        raise StopAsyncIteration


@functools.lru_cache(maxsize=1024)  # a device is asked for again and again; taking a URL apart costs half a request
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("provisioner")
    except importlib.metadata.PackageNotFoundError:  # run from a source folder
        return "0"


def _name(request: Request) -> str:
    return f"{request.method} {printable(request.path, 120)}"
