"""The sheet of command barcodes to hang up at a station, and badges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from provisioner.line.scan_text import COMMAND_PREFIX, OPERATOR_CHARACTERS_MAX, Command
from provisioner.scanner.code128 import svg

_SAYS: Final = {
    Command.HOLD: ("HOLD", "No station begins a board until RESUME."),
    Command.RESUME: ("RESUME", "The line goes on."),
    Command.REWORK: ("REWORK", "Scan a board that failed, then this: it is worked once more."),
    Command.SET_ASIDE: ("SET ASIDE", "Scan a board, then this: it is not worked in this run."),
    Command.JOINED: ("JOINED", "Where a person joins the networks: this computer is on the board's network now."),
    Command.STOP: ("STOP", "Ends the run. Boards that have been written to are finished."),
}
_STYLE: Final = (
    "body{font:16px/1.3 system-ui,sans-serif;margin:2em;color:#000;background:#fff}h1{font-size:1.4em}"
    "ul{list-style:none;padding:0;display:grid;grid-template-columns:1fr 1fr;gap:1.2em}"
    "li{border:2px solid #000;border-radius:8px;padding:1em;break-inside:avoid}"
    "li svg{display:block;width:100%;height:5em}b{font-size:1.5em}p{margin:.3em 0}code{font-size:.8em}"
)


@dataclass(frozen=True, slots=True)
class Label:
    """One barcode: `text` is what it says to a scanner, `title` and `says` what it says to a person."""

    title: str
    says: str
    text: str
    svg: str


@dataclass(frozen=True, slots=True)
class SheetCode(Label):
    """The barcode of a command."""

    command: Command


def command_sheet(*, prefix: str = COMMAND_PREFIX, operators: Iterable[str] = ()) -> tuple[SheetCode, ...]:
    """Every command as a barcode, then a badge for each operator. Raises ValueError for a name a barcode cannot say."""
    commands = [(*said, f"{prefix}{command}", command) for command, said in _SAYS.items()]
    rows = [*commands, *_badges(prefix, operators)]
    return tuple(SheetCode(title, says, text, svg(text), command) for title, says, text, command in rows)


def _badges(prefix: str, operators: Iterable[str]) -> Iterator[tuple[str, str, str, Command]]:
    for name in operators:
        if not 0 < len(name.strip()) <= OPERATOR_CHARACTERS_MAX:
            raise ValueError(f"a name on a badge has 1 to {OPERATOR_CHARACTERS_MAX} characters")
        said = "Scan it when you begin to work: your name stands by everything you do."
        yield name.strip(), said, f"{prefix}{Command.BADGE}{name.strip()}", Command.BADGE


def page(codes: Iterable[Label], *, title: str = "Command barcodes") -> str:
    """The sheet as one page to print, with nothing to load from anywhere."""
    rows = "\n".join(
        f"<li><b>{escape(code.title)}</b><p>{escape(code.says)}</p>{code.svg}<code>{escape(code.text)}</code></li>"
        for code in codes
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n<ul>\n{rows}\n</ul></body></html>\n"
    )
