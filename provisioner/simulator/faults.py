"""How hard the simulated factory is: one struct of numbers, three named profiles.

Rule 1: every fault is a probability or a duration in this struct; nothing else in the simulator decides to fail.
Rule 2: all dice come from `Dice.of(...)`: one seed, one history, and one fault's draws never shift another's.
"""

from __future__ import annotations

import hashlib
import random
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
    # the radio
    join_refused: float = 0.0
    dhcp_dead: float = 0.0  # per unit: never hands out a lease
    stale_scan_s: float = 10.0  # a vanished network is still listed so long
    # the Photon
    ap_vanishes: float = 0.0  # per command: the setup network is gone and comes back in 5-20 s
    reply_lost: float = 0.0  # per command but connect-ap: carried out, no answer
    connect_reply_lost: float = 0.1
    first_tcp_not_closed: float = 1.0  # device-os issue 1252
    busy_socket: float = 0.0  # 503 without a blank line
    scan_empty: float = 0.0  # scan-ap finds nothing
    claim_code_forgotten: float = 0.0  # r:0, but never claimed
    never_online: float = 0.0  # joins the factory Wi-Fi, never reaches the cloud
    slow_online: float = 0.0  # first-connect update: minutes, with flapping


PROFILES: dict[str, Faults] = {
    "none": Faults(connect_reply_lost=0.0),
    "typical": Faults(
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
        key = hashlib.sha256(repr((self.seed, *map(str, name))).encode()).digest()
        return random.Random(key)
