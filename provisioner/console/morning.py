"""What the engineer reads at 7 a.m.: the classes, the devices that do not add up, and one line that says it all.

Rule 1: the last line is the verdict; everything else is there to explain it.
Rule 2: text from manifests, journals and the cloud is escaped before a terminal sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from provisioner.console.lines import safe
from provisioner.reconcile.classes import Class
from provisioner.reconcile.discipline import words_of
from provisioner.reconcile.reconciler import Found, Tally

SHOWN_MAX = 10  # devices of each class on the screen; the file has all of them
_COLOURS = {"good": "green", "open": "yellow", "wrong": "red"}
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class with devices in it."""

    name: str
    count: int
    standing: str
    sentence: str
    action: str
    devices: Sequence[str]  # each with its place and age, ready to print


def age_words(since: datetime | None, now: datetime) -> str:
    """How long ago, in the unit a person would use; empty if nobody knows."""
    if since is None:
        return ""
    seconds = max(0.0, (now - since).total_seconds())
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.0f} days"


def print_morning(
    rows: Sequence[ClassRow],
    verdict: str,
    console: Console,
    *,
    troubles: Sequence[str] = (),
    repairs: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Print the night: a table of classes, the devices to look at, and the verdict last."""
    grid = Table(box=box.SIMPLE_HEAD if console.encoding.startswith("utf") else box.ASCII2)
    grid.add_column("CLASS", no_wrap=True)
    grid.add_column("DEVICES", justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True)
    grid.add_column("WHAT IT MEANS")
    for row in rows:
        colour = _COLOURS[row.standing]
        grid.add_row(row.name, Text(str(row.count), colour), Text(row.standing, colour), row.sentence)
    console.print(grid)
    for row in rows:
        _print_devices(row, console)
    for trouble in troubles:
        console.print(Text(f"FILE  {safe(trouble, 400)}", "yellow"), soft_wrap=not console.is_terminal)
    if repairs:
        done = ", ".join(f"{count} {what}" for what, count in repairs.items())
        console.print(Text(f"REPAIRED  {done}"), soft_wrap=not console.is_terminal)
    for note in notes:
        console.print(Text(safe(note, 400), "dim"), soft_wrap=not console.is_terminal)
    console.print(Text(safe(verdict, 400), "bold"), soft_wrap=not console.is_terminal)


def _print_devices(row: ClassRow, console: Console) -> None:
    if row.standing == "good" or not row.count:
        return
    console.print(
        Text(f"{row.name.upper()}: {row.sentence}. DO: {row.action}", _COLOURS[row.standing]),
        soft_wrap=not console.is_terminal,
    )
    for device in row.devices[:SHOWN_MAX]:
        console.print(Text(f"  {safe(device, 200)}"), soft_wrap=not console.is_terminal)
    if row.count > len(row.devices[:SHOWN_MAX]):
        console.print(Text(f"  and {row.count - len(row.devices[:SHOWN_MAX])} more"))


def class_rows(tally: Tally, now: datetime) -> list[ClassRow]:
    """The classes that have devices, the good ones first."""
    return [
        ClassRow(
            words_of(kind),
            tally.classes[kind],
            kind.meaning.standing.value,
            kind.meaning.sentence,
            kind.meaning.action,
            [_line(found, now) for found in tally.kept.get(kind, [])],
        )
        for kind in Class
        if tally.classes[kind]
    ]


def _line(found: Found, now: datetime) -> str:
    listed, facts = found.listed, found.facts
    tray, slot = (listed.tray, listed.slot) if listed else (facts.tray, facts.slot) if facts else ("", 0)
    parts = [f"{tray}/{slot}" if tray else "", found.device]
    if found.kind.meaning.aged and facts and (age := age_words(facts.at, now)):
        parts.append(f"for {age}")
    if facts and facts.code:
        parts.append(facts.code)
    if found.kind in (Class.OWNER_CHANGED, Class.CLAIMED_ELSEWHERE):
        owner = found.seen.owner if found.seen else None
        parts.append(f"owner {owner or 'nobody'}, wanted {listed.owner if listed else 'nobody'}")
    return "  ".join(part for part in parts if part)


@contextmanager
def walking(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the pages of the cloud's list; in a pipe, a line each tenth of the way."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("reading the product's list", total=None)
            yield lambda pages, total: bar.update(task, completed=pages, total=total)
        return
    tenths = 0

    def tell(pages: int, total: int) -> None:
        nonlocal tenths
        if total > 10 and pages * 10 // total > tenths:
            tenths = pages * 10 // total
            console.print(f"{pages} of {total} pages of the product's list", soft_wrap=not console.is_terminal)

    yield tell
