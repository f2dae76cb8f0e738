"""What differs between generations of Photon firmware: one profile each, told apart by fields.

Rule 1: a difference between generations is a field here, never an `if version` elsewhere.
Rule 2: every field is from facts, photon-softap; where the facts name no release that mends a fault, the first release
with another network stack (0.7.0) counts as mended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_LEGACY_KEYS = frozenset({b"idx", b"ssid", b"pwd", b"ch", b"sec"})
_KEYS = _LEGACY_KEYS | {b"eap", b"oi", b"ii", b"crt", b"ek", b"key", b"ca"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """One release. Times are seconds, `math.inf`: without limit."""

    name: str
    http_sockets: int  # beyond them: 503; with only one, the next connection waits instead (T11)
    body_wait_s: float  # how long HTTP waits for a body that is not in the first segment; 0: it is lost
    pages_by_prefix: bool  # a URL is matched by its beginning, in any case of letters
    first_tcp_left_open: bool  # device-os issue 1252: answered, and not closed
    wedged_by_early_close: bool  # a 5609 client that closes before its whole header was sent (T10)
    configure_keys: frozenset[bytes]
    checks_credentials: bool  # configure-ap looks at lengths and scans for the cipher (T8)
    bad_padding: int  # `r` of configure-ap
    private_key_failed: int
    claim_code_garbled: float  # share of `set` that stores rubbish and answers r:0 (T12)
    keeps_beaconing: bool  # the setup network is still in the air while the device is online (issue 971)
    suffix_symbols: int  # of the setup network of a unit that was first started on it


V2_3_1 = Firmware(
    name="2.3.1",
    http_sockets=10,
    body_wait_s=math.inf,
    pages_by_prefix=False,
    first_tcp_left_open=False,
    wedged_by_early_close=False,
    configure_keys=_KEYS,
    checks_credentials=True,
    bad_padding=-0x4100,  # mbedTLS
    private_key_failed=-0x4300,
    claim_code_garbled=0.0,
    keeps_beaconing=False,
    suffix_symbols=6,
)
V0_7_0 = replace(V2_3_1, name="0.7.0")
V0_6_4 = Firmware(
    name="0.6.4",
    http_sockets=1,
    body_wait_s=3.0,
    pages_by_prefix=True,
    first_tcp_left_open=False,
    wedged_by_early_close=True,
    configure_keys=_LEGACY_KEYS,
    checks_credentials=False,
    bad_padding=-0x0410,  # tropicssl
    private_key_failed=-0x0450,
    claim_code_garbled=0.0,
    keeps_beaconing=False,
    suffix_symbols=4,
)
V0_6_0 = replace(V0_6_4, name="0.6.0", first_tcp_left_open=True, keeps_beaconing=True)
V0_4_9 = replace(V0_6_0, name="0.4.9", claim_code_garbled=0.1)
V0_4_5 = replace(V0_4_9, name="0.4.5", first_tcp_left_open=False, body_wait_s=0.0)

RELEASES = {one.name: one for one in (V0_4_5, V0_4_9, V0_6_0, V0_6_4, V0_7_0, V2_3_1)}

# What lies in the trays: nobody knows the real distribution (facts: photon-softap 9). Shares of one.
NEW_STOCK = {V2_3_1: 1.0}
MIXED_STOCK = {V2_3_1: 0.5, V0_7_0: 0.2, V0_6_4: 0.2, V0_6_0: 0.1}
OLD_STOCK = {V2_3_1: 0.3, V0_7_0: 0.15, V0_6_4: 0.25, V0_6_0: 0.15, V0_4_9: 0.1, V0_4_5: 0.05}
STOCKS = {"new": NEW_STOCK, "mixed": MIXED_STOCK, "old": OLD_STOCK}


def drawn_from(stock: dict[Firmware, float], roll: float) -> Firmware:
    """The release of a unit from this stock; `roll` is from 0 up to 1."""
    for firmware, share in stock.items():
        if roll < share:
            return firmware
        roll -= share
    return next(iter(stock))
