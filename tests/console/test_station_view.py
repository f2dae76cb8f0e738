"""One station: what its screen is about, what stays, what is taken away, how it fares."""

from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.console.stage import Bin, Kind, Led, bin_of, stage_of
from provisioner.console.station_view import ASIDE_KEPT, BOARDS_KEPT, HOUR_MS, DayCount, StationView, Verdict
from provisioner.console.tally import Trouble
from provisioner.journal.fields import GENESIS, Record
from provisioner.model import Outcome

RESET = "Press RESET."
DEVICE_FAULT = {"outcome": "fail", "code": "softap_silent", "blame": "device", "remedy": RESET}
AT = {"station": "ST1", "device": 1}


def stage(screen, station="ST1"):
    return stage_of(screen, screen.stations[station])


def visit(*, device=1, at_s=10, **end):
    """The records of one visit."""
    here = {"station": "ST1", "device": device}
    return [
        (at_s, "visit.started", {"station": "ST1", "ssid": "Photon-KLJZ", "bssid": f"6c:0b:84:00:00:0{device}"}),
        (at_s + 4, "network.joined", {"station": "ST1", "seconds": 4.0}),
        (at_s + 5, "device.identified", here),
        (at_s + 9, "connect.intended", here),
        (at_s + 9, "connect.accepted", here),
        (at_s + 10, "visit.ended", {**here, "outcome": "pass", **end}),
    ]


def test_a_station_asks_for_a_board_until_there_is_one(fold):
    asked = stage(fold(fold.begun))

    assert stage(fold()).kind is Kind.STARTING, "its adapter is not open yet"
    assert (asked.kind, asked.led, asked.bin) == (Kind.READY, Led.BLINKING_BLUE, None)


@pytest.mark.parametrize(
    ("event", "led"),
    [("visit.started", Led.BLINKING_BLUE), ("device.identified", Led.BLINKING_BLUE),
     ("connect.intended", Led.BLINKING_GREEN)],
)  # fmt: skip
def test_the_light_follows_the_step(fold, event, led):
    steps = visit()
    until = next(number for number, step in enumerate(steps) if step[1] == event)

    screen = fold(*steps[: until + 1])

    assert (stage(screen).kind, stage(screen).led) == (Kind.RUNNING, led)


def test_a_board_that_was_handed_over_is_not_proven_yet_and_never_pass(fold):
    waits = stage(fold(*visit()))

    assert (waits.kind, waits.led, waits.bin) == (Kind.WAITING, Led.BLINKING_CYAN, None)
    assert waits.board.slot == 1


def test_the_verdict_comes_when_the_cloud_has_spoken_and_stays_whatever_time_passes(fold):
    confirmed = (40, "device.confirmed", {"device": 1, "outcome": "pass"})

    passed = stage(fold(*visit(), confirmed))
    much_later = stage(fold(*visit(), confirmed, (9000, "device.imported", {"device": 3, "code": "added"})))

    assert (passed.kind, passed.led, passed.bin) == (Kind.PASS, Led.BREATHING_CYAN, Bin.GOOD)
    assert much_later == passed


def test_the_next_board_takes_the_screen_and_a_failure_stays_on_the_list_to_take_away(fold):
    failed = (40, "device.failed", {"station": "ST1", "device": 1, **DEVICE_FAULT})

    screen = fold(*visit(), failed, *visit(device=2, at_s=50)[:3])

    station = screen.stations["ST1"]
    assert stage(screen).kind is Kind.RUNNING
    assert [trouble.slot for trouble in station.aside.values()] == [1]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("device.set_aside", {"device": 1, "operator": "Mira"}),
        ("device.reopened", {"device": 1, "operator": "Mira"}),
        ("device.identified", {"station": "ST2", "device": 1}),
        ("device.confirmed", {"device": 1, "outcome": "pass"}),
    ],
)
def test_what_takes_a_board_off_the_list_to_take_away(fold, event, fields):
    failed = (40, "device.failed", {"station": "ST1", "device": 1, **DEVICE_FAULT})
    screen = fold(*visit(), failed, (50, event, fields))

    on_the_list = [d for station in screen.stations.values() for d in station.aside]

    assert on_the_list == [], event


@pytest.mark.parametrize(
    ("code", "kind", "bin_"),
    [("stranger_device", Kind.STRANGER, Bin.ASK), ("not_the_scanned_device", Kind.MISMATCH, None),
     ("device_changed", Kind.MISMATCH, None), ("association_failed", Kind.AGAIN, None)],
)  # fmt: skip
def test_each_way_a_visit_comes_to_nothing_has_its_own_screen(fold, code, kind, bin_):
    started = visit()[:2]
    ended = (20, "visit.ended", {"station": "ST1", "ssid": "Photon-KLJZ", **DEVICE_FAULT, "code": code})

    shown = stage(fold(*started, ended))

    assert (shown.kind, shown.bin) == (kind, bin_)
    assert shown.trouble.code == code


@pytest.mark.parametrize(
    ("verdict", "blame", "code", "bin_"),
    [
        (Verdict.FAIL, "device", "softap_silent", Bin.REWORK),
        (Verdict.FAIL, "operator", "takeover_refused", Bin.ASK),
        (Verdict.FAIL, "operator", "set_aside", Bin.REWORK),
        (Verdict.FAIL, "site", "wifi_credentials_rejected", Bin.LATER),
        (Verdict.FAIL, "station", "leave_failed", Bin.LATER),
        (Verdict.UNPROVEN, "device", "not_proven", Bin.LATER),
        (Verdict.AGAIN, "device", "softap_silent", None),
    ],
)
def test_a_good_board_never_goes_into_the_rework_bin_for_somebody_elses_fault(verdict, blame, code, bin_):
    trouble = Trouble("FAIL", datetime.now(UTC), 0, "ST1", "T", 1, None, code, blame, "", "")

    assert bin_of(verdict, trouble) is bin_


def test_what_holds_the_line_is_shown_before_an_old_verdict_and_not_before_a_board_on_the_jig(fold):
    held = (60, "line.held", {"code": "cloud_unreachable", "blame": "site", "remedy": "Check the uplink."})
    paused = (60, "line.held", {"code": "held_by_operator", "operator": "Mira", "blame": "operator"})
    drained = (61, "station.drained", {"station": "ST1", "code": "adapter_unavailable", "blame": "station"})
    ended = (62, "run.finished", {"outcome": "pass"})

    assert stage(fold(*visit(), held)).kind is Kind.HELD
    assert stage(fold(*visit(), paused)).kind is Kind.PAUSED
    assert stage(fold(*visit(), paused, held)).kind is Kind.HELD
    assert stage(fold(*visit(at_s=10)[:3], held)).kind is Kind.RUNNING
    assert stage(fold(*visit(), held, drained)).kind is Kind.DRAINED
    assert stage(fold(*visit(), held, (61, "run.stopping", {}))).kind is Kind.STOPPING
    assert stage(fold(*visit(), held, drained, ended)).kind is Kind.FINISHED


def test_two_holds_end_apart(fold):
    site = (10, "line.held", {"code": "cloud_unreachable", "blame": "site"})
    person = (11, "line.held", {"code": "held_by_operator", "operator": "Mira"})

    screen = fold(site, person, (12, "line.released", {"code": "cloud_unreachable"}))

    assert screen.held_by_person
    assert not fold(site, person, (12, "line.released", {"code": "held_by_operator"})).held_by_person
    assert fold(person, (12, "line.released", {"code": "held_by_operator"})).held is None


# --- scans ---

TAKEN = (40, "scan.taken", {"station": "ST1", "device": 2, "scanned": "PHHMAB804PAKLJZ"})


def test_a_scan_takes_the_screen_from_the_last_verdict(fold):
    looks = stage(fold(*visit(), (30, "device.confirmed", {"device": 1, "outcome": "pass"}), TAKEN))

    assert (looks.kind, looks.led, looks.board.slot) == (Kind.SEARCHING, Led.BLINKING_BLUE, 2)


def test_another_board_met_while_the_scanned_one_is_looked_for_is_a_verdict_only_at_the_end(fold):
    other = [
        (41, "visit.started", {"station": "ST1", "ssid": "Photon-KLJZ"}),
        (45, "visit.ended", {"station": "ST1", **DEVICE_FAULT, "code": "not_the_scanned_device"}),
    ]
    ended = (90, "scan.ended", {"station": "ST1", "device": 2, **DEVICE_FAULT, "code": "not_the_scanned_device"})

    assert stage(fold(TAKEN, *other)).kind is Kind.SEARCHING
    assert stage(fold(TAKEN, *other, ended)).kind is Kind.MISMATCH


def test_a_scanned_board_that_is_not_heard_says_so(fold):
    ended = (99, "scan.ended", {"station": "ST1", "device": 2, **DEVICE_FAULT, "code": "scanned_not_heard"})

    shown = stage(fold(TAKEN, ended))

    assert (shown.kind, shown.trouble.code) == (Kind.AGAIN, "scanned_not_heard")


def test_a_refused_scan_is_shown_beside_the_board_under_work_until_the_next_one(fold):
    refused = (12, "scan.refused", {"station": "ST1", "code": "station_busy", "blame": "operator", "scanned": "X"})

    screen = fold(*visit()[:3], refused)

    assert stage(screen).kind is Kind.RUNNING
    assert screen.stations["ST1"].refused.code == "station_busy"
    assert fold(*visit()[:3], refused, TAKEN).stations["ST1"].refused is None


# --- how it fares ---


def test_takt_usual_times_and_health_come_from_the_visits(fold):
    screen = fold(*visit(at_s=0), *visit(device=2, at_s=20), *visit(device=3, at_s=50))
    station = screen.stations["ST1"]

    assert station.usual_visit_ms() == 10_000
    assert station.usual_join_s() == 4.0
    assert station.takt_ms(60_000) == (30_000, 25_000)
    assert station.takt_ms(60_000 + 3_600_000) == (30_000, None), "an hour later the last hour is empty"


def test_only_boards_in_a_row_that_did_not_let_the_adapter_in_speak_against_it(fold):
    def not_joined(number, at_s):
        air = {"station": "ST1", "bssid": f"6c:0b:84:00:00:0{number}"}
        return [
            (at_s, "visit.started", air),
            (at_s + 1, "visit.ended", {**air, "step": "joining", **DEVICE_FAULT, "code": "association_failed"}),
        ]

    faults = [*not_joined(1, 0), *not_joined(2, 10), *not_joined(2, 20)]

    assert len(fold(*faults).stations["ST1"].join_faults) == 2
    assert fold(*faults, *visit(at_s=30)).stations["ST1"].join_faults == set()


def test_todays_count_begins_again_with_the_day_and_goes_on_over_runs(fold):
    day = date(2026, 11, 20)
    count = DayCount()
    count.begin(day, [3, 1, 0])
    count.add(day, Verdict.PASS)
    assert count.as_row() == [4, 1, 0]

    count.add(day + timedelta(days=1), Verdict.FAIL)

    assert count.as_row() == [0, 1, 0]


@pytest.mark.parametrize("told", [None, "x", [1], [1, 2, "3"], [True, 1, 1]])
def test_counts_that_are_none_count_nothing(told):
    count = DayCount()
    count.begin(date(2026, 11, 20), told)

    assert count.as_row() == [0, 0, 0]


def test_a_station_of_a_month_holds_no_more_than_one_of_an_hour():
    station = StationView("ST1")
    at = datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(3000):
        record = Record(
            seq=number, at=at, mono_ms=number * 9000, run="r", event="device.failed", station="ST1", tray="T",
            slot=number, device=f"{number:024x}", prev=GENESIS,
        )  # fmt: skip
        station.visit_started(record)
        station.device_ended(record, Verdict.FAIL, Trouble.of("FAIL", record))

    assert len(station.boards) == BOARDS_KEPT
    assert len(station.aside) == ASIDE_KEPT
    assert station.today.fails == 3000


def end_visit(station, at_ms):
    row = {"seq": 0, "at": datetime(2026, 11, 20, tzinfo=UTC), "mono_ms": at_ms, "run": "r"}
    station.visit_ended(Record(**row, event="visit.ended", outcome=Outcome.PASS), None)


gaps = st.lists(st.integers(0, 2 * HOUR_MS) | st.integers(0, 5_000), max_size=60)


@given(gaps_ms=gaps, later_ms=st.integers(0, HOUR_MS))
def test_takt_is_the_same_as_from_all_ends_and_no_more_is_kept_than_it_needs(gaps_ms, later_ms):
    station, ends = StationView("ST1"), list(accumulate(gaps_ms))
    for at_ms in ends:
        end_visit(station, at_ms)

    now_ms = (ends[-1] if ends else 0) + later_ms
    recent = [at_ms for at_ms in ends if at_ms >= now_ms - HOUR_MS]
    mean = round((recent[-1] - recent[0]) / (len(recent) - 1)) if len(recent) > 1 else None
    assert station.takt_ms(now_ms) == ((ends[-1] - ends[-2], mean) if len(ends) > 1 else (None, None))
    assert len(station._ends_ms) <= max(2, sum(at_ms >= ends[-1] - HOUR_MS for at_ms in ends))


def test_no_more_than_a_thousand_ends_are_kept_in_an_hour():
    station = StationView("ST1")
    for at_ms in range(1_500):
        end_visit(station, at_ms)

    assert list(station._ends_ms) == list(range(500, 1_500))
