"""Manifest -> product membership: bounded chunks, every row classified, twice is once.

Rule 1: read before write, and read after: the product's own list decides who is in, a reply only explains who is
not. So a lost answer, a row the reply forgot, upper-case or serial-number echoes and the 2017 reply that names
nobody all end the same way: by listing.
Rule 2: a rejected chunk is bisected until the bad rows stand alone; one bad number must not lose the other 49.
Rule 3: every listed device ends as added, existing, invalid, nonmember, protected, quarantined or refused, and
the counts of a tray must sum to its rows.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
)
from provisioner.journal.writer import Journal
from provisioner.line.membership import Membership, Seen
from provisioner.line.rows import row_of, why_of
from provisioner.line.tray import Rows
from provisioner.model import ListedDevice, Outcome

IGNORED_MAX = 2  # a row that two replies do not name, and that is not in either, is refused
LIST_BEHIND_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # when a list that is behind the replies is read again
LOST_MAX = 3  # so many answers lost one after the other are no accident: the line holds and asks for the cloud
_REJECTIONS = (400, 413, 422)  # statuses that speak of the list, not of our rights or of the product


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some devices of one tray, sent in one call. `round` counts from 1."""

    tray: str
    devices: Sequence[ListedDevice]
    round: int = 1


class Importer:
    """Brings the missing devices of one manifest into one product. The scheduler runs several `send`s at once."""

    def __init__(
        self, cloud: CloudClient, product: ProductInfo, membership: Membership, journal: Journal, *, chunk_max: int
    ) -> None:
        self._cloud = cloud
        self._product = product
        self._journal = journal
        self._chunk_max = chunk_max
        self._lost_in_a_row = 0
        self.membership = membership
        # By the membership's numbers:
        self._refusals: dict[int, ImportRefused] = {}
        self._ignored = bytearray()  # how many replies came without it being in afterwards, as far as that matters
        self._said_to_be_in = bytearray()

    async def look(self, devices: Sequence[ListedDevice]) -> None:
        """Read before write. Raises CloudError."""
        self._ignored, self._said_to_be_in = bytearray(len(devices)), bytearray(len(devices))
        await self.membership.look(devices)

    def chunks(self, round_: int) -> list[Chunk]:
        """The chunks still to send: devices that are not in the product, and that no reply has refused or ignored.

        A lost answer counts against nobody: who is not in afterwards is sent again.
        """
        device_of = self.membership.devices.__getitem__
        return [
            Chunk(tray, Rows(device_of, numbers[start : start + self._chunk_max]), round_)
            for tray, missing in self.membership.missing().items()
            for numbers in [array("I", filter(self._is_open, missing))]
            for start in range(0, len(numbers), self._chunk_max)
        ]

    def _is_open(self, number: int) -> bool:
        return number not in self._refusals and self._ignored[number] < IGNORED_MAX

    async def look_again(self, stopped: trio.Event) -> None:
        """Read after write. Who is not listed although the cloud said so a moment ago is waited for, for half a
        minute: the list may come from a copy that is behind. Raises CloudError."""
        await self.membership.look_again()
        for pause_s in LIST_BEHIND_S:
            if stopped.is_set() or self._all_shown():
                return
            with trio.move_on_after(pause_s):
                await stopped.wait()
            await self.membership.look_again()

    def _all_shown(self) -> bool:
        """Whether the cloud shows everybody whom it said to be in."""
        return not any(
            said and self.membership.seen(number) is Seen.NOTHING for number, said in enumerate(self._said_to_be_in)
        )

    # --- writing ---

    async def send(self, chunk: Chunk) -> None:
        """Import one chunk; afterwards every row is accepted, explained, or left for the listing.

        Raises CloudError for what concerns everybody (no rights, cloud unreachable); a lost answer does not raise.
        """
        waiting: list[Sequence[ListedDevice]] = [tuple(chunk.devices)]
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
                (number,) = self._numbers(rows)
                self._refusals[number] = ImportRefused(f"the cloud rejects this device: {refused.reason}")
            return False
        self._journal.append("import.accepted", tray=chunk.tray, counts=_counts(reply))
        self._lost_in_a_row = 0
        self._explain(reply, rows)
        for number in self._numbers(rows):  # who is in by then is not asked for again, whatever this says
            self._ignored[number] = min(IGNORED_MAX, self._ignored[number] + 1)
        return True

    def _numbers(self, rows: Iterable[ListedDevice]) -> list[int]:
        found = (self.membership.number_of(row.id) for row in rows)
        return [number for number in found if number is not None]

    def _explain(self, reply: ImportReply, rows: Sequence[ListedDevice]) -> None:
        """Take in what a reply says. It may name a device in capitals, or by its serial number."""
        serials = {row.serial.lower(): row.id for row in rows if row.serial}

        def number_of(echo: str) -> int | None:
            name = echo.lower()
            return self.membership.number_of(serials.get(name, name))

        for echo in (*reply.added, *reply.existing):
            if (number := number_of(echo)) is not None:
                self._said_to_be_in[number] = True
        for echoes, refusal in (
            (reply.invalid, ImportInvalid("unknown to Particle, of another platform, or in another product")),
            (reply.nonmember, ImportNonmember("owned by somebody outside the product's team")),
            (reply.protected, ImportProtected("protected, and this product is not")),
        ):
            for echo in echoes:
                if (number := number_of(echo)) is not None:
                    self._refusals[number] = refusal

    # --- the result ---

    def classify(self) -> Iterator[tuple[ListedDevice, str | ImportRefused]]:
        """Each device with `added` or `existing`, or the reason why it is not in the product.

        Devices that are still open, because the run was stopped, are left out: they had no turn.
        """
        for number, device in enumerate(self.membership.devices):
            seen = self.membership.seen(number)
            if seen is Seen.IN:
                yield device, "existing" if self.membership.was_in(number) else "added"
            elif seen is Seen.QUARANTINED:
                yield device, ImportQuarantined("in the product's quarantine")
            elif seen is Seen.DENIED:
                yield device, ImportQuarantined("denied")
            elif not self._is_open(number):
                yield (
                    device,
                    self._refusals.get(number)
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
