"""Virtual sockets: what trio's own `SocketStream` and `open_tcp_stream` work on, with pipes instead of a kernel.

Rule 1: as much of a socket as clients use: connect, send, recv, shutdown, close, options, names. A listening
socket is not among it: servers are handlers that the network starts with their end of a connection.
Rule 2: errors are the kernel's own numbers; a use after closing is trio's ClosedResourceError.
Rule 3: SO_BINDTODEVICE decides the way, as on Linux: bound sockets leave by their adapter, others by the uplink.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import trio

from provisioner.simulator.virtual.pipe import Pipe, os_error

if TYPE_CHECKING:
    from provisioner.simulator.virtual.network import VirtualNetwork

BIND_TO_DEVICE = getattr(socket, "SO_BINDTODEVICE", 25)  # 25 is Linux's own number
Address = tuple[str, int]


class VirtualSocket(trio.socket.SocketType):
    """A client's socket. `adapter` is the device it is bound to, "" for none."""

    def __init__(self, network: VirtualNetwork, family: int, kind: int) -> None:
        self._network = network
        self._family, self._kind = socket.AddressFamily(family), socket.SocketKind(kind)
        self.adapter = ""
        self._out: Pipe | None = None
        self._in: Pipe | None = None
        self._own: Address = ("0.0.0.0", 0)  # noqa: S104 - what an unconnected socket says of itself
        self._peer: Address | None = None
        self._closed = False
        self._shut = False

    # --- what it is ---

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET."""
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM, or SOCK_DGRAM for sockets that only ask for their own address."""
        return self._kind

    @property
    def proto(self) -> int:
        """Always the family's default."""
        return 0

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802 - trio's name
        """Whether the sending side was closed."""
        return self._shut

    def fileno(self) -> int:
        """There is no file descriptor: -1 once closed, as trio asks, else a number that no file has."""
        return -1 if self._closed else 1 << 30

    def getsockname(self) -> Address:
        """The own address; of a connected socket the one that the way gave it."""
        return self._own

    def getpeername(self) -> Address:
        """The address it is connected to. Raises OSError (ENOTCONN)."""
        if self._peer is None:
            raise os_error(errno.ENOTCONN)
        return self._peer

    def setsockopt(self, level: int, option: int, value: Any, *_: Any) -> None:
        """Take any option; only the binding to a device has an effect. Raises OSError (ENODEV)."""
        if (level, option) == (socket.SOL_SOCKET, BIND_TO_DEVICE):
            adapter = bytes(value).split(b"\0", 1)[0].decode()
            if not self._network.has_adapter(adapter):
                raise os_error(errno.ENODEV)
            self.adapter = adapter

    def getsockopt(self, level: int, option: int, buffersize: int = 0) -> Any:
        """No pending error, no option set."""
        return bytes(buffersize) if buffersize else 0

    # --- connecting ---

    async def bind(self, address: Address) -> None:
        """Take this address as the own one."""
        await trio.lowlevel.checkpoint()
        self._own = address

    async def connect(self, address: Address) -> None:
        """Connect. Raises OSError, the kernel's own."""
        self._alive()
        host, port = address[:2]
        if self._kind == socket.SOCK_DGRAM:
            await trio.lowlevel.checkpoint()
            self._own, self._peer = (self._network.own_address(self.adapter, host), 40_000), (host, port)
            return
        out, in_ = Pipe(), Pipe()
        self._own = await self._network.connect(self.adapter, (host, port), ServerStream(out, in_))
        if self._closed:
            in_.reset()
            out.reset()
            raise trio.ClosedResourceError("the socket was closed while it connected")
        self._out, self._in, self._peer = out, in_, (host, port)

    # --- bytes ---

    async def send(self, data: Any, flags: int = 0) -> int:
        """Send some of it; return how much. Raises OSError."""
        self._alive()
        if self._out is None:
            raise os_error(errno.ENOTCONN)
        return await self._out.send(data)

    async def recv(self, buflen: int, flags: int = 0) -> bytes:
        """Receive; empty at the end. Raises OSError."""
        self._alive()
        if self._in is None:
            raise os_error(errno.ENOTCONN)
        try:
            data = await self._in.receive(buflen)
        except OSError:
            self._alive()  # our own end was closed while we waited
            raise
        self._alive()
        return data

    def is_readable(self) -> bool:
        """Whether a read would not wait. httpcore asks before it uses a kept connection again."""
        return self._in is not None and self._in.readable

    async def wait_writable(self) -> None:
        """Return at once: `send` waits itself."""
        self._alive()
        await trio.lowlevel.checkpoint()

    def shutdown(self, how: int) -> None:
        """Close the sending side."""
        self._alive()
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._shut = True
            if self._out is not None:
                self._out.finish()

    def close(self) -> None:
        """Close: the other end meets the end of the stream, or a reset if it sent what nobody read."""
        if self._closed:
            return
        self._closed = True
        if self._out is not None and self._in is not None:
            _close(reads=self._in, writes=self._out)

    def __enter__(self) -> VirtualSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _alive(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this socket was already closed")


class ServerStream(trio.abc.HalfCloseableStream):
    """The server's end of a connection: reads what the client sends, and the other way round."""

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        self._in, self._out = incoming, outgoing
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. Raises BrokenResourceError, ClosedResourceError."""
        self._alive()
        sent = 0
        while sent < len(data):
            try:
                sent += await self._out.send(data[sent:] if sent else data)
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error
            self._alive()

    async def wait_send_all_might_not_block(self) -> None:
        """Return at once."""
        self._alive()
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive; empty at the end. Raises BrokenResourceError, ClosedResourceError."""
        self._alive()
        try:
            data = await self._in.receive(max_bytes or 65_536)
        except OSError as error:
            self._alive()
            raise trio.BrokenResourceError(str(error)) from error
        self._alive()
        return data

    async def send_eof(self) -> None:
        """Send the end."""
        self._alive()
        await trio.lowlevel.checkpoint()
        self._out.finish()

    def stall(self) -> None:
        """From now on nothing arrives at the client, and nothing of its bytes here: the air between is gone."""
        self._in.stall()
        self._out.stall()

    def reset(self) -> None:
        """Cut the connection: the client meets ECONNRESET, also while it reads what was sent."""
        self._closed = True
        self._in.reset()
        self._out.reset()

    def close(self) -> None:
        """Close without waiting: a FIN, or a RST if the client has sent what nobody read."""
        if not self._closed:
            self._closed = True
            _close(reads=self._in, writes=self._out)

    async def aclose(self) -> None:
        """Close."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _alive(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was already closed")


def _close(*, reads: Pipe, writes: Pipe) -> None:
    """Close one end as TCP does: an end of the stream, or a reset if something came that nobody read."""
    if reads.holds_bytes:
        writes.reset()
    else:
        writes.finish()
    reads.reset()
