"""wpa_supplicant's control socket: one command, one answer, and what its tables say (facts: network 1.1, 6.4).

Rule 1: every command has a deadline; a socket that does not answer is BackendGone.
Rule 2: names in its tables are escaped; they are read back to the very bytes that are in the air.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from provisioner.errors import BackendGone, SwitchingNotAllowed
from provisioner.model import SetupNetwork, parse_bssid

CONTROL_DIR = Path("/run/wpa_supplicant")
COMMAND_S = 3.0
REPLY_BYTES_MAX = 1 << 16
EVENTS_MAX = 100
_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "e": b"\x1b", "\\": b"\\", '"': b'"'}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
_NUMBERS = itertools.count()


class Control(Protocol):
    """The way to the wpa_supplicant of one adapter."""

    async def ask(self, command: str) -> str:
        """Send one command and return its answer. Raises BackendGone."""
        ...

    def forget_events(self) -> None:
        """What was told until now is of no interest."""
        ...

    async def event(self, *names: str) -> str:
        """Wait for one of these events, and return its name; the caller sets the deadline."""
        ...


class ControlSocket:
    """A datagram socket of our own, to which wpa_supplicant answers, and tells its events (`<3>CTRL-EVENT-...`)."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock
        self._turn = trio.StrictFIFOLock()
        self._events: deque[str] = deque(maxlen=EVENTS_MAX)

    async def ask(self, command: str) -> str:
        """Send one command and return its answer. Raises BackendGone."""
        async with self._turn:
            try:
                with trio.fail_after(COMMAND_S):
                    await self._sock.send(command.encode())
                    while True:
                        answer = await self._next()
                        if answer is not None:
                            return answer
            except (OSError, trio.TooSlowError) as error:
                raise BackendGone("wpa_supplicant does not answer", backend_code="wpa:control") from error

    def forget_events(self) -> None:
        """What was told until now is of no interest: a scan of its own may have ended."""
        self._events.clear()

    async def event(self, *names: str) -> str:
        """Wait for one of these events, those that came during the last commands included. Raises BackendGone."""
        async with self._turn:
            while True:
                while self._events:
                    told = self._events.popleft()
                    if found := next((name for name in names if told.startswith(name)), None):
                        return found
                try:
                    await self._next()
                except OSError as error:
                    raise BackendGone("wpa_supplicant does not answer", backend_code="wpa:control") from error

    async def _next(self) -> str | None:
        """One datagram: an answer, or an event, which is kept (None). A name at its end may end in blanks."""
        text: str = (await self._sock.recv(REPLY_BYTES_MAX)).decode("utf-8", "replace").rstrip("\n")
        if not text.startswith("<"):
            return text
        self._events.append(text.partition(">")[2])
        return None


@asynccontextmanager
async def open_control(adapter: str, folder: Path = CONTROL_DIR) -> AsyncIterator[Control]:
    """Connect to the wpa_supplicant of that adapter. Raises BackendGone, SwitchingNotAllowed."""
    with tempfile.TemporaryDirectory(prefix="provisioner-wpa-") as name:
        here = os.path.join(name, str(next(_NUMBERS)))
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as sock:
            try:
                await sock.bind(here)
                await sock.connect(str(folder / adapter))
            except PermissionError as error:
                raise SwitchingNotAllowed(
                    f"this account may not speak to the wpa_supplicant of {adapter}", backend_code="wpa:permission",
                    remedy=f"Start it with `-O 'DIR={folder} GROUP=netdev'` and add this account to that group.",
                ) from error  # fmt: skip
            except OSError as error:
                raise BackendGone(
                    f"no wpa_supplicant serves {adapter}", backend_code="wpa:absent",
                    remedy=f"Start one for it: wpa_supplicant -B -i {adapter} -C {folder}",
                ) from error  # fmt: skip
            control = ControlSocket(sock)
            await control.ask("ATTACH")
            yield control


def unescaped(text: str) -> bytes:
    """A name of wpa_supplicant's tables as the bytes it has in the air."""
    out, at = b"", 0
    for found in _ESCAPE.finditer(text):
        out += text[at : found.start()].encode()
        what = found.group(1)
        out += bytes.fromhex(what[1:]) if what[0] == "x" and len(what) == 3 else _ESCAPES.get(what, what.encode())
        at = found.end()
    return out + text[at:].encode()


def networks_of(table: str, *, prefix: str, heard_s: float) -> list[SetupNetwork]:
    """The open networks with that prefix in an answer to SCAN_RESULTS; a line that is none is skipped."""
    found = []
    for line in table.split("\n")[1:]:
        fields = line.split("\t", 4)
        if len(fields) != 5:
            continue
        bssid, _, level, flags, name = fields
        ssid = unescaped(name)
        if (
            not ssid.startswith(prefix.encode("utf-8", "surrogateescape"))
            or "WPA" in flags
            or "WEP" in flags
            or "RSN" in flags
        ):
            continue
        with contextlib.suppress(ValueError):
            signal_dbm = max(-200, min(0, int(level)))
            found.append(SetupNetwork(ssid.decode("utf-8", "surrogateescape"), parse_bssid(bssid), signal_dbm, heard_s))
    return found


def networks_listed(table: str) -> list[tuple[str, str]]:
    """The numbers and flags in an answer to LIST_NETWORKS."""
    rows = [line.split("\t") for line in table.split("\n")[1:]]
    return [(row[0], row[-1]) for row in rows if row[0].isascii() and row[0].isdigit()]


def status_of(answer: str) -> dict[str, str]:
    """An answer to STATUS: wpa_state, bssid, id, ..."""
    return dict(line.split("=", 1) for line in answer.split("\n") if "=" in line)
