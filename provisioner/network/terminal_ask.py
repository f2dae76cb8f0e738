"""The person at this terminal: shows a line on stderr, waits for a line on stdin, and can be cancelled.

Rule 1: no thread and no non-blocking mode: the terminal keeps its cooked mode, so a line is readable only when it is
whole, and a read that was waited for does not block. A cancelled wait takes nothing from the next one.
Rule 2: all stations share one terminal: one question stands at a time, and one that was cancelled and is asked again
is not printed again.
"""

from __future__ import annotations

import os
import sys
from functools import cache

import trio

from provisioner.errors import OperatorDeclined

_LINE_BYTES_MAX = 4096


class TerminalAsk:
    """Asks the person who sees `out_fd` and types into `in_fd`. POSIX; on other systems give an `Ask` of your own."""

    def __init__(self, *, in_fd: int = 0, out_fd: int = 2) -> None:
        self._in_fd = in_fd
        self._out_fd = out_fd
        self._lock = trio.Lock()
        self._standing = ""  # the question on the screen that has no answer yet

    @staticmethod
    @cache
    def of_this_process() -> TerminalAsk:
        """The one for stdin and stderr: two of them would read each other's answers."""
        return TerminalAsk()

    async def tell(self, text: str) -> None:
        """Show one line."""
        self._standing = ""
        self._show(f"{text}\n")
        await trio.lowlevel.checkpoint()

    async def confirm(self, text: str) -> bool:
        """Show the line and wait for Enter (True) or n, no, q (False)."""
        return (await self.line(text)).strip().lower() not in ("n", "no", "q", "quit")

    async def line(self, text: str) -> str:
        """Show the line and wait for one. Raises OperatorDeclined without a terminal, or when it was closed."""
        if not os.isatty(self._in_fd) or sys.platform == "win32":
            raise OperatorDeclined(
                "nobody can be asked: standard input is no terminal",
                remedy="Run this in a terminal, or name another switcher for the station in the settings.",
            )
        async with self._lock:
            if self._standing != text:
                self._show(f"{text} ")
                self._standing = text
            await trio.lowlevel.wait_readable(self._in_fd)
            data = os.read(self._in_fd, _LINE_BYTES_MAX)
            self._standing = ""
        if not data:
            raise OperatorDeclined("nobody can be asked: the terminal was closed")
        return data.decode("utf-8", "replace").rstrip("\r\n")

    def _show(self, text: str) -> None:
        os.write(self._out_fd, text.encode("utf-8", "replace"))
