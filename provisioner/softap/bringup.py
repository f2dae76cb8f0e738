"""One SoftAP command to one Photon, by hand: for bring-up and support. The command line's `softap`.

Rule 1: the same client as on the line, over a plain socket: the person has joined the setup network.
Rule 2: answers go out as plain values; text from the air is escaped.
Rule 3: nobody but the person will try again, so what to do is said for one person with one board.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from errno import errorcode
from os import strerror

import trio

from provisioner.errors import (
    FactoryNetworkNotHeard,
    InputRefused,
    SoftAPError,
    SoftAPNotFound,
    SoftAPUnreachable,
    WifiPasswordUndecipherable,
    WifiProfileRefused,
)
from provisioner.model import SecurityType, WifiProfile, printable
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

_AGAIN = "Run the same command again. If it fails twice, press RESET on the board and hold SETUP until it blinks blue."
_REMEDIES = {
    SoftAPUnreachable: "Join this computer to the board's Photon-... network (it blinks blue), or correct --at.",
    SoftAPNotFound: "What answers there is no Photon in listening mode: check --at, and which network you are on.",
    WifiProfileRefused: "Correct --ssid (1-32 bytes), --security or the password (WPA: 8-64 bytes); run it again.",
}
_THEIR_OWN = (FactoryNetworkNotHeard, WifiPasswordUndecipherable)
COMMANDS = ("version", "device-id", "public-key", "scan-ap", "set", "configure-ap", "connect-ap")
Answer = Mapping[str, object]


@dataclass(frozen=True)
class Request:
    """What to ask, and where. `code` is for `set`; `wifi` and `password` for `configure-ap`."""

    command: str
    host: str
    port: int | None = None
    tcp: bool = False
    code: ClaimCode | None = None
    wifi: WifiProfile | None = None
    password: Secret | None = None


def request_of(command: str, *, at: str, tcp: bool, code: str | None, wifi: WifiProfile | None) -> Request:
    """Check what the person typed. Raises InputRefused with what to type instead."""
    host, colon, port = at.partition(":")
    port_is_good = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not host or (colon and not port_is_good):
        raise InputRefused(
            f"'{printable(at)}' is not HOST or HOST:PORT", remedy="Write it as, for example, --at 192.168.0.1:80."
        )
    claim_code: ClaimCode | None = None
    if command == "set":
        try:
            claim_code = ClaimCode(code or "")
        except ValueError as error:
            raise InputRefused(
                str(error), remedy="Write all 63 characters behind the command: provisioner softap set CODE."
            ) from None
    elif code is not None:
        raise InputRefused(f"{command} takes no argument", remedy=f"Write: provisioner softap {command}.")
    if command == "configure-ap" and wifi is None:
        raise InputRefused("configure-ap needs the network's name", remedy="Add --ssid NAME (and --security TYPE).")
    return Request(command, host, int(port) if port else None, tcp, claim_code, wifi)


async def ask(request: Request) -> Answer:
    """Send the command and return its answer as plain values. Raises SoftAPError."""
    settings = SoftAPSettings(
        host=request.host,
        http_port=(None if request.tcp else request.port) or 80,
        tcp_port=(request.port if request.tcp else None) or 5609,
        fallback="none",
    )
    client = SoftAPClient(_dial, settings=settings, budgets=Budgets(), transport="tcp" if request.tcp else "http")
    try:
        return await _acts(client, request)[request.command]()
    except SoftAPError as failure:
        if not isinstance(failure, _THEIR_OWN):
            failure.remedy = _REMEDIES.get(type(failure), _AGAIN)
        raise


async def _dial(host: str, port: int) -> trio.abc.Stream:
    """As `trio.open_tcp_stream`, but the error is the system's own and says why."""
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        cause = error.__cause__
        while isinstance(cause, BaseExceptionGroup):  # one for each address
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errorcode:
            raise OSError(cause.errno, strerror(cause.errno)) from None  # which makes the fitting subclass
        raise


def _acts(client: SoftAPClient, request: Request) -> Mapping[str, Callable[[], Awaitable[Answer]]]:
    async def version() -> Answer:
        return {"version": await client.version()}

    async def device_id() -> Answer:
        identity = await client.identity()
        return {"device_id": identity.id, "claimed_before": identity.claimed_before}

    async def public_key() -> Answer:
        numbers = (await client.public_key()).public_numbers()
        return {"bits": numbers.n.bit_length(), "modulus": f"{numbers.n:x}", "exponent": numbers.e}

    async def scan_ap() -> Answer:
        return {
            "networks": [
                {
                    "ssid": printable(network.ssid),
                    "signal_dbm": network.signal_dbm,
                    "security": _security_name(network.security),
                    "channel": network.channel,
                }
                for network in await client.scan()
            ]
        }

    async def set_claim_code() -> Answer:
        if request.code is not None:
            await client.set_claim_code(request.code)
        return {"accepted": True, "claim_code": request.code.fingerprint if request.code else None}

    async def configure_ap() -> Answer:
        if request.wifi is not None:
            await client.set_wifi(request.wifi, request.password)
        return {"accepted": True, "ssid": request.wifi.ssid if request.wifi else None}

    async def connect_ap() -> Answer:
        await client.connect()
        return {"accepted": True, "proof": "none: only the cloud can tell whether the device joined and was claimed"}

    acts = (version, device_id, public_key, scan_ap, set_claim_code, configure_ap, connect_ap)
    return dict(zip(COMMANDS, acts, strict=True))


def _security_name(raw: int) -> str:
    try:
        return SecurityType(raw).name.lower()
    except ValueError:
        return f"{raw:#x}"
