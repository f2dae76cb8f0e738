"""Reading a device's owner and last handshake just before its visit, without holding the adapter for the cloud.

Rule 1: a read is asked for as early as the device can be guessed (its label names its setup network, or it
answered there before), so that it is usually there when the device has identified itself.
Rule 2: a read counts only if it was made after the setup network was heard: a listening device cannot shake
hands with the cloud, so nothing changes between the read and the visit.
Rule 3: a single radio reads everything before it leaves the uplink (`preload`); while it is away nothing is asked.
Rule 4: the queue is bounded; a guess that does not fit is dropped, the station then asks again itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import trio

from provisioner.errors import CloudError, CloudUnreachable, NotInCloud
from provisioner.line.uplink import Uplink
from provisioner.model import CloudDevice, DeviceID, ListedDevice

QUEUE_MAX = 64
FRESH_S = 120.0


class ReadsDevices(Protocol):
    """How a device is read from the cloud under its policy (product route, or the account's own)."""

    async def __call__(self, device: ListedDevice) -> CloudDevice:
        """Return the device as the cloud shows it. Raises CloudError."""
        ...


@dataclass(slots=True)
class _Read:
    """One read: under way until `done` is set; then a device, None for not there, or a fault."""

    asked_s: float
    done: trio.Event = field(default_factory=trio.Event)
    device: CloudDevice | None = None
    fault: CloudError | None = None


class Lookups:
    """A small pool of readers beside the stations. `work` is run several times by the scheduler."""

    def __init__(self, read: ReadsDevices, uplink: Uplink, *, report: Callable[[CloudError], None]) -> None:
        self._read = read
        self._uplink = uplink
        self._report = report
        self._reads: dict[DeviceID, _Read] = {}
        self._send, self._receive = trio.open_memory_channel[tuple[ListedDevice, _Read]](QUEUE_MAX)

    def ahead(self, device: ListedDevice) -> None:
        """Ask for a read if there is no fresh one; never waits."""
        if self._uplink.is_away:
            return
        now_s = trio.current_time()
        read = self._reads.get(device.id)
        if read is not None and now_s - read.asked_s < FRESH_S and read.fault is None:
            return
        read = _Read(now_s)
        try:
            self._send.send_nowait((device, read))
        except trio.WouldBlock:
            return
        self._reads[device.id] = read

    @property
    def uplink_is_away(self) -> bool:
        """Whether nothing can be asked of the cloud now."""
        return self._uplink.is_away

    def preload(self, found: Mapping[DeviceID, CloudDevice], asked: Iterable[DeviceID]) -> None:
        """Keep what one bulk read found, for a window in which no single read can be made."""
        for id_ in asked:
            read = _Read(trio.current_time(), device=found.get(id_))
            read.done.set()
            self._reads[id_] = read

    def forget(self, device: DeviceID) -> None:
        """After a visit: what was read no longer holds."""
        self._reads.pop(device, None)

    async def get(self, device: ListedDevice) -> CloudDevice | None:
        """The device as read after its setup network was heard; None if the cloud does not have it.

        Raises CloudError; the caller sets the deadline.
        """
        self.ahead(device)
        read = self._reads.get(device.id)
        if read is None and self._uplink.is_away:
            raise CloudUnreachable(f"{device.id} was not read before the adapter left the uplink")
        if read is None:  # the queue is full of guesses: this one is no guess
            read = self._reads[device.id] = _Read(trio.current_time())
            await self._send.send((device, read))
        await read.done.wait()
        if read.fault is not None:
            self.forget(device.id)
            raise read.fault
        return read.device

    async def work(self) -> None:
        """Serve reads until cancelled."""
        async for device, read in self._receive:
            try:
                async with self._uplink.present():
                    read.device = await self._read(device)
            except NotInCloud:
                read.device = None
            except CloudError as fault:
                read.fault = fault
                self._report(fault)
            read.done.set()
