"""Port 5609 of a simulated Photon: a command, a length, a blank line, a body (facts: photon-softap 1.2, T10).

Rule 1: one thread serves all connections and has no time limit: a request that never becomes whole blocks the port
until the setup network ends or the power is cycled. The thread is taken by the first byte, not by the connection.
Rule 2: read like the firmware: LF only, and whatever else stands where the length should be is counted as digits.
"""

from __future__ import annotations

import trio

from provisioner.simulator.photon.ap import ApSession, hang_up
from provisioner.simulator.photon.commands import NAMES, READS_BODY
from provisioner.simulator.photon.sim_photon import SimPhoton

_NAME_BYTES = 30
_BODY_BYTES_MAX = 65_536


class _ClientGone(Exception):
    """The connection ended before the request was whole."""


class _Reader:
    """Bytes one by one, as the firmware reads them."""

    def __init__(self, stream: trio.abc.Stream, begun: bytes) -> None:
        self._stream = stream
        self._buffer = bytearray(begun)

    async def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = await self._stream.receive_some(1460)
            if not more:
                raise _ClientGone
            self._buffer += more
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def name(self) -> str:
        """Up to the LF; a longer name than the firmware's buffer ends there, and its rest is taken for the length."""
        name = b""
        while len(name) < _NAME_BYTES and (char := await self.take(1)) not in (b"\n", b"\0"):
            name += char
        return name.decode("latin-1")

    async def length(self) -> int:
        """Every char but LF is a digit: a CR makes it negative."""
        length = 0
        while (char := await self.take(1)) != b"\n":
            length = length * 10 + char[0] - ord("0")
        return length

    async def blank_line(self) -> None:
        """Skip to the first empty line."""
        empty = True
        while (char := await self.take(1)) != b"\n" or not empty:
            empty = char == b"\n"


async def serve_tcp(photon: SimPhoton, stream: trio.abc.Stream, *, via: str = "socket") -> None:
    """Answer the one request of one connection to port 5609, then close it: but see `leaves_first_tcp_open`."""
    session = photon.session
    try:
        if session is None or not session.serving:
            return
        with session.connection():
            async with session.tcp_sockets:
                session.tcp_connections += 1
                first = session.tcp_connections == 1
                await _serve(photon, session, stream, via, first=first)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the client did not wait for its answer
    finally:
        await hang_up(stream)


async def _serve(photon: SimPhoton, session: ApSession, stream: trio.abc.Stream, via: str, *, first: bool) -> None:
    begun = bytes(await stream.receive_some(1460))
    if not begun:
        if session.firmware.wedged_by_early_close:
            await _wedge(session)
        return
    async with session.tcp_thread:
        reader = _Reader(stream, begun)
        try:
            name, body = await _read(reader)
        except _ClientGone:
            # Nothing tells the reading thread, and it has no time limit (T10).
            await trio.sleep_forever()
        answer = await _answer(photon, name, body, via)
    if answer is None:
        await _until_client_closes(stream)
        return
    await stream.send_all(answer)
    if first and answer and photon.leaves_first_tcp_open():
        await _until_client_closes(stream)


async def _read(reader: _Reader) -> tuple[str, bytes]:
    """The whole request. Raises _ClientGone. Commands without parameters leave their body unread."""
    name = await reader.name()
    length = await reader.length()
    await reader.blank_line()
    if name not in READS_BODY:
        return name, b""
    if not 0 <= length <= _BODY_BYTES_MAX:
        raise _ClientGone  # more than can ever come: it waits for ever
    return name, await reader.take(length)


async def _answer(photon: SimPhoton, name: str, body: bytes, via: str) -> bytes | None:
    """Two LF and the JSON; nothing for an unknown command or an antenna; None if the answer is lost."""
    if name not in NAMES:
        return b""  # `ant-internal` and `ant-external` switch the antenna, without a word either
    writes = await photon.perform(name, body, via=via)
    return None if writes is None else b"\n\n" + b"".join(writes)


async def _until_client_closes(stream: trio.abc.Stream) -> None:
    while await stream.receive_some(1460):
        pass


async def _wedge(session: ApSession) -> None:
    async with session.tcp_thread:
        await trio.sleep_forever()
