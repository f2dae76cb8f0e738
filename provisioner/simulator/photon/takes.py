"""How long things take on a Photon, in seconds of reality.

Rule 1: every number is from facts, photon-softap, section 6.
Rule 2: each function takes one roll, from 0 up to 1, and is its distribution's inverse: one seed, one history, and
no generator for each occasion.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_NEARLY_NEVER = 1e-9


def uniform(roll: float, low_s: float, high_s: float) -> float:
    """Any time between the two."""
    return low_s + (high_s - low_s) * roll


def triangular(roll: float, low_s: float, likely_s: float, high_s: float) -> float:
    """Between the two, most often near `likely_s`."""
    width, left = high_s - low_s, likely_s - low_s
    if roll < left / width:
        return low_s + math.sqrt(roll * width * left)
    return high_s - math.sqrt((1 - roll) * width * (high_s - likely_s))


def lognormal(roll: float, median_s: float, p95_s: float) -> float:
    """A duration with this median, longer than `p95_s` one time in twenty."""
    spread = math.log(p95_s / median_s) / 1.645
    return median_s * math.exp(spread * _NORMAL.inv_cdf(min(1 - _NEARLY_NEVER, max(_NEARLY_NEVER, roll))))


def boot_s(roll: float) -> float:
    """Power-on to the first beacon of the setup network."""
    return triangular(roll, 2.0, 3.5, 8.0)


def servers_up_s(roll: float) -> float:
    """First beacon to ports 80 and 5609 listening: connections are refused until then."""
    return uniform(roll, 0.05, 0.4)


def command_s(roll: float, command: str, *, scans: bool) -> float:
    """Request received to first byte of the answer. `scans`: configure-ap looks for the network's cipher, twice."""
    match command:
        case "configure-ap" if scans:
            return triangular(roll, 3.0, 4.0, 8.0)
        case "configure-ap":
            return uniform(roll, 0.3, 1.0)
        case "scan-ap":
            return triangular(roll, 1.5, 2.5, 8.0)
        case "set":
            return uniform(roll, 0.15, 0.7)
        case "public-key":
            return uniform(roll, 0.05, 0.4)
        case _:
            return uniform(roll, 0.02, 0.15)


def leaves_after_s(roll: float) -> float:
    """Answer to connect-ap written to setup network gone."""
    return uniform(roll, 0.005, 1.5)


def vanished_s(roll: float) -> float:
    """How long a setup network that vanished by itself stays away."""
    return uniform(roll, 5.0, 20.0)


def radio_join_s(roll: float) -> float:
    """Radio restart and joining the factory Wi-Fi.

    Two logs say 1.5 and 8.1; the median is set so that connect-ap to online has median 8 and p95 20, as observed.
    """
    return lognormal(roll, 4.5, 15.0)


def to_cloud_s(roll: float) -> float:
    """Joined to the end of the cloud's handshake: DHCP 0.02-2.5, DNS and TCP 0.05-0.7, handshake 0.3-1.5."""
    return triangular(roll, 0.37, 2.4, 4.7)


def gives_up_join_s(roll: float) -> float:
    """From leaving to the setup network being back, where new credentials did not work."""
    return uniform(roll, 35.0, 60.0)


def first_key_s(roll: float) -> float:
    """How much longer the first boot takes, in which a unit makes its key."""
    return uniform(roll, 4.0, 8.0)
