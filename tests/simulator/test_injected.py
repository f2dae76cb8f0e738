"""The table of what was injected adds up, and leaves nothing out."""

from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome
from provisioner.simulator.clock import EPOCH
from provisioner.simulator.cloud.state import Happening, What
from provisioner.simulator.faults import PROFILES, Faults
from provisioner.simulator.injected import _WORDS, can_strike, lines, table
from provisioner.simulator.strikes import Strike

IDS = [f"3b002100174735323634303{n}" for n in range(4)]
ENDS = [Outcome.PASS, Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN]


def record(event, device, outcome=None, **more):
    return Record(seq=0, at=EPOCH, mono_ms=0, run="r", event=event, device=DeviceID(device), outcome=outcome, **more)


RECORDS = [
    record("visit.ended", IDS[0], Outcome.FAIL, code="link_lost", blame="device"),
    *(record(f"device.{end.value}", device, end) for device, end in zip(IDS, ENDS, strict=True)),
]


def test_a_row_counts_strikes_devices_and_their_ends():
    strikes = [
        Strike(0.0, "ap_vanishes", IDS[0]),
        Strike(1.0, "ap_vanishes", IDS[0]),
        Strike(2.0, "ap_vanishes", IDS[2]),
    ]
    (row,) = table(Faults(connect_reply_lost=0.0, ap_vanishes=0.1), strikes, [], RECORDS)

    assert (row.times, row.devices) == (3, {IDS[0], IDS[2]})
    assert row.outcomes == {Outcome.PASS: 1, Outcome.FAIL: 1}
    assert row.codes == {"link_lost": 1}


def test_what_could_strike_and_did_not_is_a_row_of_zeros():
    rows = table(PROFILES["nasty"], [], [], RECORDS)

    assert {row.times for row in rows} == {0}
    assert {row.fault for row in rows} >= {name for name in can_strike() if getattr(PROFILES["nasty"], name)}


def test_every_chance_in_the_struct_has_words():
    assert can_strike() <= _WORDS.keys() | {"cloud_busy", "cloud_fault", "cloud_answer_lost", "import_row_missing"}


def test_faults_of_requests_have_no_device_but_swallowed_rows_have():
    happenings = [
        Happening(0.0, What.BUSY),
        Happening(0.0, What.BUSY),
        Happening(0.0, What.ROW_SWALLOWED, device=IDS[3]),
        Happening(0.0, What.ONLINE, device=IDS[0]),
    ]
    rows = {row.fault: row for row in table(Faults(connect_reply_lost=0.0), [], happenings, RECORDS)}

    assert (rows["cloud_busy"].times, rows["cloud_busy"].devices) == (2, set())
    assert rows["import_row_missing"].outcomes == {Outcome.UNKNOWN: 1}
    assert len(rows) == 2


def test_a_device_that_is_on_no_list_is_in_no_column():
    (row,) = table(Faults(connect_reply_lost=0.0), [Strike(0.0, "weak_board", "f" * 24)], [], RECORDS)

    assert (row.times, row.devices, row.outcomes.total()) == (1, set(), 0)


def test_the_lines_fit_a_terminal_and_hold_the_sums():
    strikes = [Strike(0.0, fault, device) for fault in _WORDS for device in IDS]
    rows = table(PROFILES["nasty"], strikes, [], RECORDS)
    told = lines(rows)

    assert max(map(len, told)) <= 100
    assert all(row.outcomes.total() == len(row.devices) for row in rows)
    assert sum(line.split()[-5:] == ["4", "2", "1", "1", "·"] for line in told) == len(_WORDS)
