"""The open way to one Photon over one adapter: sockets that can leave by that adapter only.

Rule 1: every Photon is 192.168.0.1, so a socket is bound to its adapter *before* it connects; by local address
alone, 140 of 160 requests reached the wrong unit and got a 200 from it (facts: network 3).
Rule 2: SO_BINDTODEVICE needs no privilege (Linux 5.7 or newer); macOS has IP_BOUND_IF. Where there is neither, or no
adapter was named, the socket is plain: one station per computer, then.
Rule 3: a link that is closed takes its connections with it and dials no more.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
import weakref

import trio

from provisioner.errors import AdapterUnavailable
from provisioner.model import SetupNetwork, printable

_IP_BOUND_IF = 25  # macOS: the same by interface number; not verified on one (facts: network 1.4)
PHOTON_HOST = "192.168.0.1"
PHOTON_SUBNET = ipaddress.IPv4Network("192.168.0.0/24")


def bound_socket(adapter: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> trio.socket.SocketType:
    """Return an unconnected socket that can only leave by `adapter` ("" for whichever the routes say).

    Raises OSError: ENODEV when the adapter is not there, EPERM when this kernel wants a privilege for it.
    """
    sock = trio.socket.socket(socket.AF_INET, kind)
    option = getattr(socket, "SO_BINDTODEVICE", None)
    if adapter and (option is not None or sys.platform == "darwin"):
        try:
            if option is not None:
                sock.setsockopt(socket.SOL_SOCKET, option, adapter.encode() + b"\0")
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BOUND_IF, socket.if_nametoindex(adapter))
        except BaseException:
            sock.close()
            raise
    return sock


async def own_address(adapter: str, host: str) -> ipaddress.IPv4Address | None:
    """Return the address this computer would speak to `host` from, None where there is no way. Sends nothing.

    A UDP socket is connected and asked for its name: a TCP connection would take the one HTTP socket that old
    firmware has (facts: photon-softap T11). An adapter without an address borrows another's: what comes back
    says whether to go on, and only the device's own answer proves who is there.
    Raises OSError if the adapter is missing or may not be bound.
    """
    with bound_socket(adapter, socket.SOCK_DGRAM) as sock:
        try:
            await sock.connect((host, 9))  # discard; never sent to
        except OSError as error:
            if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN):
                return None
            raise
        return ipaddress.IPv4Address(sock.getsockname()[0])


class BoundLink:
    """A `Link` over one adapter, for back ends that have joined it to `network`; dead once `close` is called."""

    def __init__(
        self,
        network: SetupNetwork,
        adapter: str,
        *,
        host: str = PHOTON_HOST,
        subnet: ipaddress.IPv4Network = PHOTON_SUBNET,
    ) -> None:
        self.network = network
        self._adapter = adapter
        self._host = host
        self._subnet = subnet
        self._open: weakref.WeakSet[trio.socket.SocketType] = weakref.WeakSet()
        self._dead = False

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a TCP stream that can only leave by this adapter. Raises OSError; the caller sets the deadline."""
        if self._dead:
            raise OSError(errno.ENETDOWN, "the setup network has been left")
        sock = bound_socket(self._adapter)
        try:
            await sock.connect((host, port))
            if self._dead:
                raise OSError(errno.ENETDOWN, "the setup network has been left")
            self._open.add(sock)
            return trio.SocketStream(sock)
        except BaseException:
            sock.close()
            raise

    async def healthy(self) -> bool:
        """Whether the adapter still has an address in the Photon's subnet. Raises AdapterUnavailable if it is gone."""
        if self._dead:
            return False
        try:
            address = await own_address(self._adapter, self._host)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):
                raise AdapterUnavailable(
                    f"adapter {printable(self._adapter)} is gone", backend_code=errno.errorcode[error.errno]
                ) from error
            return False
        return address is not None and address in self._subnet

    def close(self) -> None:
        """Close every connection made over this link and refuse further ones. Does not wait."""
        self._dead = True
        for sock in list(self._open):
            sock.close()
