"""What every simulated Photon really experienced, in order of time: the truth that checkers compare with the journal.

Rule 1: no secret is written here: a claim code is named by the same fingerprint as in the journal.
Rule 2: entries are only added, never changed.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from provisioner.simulator.clock import SimClock
from provisioner.simulator.spool import Spool


class Event(enum.StrEnum):
    """What can happen to a Photon."""

    POWERED = "powered"
    UNPOWERED = "unpowered"
    LISTENING = "listening"  # its setup network is up
    SILENT = "silent"  # its setup network is gone
    JOINED = "joined by an adapter"
    LEFT = "left by an adapter"
    ASKED = "asked"  # a command that changes nothing was answered
    REFUSED = "refused"  # a writing command was answered with anything but r 0, or not understood
    CLAIM_CODE_SET = "claim code set"
    CONFIGURED = "configured"
    CONNECT = "told to connect"
    WIFI_JOINED = "factory Wi-Fi joined"
    WIFI_FAILED = "factory Wi-Fi not joined"
    ONLINE = "online"
    CLAIMED = "claim acknowledged"
    OFFLINE = "offline"
    CLOUD_UNREACHABLE = "cloud unreachable"
    FAULT = "fault"  # a fault of the simulated world struck; detail names it


WRITES = frozenset({Event.CLAIM_CODE_SET, Event.CONFIGURED, Event.CONNECT})
WRITE_ATTEMPTS = WRITES | {Event.REFUSED}


@dataclass(frozen=True, slots=True)
class Experience:
    """One entry: `at_s` in the world clock's seconds; `via` names the adapter (or socket) it came through."""

    at_s: float
    device_id: str
    event: Event
    bssid: str
    via: str = ""
    detail: str = ""


class PhotonHistory(list[Experience]):
    """Everything, oldest first. With `spool` it is kept on disk: then only iterating over all of it is possible."""

    def __init__(self, clock: SimClock, spool: Spool | None = None) -> None:
        super().__init__()
        self.closed = False  # the end of the world is no experience
        self._clock = clock
        self._spool = spool
        self._of_device: defaultdict[str, list[Experience]] = defaultdict(list)

    def note(self, device_id: str, event: Event, bssid: str, *, via: str = "", detail: str = "") -> None:
        """Write one entry with the time of now."""
        if self.closed:
            return
        if self._spool is not None:
            self._spool.write([self._clock.seconds(), device_id, event, bssid, via, detail])
            return
        entry = Experience(self._clock.seconds(), device_id, event, bssid, via, detail)
        self.append(entry)
        self._of_device[device_id].append(entry)

    def __iter__(self) -> Iterator[Experience]:
        if self._spool is None:
            yield from super().__iter__()
            return
        for at_s, device_id, event, *rest in self._spool.rows():
            yield Experience(float(at_s), device_id, Event(event), *rest)

    def of(self, device_id: str, *events: Event) -> Iterator[Experience]:
        """One device's entries; only those of the named events, if any."""
        if self._spool is not None:
            raise RuntimeError("a history on disk has no index: iterate over all of it")
        return (entry for entry in self._of_device[device_id] if not events or entry.event in events)

    def written_to(self, device_id: str) -> bool:
        """Whether anything changed on this device, or it was told to connect."""
        return any(self.of(device_id, *WRITES))
