"""What browsers can ask for: the page's files, the screen, one device's life; and what they can post.

Rule 1: every answer carries the strict headers; nothing on the page comes from anywhere else.
Rule 2: what a person posts is carried out or refused at once, in words with what to do; it is never a bare status.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeAlias

import structlog
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provisioner.console.web import static_folder
from provisioner.console.web.feed import READERS_MAX, Feed
from provisioner.console.web.guard import Guard
from provisioner.errors import AnotherRun, NotRunning, OrderRefused, ProvisionerError
from provisioner.line.orders import Act, Order
from provisioner.model import DeviceID, printable
from provisioner.scanner.sheet import command_sheet, page

BODY_BYTES_MAX: Final = 4096
BADGES_MAX: Final = 40
STALL_S: Final = 20.0  # a reader that takes nothing for so long has gone
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_LOG = structlog.get_logger()
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Desk:
    """What the page can do besides looking. None: not from here (a page over another process's run).

    `scan` takes the label, the station and the operator; `life` a device, a serial number or TRAY/SLOT.
    """

    order: Callable[[Order], None] | None = None
    scan: Callable[[str, str | None, str | None], Mapping[str, object]] | None = None
    find: Callable[[str], DeviceID | None] = lambda _: None
    life: Callable[[str], Awaitable[Mapping[str, object]]] | None = None
    sheet: Callable[[Sequence[str]], str] = field(default=lambda names: page(command_sheet(operators=names)))


def page_app(feed: Feed, guard: Guard, desk: Desk, *, run: Callable[[], str]) -> ASGIApp:
    """The whole page as an ASGI app. `run` names the run that the page shows now."""
    return _Guarded(Starlette(routes=_Pages(feed, guard, desk, run).routes()), guard)


class _Guarded:
    """Every request first meets this: only HTTP, only names we know, always the strict headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            raise NotImplementedError("the page has nothing to start")  # which tells the server so, by ASGI's rules
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", [])}
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if self._guard.knows_host(headers):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:  # noqa: BLE001 - answered with 500 already: a bug of the page must not stop the line
                _LOG.exception("page.failed", path=printable(scope["path"]))
        else:
            await _refusal(403, "wrong_address", "Open the page by the address that the program printed.")(
                scope, receive, send_with_headers
            )


class _Pages:
    def __init__(self, feed: Feed, guard: Guard, desk: Desk, run: Callable[[], str]) -> None:
        self._feed = feed
        self._guard = guard
        self._desk = desk
        self._run = run
        self._files = dict(_files())

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/", self.file),
            Route("/sheet", self.sheet),
            Route("/{name:str}", self.file),
            Route("/api/me", self.me),
            Route("/api/state", self.state),
            Route("/api/stream", self.stream),
            Route("/api/device/{text:path}", self.device),
            Route("/api/order", self.order, methods=["POST"]),
            Route("/api/scan", self.scan, methods=["POST"]),
        ]

    # --- looking ---

    async def file(self, request: Request) -> Response:
        """The page's own files; they say nothing about any run."""
        name = request.path_params.get("name", "index.html")
        found = self._files.get(name)
        if found is None:
            return _refusal(404, "not_there", "Open the page by the address that the program printed.")
        body, kind = found
        return Response(body, media_type=kind)

    async def sheet(self, request: Request) -> Response:
        """The command barcodes to print, with a badge for every `name`. It says nothing of any run."""
        try:
            text = self._desk.sheet(
                [name for name in request.query_params.getlist("name") if name.strip()][:BADGES_MAX]
            )
        except ValueError as error:
            return _refusal(400, "not_understood", printable(str(error), 200))
        # Its one style element is its own, and named by its hash: nothing else in it can be anything but text.
        style = b64encode(sha256(text.partition("<style>")[2].partition("</style>")[0].encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
        return Response(text, media_type="text/html; charset=utf-8", headers={"content-security-policy": policy})

    async def me(self, request: Request) -> Response:
        """What this browser may do."""
        known = self._guard.has_token(request.headers)
        looks = self._guard.may_look(request.headers)
        orders, scans = self._desk.order is not None, self._desk.scan is not None
        return JSONResponse({"looks": looks, "acts": known and orders, "orders": orders, "scans": scans})

    async def state(self, request: Request) -> Response:
        """The whole screen, once, for scripts."""
        if not self._guard.may_look(request.headers):
            return _needs_token()
        return Response(self._feed.snapshot(), media_type="application/json")

    async def stream(self, request: Request) -> Response:
        """The screen as it changes: server-sent events."""
        if not self._guard.may_look(request.headers):
            return _needs_token()
        if self._feed.readers >= READERS_MAX or self._feed.closed:
            return _refusal(503, "too_many_readers", f"Close a page: {READERS_MAX} are open already.")
        return _EventStream(self._feed)

    async def device(self, request: Request) -> Response:
        """One device's life over all runs."""
        if not self._guard.may_look(request.headers):
            return _needs_token()
        text = request.path_params["text"]
        if self._desk.life is None:
            return _refusal(404, "not_there", "This page cannot look into the runs folder.")
        try:
            return JSONResponse(await self._desk.life(text))
        except ProvisionerError as failure:
            return _refused(failure, status=404)

    # --- acting ---

    async def order(self, request: Request) -> Response:
        """Stop, hold, resume, rerun, set aside."""
        body = await self._posted(request)
        if isinstance(body, Response):
            return body
        try:
            if self._desk.order is None:
                raise NotRunning(
                    "this page only looks at a run", remedy="Use the page that the run itself serves (run --console)."
                )
            self._check_run(body)
            self._desk.order(self._order_of(body))
        except ProvisionerError as failure:
            return _refused(failure)
        return JSONResponse({"done": True})

    async def scan(self, request: Request) -> Response:
        """A label that was scanned into the page."""
        body = await self._posted(request)
        if isinstance(body, Response):
            return body
        try:
            if self._desk.scan is None:
                raise NotRunning(
                    "this page only looks at a run", remedy="Use the page that the run itself serves (run --console)."
                )
            self._check_run(body)
            answer = self._desk.scan(_text(body, "text"), _text(body, "station") or None, _text(body, "operator"))
        except ProvisionerError as failure:
            return _refused(failure)
        return JSONResponse(answer)

    async def _posted(self, request: Request) -> Mapping[str, Any] | Response:
        """The JSON object that was posted, or why not."""
        if not self._guard.may_act(request.headers):
            return _needs_token()
        body = b""
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    return _refusal(413, "too_long", "Scan one label.")
        try:
            posted = json.loads(body)
        except (ValueError, RecursionError):
            posted = None
        if not isinstance(posted, dict):
            return _refusal(400, "not_understood", "Reload the page, then try again.")
        return posted

    def _check_run(self, body: Mapping[str, Any]) -> None:
        if _text(body, "run") != self._run():
            raise AnotherRun(f"the page shows run {printable(_text(body, 'run'))}, the run now is {self._run()}")

    def _order_of(self, body: Mapping[str, Any]) -> Order:
        try:
            act = Act(_text(body, "act"))
        except ValueError:
            raise OrderRefused(f"{printable(_text(body, 'act'))} is no order") from None
        wanted = _text(body, "device")
        device = self._desk.find(wanted) if wanted else None
        if wanted and device is None:
            raise OrderRefused(f"{printable(wanted)} is no device of this run", remedy="Scan the label on the board.")
        return Order(act, _text(body, "operator"), device, _text(body, "station") or None)


class _EventStream(Response):
    """A response that goes on until the reader leaves, takes nothing for too long, or the feed is closed."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._feed = feed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            async with aclosing(self._feed.messages()) as messages:
                async for text in messages:
                    with trio.move_on_after(STALL_S) as stalled:
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                    if stalled.cancelled_caught:
                        break
            nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _files() -> Mapping[str, tuple[bytes, str]]:
    return {
        file.name: (file.read_bytes(), _TYPES[suffix])
        for file in static_folder().iterdir()
        if (suffix := f".{file.name.rpartition('.')[2]}") in _TYPES
    }


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _refused(failure: ProvisionerError, *, status: int = 409) -> Response:
    row = {"done": False, "code": failure.code, "detail": failure.detail, "remedy": failure.remedy}
    return JSONResponse(row, status_code=status)


def _refusal(status: int, code: str, remedy: str) -> Response:
    return JSONResponse({"done": False, "code": code, "detail": "", "remedy": remedy}, status_code=status)


def _needs_token() -> Response:
    return _refusal(403, "no_token", "Open the page by the link that the program printed, or enter the token.")
