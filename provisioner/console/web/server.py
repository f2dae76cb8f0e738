"""Serves the page: binds before anything else is touched, runs Hypercorn in the run's own nursery, closes at once.

Rule 1: loopback unless told otherwise; beyond it only with a token that somebody has chosen, and that is said.
Rule 2: at the end every reader gets the last state and goodbye; who does not take it is left behind.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from provisioner import portable
from provisioner.console.web.feed import Feed
from provisioner.console.web.guard import TOKEN_CHARACTERS_MIN, Guard, is_loopback
from provisioner.console.web.pages import ASGIApp
from provisioner.errors import PageNotServed
from provisioner.secrets import Secret

BIND: Final = "127.0.0.1:8640"
TOKEN_VARIABLE: Final = "PROVISIONER_CONSOLE_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE: Final = "console-token"  # noqa: S105 - a file's name
GOODBYE_S: Final = 0.1
_BACKLOG: Final = 64


@dataclass(frozen=True)
class Address:
    """Where the page is bound, and with what. `listener` belongs to whoever serves."""

    listener: socket.socket
    host: str
    port: int
    guard: Guard
    tells_token: bool = False

    @property
    def link(self) -> str:
        """What is told to the person at this computer. What follows `#` never leaves their browser.

        A token that somebody has chosen is theirs to know; only one that this program made is told.
        """
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        name = f"[{host}]" if ":" in host else host
        token = f"#token={self.guard.token.reveal()}" if self.tells_token else ""
        return f"http://{name}:{self.port}/{token}"


def bind(text: str, runs_dir: Path, environment: Mapping[str, str]) -> Address:
    """Take the address now, so that what is wrong with it is said before anything is touched. Raises PageNotServed."""
    host, port = _parsed(text)
    beyond = not is_loopback(host)
    guard = Guard(_token(runs_dir, environment, chosen=beyond), open_to_all=beyond)
    made = not environment.get(TOKEN_VARIABLE)
    listener = _listen(host, port)
    return Address(listener, host, listener.getsockname()[1], guard, tells_token=made)


def rebind(address: Address) -> Address:
    """The same address again, when nobody serves there any more. Raises PageNotServed."""
    return replace(address, listener=_listen(address.host, address.port))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise PageNotServed(f"the page cannot be served at {host}:{port}: {error.strerror or error}") from error
    return listener


def _parsed(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535 or not host:
        raise PageNotServed(f"{text!r} is no address", remedy="Write --bind HOST:PORT, as 127.0.0.1:8640.")
    return host.strip("[]"), int(port)


def _token(runs_dir: Path, environment: Mapping[str, str], *, chosen: bool) -> Secret:
    """The token that somebody has chosen, or, on loopback, one that this computer keeps."""
    text = environment.get(TOKEN_VARIABLE, "")
    if text:
        if len(text) < TOKEN_CHARACTERS_MIN or not text.isascii() or not text.isprintable() or " " in text:
            raise PageNotServed(
                f"{TOKEN_VARIABLE} is too weak",
                remedy=f"Give it at least {TOKEN_CHARACTERS_MIN} letters and digits, no spaces.",
            )
        return Secret(text)
    if chosen:
        raise PageNotServed(
            "a page that other computers can reach needs a token of yours",
            remedy=f"Set {TOKEN_VARIABLE} (16 letters and digits or more), or bind to 127.0.0.1.",
        )
    return _kept_token(runs_dir / TOKEN_FILE)


def _kept_token(path: Path) -> Secret:
    """One token a runs folder: a page that is open while the run is started again may go on acting."""
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | portable.PRIVATE | portable.NO_LINK, 0o600
            )
        except FileExistsError:
            descriptor = os.open(path, os.O_RDONLY | portable.PRIVATE | portable.NO_LINK)
            with os.fdopen(descriptor, "rb") as file:
                private = os.fstat(file.fileno()).st_mode & 0o077 == 0
                kept = file.read(256).decode("ascii", "replace").strip()
            if private and len(kept) >= TOKEN_CHARACTERS_MIN and kept.isalnum():
                return Secret(kept)
            path.unlink()
            return _kept_token(path)
        token = secrets.token_hex(16)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise PageNotServed(f"{path} cannot be kept: {error.strerror or error}") from error
    return Secret(token)


@asynccontextmanager
async def served(app: ASGIApp, feed: Feed, address: Address) -> AsyncIterator[None]:
    """Serve the page for the length of the block; then goodbye to every reader, at once."""
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.keep_alive_max_requests = 1_000_000  # the default of 1000 resets a page that has been open for a shift
    config.graceful_timeout = GOODBYE_S
    config.bind = [f"fd://{address.listener.detach()}"]  # Hypercorn owns it from here
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.pump)
        await nursery.start(partial(serve, app, config, shutdown_trigger=trio.sleep_forever, mode="asgi"))  # type: ignore[arg-type]
        yield
        await feed.close(within_s=GOODBYE_S)
        nursery.cancel_scope.cancel()
