"""Manifest -> product membership: bounded chunks, every row classified, twice is once.

Rule 1: read before write, and read after: the product's own list decides who is in, a reply only explains who is
not. So a lost answer, a row the reply forgot, upper-case or serial-number echoes and the 2017 reply that names
nobody all end the same way: by listing.
Rule 2: a rejected chunk is bisected until the bad rows stand alone; one bad number must not lose the other 49.
Rule 3: every listed device ends as added, existing, invalid, nonmember, protected, quarantined or refused, and
the counts of a tray must sum to its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import trio

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ImportReply, ProductInfo
from provisioner.errors import (
    CloudAnswerLost,
    CloudRefused,
    CloudReplyUnreadable,
    ImportInvalid,
    ImportNonmember,
    ImportProtected,
    ImportQuarantined,
    ImportRefused,
    NotInCloud,
)
from provisioner.journal.writer import Journal
from provisioner.line.manifest import Manifest
from provisioner.line.rows import row_of, why_of
from provisioner.model import CloudDevice, DeviceID, ListedDevice, Outcome

IGNORED_MAX = 2  # a row that two replies do not name, and that is not in either, is refused
LIST_BEHIND_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # when a list that is behind the replies is read again
LOST_MAX = 3  # so many answers lost one after the other are no accident: the line holds and asks for the cloud
_REJECTIONS = (400, 413, 422)  # statuses that speak of the list, not of our rights or of the product


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some devices of one tray, sent in one call. `round` counts from 1."""

    tray: str
    devices: tuple[ListedDevice, ...]
    round: int = 1


@dataclass(frozen=True, slots=True)
class TrayPlan:
    """What `--dry-run` shows of one tray."""

    tray: str
    devices: int
    present: int
    missing: int
    calls: int


class Membership:
    """Which of a manifest's devices the product holds, read from the cloud; and what an import would have to send."""

    def __init__(self, cloud: CloudClient, product: ProductInfo, manifest: Manifest, *, chunk_max: int) -> None:
        self._cloud = cloud
        self._product = product
        self._manifest = manifest
        self._chunk_max = chunk_max
        self.devices: list[ListedDevice] = []
        self.present_before: set[DeviceID] = set()
        self.seen: dict[DeviceID, CloudDevice] = {}

    async def look(self, devices: Collection[ListedDevice]) -> None:
        """Read which of these devices the product holds now. Raises CloudError."""
        self.devices = list(devices)
        self.seen = await self.read({device.id for device in devices})
        self.present_before = {id_ for id_, device in self.seen.items() if device.in_product}

    async def look_again(self) -> None:
        """After sending: read the devices that were not in the product before. Raises CloudError."""
        self.seen |= await self.read({device.id for device in self.devices} - self.present_before)

    def forget(self) -> None:
        """The import is over: from here on memory is for what is open, not for every device of the list."""
        self.devices, self.present_before, self.seen = [], set(), {}

    async def read(self, wanted: set[DeviceID]) -> dict[DeviceID, CloudDevice]:
        """Walk the product's list, or ask device by device where that is fewer calls. Raises CloudError."""
        found: dict[DeviceID, CloudDevice] = {}
        if not wanted:
            return found
        async with aclosing(self._cloud.devices(self._product)) as pages:
            async for page in pages:
                found |= {device.id: device for device in page.devices if device.id in wanted}
                if page.total_pages > len(wanted) + 1:
                    break
            else:
                return found
        for id_ in sorted(wanted - set(found)):
            try:
                found[id_] = await self._cloud.device(self._product, id_)
            except NotInCloud:
                continue
        return found

    def missing(self) -> dict[str, list[ListedDevice]]:
        """The devices that are not in the product, by tray."""
        trays: dict[str, list[ListedDevice]] = {}
        for device in self.devices:
            seen = self.seen.get(device.id)
            if seen is None or not seen.in_product:
                trays.setdefault(device.tray, []).append(device)
        return trays

    def plan(self) -> list[TrayPlan]:
        """What would be sent, tray by tray."""
        rows = Counter(device.tray for device in self.devices)
        missing = {tray: len(devices) for tray, devices in self.missing().items()}
        return [
            TrayPlan(
                tray.id,
                devices=rows[tray.id],
                present=rows[tray.id] - missing.get(tray.id, 0),
                missing=missing.get(tray.id, 0),
                calls=-(-missing.get(tray.id, 0) // self._chunk_max),
            )
            for tray in self._manifest.trays
        ]


class Importer:
    """Brings the missing devices of one manifest into one product. The scheduler runs several `send`s at once."""

    def __init__(
        self, cloud: CloudClient, product: ProductInfo, membership: Membership, journal: Journal, *, chunk_max: int
    ) -> None:
        self._cloud = cloud
        self._product = product
        self._journal = journal
        self._chunk_max = chunk_max
        self._refusals: dict[DeviceID, ImportRefused] = {}
        self._by_echo: dict[str, DeviceID] = {}
        self._ignored: Counter[DeviceID] = Counter()
        self._said_to_be_in: set[DeviceID] = set()
        self._lost_in_a_row = 0
        self.membership = membership

    async def look(self, devices: Collection[ListedDevice]) -> None:
        """Read before write. Raises CloudError."""
        await self.membership.look(devices)
        self._by_echo = {device.id: device.id for device in devices}
        self._by_echo |= {device.serial.lower(): device.id for device in devices if device.serial}

    def chunks(self, round_: int) -> list[Chunk]:
        """The chunks still to send: devices that are not in the product, and that no reply has refused or ignored.

        A lost answer counts against nobody: who is not in afterwards is sent again.
        """
        return [
            Chunk(tray, tuple(rows[start : start + self._chunk_max]), round_)
            for tray, missing in self.membership.missing().items()
            for rows in [[device for device in missing if self._is_open(device.id)]]
            for start in range(0, len(rows), self._chunk_max)
        ]

    def _is_open(self, device: DeviceID) -> bool:
        return device not in self._refusals and self._ignored[device] < IGNORED_MAX

    async def look_again(self, stopped: trio.Event) -> None:
        """Read after write. Who is not listed although the cloud said so a moment ago is waited for, for half a
        minute: the list may come from a copy that is behind. Raises CloudError."""
        await self.membership.look_again()
        for pause_s in LIST_BEHIND_S:
            if stopped.is_set() or self._said_to_be_in <= self.membership.seen.keys():
                return
            with trio.move_on_after(pause_s):
                await stopped.wait()
            await self.membership.look_again()

    # --- writing ---

    async def send(self, chunk: Chunk) -> None:
        """Import one chunk; afterwards every row is accepted, explained, or left for the listing.

        Raises CloudError for what concerns everybody (no rights, cloud unreachable); a lost answer does not raise.
        """
        waiting: list[Sequence[ListedDevice]] = [chunk.devices]
        while waiting:
            rows = waiting.pop()
            if not await self._post(chunk, rows) and len(rows) > 1:
                unsent = await self._isolate(chunk, rows)
                if unsent:
                    waiting.append(unsent)

    async def _isolate(self, chunk: Chunk, rows: Sequence[ListedDevice]) -> list[ListedDevice]:
        """Halve a rejected list until one bad row stands alone: log2(n) calls. Returns the rows not yet sent.

        If no row is bad (the list was only too long), all of them are taken on the way down.
        """
        unsent: list[ListedDevice] = []
        while len(rows) > 1:
            left, right = rows[: len(rows) // 2], rows[len(rows) // 2 :]
            if await self._post(chunk, left):
                rows = right
                continue
            unsent = [*right, *unsent]
            if len(left) == 1:
                return unsent
            rows = left
        await self._post(chunk, rows)
        return unsent

    async def _post(self, chunk: Chunk, rows: Sequence[ListedDevice]) -> bool:
        """One call. False when the cloud rejected the list as such."""
        counts = {"devices": len(rows)}
        self._journal.append("import.intended", tray=chunk.tray, attempt=chunk.round, counts=counts)
        try:
            reply = await self._cloud.import_devices(self._product, [row.id for row in rows])
        except (CloudAnswerLost, CloudReplyUnreadable) as lost:  # it may have been carried out: the listing decides
            self._journal.append("import.unanswered", tray=chunk.tray, code=lost.code, detail=lost.detail)
            self._lost_in_a_row += 1
            if self._lost_in_a_row >= LOST_MAX:
                self._lost_in_a_row = 0
                raise
            return True
        except CloudRefused as refused:
            self._journal.append(
                "import.refused", tray=chunk.tray, code=refused.code, detail=refused.detail, counts=counts
            )
            if refused.status not in _REJECTIONS:
                raise
            if len(rows) == 1:
                self._refusals[rows[0].id] = ImportRefused(f"the cloud rejects this device: {refused.reason}")
            return False
        self._journal.append("import.accepted", tray=chunk.tray, counts=_counts(reply))
        self._lost_in_a_row = 0
        self._explain(reply)
        self._ignored.update(row.id for row in rows)  # who is in by then is not asked for again, whatever this says
        return True

    def _explain(self, reply: ImportReply) -> None:
        told = (self._by_echo.get(echo.lower()) for echo in (*reply.added, *reply.existing))
        self._said_to_be_in.update(device for device in told if device is not None)
        for echoes, refusal in (
            (reply.invalid, ImportInvalid("unknown to Particle, of another platform, or in another product")),
            (reply.nonmember, ImportNonmember("owned by somebody outside the product's team")),
            (reply.protected, ImportProtected("protected, and this product is not")),
        ):
            for echo in echoes:
                device = self._by_echo.get(echo.lower())
                if device is not None:
                    self._refusals[device] = refusal

    # --- the result ---

    def classify(self) -> Iterator[tuple[ListedDevice, str | ImportRefused]]:
        """Each device with `added` or `existing`, or the reason why it is not in the product.

        Devices that are still open, because the run was stopped, are left out: they had no turn.
        """
        for device in self.membership.devices:
            seen = self.membership.seen.get(device.id)
            if seen is not None and seen.in_product:
                yield device, "existing" if device.id in self.membership.present_before else "added"
            elif seen is not None and (seen.quarantined or seen.denied):
                yield device, ImportQuarantined("in the product's quarantine" if seen.quarantined else "denied")
            elif not self._is_open(device.id):
                yield (
                    device,
                    self._refusals.get(device.id)
                    or ImportRefused(
                        f"the cloud took the list {IGNORED_MAX} times without adding this device or saying why"
                    ),
                )

    def record(self, *, complete: bool = True) -> Counter[str]:
        """Write every device's class into the journal; return the counts. Raises if a `complete` import misses one."""
        counts: Counter[str] = Counter()
        for device, result in self.classify():
            if isinstance(result, str):
                counts[result] += 1
                self._journal.append("device.imported", **row_of(device), code=result)
            else:
                counts[result.code.removeprefix("import_")] += 1
                self._journal.append("device.refused", **row_of(device), outcome=Outcome.FAIL, **why_of(result))
        if complete and counts.total() != len(self.membership.devices):
            raise RuntimeError(f"import counts do not sum: {dict(counts)} for {len(self.membership.devices)} devices")
        return counts


def _counts(reply: ImportReply) -> dict[str, int]:
    return {
        "updated": reply.updated,
        "added": len(reply.added),
        "existing": len(reply.existing),
        "invalid": len(reply.invalid),
        "nonmember": len(reply.nonmember),
        "protected": len(reply.protected),
    }
