"""A keyboard-type scanner at a real (pseudo) terminal: nothing it can send is a key, and the terminal comes back."""

import os
import termios

import pytest
import trio
from scan_sink import Sink, until

from provisioner.network.terminal_ask import TerminalAsk
from provisioner.scanner.terminal import is_ours, raw_terminal, scans_from_terminal
from provisioner.scanner.wedge import ALONE_S, FAST_S, QUIET_S

LABEL = "PHHMAB804PAKLJZ"


class Terminal:
    """Both ends of a pseudo terminal. `interrupts` counts what would have been Ctrl-C."""

    def __init__(self):
        self.far, self.near = os.openpty()
        self.before = termios.tcgetattr(self.near)
        self.interrupts = 0
        self.shown, self.show = os.pipe()
        self.ask = TerminalAsk(in_fd=self.near, out_fd=self.show)

    def interrupt(self):
        self.interrupts += 1

    def scans(self, text):
        os.write(self.far, text.encode())

    async def types(self, text):
        for char in text:
            os.write(self.far, char.encode())
            await trio.sleep(2 * FAST_S)

    @property
    def as_before(self):
        return termios.tcgetattr(self.near) == self.before

    def close(self):
        for fd in (self.far, self.near, self.shown, self.show):
            os.close(fd)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
async def sink(terminal, nursery):
    sink = Sink(known={LABEL})
    nursery.start_soon(
        lambda: scans_from_terminal(sink, fd=terminal.near, ask=terminal.ask, interrupt=terminal.interrupt)
    )
    await until(lambda: not terminal.as_before)
    return sink


async def test_scans_come_whole_with_any_end_and_the_terminal_shows_none_of_them(terminal, sink):
    for end in ("\r", "\r\n", "\n", "\t", ""):
        terminal.scans(LABEL + end)
        await trio.sleep(QUIET_S + 0.1)
    os.set_blocking(terminal.far, False)

    assert sink.texts == [LABEL] * 5
    assert {scan.source for scan in sink.scans} == {"terminal"}
    with pytest.raises(BlockingIOError):
        os.read(terminal.far, 100)  # nothing was echoed


@pytest.mark.parametrize("key", ["\x03", "\x1a", "\x1c", "\x13", "\x16", "\x0f", "\x04", "q"])
async def test_no_control_character_in_a_barcode_means_anything_to_the_terminal(terminal, sink, key):
    """Ctrl-C, Ctrl-Z, Ctrl-\\, Ctrl-S, Ctrl-V, Ctrl-O, Ctrl-D: GS1 and licence labels hold some of them."""
    terminal.scans(f"PH{key}HM\r")
    await trio.sleep(QUIET_S + 0.1)
    terminal.scans(LABEL + "\r")
    await until(lambda: LABEL in sink.texts)

    assert terminal.interrupts == 0
    assert "".join(sink.texts).replace(LABEL, "").replace(key, "") == "PHHM"


async def test_ctrl_c_of_a_person_is_one(terminal, sink):
    await trio.sleep(2 * ALONE_S)
    os.write(terminal.far, b"\x03")
    await until(lambda: terminal.interrupts)

    assert sink.texts == []


async def test_a_label_typed_by_hand_is_a_scan_and_enter_alone_is_none(terminal, sink):
    await trio.sleep(2 * ALONE_S)
    await terminal.types("\r")
    await trio.sleep(2 * ALONE_S)
    await terminal.types("T-1/7\r")
    await until(lambda: sink.texts)

    assert sink.texts == ["T-1/7"]


@pytest.mark.parametrize("how", ["cancelled", "crashed"])
async def test_the_terminal_is_as_it_was_after_the_block_however_it_ends(terminal, how):
    with trio.CancelScope() as scope:
        try:
            with raw_terminal(terminal.near):
                assert not terminal.as_before
                terminal.scans("rm -rf /\r")  # must not be left for the shell
                if how == "crashed":
                    raise ZeroDivisionError
                scope.cancel()
                await trio.sleep(1)
        except ZeroDivisionError:
            pass
    assert terminal.as_before
    os.set_blocking(terminal.near, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal.near, 100)


async def test_a_terminal_that_is_closed_ends_the_reading_quietly(terminal):
    sink = Sink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: scans_from_terminal(sink, fd=terminal.near, ask=terminal.ask))
        await until(lambda: not terminal.as_before)
        os.close(terminal.far)
        terminal.far = os.open("/dev/null", os.O_RDONLY)

    assert not sink.ended, "the terminal went away, the shift has not ended"


async def test_input_and_output_of_a_terminal_stay_blocking(terminal, sink):
    """They share one flag: a full-screen write that is refused half-way would tear the screen."""
    terminal.scans(LABEL + "\r")
    await until(lambda: sink.texts)

    assert os.get_blocking(terminal.near)


# --- a person is asked at the same terminal ---


@pytest.mark.parametrize(("how", "answer"), [("\r", True), ("n\r", False), ("the label again", True)])
async def test_a_question_waits_for_the_key_or_the_scanner(terminal, sink, nursery, how, answer):
    answers = []

    async def ask():
        answers.append(await terminal.ask.confirm("joined?"))

    nursery.start_soon(ask)
    await until(lambda: terminal.ask.asks_yes_or_no)
    await trio.sleep(2 * ALONE_S)
    if how == "the label again":
        sink.again()  # as the desk does when the board under work is scanned once more
    else:
        await terminal.types(how)
    await until(lambda: answers)

    assert (answers, sink.texts) == ([answer], [])


async def test_a_barcode_is_no_answer_to_yes_or_no(terminal, sink, nursery):
    nursery.start_soon(terminal.ask.confirm, "joined?")
    await until(lambda: terminal.ask.asks_yes_or_no)
    terminal.scans("n\r")
    await until(lambda: sink.texts)

    assert terminal.ask.asks_yes_or_no, "it still stands"
    assert sink.texts == ["n"]
    terminal.ask.answer("")


async def test_a_question_for_a_network_takes_its_name_and_no_label(terminal, sink, nursery):
    answers = []

    async def ask():
        answers.append(await terminal.ask.line("which network?"))

    nursery.start_soon(ask)
    await until(lambda: terminal.ask.asks_yes_or_no is False)
    terminal.scans(LABEL + "\r")
    await until(lambda: sink.texts)
    assert answers == []
    terminal.scans("Photon-7F3Q\r")
    await until(lambda: answers)

    assert (answers, sink.texts) == (["Photon-7F3Q"], [LABEL])


# --- a pipe, a file ---


async def test_labels_from_a_pipe_wait_for_a_free_station_each_and_end_the_shift(nursery):
    sink = Sink()
    sink.free = trio.Event()
    read, write = os.pipe()
    os.write(write, b"ONE\r\n\r\nTWO\nTHREE")
    os.close(write)
    nursery.start_soon(lambda: scans_from_terminal(sink, fd=read))
    await trio.sleep(0.05)
    assert sink.texts == []
    sink.free.set()
    await until(lambda: sink.ended)
    os.close(read)

    assert sink.texts == ["ONE", "TWO", "THREE"]


async def test_a_file_of_labels_and_an_empty_one_can_be_read(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("ONE\nTWO\n")
    sink, nothing = Sink(), Sink()
    for path, into in ((file, sink), ("/dev/null", nothing)):
        fd = os.open(path, os.O_RDONLY)
        await scans_from_terminal(into, fd=fd)
        os.close(fd)

    assert (sink.texts, sink.ended) == (["ONE", "TWO"], True)
    assert (nothing.texts, nothing.ended) == ([], True)


async def test_beside_other_scanners_a_closed_standard_input_ends_nothing():
    sink = Sink()
    fd = os.open("/dev/null", os.O_RDONLY)
    await scans_from_terminal(sink, fd=fd, alone=False)
    os.close(fd)

    assert not sink.ended


async def test_a_line_without_an_end_is_cut(nursery):
    sink = Sink()
    read, write = os.pipe()
    nursery.start_soon(lambda: scans_from_terminal(sink, fd=read))
    for _ in range(64):
        await trio.lowlevel.wait_writable(write)
        os.write(write, b"x" * 4096)
    os.close(write)
    await until(lambda: sink.ended)
    os.close(read)

    assert [len(text) for text in sink.texts] == [4096]


async def test_a_pipe_is_not_ours_to_change():
    read, write = os.pipe()

    assert not is_ours(read)
    os.close(read)
    os.close(write)
