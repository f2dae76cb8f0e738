"""Plain sentences: what happened, to which board, what to do; nothing that harms a terminal."""

import unicodedata

import pytest

from provisioner.console.lines import about, clock, line_of, pace_words, progress, where
from provisioner.console.tally import Trouble
from provisioner.model import DeviceID

ID = "3b00210017473532363430"
FAIL = {"outcome": "fail", "code": "no_address", "blame": "device", "remedy": "Press RESET.", "detail": "no lease"}


@pytest.mark.parametrize(
    ("event", "fields", "line"),
    [
        ("device.confirmed", {"device": 1}, f"PASS T-0001/1 {ID}01 (1 of 5)"),
        ("device.failed", {"device": 1, **FAIL}, f"FAIL T-0001/1 {ID}01: no_address: no lease -> Press RESET."),
        ("device.refused", {"device": 1, **FAIL}, f"FAIL T-0001/1 {ID}01: no_address: no lease -> Press RESET."),
        ("device.unknown", {"device": 1, "code": "not_proven"}, f"UNPROVEN T-0001/1 {ID}01: not_proven"),
        ("device.skipped", {"device": 1, "code": "not_seen"}, f"SKIPPED T-0001/1 {ID}01: not_seen"),
        (
            "visit.ended",
            {"station": "ST1", "device": 1, **FAIL},
            f"visit failed T-0001/1 {ID}01 at ST1: no_address: no lease -> Press RESET.",
        ),
        ("visit.ended", {"station": "ST1", "device": 1, "outcome": "pass"}, None),
        ("station.drained", {"station": "ST1", **FAIL}, "STATION DRAINED at ST1: no_address: no lease -> Press RESET."),
        ("line.held", FAIL, "LINE HELD: no lease -> Press RESET."),
        ("line.released", {}, "LINE RUNNING"),
        ("stranger.seen", {"station": "ST1", "code": "stranger_device"}, "STRANGER at ST1: stranger_device"),
        ("import.refused", {"tray": "T-0001", "code": "x"}, "import refused T-0001: x"),
        (
            "scan.taken",
            {"station": "ST1", "device": 1, "operator": "Ada", "scanned": "x"},
            f"LOOKING FOR T-0001/1 {ID}01 at ST1 for Ada: Put it at the station, blinking blue.",
        ),
        (
            "scan.taken",
            {"station": "ST1", "scanned": "Photon-\x1bKLJZ"},
            "LOOKING FOR Photon-\\x1bKLJZ at ST1: Put it at the station, blinking blue.",
        ),
        ("scan.refused", {"station": "ST1", **FAIL}, "SCAN NOT TAKEN at ST1: no_address: no lease -> Press RESET."),
        ("scan.refused", FAIL, "SCAN NOT TAKEN: no_address: no lease -> Press RESET."),
        (
            "scan.ended",
            {"station": "ST1", "device": 1, "outcome": "fail", "code": "not_the_scanned_device"},
            f"WRONG BOARD T-0001/1 {ID}01 at ST1: not_the_scanned_device",
        ),
        (
            "scan.ended",
            {"station": "ST1", "device": 1, "outcome": "fail", "code": "scanned_not_heard"},
            f"SCAN FAILED T-0001/1 {ID}01 at ST1: scanned_not_heard",
        ),
        (
            "scan.ended",
            {"station": "ST1", "device": 1, "outcome": "pass"},
            f"NOT PROVEN YET T-0001/1 {ID}01: Then scan the next board.",
        ),
        ("command.scanned", {"operator": "Ada", "code": "badge_taken"}, "HELLO Ada"),
        ("scanner.lost", {"station": "ST1", **FAIL}, "SCANNER LOST at ST1: no_address: no lease -> Press RESET."),
        ("scanner.found", {"source": "/dev/ttyACM0"}, "the scanner /dev/ttyACM0 is there"),
        ("device.identified", {"station": "ST1", "device": 1}, None),
        ("never.heard_of", {}, None),
    ],
)
def test_each_event_that_matters_is_one_line(fold, event, fields, line):
    screen = fold(fold.begun, (event, fields))

    assert line_of(screen.last, screen) == line


def test_the_start_and_the_end_say_what_the_run_is(fold):
    started = fold()
    finished = fold(*(("device.confirmed", {"device": n}) for n in (1, 2, 3, 4, 5)), ("run.finished", {}))

    assert line_of(started.last, started).endswith("product tempmon-v100: 5 devices, 2 trays, ST1, ST2")
    assert line_of(finished.last, finished) == "FINISHED, ALL PASS"


def test_progress_gives_counts_that_add_up(fold):
    screen = fold(fold.begun, ("device.confirmed", {"device": 1}), ("device.failed", {"device": 2, **FAIL}))

    assert progress(screen, 0) == "LINE RUNNING: 1 PASS, 1 FAIL, 0 UNPROVEN, 0 SKIPPED, 3 of 5 left"


def test_the_pace_is_left_out_until_known_and_the_end_when_finished(fold):
    visit = (0, "visit.started", {"station": "ST1"})
    passed = (100, "device.confirmed", {"device": 1})

    assert pace_words(fold(visit), 60_000) == []
    words = pace_words(fold(visit, passed), 360_000)
    assert words[:2] == ["10/h now", "10/h in all"]
    assert words[2].startswith("24 min left, until about ")
    assert len(pace_words(fold(visit, passed, ("run.finished", {"outcome": "aborted"})), 360_000)) == 2


def test_durations_are_as_exact_as_they_are_known():
    assert [about(seconds) for seconds in (40, 720, 12_600)] == ["40 s", "12 min", "3.5 h"]
    assert [clock(ms) for ms in (-5, 761_000, 3_601_000)] == ["0:00:00", "0:12:41", "1:00:01"]


def test_a_board_is_named_by_what_is_known_of_it():
    device = DeviceID("3b0021001747353236343033")

    assert where("T-0001", 3, device) == f"T-0001/3 {device}"
    assert where("T-0001", 3, device, short=True) == "T-0001/3 …343033"
    assert where("T-0001", None, None) == "T-0001"
    assert where(None, None, None) == ""


HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\r\n\0\u2028"


def test_no_text_from_a_record_reaches_a_line_raw(fold):
    fields = dict.fromkeys(("station", "ssid", "bssid", "code", "remedy", "detail", "operator"), HOSTILE)
    events = ["device.failed", "visit.ended", "station.drained", "stranger.seen", "line.held", "import.refused"]
    for event in events:
        screen = fold(
            (event, {"device": 1, "outcome": "fail", **fields}),
            started=("run.started", {"trays": {"T-0001": 3}, "product": HOSTILE, "stations": [HOSTILE]}),
        )
        for line in (line_of(screen.last, screen), progress(screen, 0)):
            assert not [char for char in line if unicodedata.category(char)[0] == "C" or char == "\u2028"]
    assert Trouble.of("FAIL", screen.last).detail == HOSTILE
