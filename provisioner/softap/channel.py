"""The seam between a station and one device in listening mode; SoftAP is its first implementation.

BLE (Photon 2) and the USB serial console come as other packages behind the same five acts.
"""

from __future__ import annotations

from typing import Protocol

from provisioner.model import DeviceID, WifiProfile
from provisioner.secrets import ClaimCode, Secret


class SetupChannel(Protocol):
    """Five acts on one device. Every act has its own deadline inside and raises SoftAPError classes.

    `set_claim_code` and `set_wifi` are safe to repeat: the firmware stores the newest. `connect` is not: its
    answer may be lost while the device is already leaving (facts: photon-softap 5.4).
    """

    async def identify(self) -> DeviceID:
        """Ask the device who it is. Never cached."""
        ...

    async def prepare(self) -> None:
        """Read what later acts need (the public key). Writes nothing."""
        ...

    async def set_claim_code(self, code: ClaimCode) -> None:
        """Store the code on the device. Returning means accepted, not claimed."""
        ...

    async def set_wifi(self, profile: WifiProfile, password: Secret | None) -> None:
        """Store the factory network on the device. Returning means stored, not joined."""
        ...

    async def connect(self) -> None:
        """Tell the device to leave listening mode and join. Returning means accepted.

        Raises SoftAPUnreachable when the command was certainly not received; SoftAPSilent, SoftAPCutShort or
        SoftAPEmptyReply when it may have been.
        """
        ...
