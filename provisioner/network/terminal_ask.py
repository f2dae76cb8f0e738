"""The person at this terminal: shows a line on stderr, waits for a line on stdin, and can be cancelled.

Rule 1: no thread and no non-blocking mode: the terminal keeps its cooked mode, so a line is readable only when it is
whole, and a read that was waited for does not block. A cancelled wait takes nothing from the next one. (Windows has
no such wait: there keys are looked for, `console_keys`.)
Rule 2: while a scanner has the terminal, it reads; what it takes for an answer it gives with `answer`.
Rule 3: all stations share one terminal: one question stands at a time, and one that was cancelled and is asked again
is not printed again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import trio

from provisioner.errors import OperatorDeclined
from provisioner.model import harmless
from provisioner.network.console_keys import ConsoleKeys
from provisioner.portable import WINDOWS

_LINE_BYTES_MAX = 4096
NO = ("n", "no", "q", "quit")


@dataclass
class _Question:
    """One that stands while somebody else reads the terminal."""

    wants_yes_or_no: bool
    answered: trio.Event = field(default_factory=trio.Event)
    answer: str = ""


class TerminalAsk:
    """Asks the person who sees `out_fd` and types into `in_fd`."""

    def __init__(self, *, in_fd: int = 0, out_fd: int = 2) -> None:
        self._in_fd = in_fd
        self._out_fd = out_fd
        self._lock = trio.Lock()
        self._standing = ""  # the question on the screen that has no answer yet
        self._read_by_scanner = False
        self._question: _Question | None = None
        self._keys = ConsoleKeys()

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
        return (await self._answer_to(text, wants_yes_or_no=True)).strip().lower() not in NO

    async def line(self, text: str) -> str:
        """Show the line and wait for one. Raises OperatorDeclined without a terminal, or when it was closed."""
        return await self._answer_to(text, wants_yes_or_no=False)

    # --- while a scanner has the terminal ---

    @contextmanager
    def read_by_scanner(self) -> Iterator[None]:
        """For the length of the block somebody else reads the terminal, and calls `answer`."""
        self._read_by_scanner = True
        try:
            yield
        finally:
            self._read_by_scanner = False

    @property
    def asks_yes_or_no(self) -> bool | None:
        """What kind of question stands: yes or no, or for a line; None without one."""
        question = self._question
        return question.wants_yes_or_no if question is not None and not question.answered.is_set() else None

    def answer(self, text: str) -> bool:
        """Answer the question that stands; False if none does."""
        if self._question is None or self._question.answered.is_set():
            return False
        self._question.answer = text
        self._question.answered.set()
        return True

    async def _ask_whoever_scans(self, text: str, *, wants_yes_or_no: bool) -> str:
        async with self._lock:
            if self._standing != text:
                self._show(f"{text}\n")  # nothing is echoed after it
                self._standing = text
            self._question = _Question(wants_yes_or_no)
            try:
                await self._question.answered.wait()
                return self._question.answer
            finally:
                self._question, self._standing = None, ""

    # --- else ---

    async def _answer_to(self, text: str, *, wants_yes_or_no: bool) -> str:
        if self._read_by_scanner:
            return await self._ask_whoever_scans(text, wants_yes_or_no=wants_yes_or_no)
        if not os.isatty(self._in_fd):
            raise OperatorDeclined(
                "nobody can be asked: standard input is no terminal",
                remedy="Run this in a terminal, or name another switcher for the station in the settings.",
            )
        async with self._lock:
            if self._standing != text:
                self._show(f"{text} ")
                self._standing = text
            text = await (self._keys.line() if WINDOWS else self._line())
            self._standing = ""
        return text

    async def _line(self) -> str:
        await trio.lowlevel.wait_readable(self._in_fd)
        data = os.read(self._in_fd, _LINE_BYTES_MAX)
        if not data:
            self._standing = ""
            raise OperatorDeclined("nobody can be asked: the terminal was closed")
        return data.decode("utf-8", "replace").rstrip("\r\n")

    def _show(self, text: str) -> None:
        os.write(self._out_fd, harmless(text).encode())
