"""Every device of a run, where it stands, and the counts by tray that follow from it. Pure.

Rule 1: each device is counted once, in the tray it was first met in; what cannot be counted makes `misplaced` true
rather than a number wrong.
Rule 2: a device costs 28 bytes: 18 for its ID (`packed`) and ten in columns. Only one that ended other than PASS has
an object of its own, its trouble.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import Final

from provisioner.console.tally import OUTCOME_OF, State, Tally, Trouble
from provisioner.console.tray_map import TrayMap, maps_of
from provisioner.journal.fields import Record
from provisioner.model import Outcome
from provisioner.packed import IDIndex

_STATES: Final = tuple(State)
_NUMBER: Final = {state: number for number, state in enumerate(_STATES)}
_NARROW: Final = 0xFFFF  # what a column of two bytes can say


class _Columns:
    """What is known of each device, by its number. Stations are numbered as they come; 0 is none, in slots too."""

    __slots__ = ("before", "slots", "states", "station_numbers", "stations", "trays", "visited_by")

    def __init__(self, *, trays: int) -> None:
        self.states = bytearray()
        self.before = bytearray()
        self.trays = array("H" if trays <= _NARROW else "I")
        self.slots = array("H")
        self.visited_by = array("H")
        self.stations: list[str | None] = [None]
        self.station_numbers: dict[str | None, int] = {None: 0}

    def add(self, tray: int, slot: int | None) -> None:
        """The next device, which is listed there. A slot that no tray can have is none."""
        self.states.append(_NUMBER[State.LISTED])
        self.before.append(_NUMBER[State.LISTED])
        self.trays.append(tray)
        self.slots.append(slot if slot is not None and 0 < slot <= _NARROW else 0)
        self.visited_by.append(0)

    def visited(self, number: int, station: str | None) -> None:
        """That station has it, or had it last."""
        known = self.station_numbers.setdefault(station, len(self.stations))
        if known == len(self.stations):
            self.stations.append(station)
            if known > _NARROW and self.visited_by.typecode == "H":
                self.visited_by = array("I", self.visited_by)
        self.visited_by[number] = known


class Standing:
    """One device as the screen knows it: a look into the columns, and the hand that changes them. Not to be kept."""

    __slots__ = ("_columns", "number")

    def __init__(self, columns: _Columns, number: int) -> None:
        self._columns, self.number = columns, number

    @property
    def state(self) -> State:
        """Where it stands."""
        return _STATES[self._columns.states[self.number]]

    @state.setter
    def state(self, state: State) -> None:
        self._columns.states[self.number] = _NUMBER[state]

    @property
    def before(self) -> State:
        """Where it stood before the visit that is under way."""
        return _STATES[self._columns.before[self.number]]

    @before.setter
    def before(self, state: State) -> None:
        self._columns.before[self.number] = _NUMBER[state]

    @property
    def station(self) -> str | None:
        """The station that has it, or had it last."""
        return self._columns.stations[self._columns.visited_by[self.number]]

    @station.setter
    def station(self, station: str | None) -> None:
        self._columns.visited(self.number, station)

    @property
    def tray(self) -> int:
        """The tray it was first met in, by number."""
        return self._columns.trays[self.number]

    @property
    def slot(self) -> int:
        """Its slot there; 0 is none."""
        return self._columns.slots[self.number]


class Roll:
    """The devices of one run. All attributes are for reading."""

    def __init__(self) -> None:
        self.all = Tally("all")
        self.trays: dict[str, Tally] = {}
        self.maps: dict[str, TrayMap] = {}
        self.codes: Counter[str] = Counter()  # of the devices that have ended other than PASS
        self.misplaced = False  # a device in no tray of this run, or one more than its tray lists
        self.numbers = IDIndex()  # of the devices that records have named, as they were first met
        self._columns = _Columns(trays=0)
        self._tray_names: list[str] = []
        self._tray_numbers: dict[str, int] = {}
        self._troubles: dict[int, Trouble] = {}
        self._recent: dict[str, None] = {}  # trays, the one touched last at the end

    def begin(self, started: Record) -> None:
        """Take the trays from a run's first record."""
        trays = started.extra.get("trays")
        for name, count in trays.items() if isinstance(trays, Mapping) else ():
            if isinstance(count, int):
                self.trays[name] = Tally(name, count, Counter({State.LISTED: count}))
        self.maps = maps_of(started, {name: tray.devices for name, tray in self.trays.items()})
        self._tray_names = list(self.trays)
        self._tray_numbers = {name: number for number, name in enumerate(self._tray_names)}
        total = sum(tray.devices for tray in self.trays.values())
        self.numbers, self._columns = IDIndex(expected=total), _Columns(trays=len(self.trays))
        self.all = Tally("all", total, Counter({State.LISTED: total}))
        self.misplaced = started.extra.get("devices", total) != total

    def find(self, record: Record) -> Standing | None:
        """The device of a record; one that is in no tray of this run cannot be counted, and that is said."""
        if record.device is None:
            return None
        number = self.numbers.get(record.device)
        if number is None:
            if record.tray not in self.trays:
                self.misplaced = True
                return None
            number = self.numbers.add(record.device)
            self._columns.add(self._tray_numbers[record.tray], record.slot)
            self.maps[record.tray].meet(record.slot)
        return Standing(self._columns, number)

    def move(self, device: Standing, state: State) -> None:
        """It stands so from now on."""
        name, before = self._tray_names[device.tray], device.state
        tray = self.trays[name]
        tray.move(before, state)
        self.all.move(before, state)
        if tray.states[State.LISTED] < 0:
            self.misplaced = True
        device.state = state
        self.maps[name].put(device.slot, state)
        if state is not State.IMPORTED:  # import touches every tray; what people look for is where work is done
            self._recent.pop(name, None)
            self._recent[name] = None

    def name_trouble(self, device: Standing, trouble: Trouble | None) -> None:
        """Keep why a device ended other than PASS, and count the reasons."""
        known = self._troubles.pop(device.number, None)
        if known is not None:
            self.codes[known.code] -= 1
        if trouble is not None and trouble.word != "PASS":
            self._troubles[device.number] = trouble
            self.codes[trouble.code] += 1

    def troubles(self) -> Iterator[Trouble]:
        """The trouble of every device that has ended other than PASS, in the order they were first met."""
        for number, trouble in sorted(self._troubles.items(), key=itemgetter(0)):
            if OUTCOME_OF.get(Standing(self._columns, number).state, Outcome.PASS) is not Outcome.PASS:
                yield trouble

    def busy_trays(self, most: int) -> list[Tally]:
        """At most so many trays, in the manifest's order: all, or the ones where something happened last."""
        if len(self.trays) <= most:
            return list(self.trays.values())
        chosen = dict.fromkeys(islice(reversed(self._recent), most))
        chosen |= dict.fromkeys(islice((name for name in self.trays if name not in chosen), most - len(chosen)))
        return [tray for name, tray in self.trays.items() if name in chosen]
