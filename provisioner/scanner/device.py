"""A scanner on a serial device (USB-COM, RS-232): its scans belong to one station, whatever has the keyboard.

Rule 1: a scanner that is unplugged, or never was there, is said once and looked for again; it never ends a run.
Rule 2: the device is ours alone while it is open: a modem manager's probes, or a second run, would eat half a label.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from provisioner.line.scan_desk import Scan
from provisioner.scanner.taker import TakesScans
from provisioner.scanner.wedge import Typed, Wedge

LOOK_AGAIN_S = 2.0
_READ_BYTES_MAX = 4096


async def scans_from_device(desk: TakesScans, path: str, *, station: str | None, baud: int = 9600) -> None:
    """Put what this scanner sends, as scans at `station` (None: whichever is free), until cancelled."""
    lost = False
    while True:
        try:
            with opened(path, baud) as fd:
                if lost:
                    desk.scanner_found(path, station)
                    lost = False
                await _read(desk, fd, path, station)
        except OSError as error:
            if not lost:
                desk.scanner_lost(path, station, error.strerror or str(error))
                lost = True
            await trio.sleep(LOOK_AGAIN_S)


async def _read(desk: TakesScans, fd: int, path: str, station: str | None) -> None:
    """Raises OSError when the scanner is gone."""
    wedge = Wedge(types_only_scans=True)
    while True:
        events = []
        with trio.move_on_at(wedge.due_s if wedge.due_s is not None else float("inf")) as silence:
            await trio.lowlevel.wait_readable(fd)
            data = os.read(fd, _READ_BYTES_MAX)
            if not data:
                raise OSError(0, "it was unplugged")
            events = list(wedge.feed(data, trio.current_time()))
        if silence.cancelled_caught:
            events = list(wedge.quiet(trio.current_time()))
        for event in events:
            if isinstance(event, Typed) and event.text:
                desk.put(Scan(event.text, path, station))


@contextmanager
def opened(path: str, baud: int) -> Iterator[int]:
    """The device, raw and for us alone. Raises OSError."""
    import fcntl
    import termios
    import tty

    if stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(0, "it is a plain file")
    fd = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.isatty(fd):
            try:
                tty.setraw(fd, termios.TCSANOW)
                mode = termios.tcgetattr(fd)
                mode[2] |= termios.CLOCAL | termios.CREAD
                mode[4] = mode[5] = getattr(termios, f"B{baud}")
                termios.tcsetattr(fd, termios.TCSANOW, mode)
                fcntl.ioctl(fd, termios.TIOCEXCL)
            except termios.error as error:
                raise OSError(*error.args) from error
        yield fd
    finally:
        os.close(fd)
