"""The simulated cloud over HTTP: an ASGI app around `SimCloud` (facts, particle-cloud 1).

Rule 1: this file reads requests, rolls the cloud's faults, keeps the limits and writes answers; nothing else.
Rule 2: no threads, no tasks that outlive a request, no temporary files: the app also runs in virtual time. It is bare
ASGI, because a simulated shift makes a hundred thousand requests and a framework's routing cost more than the rest.
Rule 3: the `Date` header is the simulated clock's. A server that adds its own must be told not to (`serving` does).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import trio

from provisioner.simulator.cloud.api import Ask, OpenStream
from provisioner.simulator.cloud.body import basic_credentials, bearer_token, parse_body
from provisioner.simulator.cloud.events import OPENING, Stream
from provisioner.simulator.cloud.routes import Found, find
from provisioner.simulator.cloud.rules import Json, Refused, said_no
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import What

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Scope: TypeAlias = MutableMapping[str, Any]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = tuple[tuple[str, str], ...]

_PREFLIGHT: Headers = (
    ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    ("access-control-allow-headers", "*, Authorization, Content-Type, X-Particle-Tool, X-Particle-Project"),
    ("access-control-max-age", "86400"),
)
_DISCARDED_BYTES_MAX = 64 * 1024 * 1024  # of a body over the cap; beyond that the connection is cut


class AnswerCut(ConnectionResetError):
    """The request was carried out and its connection is cut without an answer.

    `serving` makes a dropped connection of it; through httpx.ASGITransport the client meets this OSError instead.
    """


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as it goes out. `stream` instead of a body: it goes on until the reader leaves."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    stream: Stream | None = None


@dataclass(frozen=True, slots=True)
class _Luck:
    """What befalls one request. All are rolled at once, so that one fault's rate never shifts another's rolls."""

    latency_s: float
    busy: bool
    fault: bool
    answer_lost: bool
    request_id: str


def cloud_app(cloud: SimCloud) -> ASGIApp:
    """The cloud as an ASGI app. Raises AnswerCut out of a request whose answer is lost (see there)."""
    return _App(cloud)


_ASKED_MAX = 1024


class _App:
    """(An object, so that tests can tell it from the app they wrap around it.)"""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud = cloud
        self._asked: dict[tuple[str, str], int] = {}  # the last so many, in the order they were asked
        self._forgotten = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        luck = self._luck(scope["method"], scope["path"])
        if scope["method"] == "OPTIONS":
            reply = _Reply(204, headers=_PREFLIGHT)
        else:
            raw = await _body(receive, self._cloud.rules.body_bytes_max)
            busy = luck.busy or not self._admits(scope)
            await self._cloud.clock.sleep(luck.latency_s)
            reply = self._respond(scope, raw, luck, busy=busy)
        if reply.stream is not None:
            await self._stream(reply, reply.stream, luck, receive, send)
            return
        await self._start(send, reply, luck)
        await send({"type": "http.response.body", "body": reply.body})

    def _luck(self, method: str, path: str) -> _Luck:
        """Rolled by method, path and how often that was asked: one seed, one history."""
        faults = self._cloud.faults
        occasion = ("cloud", method, path, self._times_asked(method, path))
        low_s, high_s = faults.cloud_latency_s
        first, second = (self._cloud.dice.fraction(*occasion, half) for half in (0, 1))
        number = int(first * (1 << 53)) << 75 | int(second * (1 << 53)) << 22
        return _Luck(
            latency_s=low_s + (high_s - low_s) * first,
            busy=self._strikes(occasion, "busy", faults.cloud_busy),
            fault=self._strikes(occasion, "fault", faults.cloud_fault),
            answer_lost=self._strikes(occasion, "lost", faults.cloud_answer_lost),
            request_id=str(uuid.UUID(int=number, version=4)),
        )

    def _times_asked(self, method: str, path: str) -> int:
        """Bounded: what was not asked for long begins again; not at 1, or the same luck would befall it for ever."""
        times = self._asked.pop((method, path), self._forgotten) + 1
        self._asked[method, path] = times
        if len(self._asked) > _ASKED_MAX:
            del self._asked[next(iter(self._asked))]
            self._forgotten += 1
        return times

    def _strikes(self, occasion: tuple[object, ...], fault: str, probability: float) -> bool:
        return probability > 0 and self._cloud.dice.fraction(*occasion, fault) < probability

    def _admits(self, scope: Scope) -> bool:
        return self._cloud.limits.admits(scope["method"], scope["path"], self._cloud.clock.seconds())

    def _respond(self, scope: Scope, raw: bytes | None, luck: _Luck, *, busy: bool) -> _Reply:
        """Carry the request out, in one step. Raises AnswerCut when it is done and the answer is lost."""
        found = find(scope["path"])
        what = f"{scope['method']} {found.route}"  # not the path: a token may stand in it
        if busy:
            self._cloud.history.note(What.BUSY, detail=what)
            return self._too_many()
        if luck.fault:
            self._cloud.history.note(What.FAULT, detail=what)
            return _html(503, "Service Temporarily Unavailable")
        try:
            answer = self._carry_out(scope, found, raw)
        except Refused as refused:
            reply = _json(refused.status, refused.body, refused.headers)
        else:
            if isinstance(answer, OpenStream):
                return self._opened(answer)
            reply = _Reply(204) if answer.status == 204 else _json(answer.status, answer.body, answer.headers)
        if luck.answer_lost:
            self._cloud.history.note(What.ANSWER_LOST, detail=what)
            raise AnswerCut("the connection was cut before the answer")
        return reply

    def _carry_out(self, scope: Scope, found: Found, raw: bytes | None) -> Any:
        if raw is None:
            raise said_no(413, "Request entity too large")
        if not found.endpoints:
            raise said_no(404, "Not found")
        endpoint = found.endpoints.get(scope["method"])
        if endpoint is None:
            raise said_no(405, "Method not allowed")
        headers = {name: value for name, value in scope["headers"] if name in (b"authorization", b"content-type")}
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        query = scope["query_string"]
        ask = Ask(
            path_args=found.path_args,
            query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
            body=parse_body(headers.get(b"content-type", b"").decode("latin-1"), raw),
            bearer=bearer_token(authorization),
            basic=basic_credentials(authorization),
        )
        return endpoint(self._cloud, ask)

    def _opened(self, answer: OpenStream) -> _Reply:
        stream = self._cloud.events.open(answer.wanted)
        if stream is None:
            return _json(529, {"ok": False, "error": "Too many open event streams"})
        return _Reply(200, headers=(("content-type", "text/event-stream"),), stream=stream)

    async def _stream(self, reply: _Reply, stream: Stream, luck: _Luck, receive: Receive, send: Send) -> None:
        """Tell until the reader leaves."""
        try:
            await self._start(send, reply, luck)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                part = OPENING
                while True:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    part = await stream.next(self._cloud.clock, self._cloud.rules.event_keep_alive_s)
        finally:
            self._cloud.events.close(stream)

    async def _start(self, send: Send, reply: _Reply, luck: _Luck) -> None:
        date = self._cloud.clock.now() + timedelta(seconds=self._cloud.clock_skew_s)
        headers = [
            *reply.headers,
            ("server", "nginx"),
            ("date", format_datetime(date, usegmt=True)),
            ("access-control-allow-origin", "*"),
            ("x-request-id", luck.request_id),
        ]
        if reply.stream is None and reply.status != 204:
            headers.append(("content-length", str(len(reply.body))))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})

    def _too_many(self) -> _Reply:
        rules = self._cloud.rules
        after = () if rules.busy_retry_after_s is None else (("retry-after", str(rules.busy_retry_after_s)),)
        if rules.busy_body == "json":
            return _json(429, {"ok": False, "error": "Too many requests"}, after)
        return _html(429, "Too Many Requests", after)


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _body(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body, or None if it is over the cap (the rest is read and dropped, so that the answer arrives)."""
    held = bytearray()
    dropped = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise AnswerCut("the client left before its request was whole")
        chunk = message.get("body", b"")
        if dropped or len(held) + len(chunk) > bytes_max:
            dropped += len(chunk)
        else:
            held += chunk
        if dropped > _DISCARDED_BYTES_MAX:
            raise AnswerCut("the request body has no end")
        if not message.get("more_body", False):
            return None if dropped else bytes(held)


_COMPACT = json.JSONEncoder(separators=(",", ":"))


def _json(status: int, body: Json, headers: Headers = ()) -> _Reply:
    """Compact JSON. Escaped to ASCII, so that whatever a caller sent can be echoed."""
    content = ("content-type", "application/json; charset=utf-8")
    return _Reply(status, _COMPACT.encode(body).encode(), (content, *headers))


def _html(status: int, title: str, headers: Headers = ()) -> _Reply:
    """What the load balancer in front of the API says."""
    page = f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1>"
    page += "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    return _Reply(status, page.encode(), (("content-type", "text/html"), *headers))
