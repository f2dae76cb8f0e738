"""What is printed on, burnt into and sent by a Photon: device IDs, serial numbers, setup SSIDs and MAC addresses.

Rule 1: pure, from dice that are passed in; a `Mint` never gives the same device ID, serial or BSSID twice. SSIDs may
collide, as in reality (facts: photon-softap 5.1).
Rule 2: the last four characters of a serial are the suffix of the setup SSID where that has four (facts:
factory-anchors 1.4); six-symbol suffixes cannot be told from the label.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

SYMBOLS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS_ONLY = 0.25  # device IDs that a careless YAML reader takes for a number
_SIX_SYMBOLS = 0.4  # first started on firmware >= 0.7.0-rc.3


@dataclass(frozen=True, slots=True)
class Names:
    """One Photon's names."""

    device_id: str
    serial: str
    ssid: str
    bssid: str


class Mint:
    """Makes names from dice of its own."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._used: set[str] = set()
        self._lots = [dice.randrange(1_000_000) for _ in range(3)]

    def names(self) -> Names:
        """Names for the next Photon."""
        suffix = self._symbols(6 if self._dice.random() < _SIX_SYMBOLS else 4)
        ending = suffix if len(suffix) == 4 else self._symbols(4)
        return Names(
            device_id=self._once(self._device_id),
            serial=self._once(lambda: f"PHHMAB{self._dice.randrange(1000):03d}{self._symbols(2)}{ending}"),
            ssid=f"Photon-{suffix}",
            bssid=self._once(self._mac),
        )

    def _device_id(self) -> str:
        """The chip's 96 bits: position on the wafer, wafer, and its lot in ASCII, as in 3b0021001747353236343033."""
        digits_only = self._dice.random() < _DIGITS_ONLY
        x, y = (self._position(digits_only=digits_only) for _ in range(2))
        wafer = self._dice.randrange(1, 20) if digits_only else self._dice.randrange(1, 0x19)
        lot = f"{self._dice.choice(self._lots):06d}"
        plain = f"{x}00{y}00" + (f"{wafer:02d}" if digits_only else f"{wafer:02x}")
        return plain + "47" + lot.encode().hex()

    def _position(self, *, digits_only: bool) -> str:
        return f"{self._dice.randrange(10, 70):02d}" if digits_only else f"{self._dice.randrange(0x10, 0x60):02x}"

    def _mac(self) -> str:
        return "6c:0b:84:" + ":".join(f"{self._dice.randrange(256):02x}" for _ in range(3))

    def _symbols(self, count: int) -> str:
        return "".join(self._dice.choices(SYMBOLS, k=count))

    def _once(self, make: Callable[[], str]) -> str:
        while (name := make()) in self._used:
            pass
        self._used.add(name)
        return name
