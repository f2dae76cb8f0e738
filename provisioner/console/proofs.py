"""Which devices wait for the cloud's proof, and which has waited longest. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome

_USUAL_OF: Final = 50


@dataclass(slots=True)
class Proofs:
    """`queue`: told to connect, the cloud is being asked. `open`: these and those it did not prove in time (UNPROVEN).

    Both hold the record of the moment it was told, oldest first.
    """

    queue: dict[DeviceID, Record] = field(default_factory=dict)
    open: dict[DeviceID, Record] = field(default_factory=dict)
    _took_ms: deque[int] = field(default_factory=lambda: deque(maxlen=_USUAL_OF))

    def see(self, record: Record) -> None:
        """Take one record in."""
        if record.device is None:
            return
        match record.event:
            case "connect.intended" | "device.resumed":
                self.queue.setdefault(record.device, record)
                self.open.setdefault(record.device, record)
            case "connect.refused" | "device.returned":
                self.queue.pop(record.device, None)
                self.open.pop(record.device, None)
            case _ if record.outcome is not None and record.event.startswith("device."):
                told = self.queue.pop(record.device, None)
                if record.outcome is not Outcome.UNKNOWN:
                    self.open.pop(record.device, None)
                if told is not None and record.outcome is Outcome.PASS and told.event == "connect.intended":
                    self._took_ms.append(record.mono_ms - told.mono_ms)

    def usual_ms(self) -> int | None:
        """How long a proof has taken: the median of the last fifty."""
        return round(median(self._took_ms)) if self._took_ms else None

    @property
    def oldest(self) -> Record | None:
        """The one that has waited longest for its proof."""
        return next(iter(self.open.values()), None)
