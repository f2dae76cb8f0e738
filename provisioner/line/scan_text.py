"""What a scanner sends, before anybody knows what it names: framing, commands, keyboards of other countries. Pure.

Rule 1: a scan is hostile text until it has been recognised; only printable text of a label's length goes on.
Rule 2: nothing is ever guessed right: what had to be exchanged, cut or joined to make sense is refused in words that
say what is wrong with the scanner.
Rule 3: a command is told from a label by its prefix alone: letters that stand in the same place on the keyboards of
most countries, in no case that matters (Caps Lock turns it round).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from provisioner.errors import CommandUnknown, ScanEmpty, ScanTooLong, ScanUnreadable
from provisioner.model import printable

SCAN_CHARACTERS_MAX = 128
COMMAND_PREFIX = "PVCTL"
OPERATOR_CHARACTERS_MAX = 32
_FRAMED = "[\\x02-\\x04\\t\\r\\n ]"  # STX, ETX, EOT, TAB, CR, LF: scanners frame what they read
_FRAME = re.compile(f"^{_FRAMED}+|{_FRAMED}+$")
_AIM = re.compile(r"^\][A-Za-z][0-9A-Za-z]")  # the AIM symbology identifier that many scanners send first


class Command(enum.StrEnum):
    """What can be asked for with a barcode. The value is what follows the prefix."""

    STOP = "STOP"
    HOLD = "HOLD"
    RESUME = "GO"
    REWORK = "REDO"
    SET_ASIDE = "SIDE"
    JOINED = "JOIN"
    BADGE = "ID."


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command that was scanned; `operator` is the name on a badge."""

    command: Command
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Framing:
    """What a site's scanners put before and behind every label, and what its command barcodes begin with."""

    prefix: str = ""
    suffix: str = ""
    command_prefix: str = COMMAND_PREFIX

    def text_of(self, scan: str) -> str:
        """The label's own text. Raises ScanEmpty, ScanTooLong, ScanUnreadable."""
        if len(scan) > SCAN_CHARACTERS_MAX + len(self.prefix) + len(self.suffix):
            raise ScanTooLong(f"{len(scan)} characters came at once, beginning with {printable(scan, 24)!r}")
        text = _FRAME.sub("", scan)
        text = text.removeprefix(_FRAME.sub("", self.prefix)).removesuffix(_FRAME.sub("", self.suffix))
        text = _AIM.sub("", text).strip(" ")
        if not text:
            raise ScanEmpty("nothing was scanned")
        if printable(text, len(text)) != text:
            raise ScanUnreadable(f"the scan has control or invisible characters inside: {printable(text)!r}")
        return text

    def command_of(self, text: str) -> Ordered | None:
        """The command that a scan is, or None. Raises CommandUnknown."""
        if not text.upper().startswith(self.command_prefix.upper()):
            return None
        rest = text[len(self.command_prefix) :]
        if rest.upper().startswith(Command.BADGE) and (name := rest[len(Command.BADGE) :].strip()):
            return Ordered(Command.BADGE, name[:OPERATOR_CHARACTERS_MAX])
        for command in Command:
            if rest.upper() == command and command is not Command.BADGE:
                return Ordered(command)
        raise CommandUnknown(f"{printable(text)!r} is no command of this program")


# --- a scanner set to another country than the computer ---

_Z_KEYS = str.maketrans("yzYZ", "zyZY")
_A_KEYS = str.maketrans("aqzwAQZW", "qawzQAWZ")
_LAYOUTS = (
    # what the computer shows -> what the label says; the scanner types US keys on a German, then on a French computer
    {**_Z_KEYS, **str.maketrans("ß-", "-/")},
    {**_A_KEYS, **str.maketrans("&é\"'(-è_çà,?)!:", "1234567890mM-/.")},
    # and the other way round
    {**_Z_KEYS, **str.maketrans("/&", "-/")},
    {**_A_KEYS, **str.maketrans("!@#$%^&*()", "1234567890")},
)


def on_other_keyboards(text: str) -> Iterator[str]:
    """What the label may say if the scanner's keyboard country is not the computer's."""
    seen = {text}
    for layout in _LAYOUTS:
        other = text.translate(layout)
        if other not in seen:
            seen.add(other)
            yield other
