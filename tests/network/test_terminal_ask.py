"""The person at a real (pseudo) terminal: lines come whole, cancelled waits eat nothing, no terminal is said."""

import os

import pytest
import trio

from provisioner.errors import OperatorDeclined
from provisioner.network.terminal_ask import TerminalAsk


class Person:
    """The far end of a pseudo terminal in cooked mode."""

    def __init__(self):
        self.far, self.near = os.openpty()
        self.shown_fd, self._show_fd = os.pipe()
        os.set_blocking(self.shown_fd, False)
        self.ask = TerminalAsk(in_fd=self.near, out_fd=self._show_fd)

    def types(self, text):
        os.write(self.far, text.encode())

    def sees(self):
        try:
            return os.read(self.shown_fd, 65536).decode()
        except BlockingIOError:
            return ""

    def close(self):
        for fd in (self.far, self.near, self.shown_fd, self._show_fd):
            os.close(fd)


@pytest.fixture
def person():
    person = Person()
    yield person
    person.close()


async def test_a_line_comes_whole_and_one_at_a_time(person):
    person.types("Photon-")
    with trio.move_on_after(0.02):
        await person.ask.line("which?")
        pytest.fail("half a line was taken for one")
    person.types("AB23\nCD34\n")

    assert await person.ask.line("which?") == "Photon-AB23"
    assert await person.ask.line("which?") == "CD34"


@pytest.mark.parametrize(
    ("typed", "done"), [("\n", True), ("y\n", True), ("n\n", False), (" NO \n", False), ("q\n", False)]
)
async def test_enter_is_done_and_n_is_no(person, typed, done):
    person.types(typed)

    assert await person.ask.confirm("joined?") is done


async def test_a_question_cancelled_and_asked_again_is_not_printed_again(person):
    for _ in range(3):
        with trio.move_on_after(0.01):
            await person.ask.line("which?")
    assert person.sees() == "which? "

    person.types("x\n")
    await person.ask.line("which?")
    person.types("x\n")
    await person.ask.line("which?")
    assert person.sees() == "which? "


async def test_one_question_stands_at_a_time(person, nursery):
    send, receive = trio.open_memory_channel(2)

    async def station(name):
        await send.send((name, await person.ask.line(name)))

    nursery.start_soon(station, "one")
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(station, "two")
    await trio.testing.wait_all_tasks_blocked()
    assert person.sees() == "one "
    person.types("A\n")
    person.types("B\n")

    with trio.fail_after(5):
        assert await receive.receive() == ("one", "A")
        assert await receive.receive() == ("two", "B")


async def test_telling_shows_a_line(person):
    await person.ask.tell("hello")

    assert person.sees() == "hello\n"


async def test_without_a_terminal_nobody_can_be_asked():
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OperatorDeclined, match="no terminal"):
            await TerminalAsk(in_fd=read_end, out_fd=write_end).confirm("joined?")
    finally:
        os.close(read_end)
        os.close(write_end)


async def test_a_closed_terminal_is_nobody(person):
    person.types("\x04")  # end of file, as typed
    with pytest.raises(OperatorDeclined, match="closed"):
        await person.ask.line("which?")


def test_the_process_has_one():
    assert TerminalAsk.of_this_process() is TerminalAsk.of_this_process()
