"""A scanner types fast, a person does not; and no barcode is a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.scanner.wedge import (
    ALONE_S,
    FAST_S,
    KEPT_CHARACTERS_MAX,
    QUIET_S,
    TYPING_S,
    Interrupt,
    Typed,
    Wedge,
)

LABEL = "PHHMAB804PAKLJZ"


class Keyboard:
    """Types into a wedge in made-up time; `comes` is what came out."""

    def __init__(self):
        self.wedge, self.now_s, self.comes = Wedge(), 1000.0, []

    def wait(self, seconds):
        until_s = self.now_s + seconds
        while (due_s := self.wedge.due_s) is not None and due_s <= until_s:
            self.now_s = due_s
            self.comes += self.wedge.quiet(due_s)
        self.now_s = until_s
        return self

    def types(self, text, pause_s=0.2):
        for char in text:
            self.wait(pause_s)
            self.comes += self.wedge.feed(char.encode(), self.now_s)
        return self

    def scans(self, text, pause_s=0.005):
        return self.types(text, pause_s)


@pytest.fixture
def keyboard():
    return Keyboard()


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\t", "\x03", "\x04"])
@pytest.mark.parametrize("pause_s", [0.0, 0.001, 0.02, 0.05])
def test_every_end_ends_one_scan_at_every_speed_of_a_scanner(keyboard, end, pause_s):
    keyboard.scans(LABEL + end, pause_s).wait(10).scans(LABEL + end, pause_s).wait(10)

    assert keyboard.comes == [Typed(LABEL, by_hand=False)] * 2


def test_a_scan_in_one_piece_is_a_scan(keyboard):
    assert list(keyboard.wedge.feed(f"{LABEL}\r\n{LABEL}\r".encode(), 5.0)) == [Typed(LABEL, by_hand=False)] * 2


def test_a_scan_without_an_end_ends_with_a_silence(keyboard):
    keyboard.scans(LABEL).wait(QUIET_S + 0.01).scans(LABEL).wait(QUIET_S + 0.01)

    assert keyboard.comes == [Typed(LABEL, by_hand=False)] * 2


def test_a_person_may_type_a_label_correct_it_and_take_time(keyboard):
    keyboard.types("T-1/").wait(3).types("18\x7f7\r")

    assert keyboard.comes == [Typed("T-1/17", by_hand=True)]


def test_what_a_person_left_half_typed_does_not_stick_to_the_next_label(keyboard):
    keyboard.types("qu").wait(TYPING_S + 1).scans(LABEL + "\r")

    assert keyboard.comes == [Typed(LABEL, by_hand=False)]


def test_enter_alone_is_a_key_and_the_second_half_of_cr_lf_is_not(keyboard):
    keyboard.wait(1).types("\r").wait(1).scans(LABEL + "\r\n").wait(1)

    assert keyboard.comes == [Typed("", by_hand=True), Typed(LABEL, by_hand=False)]


def test_n_and_enter_of_a_person_are_told_from_a_barcode_that_says_n(keyboard):
    keyboard.types("n\r").wait(1).scans("n\r")

    assert keyboard.comes == [Typed("n", by_hand=True), Typed("n", by_hand=False)]


# --- Ctrl-C ---


def test_ctrl_c_alone_is_a_person_also_when_it_is_held_down_or_pressed_twice(keyboard):
    keyboard.types("\x03").wait(ALONE_S + 0.01)
    assert keyboard.comes == [Interrupt()]

    keyboard.wait(1).types("\x03" * 30, pause_s=0.03).wait(1)
    assert keyboard.comes == [Interrupt()] * 2

    keyboard.types("\x03").wait(1).types("\x03").wait(1)
    assert keyboard.comes == [Interrupt()] * 4


@pytest.mark.parametrize(
    "scan", ["\x03PHHM", "PH\x03HM", "PHHM\x03", "PHHM\r\x03", "\x03\x03PHHM\r", "\x03\x03", "q\x03\r"]
)
def test_no_barcode_is_a_ctrl_c(keyboard, scan):
    keyboard.wait(10).scans(scan).wait(10)

    assert Interrupt() not in keyboard.comes


def test_ctrl_c_of_a_person_who_was_typing_counts_too(keyboard):
    keyboard.types("qu").wait(TYPING_S + 1).types("\x03").wait(1)

    assert keyboard.comes == [Interrupt()]


@given(st.text(st.characters(codec="utf-8"), min_size=2, max_size=40))
def test_whatever_a_barcode_holds_it_is_never_a_key(text):
    keyboard = Keyboard()
    keyboard.wait(10).scans(text).wait(10)

    assert Interrupt() not in keyboard.comes
    assert not any(typed.by_hand and typed.text for typed in keyboard.comes if len(typed.text) > 2)


# --- bounds ---


def test_a_flood_is_one_scan_that_is_too_long_and_nothing_is_kept_of_it(keyboard):
    for _ in range(1000):
        keyboard.now_s += FAST_S / 2
        keyboard.comes += keyboard.wedge.feed(b"x" * 4096, keyboard.now_s)
    keyboard.wait(1)

    assert [len(typed.text) for typed in keyboard.comes] == [KEPT_CHARACTERS_MAX]


def test_bytes_that_are_no_text_are_a_scan_that_cannot_be_read(keyboard):
    assert list(keyboard.wedge.feed(b"\xff\xfe\x80abc\r", 5.0)) == [Typed("\ufffd\ufffd\ufffdabc", by_hand=False)]
