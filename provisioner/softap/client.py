"""Talks to one Photon in listening mode, over one link: the SoftAP side of `SetupChannel`.

Rule 1: one request per connection, in one write, read until the reply is whole, then closed; never two at once:
the firmware's commands share their state without locks, and old firmware has one HTTP socket (facts: 1.1, T11).
Rule 2: the whole exchange has one deadline. Before the first byte went out a failure is SoftAPUnreachable; after
it, SoftAPCutShort or SoftAPSilent: the command may have been carried out.
Rule 3: nothing is repeated here but the dialling. Whether a command is sent again is for `line/station.py`.
Rule 4: port 5609 is never probed: a connection closed before its request wedges old firmware for good, half a
request any (T10). So once it is connected, the request is sent even if we are being cancelled.
Rule 5: one client per join. Every Photon has the same address, so nothing learnt here outlives the link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from provisioner.errors import SoftAPCutShort, SoftAPSilent, SoftAPUnreachable
from provisioner.model import DeviceID, SecurityType, WifiProfile
from provisioner.pacing import polls
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap import protocol
from provisioner.softap.protocol import Command, DeviceIdentity, Reply, ScannedNetwork
from provisioner.softap.reply_buffer import HTTPReplyBuffer, TCPReplyBuffer
from provisioner.softap.wifi_password import encrypt_password, parse_public_key, require_usable

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
Transport = Literal["http", "tcp"]

# The setup network is up a moment before its servers listen (facts: photon-softap 1.2, "Connect refused window").
REDIAL_S = 2.0
_SEND_BUDGET_S = 1.0  # one segment into the kernel's buffer
_CLOSE_BUDGET_S = 1.0
_CHUNK_BYTES = 4096
_SLOW = {Command.SCAN_AP, Command.CONFIGURE_AP}
_BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class SoftAPClient:
    """Seven commands to the one Photon that `dial` reaches; `dial` is a `Link.dial`.

    `transport` "http" is port 80, with port 5609 behind it if the settings name it as fallback and port 80 takes
    no connection (system builds without the HTTP server); "tcp" is port 5609 alone. Every method raises
    SoftAPError classes and nothing else; cancelled or not, no connection is left open.
    """

    def __init__(
        self, dial: Dial, *, settings: SoftAPSettings, budgets: Budgets, transport: Transport = "http"
    ) -> None:
        self._dial = dial
        self._settings = settings
        self._budgets = budgets
        self._transport = transport
        self._key: RSAPublicKey | None = None
        self._busy = False

    async def version(self) -> int:
        """Ask for the protocol's version: 2 on every Photon."""
        return protocol.read_version(await self._ask(Command.VERSION))

    async def identity(self) -> DeviceIdentity:
        """Ask the device who it is, and whether it was ever claimed (a hint, no proof)."""
        return protocol.read_identity(await self._ask(Command.DEVICE_ID))

    async def identify(self) -> DeviceID:
        """Ask the device who it is. Never cached."""
        return (await self.identity()).id

    async def scan(self) -> list[ScannedNetwork]:
        """Ask which networks the device hears, for people; the answer's SSIDs are hostile text. Not on the path."""
        return protocol.read_scan(await self._ask(Command.SCAN_AP))

    async def public_key(self) -> RSAPublicKey:
        """Ask for the device's public key. Never cached."""
        return parse_public_key(protocol.read_public_key(await self._ask(Command.PUBLIC_KEY)))

    async def prepare(self) -> None:
        """Read the public key and keep it for this link only. Writes nothing."""
        self._key = await self.public_key()

    async def set_claim_code(self, code: ClaimCode) -> None:
        """Store the code on the device. Returning means accepted, not claimed."""
        protocol.require_accepted(await self._ask(Command.SET, protocol.claim_code_body(code)))

    async def set_wifi(self, profile: WifiProfile, password: Secret | None) -> None:
        """Store the factory network on the device. Returning means stored, not joined.

        `password` is None exactly for an open network. Raises WifiProfileRefused, with nothing sent, for one that
        cannot be stored; CommandRefused classes for what the firmware answers.
        """
        sealed = None
        if profile.security is not SecurityType.OPEN and password is not None:
            require_usable(password, profile.security)
            self._key = self._key or await self.public_key()
            sealed = encrypt_password(password, self._key)
        body = protocol.configure_body(profile, sealed)
        protocol.require_accepted(await self._ask(Command.CONFIGURE_AP, body))

    async def connect(self) -> None:
        """Tell the device to leave listening mode and join. Returning means accepted.

        SoftAPUnreachable: certainly not received. SoftAPSilent, SoftAPCutShort, SoftAPEmptyReply: perhaps.
        """
        protocol.require_accepted(await self._ask(Command.CONNECT_AP, protocol.connect_body()))

    async def _ask(self, command: Command, body: bytes | None = None) -> Reply:
        if self._busy:
            raise trio.BusyResourceError("one Photon takes one request at a time")
        self._busy = True
        try:
            return await self._exchange(command, body)
        finally:
            self._busy = False

    async def _exchange(self, command: Command, body: bytes | None) -> Reply:
        """Dial, send, read, close, within the command's budget; the closing is outside of it."""
        budget_s = self._budgets.softap_slow_command_s if command in _SLOW else self._budgets.softap_command_s
        stream: trio.abc.Stream | None = None
        reply: Reply | None = None
        try:
            with trio.move_on_after(budget_s):
                stream, transport = await self._connected(command)
                await self._send(stream, transport, command, body)
                reply = await self._receive(stream, transport, command)
        finally:
            if stream is not None:
                await _hang_up(stream)
        if reply is not None:
            return reply
        if stream is None:
            detail = f"the Photon did not take a connection for {command} within {budget_s:g} s"
            raise SoftAPUnreachable(detail, command=command)
        raise SoftAPSilent(f"the Photon did not answer {command} within {budget_s:g} s", command=command)

    async def _connected(self, command: Command) -> tuple[trio.abc.Stream, Transport]:
        """Dial until one transport takes the connection. Raises SoftAPUnreachable."""
        first = self._transport
        try:
            return await self._redialled(first), first
        except _BROKEN as error:
            if first == "tcp" or self._settings.fallback == "none":
                raise _unreachable(command, error) from error
        try:
            stream = await self._redialled("tcp")
        except _BROKEN as error:
            raise _unreachable(command, error) from error
        self._transport = "tcp"  # this Photon has no HTTP server: do not wait for it again on this link
        return stream, "tcp"

    async def _redialled(self, transport: Transport) -> trio.abc.Stream:
        """Dial, again for a short while as long as the connection is refused. Raises what `dial` raises."""
        port = self._settings.http_port if transport == "http" else self._settings.tcp_port
        give_up_s = trio.current_time() + REDIAL_S
        for pause_s in polls(0.1, 0.5):
            try:
                return await self._dial(self._settings.host, port)
            except OSError as error:
                if not _was_refused(error) or trio.current_time() + pause_s > give_up_s:
                    raise
            await trio.sleep(pause_s)
        raise AssertionError("polls has no end")

    async def _send(self, stream: trio.abc.Stream, transport: Transport, command: Command, body: bytes | None) -> None:
        """Send the whole request in one write. Raises SoftAPCutShort, though perhaps nothing went out."""
        if transport == "http":
            port = self._settings.http_port
            host = self._settings.host if port == 80 else f"{self._settings.host}:{port}"
            request = protocol.encode_http(command, body, host)
        else:
            request = protocol.encode_tcp(command, body)
        try:
            if transport == "http":
                await stream.send_all(request)
                return
            with trio.CancelScope(deadline=trio.current_time() + _SEND_BUDGET_S, shield=True) as sending:  # rule 4
                await stream.send_all(request)
        except _BROKEN as error:
            raise _cut_short(command) from error
        if sending.cancelled_caught:
            raise SoftAPSilent(f"the Photon did not take the whole of {command}", command=command)

    async def _receive(self, stream: trio.abc.Stream, transport: Transport, command: Command) -> Reply:
        """Read until the reply is whole: a Photon may leave the connection open behind it (device-os issue 1252)."""
        buffer = HTTPReplyBuffer(command) if transport == "http" else TCPReplyBuffer(command)
        reply: Reply | None = None
        while reply is None:
            try:
                chunk = await stream.receive_some(_CHUNK_BYTES)
            except _BROKEN as error:
                raise _cut_short(command) from error
            reply = buffer.feed(bytes(chunk)) if chunk else buffer.eof()
        return reply


async def _hang_up(stream: trio.abc.Stream) -> None:
    """Close at once. A socket needs no waiting for it, and every visit closes eight."""
    if isinstance(stream, trio.SocketStream):
        stream.socket.close()
        return
    with trio.move_on_after(_CLOSE_BUDGET_S, shield=True):
        await trio.aclose_forcefully(stream)


def _was_refused(error: BaseException) -> bool:
    """Whether this is ECONNREFUSED, also inside what `trio.open_tcp_stream` makes of it."""
    if isinstance(error, BaseExceptionGroup):
        return all(_was_refused(inner) for inner in error.exceptions)
    return isinstance(error, ConnectionRefusedError) or (error.__cause__ is not None and _was_refused(error.__cause__))


def _unreachable(command: Command, error: Exception) -> SoftAPUnreachable:
    why = getattr(error, "strerror", None) or "the link is closed"
    return SoftAPUnreachable(f"the Photon did not take a connection for {command}: {why}", command=command)


def _cut_short(command: Command) -> SoftAPCutShort:
    return SoftAPCutShort(f"the connection broke during {command}; it may have been carried out", command=command)
