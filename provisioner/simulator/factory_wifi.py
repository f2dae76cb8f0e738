"""Wi-Fi networks a simulated Photon can hear and join, and the families of security it sorts them into.

Rule 1: pure values. Which network is up is decided by the world; whether a Photon can join it, here.
Rule 2: passwords are out of every repr.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from provisioner.model import SecurityType

_WEP, _WPA, _WPA2, _ENTERPRISE = 0x1, 0x0020_0000, 0x0040_0000, 0x0200_0000


class Family(enum.Enum):
    """All that firmware from 0.7.0 on keeps of a security constant (facts: photon-softap 4)."""

    OPEN = "open"
    WEP = "wep"
    WPA = "wpa"
    WPA2 = "wpa2"
    ENTERPRISE = "enterprise"
    UNKNOWN = "unknown"  # a scan decides

    @property
    def needs_cipher(self) -> bool:
        """Whether the firmware must hear the network to learn its cipher before it can store it (T8)."""
        return self not in (Family.OPEN, Family.WEP)


def family_of(security: int) -> Family:
    """Sort a WICED constant as the firmware does: WEP's bit first, so that 2097165 and -1 are WEP (T7)."""
    if security & _WEP:
        return Family.WEP
    if security & _ENTERPRISE:
        return Family.ENTERPRISE
    if security & _WPA:  # with both bits set it becomes WPA
        return Family.WPA
    if security & _WPA2:
        return Family.WPA2
    return Family.OPEN if security == 0 else Family.UNKNOWN


@dataclass(frozen=True, slots=True)
class FactoryNetwork:
    """One 2.4 GHz network of the factory. `hidden` ones can be joined, but no scan finds their name."""

    ssid: str
    password: str = field(repr=False)
    security: SecurityType = SecurityType.WPA2_AES
    channel: int = 6
    signal_dbm: int = -48
    hidden: bool = False

    @property
    def family(self) -> Family:
        """Its kind of security."""
        return family_of(self.security)


TEST_ROUTER = FactoryNetwork("TestRouter", "mywifipassword")


@dataclass(frozen=True, slots=True)
class HeardNetwork:
    """One line of a Photon's scan. `ssid` is bytes: the air promises no encoding; `signal_dbm` is negative."""

    ssid: bytes
    signal_dbm: int
    security: int
    channel: int
    rate_kbit_s: int = 65_000


# Names that people and attackers give: `scan-ap` sends them unescaped (facts: photon-softap T4).
HOSTILE_NETWORKS = (
    HeardNetwork(b'Joe"s "2.4"', -66, SecurityType.WPA2_AES, 11),
    HeardNetwork(b"back\\slash\\", -70, SecurityType.WPA2_AES, 3),
    HeardNetwork(b"\x1b]0;owned\x07\x1b[2J", -72, SecurityType.OPEN, 9),
    HeardNetwork(b"\xff\xfe not UTF-8 \xc3", -77, SecurityType.WPA2_MIXED, 13),
    HeardNetwork(b"<script>alert(1)</script>", -81, SecurityType.OPEN, 14),
    HeardNetwork(b"=cmd|'/c calc'!A1", -84, SecurityType.WPA_TKIP, 2),
)


@dataclass(frozen=True, slots=True)
class StoredNetwork:
    """One set of credentials in a Photon's flash, as `configure-ap` left it; nobody has checked them."""

    ssid: bytes
    password: bytes = field(repr=False)
    family: Family

    def joins(self, network: FactoryNetwork) -> bool:
        """Whether these credentials open that network."""
        if self.ssid != network.ssid.encode() or self.family is not network.family:
            return False
        return self.family is Family.OPEN or self.password == network.password.encode()


def first_joined(stored: Iterable[StoredNetwork], networks: Iterable[FactoryNetwork]) -> FactoryNetwork | None:
    """The network a Photon ends on: it tries its credentials in their order, newest first."""
    on_air = list(networks)
    return next((network for mine in stored for network in on_air if mine.joins(network)), None)
