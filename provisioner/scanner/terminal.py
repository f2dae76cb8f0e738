"""Scans that come over standard input: typed by a scanner at this terminal, or lines of a pipe or a file.

Rule 1: while a run has the terminal, no character of a scan may mean anything to it: a barcode can hold Ctrl-C,
Ctrl-S, Ctrl-Z, Ctrl-\\. So it is raw, and only what `wedge` takes for a person's Ctrl-C becomes one.
Rule 2: nothing blocks, and the terminal never becomes non-blocking: its output shares that flag with its input.
Rule 3: the terminal is as it was when the run ends, however it ends, and what was scanned into it meanwhile is
thrown away: the shell must not run it.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import trio

from provisioner.line.scan_desk import Scan
from provisioner.network.terminal_ask import NO, TerminalAsk
from provisioner.scanner.taker import TakesScans
from provisioner.scanner.wedge import Event, Interrupt, Typed, Wedge

SOURCE = "terminal"
_READ_BYTES_MAX = 4096


def press_ctrl_c() -> None:
    """What the terminal itself would have done."""
    signal.raise_signal(signal.SIGINT)


async def scans_from_terminal(
    desk: TakesScans,
    *,
    fd: int = 0,
    alone: bool = True,
    ask: TerminalAsk | None = None,
    interrupt: Callable[[], None] = press_ctrl_c,
) -> None:
    """Put what is scanned at this terminal until cancelled; a pipe or a file, until it ends.

    `alone`: nothing else scans, so where a pipe ends no more will come. `ask` is who asks a person at this terminal
    meanwhile: its questions are answered by key, or by the label of the board they are about.
    """
    if fd == 0 and sys.stdin is None:  # it was closed before we began: 0 may be another file by now
        if alone:
            desk.no_more()
        return
    if not is_ours(fd):
        await _scans_from_lines(desk, fd)
        if alone:
            desk.no_more()
        return
    ask = ask or TerminalAsk.of_this_process()
    desk.when_scanned_again(lambda: bool(ask.asks_yes_or_no) and ask.answer(""))
    with ask.read_by_scanner(), raw_terminal(fd):
        wedge = Wedge()
        while True:
            data = None
            with trio.move_on_at(math.inf if wedge.due_s is None else wedge.due_s):
                data = await _read_some(fd)
            if data == b"":
                return  # the terminal is gone, and SIGHUP says what that means
            now_s = trio.current_time()
            _put(wedge.quiet(now_s) if data is None else wedge.feed(data, now_s), desk, ask, interrupt)


def _put(events: Iterable[Event], desk: TakesScans, ask: TerminalAsk, interrupt: Callable[[], None]) -> None:
    for event in events:
        if isinstance(event, Interrupt):
            interrupt()
        elif _is_answer(event, desk, ask):
            ask.answer(event.text)
        elif event.text or not event.by_hand:  # Enter alone is no scan: it must not disturb what stands on the screen
            desk.put(Scan(event.text, SOURCE))


def _is_answer(typed: Typed, desk: TakesScans, ask: TerminalAsk) -> bool:
    """Whether a text answers the question that stands: a key, never a barcode; or the name that was asked for."""
    if ask.asks_yes_or_no is None:
        return False
    if ask.asks_yes_or_no:
        return typed.by_hand and typed.text.strip().lower() in ("", *NO)
    return not desk.knows(typed.text)


async def _scans_from_lines(desk: TakesScans, fd: int) -> None:
    """Labels that nobody would scan a second time: each waits until a station is free."""
    rest = b""
    while data := await _read_some(fd):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await _put_when_free(desk, line)
        rest = rest[:_READ_BYTES_MAX]
    await _put_when_free(desk, rest)


async def _put_when_free(desk: TakesScans, line: bytes) -> None:
    if text := line.decode("utf-8", "replace").strip():
        await desk.wait_free()
        desk.put(Scan(text, SOURCE))


async def _read_some(fd: int) -> bytes:
    try:
        await trio.lowlevel.wait_readable(fd)
    except PermissionError:  # a file, or /dev/null: always readable, so the system will not watch it
        await trio.lowlevel.checkpoint()
    try:
        return os.read(fd, _READ_BYTES_MAX)
    except OSError:  # EIO: the other end of the terminal was closed
        return b""


# --- the terminal itself ---


def is_ours(fd: int) -> bool:
    """Whether this is a terminal that we may change: not from the background, where that would stop us."""
    if not os.isatty(fd) or sys.platform == "win32":
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True  # a terminal that controls nobody


@contextmanager
def raw_terminal(fd: int) -> Iterator[None]:
    """Every key comes as itself, at once and unseen; as it was after the block."""
    import termios

    before = termios.tcgetattr(fd)
    raw = termios.tcgetattr(fd)
    raw[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR | termios.BRKINT)
    raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    raw[6] = [*raw[6]]
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, raw)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal itself is gone
            termios.tcflush(fd, termios.TCIFLUSH)
            termios.tcsetattr(fd, termios.TCSANOW, before)
