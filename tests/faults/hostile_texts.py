"""What hostile text is, and what no output may hold: shared by everything here that attacks a parser or a sink."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

# One of each kind (F27): what a network may be called, a device answer, a vendor write into a list.
NASTY = (
    "Photon-\x1b]0;owned\x07",  # a terminal's title
    "\x1b[2J\x1b[1;31mPASS\x1b[0m",  # clears the screen and writes its own
    "\x9b31mred",  # the same in one byte
    "\x1bP+q544e\x1b\\",  # asks the terminal to type something back
    "abc\rPASS",
    "a\nb\r\nc",
    "a\u2028b\u2029c\x85d",
    "\0null",
    "\b\b\b\x7f\x7f",
    "\u202eLIAF\u202c",  # reads FAIL
    "\u2066a\u2069\u200f\u061c",
    "zero\u200bwidth\ufeff\u2060",
    "lone \ud800 \udc80\udcff",
    "\U000e0041\U000e007f tags",
    "\uffff\ufffe\ufdd0",
    "=cmd|' /C calc'!A0",
    '+1+1";=1+1',
    "@SUM(1)",
    "\t-2+3",
    "＝1+1",
    "a;=HYPERLINK(1)",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE facts; --",
    "&lt;&#27;[2J",
    "]]><!--",
    "$(reboot) `reboot` ${IFS}; reboot | sh & #",
    "-rf --config=/etc/shadow",
    "../../etc/passwd",
    "%s %n %x {0} {evil!r}",
    "[bold red]rich[/bold red] [link=http://x]y[/link]",
    '{"r":0,"x":"\\u001b"}',
    "\\x1b[2J \\u202e",
    "x" * 5_000,
    "\x1b" * 600,
)
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# All characters there are, the nasty ones more often than by chance.
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.builds("{}{}{}".format, st.text(max_size=4), st.sampled_from(NASTY), st.text(max_size=4)),
)
scraps = st.sampled_from([text.encode("utf-8", "surrogatepass") for text in NASTY])
blobs = st.one_of(st.binary(max_size=200), st.lists(st.one_of(scraps, st.binary(max_size=8)), max_size=5).map(b"".join))
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from([10**400, -(2**63), 1e308, ""])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


def deep(open_: bytes, close: bytes, inner: bytes = b"1") -> st.SearchStrategy[bytes]:
    """Nesting up to far beyond what any parser's stack holds."""
    return st.sampled_from([5, 500, 3_000, 20_000]).map(lambda depth: open_ * depth + inner + close * depth)


def harmless(shown: str | bytes, what: str) -> None:
    """Raise AssertionError unless nothing in there could move a cursor, turn text round, or not be written at all."""
    text = shown.decode("utf-8") if isinstance(shown, bytes) else shown
    found = UNSAFE.search(text.replace("\n", ""))
    if found is not None:
        around = text.replace("\n", "")[max(0, found.start() - 30) : found.end() + 30]
        raise AssertionError(f"{what} shows {found[0]!r}: {around!r}")


@dataclass(frozen=True)
class Target:
    """One parser or sink under attack. `attack` raises for what may never be, and else says in a word what came."""

    fault: str
    what: str
    inputs: st.SearchStrategy[Any]
    attack: Callable[[Any], str]
    holds: str = "I10"  # the invariant that each case is judged by
