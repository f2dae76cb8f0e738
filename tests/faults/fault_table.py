"""The fault table: what can go wrong, what must hold all the same, and which tests show it.

A test shows a fault by naming its number (`F7`) in its own name or docstring; `tests_of` finds them.
"""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent.parent
_NUMBER = re.compile(r"\bF(\d{1,2})\b")
_IN_NAME = re.compile(r"(?:^|_)f(\d{1,2})(?=_|$)")

INVARIANTS = {
    "I1": "PASS only after a cloud read, made after the last write, that shows the owner and the product wanted",
    "I2": "a claim code that was handed to one device never reaches another",
    "I3": "no device holds two live codes at once: a new one replaces the old",
    "I4": "every row of the manifest ends with exactly one outcome, and the sums match",
    "I5": "interrupted and started again, it ends as if it had not been; no cloud write twice but claim codes",
    "I6": "what was shown as proven is proven after a restart",
    "I7": "a device that somebody else owns gets no write and no claim, unless the manifest allows it by name",
    "I8": "every wait and every buffer has an end",
    "I9": "no secret is at rest or in any output",
    "I10": "no raw control bytes reach a terminal, log or table",
    "I11": "one radio works one device at a time, one device is at one station",
    "I12": "the journal's chain verifies, also against a head kept elsewhere",
    "I13": "in doubt a device is not proven",
}


@dataclass(frozen=True)
class Fault:
    """One row: what is done to the line, and the invariants that it is held to."""

    sentence: str
    invariants: tuple[str, ...]


def _fault(sentence: str, *invariants: int) -> Fault:
    return Fault(sentence, tuple(f"I{number}" for number in invariants))


FAULTS = {
    "F1": _fault(
        "the power fails while the journal is written: tails are lost, lines torn, folders forgotten", 4, 5, 6
    ),
    "F2": _fault("the process is killed at any step, before, in and after it", 1, 2, 3, 4, 5, 6),
    "F3": _fault("SIGTERM, Ctrl-C once and twice, the terminal closed", 4, 5, 8),
    "F4": _fault("the disk is full, read-only, or fails at a write or a sync", 4, 5, 6, 13),
    "F5": _fault("the cloud answers 429, with and without Retry-After", 4, 8),
    "F6": _fault("the cloud answers 5xx, resets, or its name does not resolve", 1, 4, 8),
    "F7": _fault("a request hangs, or is carried out and its answer lost", 1, 5, 8),
    "F8": _fault("an import takes only some rows, refuses others, and forgets some", 4),
    "F9": _fault("the same news twice, late, out of order or stale", 1, 4),
    "F10": _fault("200 with the wrong JSON, a captive portal's HTML, a changed schema", 1, 13),
    "F11": _fault("a token expires or is revoked in mid-run; the client secret is rotated", 4, 8),
    "F12": _fault("a wrong client secret, again and again", 8),
    "F13": _fault("a claim code grows old while the operator pauses or the laptop sleeps", 1, 2, 3),
    "F14": _fault("the device takes the claim code with r:0, and the claim never happens", 1, 13),
    "F15": _fault("the setup network vanishes between any two requests", 1, 4, 8),
    "F16": _fault("another device answers: from another tray, or swapped in mid-visit", 2, 7, 11),
    "F17": _fault("another radio uses the same network name, or the same BSSID, with another key", 1, 2, 13),
    "F18": _fault("two stations go for one setup network", 2, 11),
    "F19": _fault("two computers work one tray; a journal is copied", 4, 11),
    "F20": _fault("somebody else owns the device, from before or since the visit", 1, 7),
    "F21": _fault("one device is listed for two customers", 4, 7),
    "F23": _fault("a device comes and goes while it updates itself", 1, 4),
    "F24": _fault("the factory Wi-Fi refuses the device: its setup network comes back", 4, 13),
    "F25": _fault("the clock is a day off, steps, changes to summer time; the computer sleeps", 1, 3, 4),
    "F26": _fault("SoftAP answers that are no JSON, or cut, doubled, deep, of the wrong type", 1, 8),
    "F27": _fault("network names and device texts with control, bidi, spreadsheet and shell content", 10),
    "F28": _fault("manifests that are YAML bombs, nested, tagged, doubled or huge", 4, 8),
    "F29": _fault("manifests with a million rows, duplicates, mixed case, BOM and CRLF", 4, 8),
    "F30": _fault("answers without end: bodies, headers, chunks, compressed bombs", 8),
    "F31": _fault("answers that drip", 8),
    "F32": _fault("redirects, cookies and proxies from a device or in the cloud's name", 9),
    "F35": _fault("secrets in anything that is written or shown", 9),
    "F36": _fault("a journal is edited, cut or put in another order", 6, 12),
    "F37": _fault("the program changes in mid-tray: old journals, newer journals", 4, 5, 6),
    "F38": _fault("the wrong tray, product or cable", 4, 7),
}
LATER = {
    "F22": "a resumed session swallows the claim code (Photon 2, P2): their hand-over over BLE is not there yet",
    "F33": "BLE: bad confirmations, replays, cut packets: there is no BLE hand-over yet",
    "F34": "USB: busy, pending for ever, unplugged: there is no USB hand-over yet",
}


@functools.cache
def tests_of() -> dict[str, list[str]]:
    """The tests that name each fault, as pytest names them: from the sources, so that a missing one is seen at once."""
    found = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for fault in numbers_in(node.name, ast.get_docstring(node) or ""):
                    found[fault].append(f"{file.relative_to(TESTS.parent)}::{node.name}")
    return dict(found)


def numbers_in(name: str, docstring: str) -> set[str]:
    """`test_f7_...` and "F7 in words" both name F7."""
    return {f"F{int(number)}" for number in [*_IN_NAME.findall(name), *_NUMBER.findall(docstring)]}


def lines() -> list[str]:
    """The table with its tests, for people."""
    found, told = tests_of(), []
    for number, fault in FAULTS.items():
        held = " ".join(fault.invariants)
        told += textwrap.wrap(f"{number}: {fault.sentence} ({held})", 118)
        told += [f"    {test}" for test in found.get(number, ["NO TEST"])]
    told += [f"{number}: not yet: {why}" for number, why in LATER.items()]
    return told
