"""Every scan gets an answer at once, in words, and only a listed board that may be worked gets a station."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from stages import id_of, listed, manifest_of

from provisioner.journal.writer import open_journal
from provisioner.line.air import Air, Suffixes
from provisioner.line.hold import LineHold
from provisioner.line.labels import Labels
from provisioner.line.ledger import Ledger
from provisioner.line.orders import LineOrders
from provisioner.line.scan_desk import Scan, ScanDesk, Scans
from provisioner.line.scan_text import Framing
from provisioner.simulator.disk import UnsyncedDisk

SERIAL = "PHHMAB804PAKLJZ"
BOARDS = [listed(1, serial=SERIAL), listed(2), listed(3), listed(4, to="none", wifi=None)]


class Hall:
    """A desk with a real journal and ledger; no station works, the test is the stations."""

    def __init__(self, journal, *stations, own=(), order=(), operator="Ada"):
        self.records, self.stopped, self.agains, self.somebody_waits = [], [], 0, False
        manifest = manifest_of(*BOARDS)
        self.ledger = Ledger(manifest, account=None, visits_max=3)
        journal.subscribe(self.records.append)
        journal.subscribe(self.ledger.see)
        self.journal = journal
        labels = Labels(manifest, Suffixes(manifest), Framing(), setup_prefix="Photon-")
        air = Air(back_after_s=15.0, refused_after_s=30.0, signal_floor_dbm=-80)
        self.hold = LineHold(journal, same_fault_holds_at=3)
        orders = LineOrders(self.ledger, self.hold, air, journal, self.stopped.append)
        self.desk = ScanDesk(
            journal, self.ledger, labels, orders=orders.carry_out, own=own, order=order, operator=operator
        )
        self.desk.when_scanned_again(self.scanned_again)
        self.places = {name: self.desk.open(name) for name in stations}
        for board in BOARDS:
            self.write("device.imported", board)

    def scanned_again(self):
        self.agains += 1
        return self.somebody_waits

    def write(self, event, board, **fields):
        self.journal.append(event, tray=board.tray, slot=board.slot, device=board.id, **fields)

    def scan(self, text, station=None, source="terminal", **who):
        return self.desk.put(Scan(text, source, station, **who))

    def named(self, event):
        return [record for record in self.records if record.event == event]

    def go_through(self, board, *events, **last):
        for event in events[:-1]:
            self.write(event, board)
        self.write(events[-1], board, **last)


@pytest.fixture
def hall(journal):
    return lambda *stations, **how: Hall(journal, *(stations or ("A",)), **how)


async def test_a_scan_is_taken_by_the_first_free_station_and_written_down_with_who_and_how(hall):
    hall = hall("A", "B")

    first, second = hall.scan(SERIAL), hall.scan(id_of(2), source="page", operator="Bob")

    assert (first.taken, first.code, first.station, first.device.id) == (True, "scan_taken", "A", id_of(1))
    assert (second.station, second.device.id) == ("B", id_of(2))
    assert await hall.places["A"].next() == hall.places["A"].wanted
    one, two = hall.named("scan.taken")
    assert (one.station, one.operator, one.device, one.tray, one.slot) == ("A", "Ada", id_of(1), "T-1", 1)
    assert (one.extra["source"], one.extra["scanned"]) == ("terminal", SERIAL)
    assert (two.operator, two.extra["source"]) == ("Bob", "page")


async def test_a_scan_for_nobody_goes_to_the_first_of_the_settings_whichever_began_first(hall):
    hall = hall("C", "A", "B", order=["A", "B", "C"])

    assert [hall.scan(id_of(number)).station for number in (1, 2, 3)] == ["A", "B", "C"]


async def test_a_scan_during_a_visit_is_told_to_wait_and_is_not_kept(hall):
    hall = hall()
    hall.scan(id_of(1))

    busy = hall.scan(id_of(2))
    hall.desk.done(hall.places["A"])

    assert (busy.taken, busy.code, busy.word) == (False, "station_busy", "WAIT")
    assert hall.places["A"].wanted is None
    assert hall.scan(id_of(2)).taken


async def test_two_scanners_at_one_board_work_it_once(hall):
    hall = hall("A", "B")
    hall.scan(SERIAL, "A")

    second = hall.scan(id_of(1), "B", source="/dev/ttyACM1")

    assert (second.code, hall.places["B"].wanted) == ("scan_repeated", None)
    assert "station A" in second.detail
    assert hall.agains == 1


async def test_a_station_with_a_scanner_of_its_own_takes_only_from_that(hall):
    hall = hall("A", "B", own=["A"])

    assert hall.scan(id_of(1)).station == "B"
    assert hall.scan(id_of(2)).code == "station_busy"
    assert hall.scan(id_of(2), "A").station == "A"
    assert hall.scan(id_of(3), "C").code == "no_station_for_scan"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "scan_empty"),
        ("\r\n", "scan_empty"),
        ("x" * 10_000, "scan_too_long"),
        ("\x1b[2Jjunk", "scan_unreadable"),
        ("PHHMAB\u202e804PAKLJZ", "scan_unreadable"),
        ("PHHMAB804\x00PAKLJZ", "scan_unreadable"),
        (SERIAL + "\x1d", "scan_unreadable"),
        (SERIAL + SERIAL, "scan_glued"),
        (id_of(1) + id_of(2), "scan_glued"),
        (SERIAL + "T-1/2", "scan_glued"),
        ("PVCTLSTOP" + SERIAL, "command_unknown"),
        (SERIAL + "PVCTLSTOP", "scan_glued"),
        (id_of(1)[:20], "scan_partial"),
        (SERIAL[3:], "scan_partial"),
        ("Photon-KL", "scan_partial"),
        ("PHH?QB_à'PQKLJW", "scan_wrong_layout"),
        ("PHHMAB804PAKLJY", "scan_wrong_layout"),
        ("Tß1-2", "scan_wrong_layout"),
        ("ＫＬＪＺ", "not_in_manifest"),
        ("KLJZ", "scan_partial"),
        ("T-1/99", "not_in_manifest"),
        ("T-1/-1", "not_in_manifest"),
        ("T-9/1", "not_in_manifest"),
        (id_of(9), "not_in_manifest"),
        ("'; DROP TABLE--", "not_in_manifest"),
        ("q", "not_in_manifest"),
        ("PVCTLDANCE", "command_unknown"),
        ("PVCTLREDO", "no_board_for_command"),
    ],
)
async def test_whatever_else_comes_is_answered_in_words_and_touches_nothing(hall, text, code):
    hall = hall()

    answer = hall.scan(text)

    assert (answer.taken, answer.code) == (False, code)
    assert answer.detail.isprintable()
    assert answer.todo.endswith(".")
    assert answer.scanned.isprintable()
    assert hall.places["A"].wanted is None
    (record,) = hall.named("scan.refused")
    assert (record.code, record.blame, record.remedy, record.device) == (code, "operator", answer.todo, None)


@pytest.mark.parametrize(
    "text",
    [
        SERIAL.lower(),
        f"  {id_of(1).upper()}\r\n",
        f"]C1{SERIAL}\t",
        f"\x02{SERIAL}\x03",
        "T-1/1",
        "t-1/1",
        "Photon-KLJZ",
        "PHOTON-kljz",
    ],
)
async def test_a_label_is_read_in_every_spelling_and_frame(hall, text):
    hall = hall()

    assert hall.scan(text).device.id == id_of(1)


@pytest.mark.parametrize(
    ("events", "last", "code", "word"),
    [
        (["device.identified", "wifi.accepted", "connect.intended"], {}, "waits_for_proof", "WAIT"),
        (["device.confirmed"], {"outcome": "pass"}, "already_confirmed", "PASSED ALREADY"),
        (["device.failed"], {"outcome": "fail", "code": "wrong_owner"}, "already_ended", "FAILED ALREADY"),
        (["device.refused"], {"outcome": "fail", "code": "import_invalid"}, "refused_by_import", "REFUSED"),
    ],
)
async def test_a_board_that_is_not_to_be_worked_is_said_why(hall, events, last, code, word):
    hall = hall()
    hall.go_through(BOARDS[0], *events, **last)

    answer = hall.scan(SERIAL)

    assert (answer.taken, answer.code, answer.word) == (False, code, word)
    assert hall.named("scan.refused")[0].device == id_of(1)


async def test_a_board_listed_for_import_only_needs_no_station(hall):
    assert hall().scan(id_of(4)).code == "import_only"


async def test_a_scanner_that_reads_on_and_on_is_answered_each_time_and_written_down_once(hall, autojump_clock):
    hall = hall()
    for _ in range(50):
        assert hall.scan("junk").code == "not_in_manifest"
    await trio.sleep(2)
    hall.scan("junk")

    assert len(hall.named("scan.refused")) == 2


# --- commands ---


async def test_stop_ends_the_run_gently_and_takes_no_more_scans(hall):
    hall = hall()

    answer = hall.scan("pvctlstop")

    assert (answer.taken, answer.word, hall.stopped) == (True, "STOPPING", ["Ada"])
    assert hall.scan(SERIAL).code == "run_stopping"
    assert [(r.code, r.operator) for r in hall.named("command.scanned")] == [("stop_taken", "Ada")]


async def test_a_badge_signs_the_scans_that_follow_at_its_station(hall):
    hall = hall("A", "B")
    hall.scan("PVCTLID.Grace Hopper", "A")
    hall.scan(id_of(1), "A")
    hall.scan(id_of(2), "B")

    assert [r.operator for r in hall.named("scan.taken")] == ["Grace Hopper", "Ada"]


async def test_a_badge_at_no_station_signs_everywhere(hall):
    hall = hall("A", "B")
    hall.scan("PVCTLID.Grace")
    hall.scan(id_of(1), "A")
    hall.scan(id_of(2), "B")

    assert [r.operator for r in hall.named("scan.taken")] == ["Grace", "Grace"]


async def test_rework_opens_a_failed_board_again_and_gives_it_to_the_station(hall):
    hall = hall()
    hall.go_through(BOARDS[0], "device.failed", outcome="fail", code="stranger_device")
    assert hall.scan(SERIAL).code == "already_ended"

    answer = hall.scan("PVCTLREDO")

    assert (answer.taken, answer.device.id) == (True, id_of(1))
    (reopened,) = hall.named("device.reopened")
    assert (reopened.device, reopened.operator) == (id_of(1), "Ada")
    assert hall.ledger.may_visit(id_of(1))


async def test_rework_never_touches_a_board_that_passed_or_waits_or_is_under_work(hall):
    hall = hall("A", "B")
    hall.scan(id_of(2))
    assert hall.scan("PVCTLREDO").code == "scan_repeated"
    hall.go_through(BOARDS[0], "device.confirmed", outcome="pass")
    hall.scan(SERIAL)
    assert hall.scan("PVCTLREDO").code == "already_confirmed"

    assert hall.named("device.reopened") == []


async def test_rework_with_no_free_station_opens_nothing(hall):
    hall = hall()
    hall.go_through(BOARDS[0], "device.failed", outcome="fail", code="wrong_owner")
    hall.scan(id_of(2))
    hall.scan(SERIAL)

    assert hall.scan("PVCTLREDO").code == "station_busy"
    assert hall.named("device.reopened") == []


async def test_set_aside_ends_a_board_that_is_still_open_and_leaves_an_ended_one_its_reason(hall):
    hall = hall()
    hall.scan(id_of(2))
    assert hall.scan("PVCTLSIDE").code == "scan_repeated", "not while it is worked"
    hall.desk.done(hall.places["A"])

    assert hall.scan("PVCTLSIDE").code == "set_aside_taken"
    hall.go_through(BOARDS[0], "device.failed", outcome="fail", code="wrong_owner")
    hall.scan(SERIAL)
    assert hall.scan("PVCTLSIDE").code == "set_aside_taken"

    assert [(r.device, r.code) for r in hall.named("device.failed")] == [
        (id_of(2), "set_aside"),
        (id_of(1), "wrong_owner"),
    ]
    assert hall.scan(id_of(2)).code == "already_ended"


async def test_hold_and_resume_are_a_persons_own(hall):
    hall = hall()

    assert (hall.scan("PVCTLHOLD").word, hall.hold.by_person) == ("HELD", True)
    assert hall.scan("PVCTLHOLD").code == "already_so"
    assert (hall.scan("PVCTLGO").word, hall.hold.by_person) == ("GO ON", False)
    assert [(r.event, r.operator) for r in hall.records if r.event.startswith("line.")] == [
        ("line.held", "Ada"),
        ("line.released", "Ada"),
    ]


async def test_a_command_of_nobody_asks_for_the_badge(hall):
    hall = hall(operator=None)

    answer = hall.scan("PVCTLSTOP")
    assert (answer.taken, answer.code, hall.stopped) == (False, "order_refused", [])
    assert "badge" in answer.todo
    hall.scan("PVCTLID.Grace")
    assert hall.scan("PVCTLSTOP").taken
    assert hall.stopped == ["Grace"]


async def test_joined_tells_whoever_waits_for_a_person(hall):
    hall = hall()

    assert hall.scan("PVCTLJOIN").taken
    assert hall.agains == 1


async def test_the_label_once_more_is_an_answer_where_a_person_is_waited_for_and_else_is_told_to_wait(hall):
    hall = hall()
    hall.scan(SERIAL)

    assert hall.scan(id_of(1)).code == "scan_repeated"
    hall.somebody_waits = True
    assert hall.scan(SERIAL).code == "joined_taken"
    assert [r.code for r in hall.named("command.scanned")] == ["joined_taken"]


async def test_names_and_stations_that_a_page_makes_up_are_bounded_and_harmless(hall):
    hall = hall()
    for number in range(200):
        hall.scan(SERIAL, f"no such station {number}", source="page", operator="\x1b[2J" + "x" * 10_000)

    assert len(hall.desk._boards) <= 1
    assert all(len(record.operator) <= 64 and record.operator.isprintable() for record in hall.named("scan.refused"))


@given(st.text(max_size=300))
def test_any_text_gets_an_answer_and_touches_nothing(text):
    async def put():
        with (
            TemporaryDirectory() as folder,
            open_journal(
                Path(folder),
                "20261120T060000Z-0000",
                wall=lambda: datetime.now(UTC),
                mono=lambda: 0.0,
                disk=UnsyncedDisk(),
            ) as journal,
        ):
            hall = Hall(journal, "A")
            answer = hall.scan(text)
            assert answer.todo
            assert answer.scanned.isprintable()
            assert answer.taken == (hall.places["A"].wanted is not None or answer.code.endswith("_taken"))

    trio.run(put)


# --- labels from a file, and the end of a run ---


async def test_labels_from_a_file_wait_until_a_station_is_free(hall, nursery, autojump_clock):
    hall = hall()
    hall.scan(id_of(1))
    waited = []

    async def feed():
        await hall.desk.wait_free()
        waited.append(trio.current_time())

    nursery.start_soon(feed)
    await trio.sleep(5)
    assert waited == []
    hall.desk.done(hall.places["A"])
    await trio.sleep(1)

    assert len(waited) == 1


async def test_when_no_more_scans_come_a_station_ends_after_its_board(hall):
    hall = hall()
    hall.scan(id_of(1))
    hall.desk.no_more()

    assert await hall.places["A"].next() is not None
    hall.desk.done(hall.places["A"])
    assert await hall.places["A"].next() is None


async def test_the_way_in_is_there_before_and_after_a_run(hall):
    hall, scans = hall(), Scans()

    before = scans.put(Scan(SERIAL, "page"))
    with scans.taken_by(hall.desk):
        during = scans.put(Scan(SERIAL, "page"))

    assert [before.code, during.code, scans.put(Scan(SERIAL, "page")).code] == [
        "no_station_for_scan",
        "scan_taken",
        "no_station_for_scan",
    ]


async def test_a_scan_after_the_stations_have_stopped_is_answered(hall):
    hall = hall()
    hall.desk.close("A")

    assert hall.scan(id_of(1)).code == "no_station_for_scan"
