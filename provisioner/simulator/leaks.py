"""Looks for secrets in whatever a run wrote or showed, in any form in which bytes get written.

Rule 1: the data is decoded, not the secrets encoded: hex, base64, URL, JSON, HTML and UTF-16 are undone wherever they
could stand, two deep, and then the secrets themselves are looked for. So a form inside a form is found, too.
Rule 2: upper and lower case count as one, and 24 characters of a longer secret are a leak like the whole.
Rule 3: a finding names the secret and the place, never the text.
"""

from __future__ import annotations

import base64
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

from provisioner.simulator.cloud.sim_cloud import SimCloud

FRAGMENT = 24
SHORTEST = 8  # shorter ones would be found everywhere
_WINDOW = 8
_DEPTH = 2

_HEX = re.compile(rb"[0-9a-fA-F]{%d,}" % (2 * SHORTEST))
_SPACED_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}[: -]){%d,}[0-9a-fA-F]{2}" % (SHORTEST - 1))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % (SHORTEST * 4 // 3))
_TEXT = re.compile(rb"[\x20-\x7e\0\x80-\xff]{%d,}" % (2 * SHORTEST))
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SHORT_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Canaries:
    """Secrets to look for, each by what it is called in a finding. Raises ValueError for one of under 8 bytes."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        texts = {name: text.encode().lower() for name, text in secrets.items()}
        if short := [name for name, text in texts.items() if len(text) < SHORTEST]:
            raise ValueError(f"too short to be looked for: {', '.join(short)}")
        # In a form, a space is a plus.
        both = {(name, form) for name, text in texts.items() for form in (text, text.replace(b" ", b"+"))}
        self.count = len(texts)
        self._short = [(name, text) for name, text in both if len(text) < FRAGMENT]
        self._net = _Net((name, text) for name, text in both if len(text) >= FRAGMENT)

    def leaks_in(self, data: bytes, where: str) -> list[str]:
        """What of the secrets stands in there: `where: secret, as hex`."""
        found: dict[str, None] = {}
        for form, view in views(data):
            lowered = view.lower()
            caught = [*self._net.caught(lowered), *(name for name, text in self._short if text in lowered)]
            found.update((f"{where}: {name}, {form or 'as it is'}", None) for name in caught)
        return list(found)

    def leaks_under(self, folder: Path) -> list[str]:
        """What stands in the files of a folder, however deep, and in their names."""
        leaks: list[str] = []
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            leaks += self.leaks_in(name.encode("utf-8", "surrogateescape"), "a file's name")
            if path.is_file():
                leaks += self.leaks_in(path.read_bytes(), name)
        return leaks


class _Net:
    """Long texts by all their windows of 8 bytes, so that looking at every 17th byte of the data is enough."""

    def __init__(self, texts: Iterable[tuple[str, bytes]]) -> None:
        self._windows: defaultdict[bytes, list[tuple[str, bytes, int]]] = defaultdict(list)
        for name, text in texts:
            for at in range(len(text) - _WINDOW + 1):
                self._windows[text[at : at + _WINDOW]].append((name, text, at))

    def caught(self, data: bytes) -> Iterator[str]:
        """The names of the texts of which at least a fragment stands in `data`."""
        if not self._windows:
            return
        windows = self._windows
        for at in range(0, len(data) - _WINDOW + 1, FRAGMENT - _WINDOW + 1):
            for name, text, within in windows.get(data[at : at + _WINDOW], ()):
                if _alike(data, at, text, within) >= FRAGMENT:
                    yield name


def _alike(data: bytes, at: int, text: bytes, within: int) -> int:
    """How many bytes around these places are the same."""
    before = 0
    while before < min(at, within) and data[at - before - 1] == text[within - before - 1]:
        before += 1
    after = 0
    while after < min(len(data) - at, len(text) - within) and data[at + after] == text[within + after]:
        after += 1
    return before + after


# --- undoing what could have been done to a text ---


def views(data: bytes, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """The data itself, and what it says when each form is undone: (form, bytes)."""
    yield "", data
    if depth:
        for form, undone in _undone(data):
            yield form, undone
            # What was hex or base64 is most often a hash: only text in it can be a form of something.
            deeper = b"\n".join(_TEXT.findall(undone)) if form in ("hex", "base64") else undone
            for inner, view in views(deeper, depth - 1):
                if inner:
                    yield f"{inner} in {form}", view


def _undone(data: bytes) -> Iterator[tuple[str, bytes]]:
    if b"%" in data:
        yield "URL-escaped", unquote_to_bytes(data)
    if b"\\" in data:
        yield "JSON-escaped", _ESCAPE.sub(_unescaped, data)
    if b"&" in data:
        text = data.decode("utf-8", "surrogateescape")
        yield "HTML-escaped", html.unescape(text).encode("utf-8", "surrogatepass")
    if b"\0" in data:
        for codec in ("utf-16-le", "utf-16-be"):
            for start in (0, 1):
                yield "UTF-16", data[start:].decode(codec, "ignore").encode()
    if undone := b"\n".join(_from_hex(data)):
        yield "hex", undone
    if undone := b"\n".join(_from_base64(data)):
        yield "base64", undone


def _unescaped(found: re.Match[bytes]) -> bytes:
    unit, byte, char = found.groups()
    if unit is not None:
        return chr(int(unit, 16)).encode("utf-8", "surrogatepass")
    return bytes([int(byte, 16)]) if byte is not None else _SHORT_ESCAPES.get(char, char)


def _from_hex(data: bytes) -> Iterator[bytes]:
    for run in _HEX.findall(data):
        for start in (0, 1):
            digits = run[start:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    for run in _SPACED_HEX.findall(data):
        yield bytes.fromhex(re.sub(rb"[: -]", b"", run).decode("ascii"))


def _from_base64(data: bytes) -> Iterator[bytes]:
    """Each run from four starting points: the secret may stand anywhere in what was encoded."""
    for run in _BASE64.findall(data):
        if _HEX.fullmatch(run):
            continue  # a hash or an ID
        characters = run.translate(_URL_SAFE)
        for start in range(4):
            part = characters[start:]
            yield base64.b64decode(part + b"A" * (-len(part) % 4))


# --- the secrets of a simulated factory ---


def named(secrets: Mapping[str, str]) -> dict[str, str]:
    """Names for texts of which only the kind is known: `token 1`, `token 2`."""
    numbered: Counter[str] = Counter()
    names: dict[str, str] = {}
    for text, kind in secrets.items():
        numbered[kind] += 1
        names[f"{kind} {numbered[kind]}"] = text
    return names


def secrets_of(cloud: SimCloud, *wifi_passwords: str) -> Canaries:
    """All that this cloud ever made (client secrets, tokens, passwords, claim codes), and these."""
    return Canaries(named({**cloud.mint.secrets, **dict.fromkeys(wifi_passwords, "Wi-Fi password")}))
