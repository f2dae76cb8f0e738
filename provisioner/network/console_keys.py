"""A line typed at a Windows console, key by key; not verified on one.

Rule 1: no thread: a read that blocks in a thread could not be cancelled, and would take the next question's answer. So
it is looked for keys twenty times a second, and what is there is taken.
Rule 2: what was typed of a line stays for the next question if this one is cancelled.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import trio

LOOK_S = 0.05
LINE_MAX = 4096
_PREFIXES = ("\0", "\xe0")  # of keys that are no characters: their second half says which


class ConsoleKeys:
    """The keyboard of this process's console."""

    def __init__(self) -> None:
        self._typed = ""

    async def line(self) -> str:
        """Wait for Enter; the text before it."""
        keys = import_module("msvcrt")
        await trio.lowlevel.checkpoint()
        while True:
            while keys.kbhit():
                if (line := self._take(keys)) is not None:
                    return line
            await trio.sleep(LOOK_S)

    def _take(self, keys: ModuleType) -> str | None:
        """Take one key; a whole line if that was Enter."""
        key: str = keys.getwch()
        if key in _PREFIXES:
            keys.getwch()
        elif key in "\r\n":
            line, self._typed = self._typed, ""
            self._show(keys, "\r\n")
            return line
        elif key == "\b":
            if self._typed:
                self._typed = self._typed[:-1]
                self._show(keys, "\b \b")
        elif key >= " " and len(self._typed) < LINE_MAX:
            self._typed += key
            self._show(keys, key)
        return None

    def _show(self, keys: ModuleType, text: str) -> None:
        for character in text:
            keys.putwch(character)
