"""What is printed on, burnt into and sent by a Photon: device IDs, serial numbers, setup SSIDs and MAC addresses.

Rule 1: pure. The names of the nth Photon follow from the seed and n alone, so nothing has to be remembered; no two
have the same device ID, serial or (unless wished) BSSID. SSIDs may collide, as in reality (facts: photon-softap 5.1).
Rule 2: the last four characters of a serial are the suffix of the setup SSID where that has four (facts:
factory-anchors 1.4); six-symbol suffixes cannot be told from the label.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.simulator.faults import Dice

SYMBOLS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS_ONLY = 0.25  # device IDs that a careless YAML reader takes for a number
_UPDATED = 0.6  # of the units with new firmware: first started on an old one, and so with four symbols for good
_LOT_STEP = 7  # lots are numbers some way apart
# How many units a lot has: positions on the wafer (two coordinates) times wafers.
_HEX, _DECIMAL = (80, 80, 24), (60, 60, 19)


@dataclass(frozen=True, slots=True)
class Names:
    """One Photon's names."""

    device_id: str
    serial: str
    ssid: str
    bssid: str


class Mint:
    """Makes names. `same_suffix` and `same_bssid` are the shares of units that repeat those of the one before."""

    def __init__(self, dice: Dice, *, same_suffix: float = 0.0, same_bssid: float = 0.0) -> None:
        self._dice = dice
        self._same_suffix, self._same_bssid = same_suffix, same_bssid
        self._lot = int(dice.fraction("names", "lot") * 900_000)
        self._turn = int(dice.fraction("names", "turn") * (1 << 24))

    def names(self, number: int, *, suffix_symbols: int) -> Names:
        """The names of the `number`th Photon (from 0), whose firmware makes suffixes of so many symbols when new."""
        ending = self._symbols(4, "serial", number)
        return Names(
            device_id=self._device_id(number),
            serial=f"PHHMAB{self._serial_part(number)}{ending}",
            ssid=f"Photon-{self._suffix(number, suffix_symbols)}",
            bssid=self._mac(number),
        )

    def _suffix(self, number: int, symbols: int) -> str:
        if number and self._roll("same suffix", number) < self._same_suffix:
            number -= 1
        if symbols == 6 and self._roll("updated", number) >= _UPDATED:
            return self._symbols(6, "suffix", number)
        return self._symbols(4, "serial", number)

    def _device_id(self, number: int) -> str:
        """The chip's 96 bits: position on the wafer, wafer, and its lot in ASCII, as in 3b0021001747353236343033."""
        digits_only = self._roll("digits", number) < _DIGITS_ONLY
        wide, high, wafers = _DECIMAL if digits_only else _HEX
        lot, place = divmod(number, wide * high * wafers)
        place = (place * 7_919 + self._turn) % (wide * high * wafers)  # a prime step: neighbours lie far apart
        place, x = divmod(place, wide)
        wafer, y = divmod(place, high)
        text = "{:02d}00{:02d}00{:02d}" if digits_only else "{:02x}00{:02x}00{:02x}"
        start = 10 if digits_only else 0x10
        lot_number = (self._lot + _LOT_STEP * (2 * lot + digits_only)) % 1_000_000
        return text.format(x + start, y + start, wafer + 1) + "47" + f"{lot_number:06d}".encode().hex()

    def _serial_part(self, number: int) -> str:
        """Three digits and two symbols, another for each of a million units."""
        pairs, digits = divmod((number * 7_919 + self._turn) % (1000 * 1024), 1000)
        return f"{digits:03d}{SYMBOLS[pairs // 32]}{SYMBOLS[pairs % 32]}"

    def _mac(self, number: int) -> str:
        if number and self._roll("same bssid", number) < self._same_bssid:
            number -= 1
        low = (number * 7_919 + self._turn) % (1 << 24)
        return f"6c:0b:84:{low >> 16:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"

    def _symbols(self, count: int, kind: str, number: int) -> str:
        drawn = int(self._roll(kind, number) * 32**count)
        return "".join(SYMBOLS[drawn >> 5 * place & 31] for place in range(count))

    def _roll(self, kind: str, number: int) -> float:
        return self._dice.fraction("names", kind, number)
