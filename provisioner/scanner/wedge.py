"""What a scanner that poses as a keyboard types, told from what a person types: by its speed. Pure.

Rule 1: a scan is never a key. Ctrl-C counts only alone: with other characters close to it, it came out of a barcode.
Rule 2: a scan ends with Enter, TAB or ETX; one that has no end of its own, with a silence. What a person began to
type is forgotten after a longer one, so that it does not stick to the next label.
Rule 3: what is kept is bounded; the rest of a flood is counted as one scan that is too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

FAST_S = 0.06  # scanners send a character every 1-50 ms; a person's fastest keys are some 80 ms apart
QUIET_S = 0.3  # the end of a scan without an end
ALONE_S = 0.15  # so far from everything else a Ctrl-C is a person's
REPEAT_S = 0.02  # a key that is held down repeats some 30 times a second
TYPING_S = 5.0  # a person who types a label looks up from time to time
KEPT_CHARACTERS_MAX = 256
_ENDS = "\r\n\t\x03\x04"
_CTRL_C = "\x03"
_BACKSPACES = "\x08\x7f"


@dataclass(frozen=True, slots=True)
class Typed:
    """A whole text. `by_hand`: too slow for a scanner; an empty one is the Enter key."""

    text: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A person pressed Ctrl-C."""


Event = Typed | Interrupt


@dataclass
class Wedge:
    """One keyboard. Feed it bytes as they come, and call `quiet` at `due_s`. Times are trio's."""

    types_only_scans: bool = False  # a serial line: no person types there, so nothing is a key and nothing is slow
    _chars: list[str] = field(default_factory=list)
    _slowest_s: float = 0.0  # the longest pause inside the text so far
    _last_s: float = float("-inf")
    _ctrl_c: bool = False  # one came alone; whether it stays alone is not known yet

    @property
    def due_s(self) -> float | None:
        """When `quiet` has something to decide, if nothing comes before."""
        if self._ctrl_c:
            return self._last_s + ALONE_S
        if not self._chars:
            return None
        return self._last_s + (TYPING_S if self._is_by_hand else QUIET_S)

    @property
    def _is_by_hand(self) -> bool:
        return not self.types_only_scans and (self._slowest_s > FAST_S or len(self._chars) < 3)

    def feed(self, data: bytes, now_s: float) -> Iterator[Event]:
        """Take what was read at that time."""
        yield from self.quiet(now_s)
        for char in data.decode("utf-8", "replace"):
            pause_s, self._last_s = now_s - self._last_s, now_s
            key = char == _CTRL_C and not self._chars and not self.types_only_scans
            if key and pause_s > (REPEAT_S if self._ctrl_c else ALONE_S):
                self._ctrl_c = True
                continue
            self._ctrl_c = False
            if char in _ENDS:
                if self._chars or (pause_s > ALONE_S and char in "\r\n" and not self.types_only_scans):
                    yield self._whole(pause_s)
            elif char in _BACKSPACES and pause_s > FAST_S and not self.types_only_scans:
                del self._chars[-1:]
            else:
                self._keep(char, pause_s)

    def quiet(self, now_s: float) -> Iterator[Event]:
        """Nothing has come until now: decide what that silence ended."""
        due_s = self.due_s
        if due_s is None or now_s < due_s:
            return
        if self._ctrl_c:
            self._ctrl_c = False
            yield Interrupt()
        elif self._is_by_hand:
            self._forget()
        else:
            yield self._whole(0.0)

    def _keep(self, char: str, pause_s: float) -> None:
        if self._chars:
            self._slowest_s = max(self._slowest_s, pause_s)
        if len(self._chars) < KEPT_CHARACTERS_MAX:
            self._chars.append(char)

    def _whole(self, pause_s: float) -> Typed:
        text, slowest_s = "".join(self._chars), max(self._slowest_s, pause_s)
        self._forget()
        return Typed(text, by_hand=slowest_s > FAST_S and not self.types_only_scans)

    def _forget(self) -> None:
        self._chars, self._slowest_s = [], 0.0
