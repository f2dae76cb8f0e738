"""How hard the simulated factory is: one struct of numbers, three named profiles.

Rule 1: every fault is a probability or a duration in this struct; nothing else in the simulator decides to fail.
Rule 2: all dice come from `Dice.of(...)`: one seed, one history, and one fault's draws never shift another's.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities are per occasion (0 to 1), durations in simulated seconds."""

    # the cloud
    cloud_latency_s: tuple[float, float] = (0.05, 0.25)  # uniform, per request
    cloud_busy: float = 0.0  # 429 without Retry-After
    cloud_fault: float = 0.0  # 503 with an HTML body, before anything is done
    cloud_answer_lost: float = 0.0  # done, then the connection is cut
    owner_lag_s: tuple[float, float] = (0.0, 10.0)  # owner appears so long after `online`
    import_row_missing: float = 0.0  # a valid row in no list of the reply, and not added
    event_lost: float = 0.0  # per event and stream
    event_doubled: float = 0.0
    event_late_s: float = 0.0  # each comes up to so much later: two may change places
    # the radio
    join_refused: float = 0.0  # per join
    dhcp_dead: float = 0.0  # per unit: never hands out a lease; a static address works
    dhcp_slow: float = 0.0  # per join: the lease takes 8-20 s
    stale_scan_s: float = 10.0  # a vanished network is still listed so long
    scan_fails: float = 0.0  # per listen: the adapter reports an error
    channel_crowding: float = 0.0  # every other join under way in the hall makes one so much longer, as a share
    adapter_sickens: float = 0.0  # per join: from now on this adapter joins nothing, for `adapter_sick_s`
    adapter_sick_s: tuple[float, float] = (120.0, 900.0)
    adapter_vanishes: float = 0.0  # per join: unplugged, for good
    weak_board: float = 0.0  # per unit: heard at -86 to -74 dBm, and lost more often
    same_suffix: float = 0.0  # per unit: has the setup SSID of the unit made before it
    same_bssid: float = 0.0  # per unit: has its BSSID, too
    hostile_air: bool = False  # neighbours whose names break JSON and terminals
    # the Photon
    ap_vanishes: float = 0.0  # per command: the setup network is gone and comes back in 5-20 s
    reply_lost: float = 0.0  # per command but connect-ap: carried out, no answer
    connect_reply_lost: float = 0.1
    stock: str = "new"  # which firmware lies in the trays: `new`, `mixed` or `old` (photon/firmware.py)
    busy_socket: float = 0.0  # 503 without a blank line
    scan_empty: float = 0.0  # scan-ap finds nothing
    claim_code_forgotten: float = 0.0  # r:0, but never claimed
    never_online: float = 0.0  # joins the factory Wi-Fi, never reaches the cloud
    slow_online: float = 0.0  # first-connect update: minutes, with flapping
    key_missing: float = 0.0  # per unit: public-key answers r:1
    key_damaged: float = 0.0  # per unit: the public key is not the private one's half


PROFILES: dict[str, Faults] = {
    "none": Faults(connect_reply_lost=0.0),
    "typical": Faults(
        event_lost=0.002,
        event_doubled=0.002,
        event_late_s=0.5,
        stock="mixed",
        dhcp_slow=0.02,
        channel_crowding=0.03,
        adapter_sickens=0.0005,
        weak_board=0.01,
        same_suffix=0.005,
        hostile_air=True,
        cloud_busy=0.002,
        cloud_fault=0.005,
        cloud_answer_lost=0.003,
        join_refused=0.02,
        dhcp_dead=0.01,
        ap_vanishes=0.003,
        reply_lost=0.005,
        scan_empty=0.02,
        claim_code_forgotten=0.005,
        never_online=0.01,
        slow_online=0.02,
    ),
    "nasty": Faults(
        event_lost=0.05,
        event_doubled=0.05,
        event_late_s=3.0,
        stock="old",
        dhcp_slow=0.08,
        scan_fails=0.02,
        channel_crowding=0.1,
        adapter_sickens=0.004,
        adapter_vanishes=0.0005,
        weak_board=0.05,
        same_suffix=0.05,
        same_bssid=0.02,
        hostile_air=True,
        key_missing=0.005,
        key_damaged=0.01,
        cloud_busy=0.02,
        cloud_fault=0.04,
        cloud_answer_lost=0.03,
        import_row_missing=0.03,
        join_refused=0.1,
        dhcp_dead=0.05,
        stale_scan_s=30.0,
        ap_vanishes=0.02,
        reply_lost=0.03,
        connect_reply_lost=0.3,
        busy_socket=0.03,
        scan_empty=0.05,
        claim_code_forgotten=0.03,
        never_online=0.05,
        slow_online=0.05,
    ),
}


def profile(name: str, **changes: object) -> Faults:
    """The profile of that name with some numbers changed. Raises KeyError for an unknown name."""
    return replace(PROFILES[name], **changes)  # type: ignore[arg-type]


class Dice:
    """Seeded randomness by name: `Dice(7).of("radio", bssid)` always rolls the same series."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, *name: object) -> random.Random:
        """A generator of its own for this name."""
        return random.Random(self.number(*name))

    def fraction(self, *name: object) -> float:
        """One roll for this name, from 0 up to but not including 1: a fortieth of the price of a generator."""
        return self.met(self.seed, zlib.crc32("\0".join(map(str, name)).encode()))

    def number(self, *name: object) -> int:
        """64 bits for this name, to be kept and `met` with others."""
        key = "\0".join([str(self.seed), *map(str, name)])
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())

    @staticmethod
    def met(one: int, other: int) -> float:
        """One roll for two numbers together, each of at most 64 bits (the steps of splitmix64)."""
        mixed = (one * 0x9E3779B97F4A7C15 ^ other) * 0xBF58476D1CE4E5B9 & _BITS_64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _BITS_64
        return _fraction(mixed ^ mixed >> 31)


_BITS_64 = (1 << 64) - 1


def _fraction(number: int) -> float:
    """64 bits as a number from 0 up to but not including 1."""
    return (number >> 11) / (1 << 53)
