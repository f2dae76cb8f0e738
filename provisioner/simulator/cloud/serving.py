"""Serves the simulated cloud on a loopback socket, for the demo, `simulate` and other people's clients.

Rule 1: Hypercorn's word occurs here and nowhere else.
Rule 2: a bug in the app stops the server with its traceback; Hypercorn alone would answer 500 and go on.
Rule 3: a lost answer is a dropped connection: not one byte goes back.
"""

from __future__ import annotations

from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio import serve

from provisioner.simulator.cloud.http import AnswerCut, ASGIApp, Receive, Scope, Send

GRACE_S = 1.0
KEEP_ALIVE_S = 75.0  # nginx's default
BACKLOG = 512


class CuttingApp:
    """Wraps an app for Hypercorn: AnswerCut drops the connection; any other exception is kept and sets `ended`."""

    def __init__(self, app: ASGIApp, ended: trio.Event) -> None:
        self._app = app
        self._ended = ended
        self.bug: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for one request."""
        if scope["type"] == "lifespan":
            raise NotImplementedError("the cloud has nothing to start")  # which tells the server so, by ASGI's rules
        try:
            await self._app(scope, receive, send)
        except AnswerCut:
            await _drop_connection(send)
        except Exception as bug:
            self.bug = self.bug or bug
            self._ended.set()
            raise


async def _drop_connection(send: Send) -> None:
    """Close the stream before anything was sent.

    ASGI has no word for this: an app that ends without an answer makes Hypercorn send a 500. Telling the protocol
    that the stream is closed makes it close the connection instead, because the answer has not begun.
    """
    stream = getattr(send, "__self__", None)
    if not isinstance(stream, HTTPStream):
        raise TypeError(f"cannot drop a connection of {type(stream).__name__}; is this Hypercorn newer than we know?")
    await stream.send(StreamClosed(stream_id=stream.stream_id))


def cloud_config() -> Config:
    """Hypercorn's settings for the cloud: silent, no headers of its own, connections that live long."""
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_date_header = config.include_server_header = False
    config.keep_alive_max_requests = 10_000_000  # the default of 1000 resets busy clients
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = GRACE_S
    config.backlog = BACKLOG
    return config


async def serve_cloud(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    stop: trio.Event | None = None,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or gracefully until `stop` is set; reports the bound port when it takes connections.

    Raises OSError if the address cannot be bound, and whatever the app raises.
    """
    ended = trio.Event() if stop is None else stop
    guarded = CuttingApp(app, ended)
    listener = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await listener.bind((host, port))
        bound: int = listener.getsockname()[1]
        config = cloud_config()
        config.bind = [f"fd://{listener.detach()}"]  # Hypercorn owns it from here
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve, guarded, config, shutdown_trigger=ended.wait, mode="asgi"))  # type: ignore[arg-type]
        task_status.started(bound)
    if guarded.bug is not None:
        raise guarded.bug
