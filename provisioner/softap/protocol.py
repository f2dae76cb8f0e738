"""SoftAP's words: commands to bytes, whole replies to frozen types. Sans-I/O.

Rule 1: nothing here waits or opens; `reply_buffer` makes replies whole, `client` moves the bytes.
Rule 2: write strictly: the firmware wants exact headers, raw UTF-8 and no key it does not know, and answers
`r:0` to half of what it gets wrong (facts: photon-softap T1, T2, T3, T6).
Rule 3: whatever a reply holds, only SoftAPError classes come out, and a scan gives what can be read.
Rule 4: no message repeats text of a reply: an answer to `set` or `configure-ap` could echo a secret.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass

from provisioner.errors import (
    CommandRefused,
    FactoryNetworkNotHeard,
    SoftAPReplyUnreadable,
    WifiPasswordUndecipherable,
    WifiProfileRefused,
)
from provisioner.model import DeviceID, SecurityType, WifiProfile
from provisioner.secrets import ClaimCode

_RSA_FAILURES = {-16640, -17152, -1040, -1104}  # mbedTLS >= 0.7.0, tropicssl <= 0.6.4 (facts: photon-softap 2.1)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_KEY_BYTES_MAX = 1024  # the firmware's slot has 294
_SCANNED = re.compile(
    rb'\{"ssid":"(.{0,192}?)","rssi":(-?[0-9]{1,5}),"sec":(-?[0-9]{1,10}),"ch":([0-9]{1,3}),"mdr":(-?[0-9]{1,9})\}',
    re.DOTALL,
)


class Command(enum.StrEnum):
    """The seven commands, spelt as on the wire."""

    VERSION = "version"
    DEVICE_ID = "device-id"
    SCAN_AP = "scan-ap"
    CONFIGURE_AP = "configure-ap"
    CONNECT_AP = "connect-ap"
    PUBLIC_KEY = "public-key"
    SET = "set"


# --- requests ---


def encode_http(command: Command, body: bytes | None, host: str) -> bytes:
    """Return the whole request, to be sent in one write: old firmware reads one segment only (facts: 1.1).

    The header names and their one space are searched for literally (T2). The content type is curl's and the
    SDK's; `application/json` would be answered 404 (T1). Raises ValueError for a host that is not a host.
    """
    if not re.fullmatch(r"[A-Za-z0-9.\-\[\]:]+", host):
        raise ValueError("a host name has only letters, digits, dots, dashes and colons")
    head = [f"{'GET' if body is None else 'POST'} /{command} HTTP/1.1", f"Host: {host}"]
    if body is not None:
        head += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    head += ["Connection: close", "", ""]
    return "\r\n".join(head).encode("ascii") + (body or b"")


def encode_tcp(command: Command, body: bytes | None) -> bytes:
    """Return the whole request for port 5609; the length counts bytes, and only LF ends a line (facts: 1.2)."""
    content = body or b""
    return f"{command}\n{len(content)}\n\n".encode("ascii") + content


def claim_code_body(code: ClaimCode) -> bytes:
    """Return the body of `set`: key `cc`, the only one there is (facts: photon-softap 2)."""
    return _compact({"k": "cc", "v": code.reveal()})


def configure_body(profile: WifiProfile, password_hex: str | None) -> bytes:
    """Return the body of `configure-ap`; `password_hex` is the RSA ciphertext, None exactly for an open network.

    Raises ValueError if the two do not fit: that is a bug of the caller, and the device must not store it.
    """
    if (profile.security is SecurityType.OPEN) != (password_hex is None):
        raise ValueError("an open network has no password, and every other one has")
    fields: dict[str, str | int] = {
        "idx": 0,
        "ssid": profile.ssid,
        "sec": int(profile.security),
        "ch": profile.channel,
    }
    if password_hex is not None:
        fields["pwd"] = password_hex
    return _compact(fields)


def connect_body() -> bytes:
    """Return the body of `connect-ap`; the firmware does not read it, the documents send it."""
    return _compact({"idx": 0})


def _compact(fields: dict[str, str | int]) -> bytes:
    return _COMPACT.encode(fields).encode("utf-8")


# --- replies ---


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: the bytes of its JSON, framing taken off, not yet understood."""

    command: Command
    body: bytes


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The answer to `device-id`. `claimed_before` is the `c` flag: a hint, sticky, never cleared by an unclaim."""

    id: DeviceID
    claimed_before: bool


@dataclass(frozen=True, slots=True)
class ScannedNetwork:
    """One network the Photon heard. `security` is its raw constant (-1: unknown), `rate_kbps` the highest data rate.

    Bytes of the SSID that are no UTF-8 are kept as surrogates; the text is hostile, print it with `printable`.
    """

    ssid: str
    signal_dbm: int
    security: int
    channel: int
    rate_kbps: int


def read_version(reply: Reply) -> int:
    """Return `v`: 2 on every Photon release; it says nothing about the firmware. Raises SoftAPReplyUnreadable."""
    return _number(_fields(reply), "v", reply)


def read_identity(reply: Reply) -> DeviceIdentity:
    """Return who answers. `c` is a string "0" or "1", but other firmware sends other types, or nothing.

    Raises SoftAPReplyUnreadable if there is no device ID in the answer.
    """
    fields = _fields(reply)
    found = fields.get("id")
    if not isinstance(found, str):
        raise _unreadable(reply, "it gives no device ID")
    try:
        return DeviceIdentity(DeviceID.parse(found), fields.get("c") in ("1", 1))
    except ValueError as error:
        raise _unreadable(reply, str(error)) from None


def read_public_key(reply: Reply) -> bytes:
    """Return the key as the flash holds it, 294 bytes with padding (facts: photon-softap 3).

    Raises CommandRefused for `r` other than 0 (1: the device has no key), SoftAPReplyUnreadable.
    """
    fields = _fields(reply)
    result = _number(fields, "r", reply)
    if result != 0:
        detail = f"the Photon has no public key to give (public-key answered {result})"
        raise CommandRefused(detail, command=reply.command, result=result)
    text = fields.get("b")
    if not isinstance(text, str) or not re.fullmatch(rf"(?:[0-9A-Fa-f]{{2}}){{1,{_KEY_BYTES_MAX}}}", text):
        raise _unreadable(reply, "its public key is not hex")
    return bytes.fromhex(text)


def read_result(reply: Reply) -> int:
    """Return `r`, whatever it is. Raises SoftAPReplyUnreadable."""
    return _number(_fields(reply), "r", reply)


def require_accepted(reply: Reply) -> None:
    """Return if `r` is 0; raise CommandRefused, or its class that tells why, if not (facts: photon-softap 2.1)."""
    result, command = read_result(reply), reply.command
    if result == 0:
        return
    if command is not Command.CONFIGURE_AP:
        raise CommandRefused(f"the Photon refused {command} (result {result})", command=command, result=result)
    if result == -2:
        detail = "this Photon does not hear the factory Wi-Fi (configure-ap answered -2)"
        raise FactoryNetworkNotHeard(detail, command=command, result=result)
    if result in (-1, -3, -4):
        part = {-1: "security type", -3: "SSID", -4: "password's length"}[result]
        detail = f"the Photon cannot store this Wi-Fi profile: the {part} does not fit (configure-ap answered {result})"
        raise WifiProfileRefused(detail, command=command, result=result)
    if result in _RSA_FAILURES:
        detail = f"the Photon could not decipher the Wi-Fi password (configure-ap answered {result})"
        raise WifiPasswordUndecipherable(detail, command=command, result=result)
    raise CommandRefused(f"the Photon refused the Wi-Fi profile (result {result})", command=command, result=result)


def read_scan(reply: Reply) -> list[ScannedNetwork]:
    """Return the networks that can be read, in the device's order; never raises.

    The firmware does not escape SSIDs (T4): one with a quote breaks the JSON of the whole answer. Then each entry
    is read by its shape, for the order of its keys is fixed. A scan is for people: no device fails by it.
    """
    try:
        fields = _json(reply.body)
    except (ValueError, RecursionError):
        return _scan_by_shape(reply.body)
    rows = fields.get("scans") if isinstance(fields, dict) else None
    return [found for row in rows if (found := _scanned(row))] if isinstance(rows, list) else []


def _scan_by_shape(body: bytes) -> list[ScannedNetwork]:
    return [
        ScannedNetwork(match[1].decode("utf-8", "surrogateescape"), *(int(match[group]) for group in range(2, 6)))
        for match in _SCANNED.finditer(body)
    ]


def _scanned(row: object) -> ScannedNetwork | None:
    if not isinstance(row, dict):
        return None
    ssid = row.get("ssid")
    numbers = [value for key in ("rssi", "sec", "ch", "mdr") if type(value := row.get(key)) is int]
    return ScannedNetwork(ssid, *numbers) if isinstance(ssid, str) and len(numbers) == 4 else None


def _json(body: bytes) -> object:
    """Parse, but refuse a key that occurs twice. Raises ValueError or RecursionError."""
    return _STRICT.decode(body.decode("utf-8", "surrogateescape"))


def _each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


_STRICT = json.JSONDecoder(object_pairs_hook=_each_key_once)  # made once: `json.loads` would make one each time


def _fields(reply: Reply) -> dict[str, object]:
    try:
        fields = _json(reply.body)
    except (ValueError, RecursionError):
        raise _unreadable(reply, "its answer is not JSON") from None
    if not isinstance(fields, dict):
        raise _unreadable(reply, "its answer is no JSON object")
    return fields


def _number(fields: dict[str, object], key: str, reply: Reply) -> int:
    value = fields.get(key)
    if type(value) is not int or abs(value) > 2**31:  # bool is an int in Python, not on the wire
        raise _unreadable(reply, f"its answer has no number '{key}'")
    return value


def _unreadable(reply: Reply, what: str) -> SoftAPReplyUnreadable:
    return SoftAPReplyUnreadable(f"what answers {reply.command} is no Photon: {what}", command=reply.command)
