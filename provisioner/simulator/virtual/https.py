"""An ASGI app over one connection, in virtual time: TLS if a context is given, and HTTP/1.1 by h11.

Rule 1: everything happens in the connection's own task; no threads, no timers.
Rule 2: an app that raises ConnectionResetError out of a request (an answer that is lost) cuts the connection;
whatever else it raises is a bug and goes up.
"""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import unquote

import h11
import trio

from provisioner.simulator.cloud.http import ASGIApp, Message

_READ_BYTES = 65_536


async def serve_https(app: ASGIApp, context: ssl.SSLContext | None, stream: trio.abc.Stream) -> None:
    """Serve requests one after the other until either side closes."""
    if context is not None:
        stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        connection = _Connection(app, stream)
        while await connection.serve_one():
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError, ssl.SSLError):
        return  # the client is gone, or is no client
    except ConnectionResetError:
        return
    finally:
        await trio.aclose_forcefully(stream)


class _Connection:
    """One kept-alive connection."""

    def __init__(self, app: ASGIApp, stream: trio.abc.Stream) -> None:
        self._app = app
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._status = 200
        self._headers: list[tuple[bytes, bytes]] = []
        self._started = False
        self._request_whole = False

    async def serve_one(self) -> bool:
        """Serve the next request; False when there is none."""
        event = await self._event()
        if not isinstance(event, h11.Request):
            return False
        self._started = self._request_whole = False
        await self._app(self._scope(event), self._receive, self._send)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self._stream.receive_some(_READ_BYTES)))
        return event

    def _scope(self, request: h11.Request) -> dict[str, Any]:
        target, _, query = request.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method.decode(),
            "scheme": "https",
            "path": _unquoted(target),
            "raw_path": target,
            "query_string": query,
            "root_path": "",
            "headers": list(request.headers),
            "client": None,
            "server": None,
        }

    async def _receive(self) -> Message:
        if self._request_whole:  # the app waits for the client to go
            while await self._stream.receive_some(_READ_BYTES):
                pass
            return {"type": "http.disconnect"}
        event = await self._event()
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        self._request_whole = True
        if isinstance(event, h11.EndOfMessage):
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", []))
            return
        if message["type"] != "http.response.body":
            return
        out = b""
        if not self._started:
            self._started = True
            out = self._http.send(h11.Response(status_code=self._status, headers=self._headers)) or b""
        if body := message.get("body", b""):
            out += self._http.send(h11.Data(data=body)) or b""
        if not message.get("more_body", False):
            out += self._http.send(h11.EndOfMessage()) or b""
        if out:
            await self._stream.send_all(out)


def _unquoted(target: bytes) -> str:
    text = target.decode("latin-1")
    return unquote(text) if "%" in text else text
