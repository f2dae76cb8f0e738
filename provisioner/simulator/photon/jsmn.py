"""How a Photon reads JSON: a small tokenizer as lenient, and as blunt, as the one in its firmware.

Rule 1: nothing is unescaped: what stands between the quotes is the value, byte for byte (facts: photon-softap T3).
Rule 2: commas and colons only separate, and a bare word is a value like a number (the firmware is not strict).
Rule 3: this module shares no code with the line's own client, so that a misunderstanding cannot hide in both.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

_SPACE = b" \t\r\n,:"
_ENDS_WORD = b" \t\r\n,:]}"
_STRING = re.compile(rb'"((?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*)"')
_NUMBER = re.compile(rb"\s*[+-]?\d{1,10}")


class Kind(enum.Enum):
    """What a value looks like; the firmware compares nothing else before it takes one."""

    STRING = enum.auto()
    WORD = enum.auto()  # number, true, null, or any bare word
    NESTED = enum.auto()


@dataclass(frozen=True, slots=True)
class Value:
    """One token as it stood in the request."""

    kind: Kind
    raw: bytes

    def number(self) -> int:
        """The number at its start, or 0, as C's atoi reads it."""
        found = _NUMBER.match(self.raw)
        return int(found[0]) if found else 0


def members(text: bytes) -> list[tuple[bytes, Value]] | None:
    """Return the pairs of the object that `text` begins with, in their order; None if the tokenizer gives up.

    A C string ends at its first NUL, and what follows the object is never looked at.
    """
    text = text.split(b"\0", 1)[0]
    at = _skip(text, 0)
    if text[at : at + 1] != b"{":
        return None
    found: list[Value] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != b"}":
        token = _token(text, at)
        if token is None:
            return None
        value, at = token
        found.append(value)
        at = _skip(text, at)
    keys, values = found[0::2], found[1::2]
    if len(keys) != len(values) or any(key.kind is Kind.NESTED for key in keys):
        return None
    return [(key.raw, value) for key, value in zip(keys, values, strict=True)]


def _skip(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _token(text: bytes, at: int) -> tuple[Value, int] | None:
    """The token that begins at `at`, and where it ends; None at the end of the text or at a malformed one."""
    first = text[at : at + 1]
    if first == b'"':
        string = _STRING.match(text, at)
        return (Value(Kind.STRING, string[1]), string.end()) if string else None
    if first in (b"{", b"["):
        end = _end_of_nested(text, at)
        return (Value(Kind.NESTED, text[at:end]), end) if end else None
    end = at
    while end < len(text) and text[end] not in _ENDS_WORD:
        if not 0x20 <= text[end] < 0x7F:
            return None
        end += 1
    return (Value(Kind.WORD, text[at:end]), end) if end > at else None


def _end_of_nested(text: bytes, at: int) -> int:
    """Where the object or array that begins at `at` ends; 0 if it does not."""
    open_brackets: list[int] = []
    while at < len(text):
        char = text[at]
        if char == ord('"'):
            string = _STRING.match(text, at)
            if string is None:
                return 0
            at = string.end()
            continue
        if char in b"{[":
            open_brackets.append(ord("}") if char == ord("{") else ord("]"))
        elif char in b"}]":
            if open_brackets.pop() != char:
                return 0
            if not open_brackets:
                return at + 1
        at += 1
    return 0
