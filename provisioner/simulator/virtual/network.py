"""The virtual network of one computer: names, the way over the uplink, and one way for each Wi-Fi adapter.

Rule 1: it is installed at trio's own seam (custom socket factory and resolver), so the shipped clients run as they
are; while it is installed, no real socket is made by trio.
Rule 2: a socket bound to an adapter goes where the adapter is joined, one that is bound to nothing over the uplink.
A way that is not there is ENETUNREACH, an address without a server ECONNREFUSED or EHOSTUNREACH.
Rule 3: servers are handlers; each connection is a task in the nursery that `serving` was given.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import SocketKind
from typing import Any, Protocol

import trio

from provisioner.simulator.jumping_clock import sleep
from provisioner.simulator.virtual.pipe import os_error
from provisioner.simulator.virtual.sockets import Address, ServerStream, VirtualSocket

Serve = Callable[[ServerStream], Awaitable[None]]
_UPLINK_ADDRESS = "10.20.0.5"
_FIRST_PORT = 40_000


@dataclass(frozen=True, slots=True)
class Way:
    """How a connection gets to its server: after so many of trio's seconds, asked once, with this own address."""

    serve: Serve
    delay_s: Callable[[], float]
    own_address: str


class Air(Protocol):
    """The adapters of this computer and where they are joined."""

    def has_adapter(self, adapter: str) -> bool:
        """Whether there is such an adapter."""
        ...

    def own_address(self, adapter: str) -> str | None:
        """Its address on the network it is joined to; None while it is joined to nothing."""
        ...

    def way(self, adapter: str, address: Address) -> Way:
        """The way from this adapter to an address. Raises OSError."""
        ...


@dataclass(slots=True)
class _Host:
    address: str
    ports: dict[int, Way]


class VirtualNetwork(trio.abc.SocketFactory, trio.abc.HostnameResolver):
    """Hosts by name on the uplink, and `air` for what the adapters reach."""

    def __init__(self, air: Air | None = None) -> None:
        self.air = air
        self.uplink_is_up: Callable[[], bool] = lambda: True
        self.dns_s = 0.0
        self.connections = 0
        self._nursery: trio.Nursery | None = None
        self._hosts: dict[str, _Host] = {}
        self._ways: dict[Address, Way] = {}

    # --- arranging ---

    def add_host(self, name: str, address: str, ports: dict[int, Serve], *, delay_s: float = 0.0) -> None:
        """A server on the uplink, by name and by IPv4 address; connecting takes `delay_s`."""
        ways = {port: Way(serve, lambda: delay_s, _UPLINK_ADDRESS) for port, serve in ports.items()}
        self._hosts[name.lower()] = _Host(address, ways)
        self._ways |= {(address, port): way for port, way in ways.items()}

    @contextmanager
    def installed(self, nursery: trio.Nursery) -> Iterator[None]:
        """Make every socket of this trio run a virtual one. Connections are served in `nursery`."""
        self._nursery = nursery
        before = (trio.socket.set_custom_socket_factory(self), trio.socket.set_custom_hostname_resolver(self))
        try:
            yield
        finally:
            trio.socket.set_custom_socket_factory(before[0])
            trio.socket.set_custom_hostname_resolver(before[1])
            self._nursery = None

    # --- trio's seam ---

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> VirtualSocket:  # noqa: A002
        """An unconnected socket. Raises OSError for a family that this network does not have."""
        if family != socket.AF_INET:
            raise os_error(errno.EAFNOSUPPORT)
        return VirtualSocket(self, family, type)

    async def getaddrinfo(self, host: bytes | None, port: Any, family: int = 0, type: int = 0, *_: int) -> list[Any]:  # noqa: A002 - trio's names
        """The address of a host of this network. Raises socket.gaierror: unknown, or no way to ask."""
        await sleep(self.dns_s)
        found = self._hosts.get((host or b"").decode().lower())
        if found is None or not self.uplink_is_up():
            raise socket.gaierror(socket.EAI_NONAME if self.uplink_is_up() else socket.EAI_AGAIN, "not known here")
        kind = SocketKind(type or socket.SOCK_STREAM)
        return [(socket.AF_INET, kind, socket.IPPROTO_TCP, "", (found.address, int(port or 0)))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Addresses have no names here."""
        await trio.lowlevel.checkpoint()
        return sockaddr[0], str(sockaddr[1])

    # --- what sockets ask ---

    def has_adapter(self, adapter: str) -> bool:
        """Whether a socket can be bound to such an adapter."""
        return self.air is not None and self.air.has_adapter(adapter)

    def own_address(self, adapter: str, host: str) -> str:
        """The address this computer would speak to `host` from. Raises OSError (ENETUNREACH)."""
        found = self.air.own_address(adapter) if adapter and self.air is not None else _UPLINK_ADDRESS
        if found is None or (not adapter and not self.uplink_is_up()):
            raise os_error(errno.ENETUNREACH)
        return found

    async def connect(self, adapter: str, address: Address, server: ServerStream) -> Address:
        """Bring a connection to its server and return the client's own address. Raises OSError."""
        try:
            way = self._way(adapter, address)
        except OSError:
            await trio.lowlevel.checkpoint()
            raise
        await sleep(way.delay_s())
        way = self._way(adapter, address)  # the adapter may have left meanwhile
        if self._nursery is None:
            raise os_error(errno.ENETDOWN)
        self.connections += 1
        self._nursery.start_soon(way.serve, server)
        return way.own_address, _FIRST_PORT + self.connections % 20_000

    def _way(self, adapter: str, address: Address) -> Way:
        if adapter:
            if self.air is None:
                raise os_error(errno.ENODEV)
            return self.air.way(adapter, address)
        if not self.uplink_is_up():
            raise os_error(errno.ENETUNREACH)
        way = self._ways.get(address)
        if way is None:
            known = any(host.address == address[0] for host in self._hosts.values())
            raise os_error(errno.ECONNREFUSED if known else errno.EHOSTUNREACH)
        return way
