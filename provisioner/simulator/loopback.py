"""Loopback ports of one simulated Photon: they listen while its setup network is up, and are kept while it is not.

Rule 1: 127.0.0.1 only.
Rule 2: a port belongs to its Photon for as long as it is powered: between two stretches of listening a bound socket
that does not listen refuses connections and keeps the number from everybody else.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import trio

Serve = Callable[[trio.SocketStream], Awaitable[None]]
_HOST = "127.0.0.1"
_BACKLOG = 16


class LoopbackPort:
    """One port. `address` stays the same from construction to `close`."""

    def __init__(self) -> None:
        kept = _bound(0)
        self._kept: socket.socket | None = kept
        self.address: tuple[str, int] = kept.getsockname()

    async def serve(self, serve: Serve) -> None:
        """Take connections, each with a task of its own, until cancelled; they are refused again afterwards."""
        listening, self._kept = self._kept or _bound(self.address[1]), None
        listening.listen(_BACKLOG)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        try:
            await trio.serve_listeners(serve, [listener])
        finally:
            self._kept = _bound(self.address[1])
            with trio.CancelScope(shield=True):
                await listener.aclose()

    def close(self) -> None:
        """Give the port back to the computer."""
        if self._kept is not None:
            self._kept.close()


def _bound(port: int) -> socket.socket:
    """A socket that holds the port beside another one of ours."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((_HOST, port))
    bound.setblocking(False)
    return bound
