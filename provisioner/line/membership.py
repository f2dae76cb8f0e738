"""Which devices of a list the product holds, as the cloud shows them: read before an import, and after it.

Rule 1: a device that was asked about costs some twenty bytes, whatever the cloud says of it; the whole of what it
says is kept only of those whom this very reading may prove (`membership_proves`).
Rule 2: the product's list is walked, or the devices are asked about one by one, whichever is fewer calls.
"""

from __future__ import annotations

import enum
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import NotInCloud
from provisioner.line.manifest import Manifest
from provisioner.model import ClaimTo, CloudDevice, DeviceID, ListedDevice
from provisioner.packed import IDIndex


class Seen(enum.IntEnum):
    """What the product's list, or a question of its own, has shown of a device last."""

    NOTHING = 0
    IN = 1
    QUARANTINED = 2
    DENIED = 3
    OUT = 4

    @classmethod
    def of(cls, device: CloudDevice) -> Seen:
        """In one word."""
        if device.in_product:
            return cls.IN
        if device.quarantined:
            return cls.QUARANTINED
        return cls.DENIED if device.denied else cls.OUT


@dataclass(frozen=True, slots=True)
class TrayPlan:
    """What `--dry-run` shows of one tray."""

    tray: str
    devices: int
    present: int
    missing: int
    calls: int


def membership_proves(device: ListedDevice) -> bool:
    """Whether being in the product is all that is wanted of it: then the list just read is the proof."""
    return not device.needs_visit and device.claim.to is ClaimTo.NONE


class Membership:
    """The devices that were looked for last, by number from 0, and what was seen of each. Attributes are for reading.

    `learn` is told the serial number of each device that has one, whenever it is read.
    """

    def __init__(
        self,
        cloud: CloudClient,
        product: ProductInfo,
        manifest: Manifest,
        *,
        chunk_max: int,
        learn: Callable[[DeviceID, str], None] | None = None,
    ) -> None:
        self._cloud = cloud
        self._product = product
        self._manifest = manifest
        self._chunk_max = chunk_max
        self._learn = learn
        self.forget()

    def forget(self) -> None:
        """The import is over: from here on memory is for what is open, not for every device of the list."""
        self.devices: Sequence[ListedDevice] = ()
        self.proofs: dict[DeviceID, CloudDevice] = {}
        self._numbers = IDIndex()
        self._seen = bytearray()  # by number, as `Seen`
        self._before = bytearray()  # whether it was in the product before anything was sent
        self._kept = bytearray()  # whether `proofs` shall have it

    # --- reading ---

    async def look(self, devices: Sequence[ListedDevice]) -> None:
        """Read which of these devices the product holds now. Raises CloudError."""
        self.forget()
        self.devices, self._numbers = devices, IDIndex(expected=len(devices))
        for device in devices:
            self._numbers.add(device.id)
            self._kept.append(membership_proves(device))
        self._seen, self._before = bytearray(len(devices)), bytearray(len(devices))
        await self.look_again()
        self._before = bytearray(seen == Seen.IN for seen in self._seen)

    async def look_again(self) -> None:
        """After sending: read the devices that were not in the product before. Raises CloudError."""
        found = bytearray(self._before)

        def take(device: CloudDevice) -> None:
            number = self._numbers.get(device.id)
            if number is not None and not self._before[number]:
                found[number] = True
                self._take(number, device)

        if not await self._walk(found.count(False), take):
            missing = sorted(self._numbers.id_of(number) for number, known in enumerate(found) if not known)
            await self._ask(missing, take)

    async def read(self, wanted: set[DeviceID]) -> dict[DeviceID, CloudDevice]:
        """Read these few, as the cloud shows them; who is not there is left out. Raises CloudError."""
        found: dict[DeviceID, CloudDevice] = {}

        def take(device: CloudDevice) -> None:
            if device.id in wanted:
                found[device.id] = device

        if not await self._walk(len(wanted), take):
            await self._ask(sorted(wanted - found.keys()), take)
        return found

    async def _walk(self, wanted: int, take: Callable[[CloudDevice], None]) -> bool:
        """Show the product's list to `take`; False if it was left: so few can be asked about in fewer calls."""
        if not wanted:
            return True
        async with aclosing(self._cloud.devices(self._product)) as pages:
            async for page in pages:
                for device in page.devices:
                    take(device)
                if page.total_pages > wanted + 1:
                    return False
        return True

    async def _ask(self, wanted: Sequence[str], take: Callable[[CloudDevice], None]) -> None:
        for id_ in wanted:
            try:
                take(await self._cloud.device(self._product, DeviceID(id_)))
            except NotInCloud:
                continue

    def _take(self, number: int, device: CloudDevice) -> None:
        self._seen[number] = Seen.of(device)
        if self._kept[number]:
            self.proofs[device.id] = device
        if self._learn is not None and device.serial_number:
            self._learn(device.id, device.serial_number)

    # --- asking ---

    def number_of(self, device: str) -> int | None:
        """The number of a device that was looked for, None for any other."""
        return self._numbers.get(device)

    def seen(self, number: int) -> Seen:
        """What was seen last of that device."""
        return Seen(self._seen[number])

    def was_in(self, number: int) -> bool:
        """Whether it was in the product before anything was sent."""
        return bool(self._before[number])

    def missing(self) -> dict[str, array[int]]:
        """The devices that are not in the product, by tray, as numbers."""
        trays: dict[str, array[int]] = {}
        for number, seen in enumerate(self._seen):
            if seen != Seen.IN:
                trays.setdefault(self.devices[number].tray, array("I")).append(number)
        return trays

    def plan(self) -> list[TrayPlan]:
        """What would be sent, tray by tray."""
        rows = Counter(device.tray for device in self.devices)
        missing = {tray: len(devices) for tray, devices in self.missing().items()}
        return [
            TrayPlan(tray.id, rows[tray.id], rows[tray.id] - left, left, calls=-(-left // self._chunk_max))
            for tray in self._manifest.trays
            for left in [missing.get(tray.id, 0)]
        ]
