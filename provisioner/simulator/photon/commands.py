"""The SoftAP commands of a simulated Photon: what its firmware makes of a request, and what it keeps in flash.

Rule 1: pure. `read` looks at the request, `carry_out` does it; how long it takes and what is in the air come from
outside, so that power can be lost in between.
Rule 2: strict like the firmware: one unknown key or wrong type, and there is no JSON in the answer at all (facts:
photon-softap T5, T6). Values are kept byte for byte, never unescaped (T3).
Rule 3: an answer is the list of writes its JSON printer makes, because HTTP turns each into a chunk (facts 1.1).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from provisioner.model import printable
from provisioner.simulator.factory_wifi import Family, HeardNetwork, StoredNetwork, family_of
from provisioner.simulator.photon.firmware import Firmware
from provisioner.simulator.photon.history import Event
from provisioner.simulator.photon.jsmn import Kind, Value, members
from provisioner.simulator.photon.keys import KeyPair, Undecipherable

NAMES = ("version", "device-id", "scan-ap", "configure-ap", "connect-ap", "public-key", "set")
READS_BODY = ("set", "configure-ap")  # the others leave theirs unread on the socket
NETWORKS_MAX = 5
CLAIM_CODE_BYTES = 63
_NUMBERS = frozenset({b"idx", b"sec", b"ch", b"eap"})
_PASSWORD_BYTES = {Family.WPA: (8, 64), Family.WPA2: (8, 64), Family.WEP: (5, 58)}
_PEAP, _TLS = 25, 13
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})*")
_NOT_HEARD, _BAD_SSID_LENGTH, _BAD_KEY_LENGTH = -2, -3, -4


@dataclass(slots=True)
class Flash:
    """What survives a power cycle. `networks` newest first; `claimed` is sticky (facts: photon-softap 2)."""

    claim_code: bytes | None = field(default=None, repr=False)
    claimed: bool = False
    networks: tuple[StoredNetwork, ...] = ()

    def store(self, network: StoredNetwork) -> None:
        """Keep credentials: in place if the SSID is known, else in front, five at most, one of them enterprise."""
        kept = [old for old in self.networks if Family.ENTERPRISE not in (old.family, network.family)
                or old.family is not network.family or old.ssid == network.ssid]  # fmt: skip
        if any(old.ssid == network.ssid for old in kept):
            self.networks = tuple(network if old.ssid == network.ssid else old for old in kept)
        else:
            self.networks = (network, *kept)[:NETWORKS_MAX]


@dataclass(frozen=True, slots=True)
class SetRequest:
    """`set`, with key and value cut to the firmware's buffers."""

    key: bytes = b""
    value: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """`configure-ap`; the password is opened later. Enterprise parts are only looked at for being there."""

    ssid: bytes = b""
    security: int = 0
    sealed_password: bytes | None = field(default=None, repr=False)
    eap: int = 0
    enterprise_parts: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """A command and what was understood of its body. `scans`: it will listen for networks, which takes seconds."""

    command: str
    body: SetRequest | ConfigureRequest | None = None
    understood: bool = True
    scans: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, write by write; nothing at all if the request was not understood. `event` is for the history."""

    writes: tuple[bytes, ...]
    event: Event
    result: int | None = None
    detail: str = ""


@dataclass(slots=True)
class Commands:
    """The seven commands over one Photon's flash."""

    device_id: str
    key: KeyPair | None  # None: it never made one
    firmware: Firmware
    shown_key: KeyPair | None = None  # what `public-key` tells, where that is not the half of `key`: it is damaged
    flash: Flash = field(default_factory=Flash)

    def read(self, command: str, body: bytes) -> Request:
        """Understand a request, without doing anything. `command` is one of NAMES."""
        match command:
            case "set":
                wanted = _read_set(body)
                return Request(command, wanted, understood=wanted is not None)
            case "configure-ap":
                network = _read_configure(body, self.firmware.configure_keys)
                scans = (
                    network is not None
                    and self.firmware.checks_credentials
                    and family_of(network.security).needs_cipher
                )
                return Request(command, network, understood=network is not None, scans=scans)
            case _:
                return Request(command)

    def carry_out(
        self, request: Request, *, heard: Iterable[HeardNetwork], passwords: Collection[bytes] = ()
    ) -> Answer:
        """Do it. `heard` is what the Photon's own scan finds now; `passwords` are likely ones, to open them faster."""
        match request.body:
            case _ if not request.understood:
                return Answer((), Event.REFUSED, detail=f"{request.command}: not understood")
            case SetRequest() as wanted:
                return self._set(wanted)
            case ConfigureRequest() as network:
                return self._configure(network, heard, passwords)
        return self._ask(request.command, heard)

    def _ask(self, command: str, heard: Iterable[HeardNetwork]) -> Answer:
        match command:
            case "version":
                return Answer((b'{"v":2}',), Event.ASKED, detail=command)
            case "device-id":
                known = b"1" if self.flash.claimed else b"0"
                identity = (*_string(b"id", self.device_id.upper().encode()), b",", *_string(b"c", known))
                return Answer((b"{", *identity, b"}"), Event.ASKED, detail=command)
            case "public-key":
                shown = self.shown_key or self.key
                if shown is None:
                    return Answer(_result(1), Event.ASKED, 1, command)
                return Answer(_public_key_writes(shown), Event.ASKED, 0, command)
            case "scan-ap":
                return Answer((b'{"scans":[', *_scans(heard), b"]}"), Event.ASKED, detail=command)
            case _:
                return Answer(_result(0), Event.CONNECT, 0)

    def _opened(self, sealed: bytes | None, likely: Collection[bytes]) -> bytes:
        """The password; empty if none was sent. Raises Undecipherable."""
        if sealed is None:
            return b""
        if self.key is None:
            raise Undecipherable(padding=False)
        return self.key.decrypt(_from_hex(sealed), likely)

    def _set(self, wanted: SetRequest) -> Answer:
        if wanted.key != b"cc" or not wanted.value:
            return Answer(_result(-1), Event.REFUSED, -1, "set")
        self.flash.claim_code = wanted.value
        return Answer(_result(0), Event.CLAIM_CODE_SET, 0, fingerprint(wanted.value))

    def _configure(
        self, wanted: ConfigureRequest, heard: Iterable[HeardNetwork], passwords: Collection[bytes]
    ) -> Answer:
        try:
            password = self._opened(wanted.sealed_password, passwords)
        except Undecipherable as why:
            r = self.firmware.bad_padding if why.padding else self.firmware.private_key_failed
            return Answer(_result(r), Event.REFUSED, r, f"configure-ap: {why}")
        network = StoredNetwork(wanted.ssid, password.split(b"\0", 1)[0], family_of(wanted.security))
        if self.firmware.checks_credentials:
            checked = _checked(wanted, network, heard)
            if isinstance(checked, int):
                return Answer(_result(checked), Event.REFUSED, checked, "configure-ap")
            network = checked
        else:
            network = replace(network, ssid=network.ssid[:32], password=network.password[:64])
        self.flash.store(network)
        name = printable(network.ssid.decode("utf-8", "surrogateescape"))
        return Answer(_result(0), Event.CONFIGURED, 0, f"{name} {network.family.value}")


@functools.cache
def _public_key_writes(key: KeyPair) -> tuple[bytes, ...]:
    """Some 600 writes of one byte each: the printer prints digit by digit."""
    digits = key.public_slot.hex().upper().encode()
    each = tuple(digits[at : at + 1] for at in range(len(digits)))
    return (b"{", b'"b":"', *each, b'"', b",", *_number(b"r", 0), b"}")


def fingerprint(claim_code: bytes) -> str:
    """Twelve hex digits that name a claim code, as the journal names it."""
    return hashlib.sha256(claim_code).hexdigest()[:12]


def _checked(wanted: ConfigureRequest, network: StoredNetwork, heard: Iterable[HeardNetwork]) -> StoredNetwork | int:
    """What firmware from 0.7.0 on looks at before it stores: the network as it will be stored, or an `r`."""
    if not 1 <= len(network.ssid) <= 32:
        return _BAD_SSID_LENGTH
    if network.family.needs_cipher:
        found = next((one for one in heard if one.ssid == network.ssid), None)
        if found is None:
            return _NOT_HEARD
        if network.family is Family.UNKNOWN:
            network = replace(network, family=family_of(found.security))
    if network.family is Family.ENTERPRISE:
        return network if _enterprise_complete(wanted, network) else 1
    low, high = _PASSWORD_BYTES.get(network.family, (0, 64))
    return network if low <= len(network.password) <= high else _BAD_KEY_LENGTH


def _enterprise_complete(wanted: ConfigureRequest, network: StoredNetwork) -> bool:
    if wanted.eap == _PEAP:
        return b"ii" in wanted.enterprise_parts and bool(network.password)
    return wanted.eap == _TLS and {b"crt", b"ek", b"key"} <= wanted.enterprise_parts


# --- reading ---


def _read_set(body: bytes) -> SetRequest | None:
    pairs = members(body)
    if pairs is None or any(key not in (b"k", b"v") or value.kind is not Kind.STRING for key, value in pairs):
        return None
    request = SetRequest()
    for key, value in pairs:  # a key that comes twice: the later one
        if key == b"k":
            request = replace(request, key=value.raw[:2])
        else:
            request = replace(request, value=value.raw[:CLAIM_CODE_BYTES])
    return request


def _read_configure(body: bytes, known: frozenset[bytes]) -> ConfigureRequest | None:
    pairs = members(body)
    if pairs is None or not all(key in known and _has_its_type(key, value) for key, value in pairs):
        return None
    request = ConfigureRequest(enterprise_parts=frozenset(key for key, value in pairs if value.raw))
    for key, value in pairs:
        match key:
            case b"ssid":
                request = replace(request, ssid=value.raw)
            case b"sec":
                request = replace(request, security=value.number())
            case b"pwd":
                request = replace(request, sealed_password=value.raw)
            case b"eap":
                request = replace(request, eap=value.number())
    return request


def _has_its_type(key: bytes, value: Value) -> bool:
    return value.kind is (Kind.WORD if key in _NUMBERS else Kind.STRING)


def _from_hex(text: bytes) -> bytes:
    """Decode like the firmware: both cases, what is no digit counts as some digit, no length is asked for."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    digits = [int(chr(char), 16) if char in b"0123456789abcdefABCDEF" else 0 for char in text]
    return bytes(high << 4 | low for high, low in zip(digits[0::2], digits[1::2], strict=False))


# --- printing: one item per write of the firmware's printer ---


def _quoted(text: bytes) -> tuple[bytes, ...]:
    return (b'"', text, b'"') if text else (b'"', b'"')


def _string(name: bytes, value: bytes) -> tuple[bytes, ...]:
    return (*_quoted(name), b":", *_quoted(value))


def _number(name: bytes, value: int) -> tuple[bytes, ...]:
    return (*_quoted(name), b":", b"%d" % value)


def _result(r: int) -> tuple[bytes, ...]:
    return (b"{", *_number(b"r", r), b"}")


def _scans(heard: Iterable[HeardNetwork]) -> tuple[bytes, ...]:
    """Every network with a name, in the order heard; names are not escaped (T4)."""
    writes: list[bytes] = []
    for one in heard:
        if one.ssid:
            writes += [b","] if writes else []
            writes += [b"{", *_string(b"ssid", one.ssid), b",", *_number(b"rssi", one.signal_dbm), b","]
            writes += [*_number(b"sec", one.security), b",", *_number(b"ch", one.channel), b","]
            writes += [*_number(b"mdr", one.rate_kbit_s), b"}"]
    return tuple(writes)
