"""The roll packs what a plain dict of objects would say: the same for every sequence of records, sensible or not."""

import gc
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.console import view
from provisioner.console.board import parts_of
from provisioner.console.roll import Roll
from provisioner.console.tally import OUTCOME_OF, State, Trouble
from provisioner.console.view import Screen
from provisioner.errors import Blame
from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome

BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class Plain:
    """One device, as an object of its own."""

    number: int
    tray: str
    slot: int | None
    state: State = State.LISTED
    before: State = State.LISTED
    station: str | None = None
    trouble: Trouble | None = None


class PlainRoll(Roll):
    """What `Roll` says, by the shortest way to say it; the counts by tray and the maps are its own."""

    def __init__(self):
        super().__init__()
        self.devices = {}

    def find(self, record):
        if record.device is None:
            return None
        device = self.devices.get(record.device)
        if device is None:
            if record.tray not in self.trays:
                self.misplaced = True
                return None
            device = self.devices[record.device] = Plain(len(self.devices), record.tray, record.slot)
            self.maps[record.tray].meet(record.slot)
        return device

    def move(self, device, state):
        for tally in (self.trays[device.tray], self.all):
            tally.move(device.state, state)
        if self.trays[device.tray].states[State.LISTED] < 0:
            self.misplaced = True
        device.state = state
        self.maps[device.tray].put(device.slot, state)
        if state is not State.IMPORTED:
            self._recent.pop(device.tray, None)
            self._recent[device.tray] = None

    def name_trouble(self, device, trouble):
        if device.trouble is not None:
            self.codes[device.trouble.code] -= 1
        device.trouble = trouble if trouble is not None and trouble.word != "PASS" else None
        if device.trouble is not None:
            self.codes[device.trouble.code] += 1

    def troubles(self):
        for device in self.devices.values():
            if device.trouble is not None and OUTCOME_OF.get(device.state, Outcome.PASS) is not Outcome.PASS:
                yield device.trouble


def device(number):
    return DeviceID(f"3b00210017473532363430{number:02x}")


FLOW = ("imported", "identified", "failed", "confirmed", "unknown", "skipped", "carried", "returned", "set_aside")
events = st.sampled_from([f"device.{event}" for event in FLOW] + ["connect.accepted", "visit.ended"]) | st.sampled_from(
    sorted(
        event
        for event in view._FOLDS
        if event.startswith(("device.", "visit.", "connect.", "station.", "import.", "run.finished", "stranger."))
    )
)
usual, unusual = st.sampled_from("AB"), st.sampled_from(["", "no such tray", None])
slots = st.none() | st.sampled_from([0, 6, 7, 50, 51, 9_999, 10_000, 10_001, 65_536, 65_537, 10**12])
records = st.builds(
    dict,
    event=events,
    device=st.integers(0, 3).map(device) | st.none() | st.integers(0, 9).map(device),
    tray=usual | usual | usual | unusual,
    slot=st.integers(1, 3) | slots,
    station=st.sampled_from([None, "S1", "S2", "S3"]),
    outcome=st.none() | st.sampled_from(Outcome),
    code=st.none() | st.sampled_from(["x", "y"]),
    blame=st.none() | st.sampled_from(Blame),
    step=st.none() | st.just("joining"),
)
begun = st.fixed_dictionaries(
    {
        "trays": st.fixed_dictionaries(
            {"A": st.integers(0, 6)}, optional={"B": st.sampled_from([-1, 0, 1, 3, 10_000]), "": st.just(2)}
        ),
        "stations": st.just(["S1", "S2"]),
    },
    optional={
        "devices": st.integers(0, 8),
        "layout": st.sampled_from(["2x2", "no layout"]),
        "slots": st.fixed_dictionaries({}, optional={"A": st.sampled_from(["1-3,5", "2", "nothing"])}),
        "command": st.sampled_from(["run", "import"]),
    },
)


def record(seq, event, **fields):
    return Record(seq=seq, at=BEGAN + timedelta(seconds=seq), mono_ms=1000 * seq, run="r", event=event, **fields)


def seen_of(screen, now_ms):
    """All that anybody can see of a screen."""
    roll = screen.roll
    return {
        "page": dict(parts_of(screen, now_ms, None)),
        "tallies": [(tally.name, tally.devices, +tally.states, -tally.states) for tally in roll.trays.values()],
        "all": (roll.all.devices, +roll.all.states, -roll.all.states),
        "maps": [(m.name, m.rows, m.columns, m.letters, m.missing, sorted(m.doubled)) for m in roll.maps.values()],
        "misplaced": roll.misplaced,
        "adds up": screen.adds_up,
        "codes": +roll.codes,
        "troubles": list(screen.troubles()),
        "busy": [[tray.name for tray in screen.busy_trays(most)] for most in (0, 1, 2, 9)],
        "stations": screen.stations,
        "carried": screen.carried,
        "left": screen.left,
    }


@settings(max_examples=300, deadline=None)
@given(
    runs=st.lists(st.tuples(begun, st.lists(records, max_size=60)), min_size=1, max_size=2),
    early=st.lists(records, max_size=2),
)
def test_a_roll_says_what_a_dict_of_objects_would_say(runs, early):
    steps = [*early]
    for start, more in runs:
        steps += [{"event": "run.started", "extra": start}, *more]
    assert_same_as_plain_objects(steps)


def assert_same_as_plain_objects(steps):
    screen = Screen()
    with mock.patch.object(view, "Roll", PlainRoll):
        plain = Screen()
    for seq, step in enumerate(steps):
        one = record(seq, **step)
        screen.see(one)
        with mock.patch.object(view, "Roll", PlainRoll):
            plain.see(one)
        assert seen_of(screen, one.mono_ms) == seen_of(plain, one.mono_ms)
    assert list(screen.roll.numbers) == list(plain.roll.devices)
    for id_, told in plain.roll.devices.items():
        found = screen.roll.find(record(0, "device.imported", device=id_))
        assert (found.state, found.before, found.station) == (told.state, told.before, told.station)


def test_a_slot_beyond_the_last_that_the_map_still_has_room_for():
    row = {"device": device(0), "tray": "A", "slot": 10_000}
    started = {"event": "run.started", "extra": {"trays": {"A": 10_000}, "stations": []}}
    assert_same_as_plain_objects([started, {"event": "device.identified", **row}])


def test_who_fails_again_keeps_its_place_among_the_troubles():
    steps = [{"event": "run.started", "extra": {"trays": {"A": 3}, "stations": []}}]
    steps += [
        {"event": "device.failed", "device": device(n), "tray": "A", "slot": n, "code": str(at)}
        for at, n in enumerate((1, 2, 3, 1))
    ]
    assert_same_as_plain_objects(steps)


@pytest.mark.parametrize("many", [65_535, 65_536])
def test_more_stations_than_two_bytes_can_count(many):
    screen = Screen()
    screen.see(record(0, "run.started", extra={"trays": {"A": 1}, "stations": []}))
    screen.see(record(1, "device.imported", tray="A", slot=1, device=device(0)))
    one = screen.roll.find(record(1, "device.imported", device=device(0)))
    for number in range(many):
        one.station = f"S{number}"

    assert one.station == f"S{many - 1}"


def test_more_trays_than_two_bytes_can_count():
    trays = {str(number): 1 for number in range(65_537)}
    roll = Roll()
    roll.begin(record(0, "run.started", extra={"trays": trays}))
    for number in (0, 1, 65_535, 65_536):
        row = {"tray": str(number), "slot": 1, "device": f"{number:024x}"}
        roll.move(roll.find(record(1, "device.imported", **row)), State.CONFIRMED)

    assert [number for number, tray in roll.trays.items() if tray.states[State.CONFIRMED]] == [
        "0",
        "1",
        "65535",
        "65536",
    ]


def held_after(count):
    """The bytes that a screen holds when so many devices have been proven."""
    gc.collect()
    tracemalloc.start()
    try:
        screen = Screen()
        trays = {f"T-{number}": 50 for number in range(count // 50)}
        screen.see(record(0, "run.started", extra={"trays": trays, "stations": ["S1"]}))
        for number in range(count):
            row = {"tray": f"T-{number // 50}", "slot": number % 50 + 1, "device": DeviceID(f"{number:024x}")}
            for event in ("device.imported", "device.identified", "connect.intended", "connect.accepted"):
                screen.see(record(number, event, station="S1", **row))
            screen.see(record(number, "visit.ended", station="S1", outcome=Outcome.PASS, **row))
            screen.see(record(number, "device.confirmed", station="S1", outcome=Outcome.PASS, **row))
        assert screen.all.states[State.CONFIRMED] == count
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_proven_device_costs_a_screen_some_bytes_and_no_object():
    held_after(50)  # what is made once
    each = (held_after(3_000) - held_after(1_000)) / 2_000

    assert each < 60  # of which a tray's own count and map are a third
