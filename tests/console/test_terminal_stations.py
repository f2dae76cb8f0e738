"""A station where people scan: one big word until the next scan, what to do with the hands, and every answer on it."""

import pytest

from provisioner.console.stage import Kind
from provisioner.console.stage_words import cause, said_of, words
from provisioner.console.terminal import frame
from provisioner.console.verdict import Tone

STARTED = (
    "run.started",
    {"product": "tempmon-v100", "trays": {"T-0001": 3, "T-0002": 2}, "stations": ["ST1"], "scanner": True},
)
TWO = ("run.started", {**STARTED[1], "stations": ["ST1", "ST2"]})
AT = {"station": "ST1"}
TAKEN = ("scan.taken", {**AT, "device": 1, "scanned": "PHHMAB804PAKLJZ", "operator": "Ada"})
VISIT = [
    ("visit.started", {**AT, "ssid": "Photon-KLJZ", "bssid": "6c:0b:84:00:00:01"}),
    ("device.identified", {**AT, "device": 1}),
    ("visit.ended", {**AT, "device": 1, "outcome": "pass"}),
    ("scan.ended", {**AT, "device": 1, "outcome": "pass"}),
]
PASSED = ("device.confirmed", {"device": 1, "outcome": "pass"})
REFUSED = {"code": "not_in_manifest", "blame": "operator", "remedy": "Scan the label on the board.", "detail": "no"}


@pytest.fixture
def scanned(fold):
    return lambda *steps, started=STARTED: fold(fold.begun, *steps, started=started)


def look(screen, width=100, height=30, **how):
    return "\n".join(line.plain.rstrip() for line in frame(screen, 60_000, width, height, **how))


def says(screen, station="ST1"):
    return said_of(screen, screen.stations[station])


def test_it_asks_for_a_scan_and_not_just_for_a_board(scanned):
    said = says(scanned())

    assert (said.word, said.tone) == ("SCAN A BOARD", Tone.CALM)
    assert "scan its label" in said.todo


def test_from_the_scan_to_the_verdict_each_step_says_what_the_hands_do_and_the_verdict_stays(scanned):
    words_of = [says(scanned(*[TAKEN, *VISIT, PASSED][:upto])).word for upto in range(1, 7)]

    assert words_of == ["LOOKING FOR", "WORKING", "WORKING", "LOOKING FOR", "NOT PROVEN YET", "PASS"]
    passed = scanned(TAKEN, *VISIT, PASSED)
    assert says(passed).tone is Tone.GOOD
    assert "scan the next board" in says(passed).then
    assert "T-0001/1" in look(passed)
    assert says(scanned(TAKEN, *VISIT, PASSED, (9_000, "line.released", {}))).word == "PASS"


def test_a_mismatch_is_loud_and_says_what_to_scan(scanned):
    ended = {**AT, "device": 1, "outcome": "fail", "code": "not_the_scanned_device", "blame": "operator",
             "remedy": "Scan the label of the board that is on the jig.", "detail": "3b scanned, 3c here"}  # fmt: skip
    said = says(scanned(TAKEN, ("scan.ended", ended)))

    assert (said.word, said.tone) == ("WRONG BOARD", Tone.BAD)
    assert said.todo == "Scan the label of the board that is on the jig."


def test_boards_that_were_only_asked_who_they_are_are_no_verdict(scanned):
    asked = [
        ("visit.started", {**AT, "ssid": "Photon-QRSTUV", "bssid": "6c:0b:84:00:00:02"}),
        ("visit.ended", {**AT, "outcome": "fail", "code": "not_the_scanned_device", "blame": "operator"}),
    ]
    screen = scanned(TAKEN, *asked)

    assert says(screen).word == "LOOKING FOR"
    assert not screen.stations["ST1"].boards


@pytest.mark.parametrize("after", [[], [TAKEN], [TAKEN, *VISIT, PASSED]], ids=["ready", "busy", "passed"])
def test_a_scan_that_is_not_taken_is_answered_and_leaves_the_word(scanned, after):
    before = says(scanned(*after)).word
    screen = scanned(*after, ("scan.refused", {**AT, **REFUSED, "scanned": "JUNK-1"}))

    assert says(screen).word == before
    assert f"JUNK-1: {cause('not_in_manifest')}. Scan the label on the board." in look(screen)


def test_the_next_scan_takes_the_answer_away(scanned):
    screen = scanned(("scan.refused", {**AT, **REFUSED, "scanned": "JUNK-1"}), TAKEN)

    assert "JUNK-1" not in look(screen)


def test_a_scan_of_no_station_in_particular_is_answered_too(scanned):
    screen = scanned(("scan.refused", {**REFUSED, "scanned": "JUNK-1"}), started=TWO)
    assert "JUNK-1: " in look(screen)

    taken = scanned(("scan.refused", {**REFUSED, "scanned": "JUNK-1"}), TAKEN, started=TWO)
    assert "JUNK-1" not in look(taken)


def test_who_scans_is_named_and_a_badge_changes_it(scanned):
    badge = ("command.scanned", {**AT, "operator": "Grace", "code": "badge_taken", "scanned": "PVCTLID.Grace"})

    assert "ST1   Ada" in look(scanned(TAKEN))
    assert "ST1   Grace" in look(scanned(TAKEN, badge))


def test_a_lost_scanner_is_said_until_it_is_found(scanned):
    lost = {"code": "scanner_lost", "detail": "the scanner /dev/ttyACM0 is not there", "remedy": "Plug it in."}

    gone = scanned(("scanner.lost", {**AT, **lost, "source": "/dev/ttyACM0"}))
    back = scanned(("scanner.lost", {**AT, **lost}), ("scanner.found", AT))
    everywhere = scanned(("scanner.lost", lost), started=TWO)

    assert "/dev/ttyACM0 is not there. Plug it in." in look(gone)
    assert "ttyACM0" not in look(back)
    assert look(everywhere).count("ttyACM0") == 2


def test_a_board_that_was_scanned_while_the_line_is_held_is_named(scanned):
    held = ("line.held", {"code": "held_by_operator", "operator": "Ada", "detail": "held by Ada"})

    text = look(scanned(held, TAKEN))

    assert "T-0001/1" in text
    assert "RESUME lets it go on" in text


def test_a_fail_of_an_earlier_board_stays_in_sight(scanned):
    failed = ("device.failed", {**AT, "device": 1, "outcome": "fail", "code": "not_claimed", "blame": "device"})
    second = [(event, {**fields, **({"device": 2} if "device" in fields else {})}) for event, fields in VISIT]

    text = look(scanned(TAKEN, *VISIT, failed, ("scan.taken", {**AT, "device": 2, "scanned": "x"}), *second))

    assert "before:  T-0001/1" in text
    assert "FAIL" in text.partition("before:")[2]


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (60, 16), (40, 12), (20, 5), (1, 1), (200, 60)])
@pytest.mark.parametrize("stations", [1, 2, 7, 40])
def test_it_fits_whatever_the_size_and_the_word_is_always_there(scanned, size, stations):
    names = [f"S{number}" for number in range(stations)]
    screen = scanned(started=("run.started", {**STARTED[1], "stations": names}))

    lines = frame(screen, 60_000, *size)

    assert len(lines) == size[1]
    assert max(line.cell_len for line in lines) <= size[0]
    if stations == 1 and size[1] >= 12 and size[0] >= 40:
        assert "█" in look(screen, *size) or "S C A N" in look(screen, *size)


def test_two_stations_have_letters_to_be_read_from_afar_on_a_small_terminal_also_beside_an_answer(scanned):
    refused = ("scan.refused", {**AT, **REFUSED, "scanned": "JUNK-1"})

    lines = look(scanned(TAKEN, *VISIT, PASSED, refused, started=TWO), 80, 24).splitlines()

    assert sum("█" in line for line in lines if not line.startswith("  T-000")) == 10
    assert any("JUNK-1" in line for line in lines)


def test_without_block_letters_there_are_plain_ones(scanned):
    text = look(scanned(TAKEN, *VISIT, PASSED), ascii_only=True)

    assert "#" in text
    assert "█" not in text


def test_hostile_text_in_a_scan_stays_text(scanned):
    hostile = "\x1b]0;owned\x07\u202e[red]x[/red]"
    screen = scanned(("scan.refused", {**AT, **REFUSED, "scanned": hostile, "detail": hostile}))

    text = look(screen)

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x[/red]" in text


def test_where_nobody_scans_the_stations_have_the_same_words_in_one_line(fold):
    screen = fold(*VISIT[:3], PASSED, started=("run.started", {**STARTED[1], "scanner": False, "stations": ["ST1"]}))

    assert words("stage.pass") in next(line for line in look(screen).splitlines() if line.startswith("  ST1"))


def test_every_kind_has_a_word_a_tone_and_something_to_do():
    from provisioner.console.stage_words import _TONES

    assert set(_TONES) == set(Kind) - {Kind.FINISHED}
    for kind in _TONES:
        assert words(f"stage.{kind}") != f"stage.{kind}"
