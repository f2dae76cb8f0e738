"""What differs between generations of Photon firmware, and how long things take on a Photon.

Rule 1: a difference between generations is a field here, never an `if version` elsewhere.
Rule 2: every number is from facts, photon-softap, sections 1, 2 and 6; in seconds of reality.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

_LEGACY_KEYS = frozenset({b"idx", b"ssid", b"pwd", b"ch", b"sec"})
_KEYS = _LEGACY_KEYS | {b"eap", b"oi", b"ii", b"crt", b"ek", b"key", b"ca"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """One generation."""

    name: str
    http_sockets: int  # beyond them: 503; with only one, the next connection waits instead
    configure_keys: frozenset[bytes]
    checks_credentials: bool  # configure-ap looks at lengths and scans for the cipher (T8)
    bad_padding: int  # `r` of configure-ap
    private_key_failed: int
    wedged_by_early_close: bool  # a 5609 client that closes before its whole header was sent (T10)


FIRMWARE_0_7 = Firmware(
    name="0.7.0+",
    http_sockets=10,
    configure_keys=_KEYS,
    checks_credentials=True,
    bad_padding=-0x4100,  # mbedTLS
    private_key_failed=-0x4300,
    wedged_by_early_close=False,
)
FIRMWARE_0_6 = Firmware(
    name="0.6.4",
    http_sockets=1,
    configure_keys=_LEGACY_KEYS,
    checks_credentials=False,
    bad_padding=-0x0410,  # tropicssl
    private_key_failed=-0x0450,
    wedged_by_early_close=True,
)


# --- how long things take, in seconds ---


def lognormal(dice: random.Random, median_s: float, p95_s: float) -> float:
    """A duration with this median, longer than `p95_s` one time in twenty."""
    return dice.lognormvariate(math.log(median_s), math.log(p95_s / median_s) / 1.645)


def boot_s(dice: random.Random) -> float:
    """Power-on to the first beacon of the setup network."""
    return dice.triangular(2.0, 8.0, 3.5)


def servers_up_s(dice: random.Random) -> float:
    """First beacon to ports 80 and 5609 listening: connections are refused until then."""
    return dice.uniform(0.05, 0.4)


def command_s(dice: random.Random, command: str, *, scans: bool) -> float:
    """Request received to first byte of the answer. `scans`: configure-ap looks for the network's cipher, twice."""
    match command:
        case "configure-ap" if scans:
            return dice.triangular(3.0, 8.0, 4.0)
        case "configure-ap":
            return dice.uniform(0.3, 1.0)
        case "scan-ap":
            return dice.triangular(1.5, 8.0, 2.5)
        case "set":
            return dice.uniform(0.15, 0.7)
        case "public-key":
            return dice.uniform(0.05, 0.4)
        case _:
            return dice.uniform(0.02, 0.15)


def leaves_after_s(dice: random.Random) -> float:
    """Answer to connect-ap written to setup network gone."""
    return dice.uniform(0.05, 1.5)


def vanished_s(dice: random.Random) -> float:
    """How long a setup network that vanished by itself stays away."""
    return dice.uniform(5.0, 20.0)


def radio_join_s(dice: random.Random) -> float:
    """Radio restart and joining the factory Wi-Fi.

    Two logs say 1.5 and 8.1; the median is set so that connect-ap to online has median 8 and p95 20, as observed.
    """
    return lognormal(dice, 4.5, 15.0)


def to_cloud_s(dice: random.Random) -> float:
    """Joined to the end of the cloud's handshake: DHCP, DNS and TCP, handshake."""
    return dice.uniform(0.02, 2.5) + dice.uniform(0.05, 0.7) + dice.uniform(0.3, 1.5)


def gives_up_join_s(dice: random.Random) -> float:
    """From leaving to the setup network being back, where new credentials did not work."""
    return dice.uniform(35.0, 60.0)
