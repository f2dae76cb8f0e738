"""The words of the line as types: parsed once at the door, frozen, no dicts inside.

Rule 1: one spelling of everything that is compared (device IDs and BSSIDs lower case).
Rule 2: nothing here waits, opens or prints.
"""

from __future__ import annotations

import enum
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

_DEVICE_ID = re.compile(r"[0-9a-f]{24}")
_LAYOUT = re.compile(r"([1-9]\d?)x([1-9]\d?)")
_BSSID = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


class DeviceID(str):
    """24 lower-case hex digits that never change. SoftAP answers upper case, the cloud lower: `parse` makes one.

    A `str` of its own type, so that a million of them stay small and sort, hash and print as themselves.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the canonical ID, or raise ValueError with a sentence about what is wrong with `text`."""
        if _DEVICE_ID.fullmatch(text):  # as the cloud and the journal spell it
            return cls(text)
        canonical = text.strip().lower()
        if _DEVICE_ID.fullmatch(canonical):
            return cls(canonical)
        if len(canonical) != 24:
            raise ValueError(f"a device ID has 24 characters, '{printable(text)}' has {len(canonical)}")
        wrong = next(char for char in canonical if char not in "0123456789abcdef")
        raise ValueError(f"a device ID has only 0-9 and a-f, '{printable(text)}' has '{printable(wrong)}'")


def printable(text: str, limit: int = 64) -> str:
    """Escape what could harm a terminal, log, CSV or page: control, bidi and unassigned characters; cut at `limit`.

    Takes any str, lone surrogates included: JSON from a device can hold them.
    """
    if len(text) <= limit and text.isprintable():  # Python's word for the same characters, and quick
        return text
    safe = "".join(_shown(char) for char in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def harmless(text: str) -> str:
    """The whole text as `printable` makes it, but for line ends: what a sink does last, whatever was done before."""
    if text.isprintable():
        return text
    return "".join(char if char == "\n" else _shown(char) for char in text)


# JSON itself escapes below 0x20. These would move a cursor, turn text round, hide, end a line, or not be UTF-8.
_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\uffff"
    "\U000e0000-\U000e0fff]"
)


def harmless_json(text: str) -> str:
    """JSON that says the same and harms nothing that shows it: what JSON leaves as it is stands there as `\\uXXXX`."""
    if text.isascii() and "\x7f" not in text:  # as most of it
        return text
    return _UNSAFE_IN_JSON.sub(_as_json_escape, text)


def _as_json_escape(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]  # a surrogate pair where one \uXXXX is too short


def _shown(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that was no UTF-8, kept by `surrogateescape`
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char if char == " " or unicodedata.category(char)[0] not in "CZ" else char.encode("unicode_escape").decode()


# --- what the manifest says ---


class ClaimTo(enum.StrEnum):
    """Who shall own a device in the end, and by which way."""

    NONE = "none"  # product membership only: what Particle now advises
    ACCOUNT = "account"  # the user whose token we hold, by claim code
    CUSTOMER = "customer"  # a shadow customer of the product, by claim code
    ONLINE = "online"  # a customer (or the account), by claiming the ID once the device is online


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """`to`, and for `customer` (and `online`, if given) the template of the customer's name."""

    to: ClaimTo
    customer: str | None = None

    @property
    def needs_claim_code(self) -> bool:
        """Whether a code must be handed to the device."""
        return self.to in (ClaimTo.ACCOUNT, ClaimTo.CUSTOMER)


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """One row of the manifest, with everything its tray decides for it already resolved.

    `owner` is the customer's name in lower case (the cloud lower-cases it), None for the account or nobody.
    """

    id: DeviceID
    tray: str
    slot: int
    serial: str | None
    claim: ClaimPolicy
    owner: str | None
    wifi: str | None
    takeover_allowed: bool

    @property
    def needs_visit(self) -> bool:
        """A station must see the device: it gets Wi-Fi credentials or a claim code."""
        return self.wifi is not None or self.claim.needs_claim_code


@dataclass(frozen=True, slots=True)
class TrayLayout:
    """How the slots of a tray lie on the bench, slot 1 at the top left, counted along the rows."""

    rows: int = 5
    columns: int = 10

    @classmethod
    def parse(cls, text: str) -> Self:
        """`5x10` as rows and columns, or raise ValueError with what to write."""
        found = _LAYOUT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"'{printable(text)}' is no layout; write rows x columns as 5x10, each from 1 to 99")
        return cls(int(found.group(1)), int(found.group(2)))

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


# --- Wi-Fi ---

_WEP, _TKIP, _AES, _SHARED = 0x1, 0x2, 0x4, 0x8000
_WPA, _WPA2, _ENTERPRISE = 0x0020_0000, 0x0040_0000, 0x0200_0000


class SecurityType(enum.IntEnum):
    """WICED security constants as `configure-ap` takes them, built from their flags (facts: photon-softap 4).

    The documents this project started from print wpa_aes as 2097165; the flags make 2097156.
    """

    OPEN = 0
    WEP_PSK = _WEP
    WEP_SHARED = _WEP | _SHARED
    WPA_TKIP = _WPA | _TKIP
    WPA_AES = _WPA | _AES
    WPA_MIXED = _WPA | _TKIP | _AES
    WPA2_TKIP = _WPA2 | _TKIP
    WPA2_AES = _WPA2 | _AES
    WPA2_MIXED = _WPA2 | _TKIP | _AES

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the type of that name (`wpa2_aes`; `wpa2` means mixed), or raise ValueError naming all of them."""
        wanted = {"wpa2": "wpa2_mixed", "wpa": "wpa_mixed", "wep": "wep_psk"}.get(name.lower(), name.lower())
        for member in cls:
            if member.name.lower() == wanted:
                return member
        raise ValueError(f"unknown security type {printable(name)!r}; use one of {', '.join(cls.names())}")

    @classmethod
    def names(cls) -> list[str]:
        """All names, as written in settings and on the command line."""
        return [member.name.lower() for member in cls]


@dataclass(frozen=True, slots=True)
class WifiProfile:
    """The factory network a device is told to join. The password is a secret and not in here."""

    name: str
    ssid: str
    security: SecurityType
    channel: int = 0

    def __post_init__(self) -> None:
        """Refuse what the firmware cannot store (facts: photon-softap T3, section 2)."""
        size = len(self.ssid.encode())
        if not 1 <= size <= 32:
            raise ValueError(f"an SSID has 1 to 32 bytes of UTF-8, this one has {size}")
        if any(ord(char) < 0x20 or ord(char) == 0x7F for char in self.ssid):
            raise ValueError("an SSID with control characters cannot be sent to a Photon")
        if '"' in self.ssid or "\\" in self.ssid:
            raise ValueError('an SSID with " or \\ cannot be sent to a Photon: its firmware does not unescape JSON')


# --- what is in the air ---


def parse_bssid(text: str) -> str:
    """Return `aa:bb:cc:dd:ee:ff`, or raise ValueError."""
    canonical = text.strip().lower().replace("-", ":")
    if not _BSSID.fullmatch(canonical):
        raise ValueError(f"not a BSSID: {printable(text)!r}")
    return canonical


@dataclass(frozen=True, slots=True)
class SetupNetwork:
    """One Photon's setup network as an adapter heard it. `bssid` is the key: SSIDs collide (facts: softap 5.1).

    `signal_dbm` is negative; `heard_s` is trio time of the last beacon, so stale scan results can be told.
    """

    ssid: str
    bssid: str
    signal_dbm: int
    heard_s: float
    channel: int = 11

    @property
    def key(self) -> str:
        """What stations lease and compare: the BSSID, or the SSID where a back end (a person) sees no BSSID."""
        return self.bssid or self.ssid


# --- how a device ends ---


class Outcome(enum.StrEnum):
    """How a device, a visit or a run ended."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class CloudDevice:
    """One device as the cloud shows it now. Absent fields are None; times are the cloud's own clock.

    `in_product` is False for a quarantined or denied row, and for one that runs another product.
    """

    id: DeviceID
    online: bool
    owner: str | None
    in_product: bool
    quarantined: bool
    denied: bool
    last_handshake_at: datetime | None
    last_heard: datetime | None = None
    serial_number: str | None = None
    platform_id: int | None = None
    product_id: int | None = None
    name: str | None = None

    def evidence(self) -> Mapping[str, str | bool | None]:
        """The facts that prove, or fail to prove, a device: as the journal keeps them."""
        at = self.last_handshake_at
        return {
            "in_product": self.in_product,
            "quarantined": self.quarantined,
            "denied": self.denied,
            "online": self.online,
            "owner": self.owner,
            "last_handshake_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None,
        }
