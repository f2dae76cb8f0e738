"""The event streams of the simulated cloud (facts, particle-cloud 10): who hears what, and what gets lost on the way.

Rule 1: there is no replay: a stream tells what happens while it is open. A claim is on no stream; it must be asked for.
Rule 2: delivery is as the reference warns: an event may be lost, doubled or late, so that two change places; by the
numbers in `Faults`.
Rule 3: a reader that does not read loses the oldest events, counted; it never costs more than its own buffer.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field

import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.rows import stamp
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.state import SimDevice
from provisioner.simulator.faults import Dice, Faults

BUFFER_EVENTS = 256
_TTL_S = 60
OPENING = b":ok\n\n"
_KEEP_ALIVE = b"\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream shall tell: of a product or one account's devices, of one device if named, names by prefix."""

    product_id: int | None = None
    owner_id: str | None = None
    device_id: str | None = None
    prefix: str = ""

    def fits(self, name: str, device: SimDevice) -> bool:
        """Whether an event of this name and device belongs on the stream."""
        if not name.startswith(self.prefix) or (self.device_id is not None and device.id != self.device_id):
            return False
        if self.product_id is not None:
            return device.listed_in(self.product_id)
        return device.owner is not None and device.owner.id == self.owner_id


@dataclass(slots=True)
class Stream:
    """One open stream: events by the time they arrive. `dropped`: how many a slow reader has lost."""

    wanted: Wanted
    dropped: int = 0
    _due: list[tuple[float, int, bytes]] = field(default_factory=list)
    _arrived: trio.Event = field(default_factory=trio.Event)

    def put(self, at_s: float, number: int, event: bytes) -> None:
        """Let an event arrive at that time of the clock."""
        heapq.heappush(self._due, (at_s, number, event))
        if len(self._due) > BUFFER_EVENTS:
            heapq.heappop(self._due)
            self.dropped += 1
        self._arrived.set()

    async def next(self, clock: SimClock, keep_alive_s: float) -> bytes:
        """Wait for what comes next: an event, or a lone newline when there has been nothing to say."""
        while True:
            now_s = clock.seconds()
            if self._due and self._due[0][0] <= now_s:
                return heapq.heappop(self._due)[2]
            wait_s = min(keep_alive_s, self._due[0][0] - now_s if self._due else keep_alive_s)
            self._arrived = trio.Event()
            with trio.move_on_after(wait_s / clock.speed) as silence:
                await self._arrived.wait()
            if silence.cancelled_caught and wait_s >= keep_alive_s:
                return _KEEP_ALIVE


class EventHub:
    """All open streams. `opened` counts them all."""

    def __init__(self, *, clock: SimClock, dice: Dice, faults: Faults, rules: CloudRules) -> None:
        self._clock = clock
        self._dice = dice
        self._faults = faults
        self._rules = rules
        self._streams: list[Stream] = []
        self._published = 0

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, wanted: Wanted) -> Stream | None:
        """A new stream; None if there are too many already."""
        if len(self._streams) >= self._rules.streams_max:
            return None
        stream = Stream(wanted)
        self._streams.append(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """The reader is gone."""
        self._streams.remove(stream)

    def publish(self, name: str, data: str, device: SimDevice) -> None:
        """Tell everybody who wants to know."""
        self._published += 1
        if not self._streams:
            return
        lines = self._written(name, data, device)
        for place, stream in enumerate(self._streams):
            if stream.wanted.fits(name, device):
                self._deliver(stream, place, lines)

    def _deliver(self, stream: Stream, place: int, lines: bytes) -> None:
        number = self._published
        if self._roll("lost", number, place) < self._faults.event_lost:
            return
        copies = 2 if self._roll("doubled", number, place) < self._faults.event_doubled else 1
        for copy in range(copies):
            late_s = self._roll("late", number, place, copy) * self._faults.event_late_s
            stream.put(self._clock.seconds() + late_s, number, lines)

    def _written(self, name: str, data: str, device: SimDevice) -> bytes:
        body: dict[str, object] = {
            "data": data,
            "ttl": _TTL_S,
            "published_at": stamp(self._clock.now()),
            "coreid": device.id,
        }
        if device.product_id is not None:
            body |= {"version": 1, "productID": device.product_id}
        return f"event: {name}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()

    def _roll(self, *name: object) -> float:
        return self._dice.fraction("event", *name)
