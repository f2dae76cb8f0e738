"""The stations on the terminal: one line each, or, where people scan, each as large as there is room. Pure.

Rule 1: word, cause and what to do are the page's own (`stage_words`); every state is a word as well as a colour.
Rule 2: the answer to a scan stands above the verdict and does not take its place.
"""

from __future__ import annotations

import textwrap
from typing import Final

from rich.text import Text

from provisioner.console.big import ROWS, big
from provisioner.console.lines import about, safe, where
from provisioner.console.stage import Kind, Stage, stage_of
from provisioner.console.stage_words import Said, refusal, said_of
from provisioner.console.station_view import StationView
from provisioner.console.tally import Trouble
from provisioner.console.verdict import Tone
from provisioner.console.view import Screen

TONES: Final = {
    Tone.CALM: "bold bright_white on blue",
    Tone.GOOD: "bold bright_white on dark_green",
    Tone.WARN: "bold black on yellow",
    Tone.BAD: "bold bright_white on dark_red",
}
CHIPS: Final = {
    "PASS": TONES[Tone.GOOD],
    "FAIL": TONES[Tone.BAD],
    "UNPROVEN": TONES[Tone.WARN],
    "SKIPPED": "bold bright_white on dark_magenta",
    "DRAINED": TONES[Tone.BAD],
    "STRANGER": TONES[Tone.WARN],
    "AGAIN": TONES[Tone.WARN],
    "SCAN": TONES[Tone.WARN],
}
PANEL_ROWS: Final = 10  # with letters to be read from afar
PANEL_ROWS_MIN: Final = 5


def station_lines(screen: Screen, station: StationView, now_ms: int) -> list[Text]:
    """One line of what it does; a second one of what went wrong there last and what to do."""
    stage, said = stage_of(screen, station), said_of(screen, station)
    text = Text.assemble((f"  {safe(station.name, 12):<12} ", "bold"))
    if stage.kind is Kind.DRAINED and stage.trouble is not None:
        text.append(f" {said.word} ", TONES[said.tone])
        text.append(f"  {safe(stage.trouble.detail or stage.trouble.code)}")
        return [text, Text(f"    DO: {safe(stage.trouble.remedy)}")]
    word = safe(station.step, 15).upper() if stage.kind is Kind.RUNNING and station.step else said.word
    text.append(f"{word:<15} ", _LINE_STYLES[said.tone] if stage.kind is not Kind.READY else "dim")
    since_ms = station.since_ms if stage.kind is Kind.RUNNING else None
    text.append(f"{about((now_ms - since_ms) / 1000) if since_ms is not None else '':>7}  ")
    text.append(f"{_place(stage, station, short=True):<20}")
    text.append(f"{station.visits:>4} visits{station.passes:>5} PASS")
    return [text] if station.trouble is None else [text, failure_line(station.trouble)]


_LINE_STYLES: Final = {Tone.CALM: "bold cyan", Tone.GOOD: "bold green", Tone.WARN: "bold yellow", Tone.BAD: "bold red"}


def failure_line(trouble: Trouble) -> Text:
    """What to do stands before the code: the line may be cut at its end."""
    text = Text.assemble("    ", (f" {trouble.word} ", CHIPS.get(trouble.word, "bold")))
    place = where(trouble.tray, trouble.slot, None if trouble.tray else trouble.device, short=True)
    text.append(f" {place or safe(f'at {trouble.station}')}", "bold")
    return text.append(f"  {safe(trouble.remedy)}  ").append(safe(trouble.code), "dim")


# --- where people scan ---


def panels(screen: Screen, now_ms: int, width: int, room: int, *, ascii_only: bool) -> list[Text]:
    """Every station as large as there is room, at most `room` rows in all; those left out are said."""
    shown = list(screen.stations.values())[: max(1, room // PANEL_ROWS_MIN)]
    each = room // max(1, len(shown))
    lines = [line for station in shown for line in _panel(screen, station, now_ms, width, each, ascii_only=ascii_only)]
    hidden = len(screen.stations) - len(shown)
    if hidden and len(lines) < room:
        lines.append(Text(f"  {hidden} more stations not shown", "dim"))
    return lines[:room]


def _panel(screen: Screen, station: StationView, now_ms: int, width: int, rows: int, *, ascii_only: bool) -> list[Text]:
    """One station: its name and person, the answer to the last scan, the word, and what to do with the hands."""
    stage, said = stage_of(screen, station), said_of(screen, station)
    style = TONES[said.tone]
    head = Text.assemble((f" {safe(station.name, 32)}", "bold"), f"   {safe(station.operator, 32)}")
    below = [Text(f"  {line}", style) for line in _says(stage, station, said, now_ms, width)]
    notes = [Text(f"  {line}", TONES[Tone.WARN]) for line in _notes(station, width)]
    left = rows - 1 - len(notes) - len(below)
    word = big(said.word, width - 4, ink="#" if ascii_only else "█") if left >= ROWS else [" ".join(said.word)]
    block = [Text("", style), *(Text(f"  {row}", style) for row in word), Text("", style)]
    if left < len(block):
        block = block[1:-1]
    lines = [head, *notes, *block, *below]
    for line in lines[1:]:
        line.truncate(width, overflow="ellipsis", pad=True)
    earlier = _earlier(station)
    return [*lines, *([earlier] if earlier is not None and len(lines) < rows - 1 else []), Text()][:rows]


def _says(stage: Stage, station: StationView, said: Said, now_ms: int, width: int) -> list[str]:
    place, why = _place(stage, station), safe(said.why)
    rows = [f"{place}   {why}".strip()] if place or why else []
    if stage.kind is Kind.RUNNING:
        rows = [f"{place or safe(station.ssid)}   {safe(station.step)}, {about((now_ms - station.since_ms) / 1000)}"]
    todo = f"DO: {safe(said.todo)} {safe(said.then)}".strip()
    detail = [safe(stage.trouble.detail)] if stage.trouble is not None and stage.trouble.detail else []
    return [*rows, *textwrap.wrap(todo, max(20, width - 4))[:3], *detail]


def _notes(station: StationView, width: int) -> list[str]:
    """What is wrong with a scan or a scanner; it takes no verdict's place."""
    notes = [refusal(station.refused, station.scan_text)] if station.refused is not None else []
    if station.scanner_lost is not None:
        notes.append(f"{station.scanner_lost.detail}. {station.scanner_lost.remedy}")
    return [row for note in notes for row in textwrap.wrap(safe(note), max(20, width - 4))[:2]]


def _earlier(station: StationView) -> Text | None:
    """The boards before this one: a FAIL among them must not be overlooked."""
    text = Text("  before: ", "dim")
    for board in list(station.boards)[-2::-1]:
        bad = board.verdict in ("fail", "stranger", "mismatch")
        place = where(board.tray, board.slot, None if board.tray else board.device, short=True) or safe(board.ssid)
        text.append(f" {place} {board.verdict.upper()} ", TONES[Tone.BAD] if bad else "dim")
    return text if len(station.boards) > 1 else None


def _place(stage: Stage, station: StationView, *, short: bool = False) -> str:
    if stage.kind is Kind.RUNNING:
        return where(station.tray, station.slot, station.device, short=short)
    board = stage.board or station.scanned  # a scanned one waits while the line is held
    if board is None:
        return ""
    return where(board.tray, board.slot, board.device, short=short) or safe(board.ssid, 24)
