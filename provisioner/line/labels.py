"""What a label names in this manifest: a device ID, a serial number, TRAY/SLOT, or a whole setup network's name.

Rule 1: a label names one listed device, or it is refused; the words say what may be wrong with the scan.
Rule 2: the serial's last characters name the setup network to look for, and nothing more: who is there, only
`device-id` proves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from provisioner.errors import LabelAmbiguous, NotInManifest, ScanGlued, ScanPartial, ScanRefused, ScanWrongLayout
from provisioner.line.air import Suffixes, serial_suffix
from provisioner.line.scan_text import Framing, on_other_keyboards
from provisioner.line.tray import Manifest, TrayDevices
from provisioner.line.visit import Wanted
from provisioner.model import DeviceID, ListedDevice, printable

_CODE = re.compile(r"[2-9A-HJ-NP-Z]{4}(?:[2-9A-HJ-NP-Z]{2})?")  # facts: photon-softap 5.1
_SHORTEST = 4  # of two labels that arrived as one, and of a part that is worth naming


class Labels:
    """The labels of one manifest. `setup_prefix` is what setup networks are called (`Photon-`); `name_networks`: and
    their suffix is what a label's serial number ends with."""

    def __init__(
        self,
        manifest: Manifest,
        suffixes: Suffixes,
        framing: Framing,
        *,
        setup_prefix: str,
        name_networks: bool = True,
    ) -> None:
        self.framing = framing
        self._manifest = manifest
        self._from_cloud: dict[str, DeviceID] = {}
        self._serials: dict[DeviceID, str] = {}
        self.suffixes = suffixes
        self.setup_prefix = setup_prefix
        self._name_networks = name_networks

    def resolve(self, text: str) -> Wanted:
        """What a label asks for. Raises ScanRefused with what is wrong."""
        code = self._setup_code(text)
        if code is not None:
            return self._network(code)
        device = self._known(text)
        if device is None:
            raise self._refusal(text)
        serial = device.serial or self._serials.get(device.id)
        return Wanted(device.id, serial_suffix(serial) if serial and self._name_networks else None)

    def learn(self, device: DeviceID, serial: str) -> None:
        """A serial number as the cloud knows it: a vendor's list often has device IDs only, a box label never has."""
        listed = self._manifest.find(device)
        if listed is not None and not _same(listed.serial, serial):
            self._serials[device] = serial
            self._from_cloud[serial.upper()] = device

    def find(self, device: DeviceID) -> ListedDevice | None:
        """The row of a device that a label has named."""
        return self._manifest.find(device)

    def _setup_code(self, text: str) -> str | None:
        if not text.upper().startswith(self.setup_prefix.upper()):
            return None
        code = text[len(self.setup_prefix) :].upper()
        return code if _CODE.fullmatch(code) else None

    def _network(self, code: str) -> Wanted:
        """A setup network's name: the device whose label names it, if there is one, is known beforehand."""
        candidates = self.suffixes.candidates(code)
        if len(candidates) > 1:
            raise LabelAmbiguous(f"{len(candidates)} listed boards may be called {self.setup_prefix}{code}")
        return Wanted(candidates[0].id if candidates else None, code, named_by_network=True)

    def _known(self, text: str) -> ListedDevice | None:
        """The device that a text names in full, or None."""
        try:
            return self._manifest.find(DeviceID.parse(text))
        except ValueError:
            return self._by_serial(text) or self._by_slot(text)

    def _by_serial(self, text: str) -> ListedDevice | None:
        found = [device for device in self.suffixes.candidates(serial_suffix(text)) if _same(device.serial, text)]
        if len(found) > 1:
            raise LabelAmbiguous(f"serial number {printable(text)} is listed {len(found)} times")
        other = self._from_cloud.get(text.upper())
        if not found and other is not None:
            return self._manifest.find(other)
        return found[0] if found else None

    def _by_slot(self, text: str) -> ListedDevice | None:
        name, slash, slot = text.rpartition("/")
        if not slash or not (slot.isascii() and slot.isdigit()):
            return None
        trays = [tray for tray in self._manifest.trays if tray.id == name]
        trays = trays or [tray for tray in self._manifest.trays if _same(tray.id, name)]
        if len(trays) > 1:
            raise LabelAmbiguous(f"{len(trays)} trays are called {printable(name)} but for the case of letters")
        return _in_slot(trays[0].devices, int(slot)) if trays else None

    # --- what is wrong with it ---

    def _refusal(self, text: str) -> ScanRefused:
        """Say as much about a text that names no device as can be known."""
        shown = printable(text)
        if self._is_two(text):
            return ScanGlued(f"two labels arrived as one: {shown}")
        if any(self._is_whole(other) for other in on_other_keyboards(text)):
            return ScanWrongLayout(f"{shown} was typed on another country's keyboard")
        if self._is_part(text):
            return ScanPartial(f"{shown} is only a part of a label")
        try:
            return NotInManifest(f"device {DeviceID.parse(text)} is in no tray of this manifest")
        except ValueError:
            return NotInManifest(f"{shown!r} is no label of this manifest")

    def _is_whole(self, text: str) -> bool:
        try:
            return (
                self._setup_code(text) is not None
                or self._known(text) is not None
                or self.framing.command_of(text) is not None
            )
        except ScanRefused:
            return True

    def _is_two(self, text: str) -> bool:
        if re.fullmatch(r"[0-9A-Fa-f]{48}", text):
            return True
        splits = range(_SHORTEST, len(text) - _SHORTEST + 1)
        return any(self._is_whole(text[:at]) and self._is_whole(text[at:]) for at in splits)

    def _is_part(self, text: str) -> bool:
        if re.fullmatch(r"[0-9A-Fa-f]{8,23}", text) or text.upper().startswith(self.setup_prefix.upper()):
            return True
        if len(text) < _SHORTEST:
            return False
        # What a keyboard-type scanner loses most often is the beginning.
        return any(
            (device.serial or "").upper().endswith(text.upper()) for device in self.suffixes.candidates(text[-4:])
        )


def _in_slot(devices: Sequence[ListedDevice], slot: int) -> ListedDevice | None:
    """Most trays list their slots in order; a row costs more to make than to count."""
    if 0 < slot <= len(devices) and devices[slot - 1].slot == slot:
        return devices[slot - 1]
    slots = devices.slots if isinstance(devices, TrayDevices) else [device.slot for device in devices]
    return devices[slots.index(slot)] if slots is not None and slot in slots else None


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.upper() == other.upper()
