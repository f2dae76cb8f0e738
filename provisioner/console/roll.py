"""Every device of a run, where it stands, and the counts by tray that follow from it. Pure.

Rule 1: each device is counted once, in the tray it was first met in; what cannot be counted makes `misplaced` true
rather than a number wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from provisioner.console.tally import OUTCOME_OF, State, Tally, Trouble
from provisioner.console.tray_map import TrayMap, maps_of
from provisioner.journal.records import Record
from provisioner.model import DeviceID, Outcome


@dataclass(slots=True)
class Standing:
    """One device as the screen knows it."""

    tray: str
    slot: int | None
    state: State = State.LISTED
    before: State = State.LISTED  # where it stood before the visit that is under way
    station: str | None = None
    trouble: Trouble | None = None


class Roll:
    """The devices of one run. All attributes are for reading."""

    def __init__(self) -> None:
        self.all = Tally("all")
        self.trays: dict[str, Tally] = {}
        self.maps: dict[str, TrayMap] = {}
        self.codes: Counter[str] = Counter()  # of the devices that have ended other than PASS
        self.misplaced = False  # a device in no tray of this run, or one more than its tray lists
        self._devices: dict[DeviceID, Standing] = {}
        self._recent: dict[str, None] = {}  # trays, the one touched last at the end

    def begin(self, started: Record) -> None:
        """Take the trays from a run's first record."""
        trays = started.extra.get("trays")
        for name, count in trays.items() if isinstance(trays, Mapping) else ():
            if isinstance(count, int):
                self.trays[name] = Tally(name, count, Counter({State.LISTED: count}))
        self.maps = maps_of(started, {name: tray.devices for name, tray in self.trays.items()})
        total = sum(tray.devices for tray in self.trays.values())
        self.all = Tally("all", total, Counter({State.LISTED: total}))
        self.misplaced = started.extra.get("devices", total) != total

    def find(self, record: Record) -> Standing | None:
        """The device of a record; one that is in no tray of this run cannot be counted, and that is said."""
        if record.device is None:
            return None
        device = self._devices.get(record.device)
        if device is None:
            if record.tray not in self.trays:
                self.misplaced = True
                return None
            device = self._devices[record.device] = Standing(record.tray, record.slot)
            self.maps[record.tray].meet(record.slot)
        return device

    def known(self, device: DeviceID) -> Standing | None:
        """A device that a record has named, or None."""
        return self._devices.get(device)

    def move(self, device: Standing, state: State) -> None:
        """It stands so from now on."""
        tray = self.trays[device.tray]
        for tally in (tray, self.all):
            tally.move(device.state, state)
        if tray.states[State.LISTED] < 0:
            self.misplaced = True
        device.state = state
        self.maps[device.tray].put(device.slot, state)
        if state is not State.IMPORTED:  # import touches every tray; what people look for is where work is done
            self._recent.pop(device.tray, None)
            self._recent[device.tray] = None

    def name_trouble(self, device: Standing, trouble: Trouble | None) -> None:
        """Keep why a device ended other than PASS, and count the reasons."""
        if device.trouble is not None:
            self.codes[device.trouble.code] -= 1
        device.trouble = trouble if trouble is not None and trouble.word != "PASS" else None
        if device.trouble is not None:
            self.codes[device.trouble.code] += 1

    def troubles(self) -> Iterator[Trouble]:
        """The trouble of every device that has ended other than PASS, in the order they were first met."""
        for device in self._devices.values():
            if device.trouble is not None and OUTCOME_OF.get(device.state, Outcome.PASS) is not Outcome.PASS:
                yield device.trouble

    def busy_trays(self, most: int) -> list[Tally]:
        """At most so many trays, in the manifest's order: all, or the ones where something happened last."""
        if len(self.trays) <= most:
            return list(self.trays.values())
        chosen = dict.fromkeys(islice(reversed(self._recent), most))
        chosen |= dict.fromkeys(islice((name for name in self.trays if name not in chosen), most - len(chosen)))
        return [tray for name, tray in self.trays.items() if name in chosen]
