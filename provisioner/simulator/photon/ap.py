"""One stretch of a Photon's setup network, from its first beacon to its last: everything on it dies with it.

Rule 1: a connection lives inside `ApSession.connection`; when the network goes, the connection's scope is cancelled.
Rule 2: the threads and sockets of the firmware are counted here; a power cycle makes a new session, so nothing
blocked outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from provisioner.simulator.photon.firmware import Firmware

TCP_SOCKETS = 5


class ApSession:
    """`ready`: the servers listen. `asked`: the network shall end, for connect-ap or by a fault. `gone`: it has."""

    def __init__(self, firmware: Firmware) -> None:
        self.firmware = firmware
        self.ready = trio.Event()
        self.asked = trio.Event()
        self.gone = trio.Event()
        self.connect_told = False
        self.client: str | None = None  # the one adapter that is on this network
        self.http_sockets = trio.Semaphore(firmware.http_sockets)
        self.tcp_sockets = trio.Semaphore(TCP_SOCKETS)
        self.tcp_thread = trio.Lock()
        self.tcp_connections = 0
        self._scopes: set[trio.CancelScope] = set()

    @property
    def serving(self) -> bool:
        """Whether ports 80 and 5609 take connections."""
        return self.ready.is_set() and not self.gone.is_set()

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Run the body for as long as this network, which is there now, stays."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def end(self) -> None:
        """The network is gone; every connection on it breaks."""
        self.gone.set()
        for scope in self._scopes:
            scope.cancel()


async def hang_up(stream: trio.abc.Stream) -> None:
    """The firmware closes a connection: at once where the stream can do that, as sockets of both kinds can."""
    close = stream.socket.close if isinstance(stream, trio.SocketStream) else getattr(stream, "close", None)
    if close is not None:
        close()
    else:
        await trio.aclose_forcefully(stream)
