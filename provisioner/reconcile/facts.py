"""What two of the three sides say of one device: the manifests (`Listed`), and all journals folded (`Facts`). Pure.

Rule 1: facts come from records alone, oldest first; folding twice, or in parts, gives the same.
Rule 2: a device passes by its last final record. A later `skipped` (it was in a tray that had no turn) takes no proof
away; a later failure, or an intention to connect without an end, does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioner.journal.fields import Record
from provisioner.model import Outcome

TELLS = frozenset({
    "device.imported", "device.confirmed", "device.carried", "device.failed", "device.refused", "device.unknown",
    "device.skipped", "device.restored", "device.released", "wifi.intended", "connect.intended", "connect.refused",
    "visit.ended",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """One device as manifests list it. `owner` is who shall own it, lower case; `lists` how many manifests name it."""

    device: str
    manifest: str
    tray: str
    slot: int
    serial: str | None
    claim: str
    owner: str | None
    needs_visit: bool
    takeover: bool = False
    lists: int = 1


@dataclass(slots=True)
class Facts:
    """One device as the journals leave it. `run` and `at` are those of its last final record.

    `has_wifi`: it may have stored the factory Wi-Fi since, with which it goes online by itself, told to or not.
    """

    tray: str = ""
    slot: int = 0
    outcome: Outcome | None = None
    code: str = ""
    step: str = ""
    run: str = ""
    at: datetime | None = None
    owner: str | None = None
    handshake_at: datetime | None = None
    connecting: bool = False
    has_wifi: bool = False
    handshake_before: datetime | None = None
    cloud_from: datetime | None = None
    imported: bool = False
    visits: int = 0
    restored: bool = False
    in_doubt: bool = False

    @property
    def proven(self) -> bool:
        """Whether the journals say PASS, and nothing has opened the device again."""
        return self.outcome is Outcome.PASS

    @property
    def open(self) -> bool:
        """Whether it was told to connect, or can by itself, and nobody has seen the end."""
        return self.connecting or self.has_wifi or self.outcome is Outcome.UNKNOWN

    def see(self, record: Record) -> None:
        """Fold one record about this device in."""
        self.tray, self.slot = record.tray or self.tray, record.slot or self.slot
        match record.event:
            case "device.imported":
                self.imported, self.restored = True, False
            case "visit.ended":
                self.visits += 1
            case "wifi.intended":
                self.has_wifi = True
                self._ended_in(record)
            case "connect.intended":
                evidence = record.evidence or {}
                self.connecting, self.outcome, self.restored = True, None, False
                self.handshake_before = time_of(evidence.get("handshake_before"))
                self.cloud_from = time_of(evidence.get("cloud_from"))
                self._ended_in(record)
            case "connect.refused":
                self.connecting = False
            case "device.restored":
                self.restored, self.connecting, self.has_wifi = True, False, False
                self.outcome, self.imported = None, False
                self._ended_in(record)
            case _ if record.outcome is not None:
                self._end(record, record.outcome)

    def _end(self, record: Record, outcome: Outcome) -> None:
        if outcome is Outcome.SKIPPED and (self.proven or self.open or self.outcome is Outcome.FAIL):
            return  # it had no turn in that run: that takes no proof away, no doubt, and no failure
        self.outcome, self.code, self.step = outcome, record.code or "", record.step or ""
        self.connecting = self.connecting and outcome is Outcome.UNKNOWN
        self.has_wifi = self.has_wifi and outcome is Outcome.UNKNOWN
        self._ended_in(record)
        if outcome is Outcome.PASS:
            evidence = record.evidence or {}
            owner = evidence.get("owner")
            self.owner = owner.lower() if isinstance(owner, str) else None
            self.handshake_at = time_of(evidence.get("last_handshake_at")) or self.handshake_at
            self.restored = False
            if record.event == "device.confirmed":
                self.in_doubt = False

    def _ended_in(self, record: Record) -> None:
        self.run, self.at = record.run, record.at


def time_of(value: object) -> datetime | None:
    """A time as evidence is written, or None."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None
