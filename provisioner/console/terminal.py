"""The terminal: a live screen for people at a bench, plain lines for pipes, logs and NO_COLOR.

Rule 1: it only reads the screen model and never decides anything. A terminal that hangs, closes or cannot show a
character does not stop the line.
Rule 2: every state is a word as well as a colour. Whatever is held, failed or UNPROVEN is shown with what to do.
Rule 3: every text from a record passes `lines.safe`; nothing is read as markup.
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol

import trio
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from provisioner.console.lines import because, clock, line_of, pace_words, progress, queue_words, safe, shown_as, where
from provisioner.console.stage_words import refusal
from provisioner.console.tally import OUTCOMES, State, Tally, Trouble, word_of
from provisioner.console.terminal_stations import CHIPS, PANEL_ROWS, TONES, failure_line, panels, station_lines
from provisioner.console.verdict import FinalTable, Headline, Row, Tone, final_table, headline
from provisioner.console.view import Screen
from provisioner.journal.fields import Record
from provisioner.model import Outcome, harmless

REFRESH_S: Final = 1 / 8
PROGRESS_LINE_S: Final = 10.0

_COLOURS: Final = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.UNKNOWN: "yellow", Outcome.SKIPPED: "magenta"}
# One glyph for each, so that a tray reads without colours too.
_BARS: Final = {Outcome.PASS: "█", Outcome.FAIL: "×", Outcome.UNKNOWN: "?", Outcome.SKIPPED: "-"}
_PLAIN_BARS: Final = {Outcome.PASS: "#", Outcome.FAIL: "x", Outcome.UNKNOWN: "?", Outcome.SKIPPED: "-"}


class Display(Protocol):
    """What `shown` yields."""

    def see(self, record: Record) -> None:
        """Take a record that the screen has already seen: subscribe it to the journal after `screen.see`."""
        ...

    async def refresh_forever(self) -> None:
        """Keep what is shown up to date until cancelled. Start it in the run's nursery."""
        ...


class _Console(Console):
    """Rich's console, but a reader that went away (`| head`) does not end the program, and whatever text gets this far
    is made harmless here, if nobody has before."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All that is printed and drawn passes here."""
        for segment in super().render(renderable, options):
            clean = segment.control or segment.text.isprintable()
            yield segment if clean else Segment(harmless(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Go on without a reader."""
        self.quiet = True


def make_console(*, stderr: bool = False) -> Console:
    """The console on stdout, or on stderr when stdout belongs to `--json`. Follows NO_COLOR and TERM."""
    stream = sys.stderr if stderr else sys.stdout
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")  # a terminal without some character shows its number instead
    return _Console(file=stream, highlight=False, markup=False, emoji=False)


def say(console: Console, line: str) -> None:
    """Print one line as it is, without wrapping or style: what rich takes twenty times as long for."""
    if console.quiet:
        return
    try:
        console.file.write(harmless(line) + "\n")
        console.file.flush()
    except BrokenPipeError:
        console.on_broken_pipe()


@contextmanager
def shown(screen: Screen, *, console: Console, now_ms: Callable[[], int], dialogue: bool = False) -> Iterator[Display]:
    """Show a screen until the block ends, then print the final table; the terminal is as it was, whatever happened.

    `now_ms` is the journal's monotonic clock (`Journal.mono_ms`). Live on a terminal with colour, else plain lines.
    With `dialogue` the terminal also asks a person: plain lines, and only when something happens, so that a question
    is never painted over.
    """
    try:
        if dialogue or not console.is_terminal or console.is_dumb_terminal or console.no_color:
            yield _PlainLines(screen, console, now_ms, progress_line_s=math.inf if dialogue else PROGRESS_LINE_S)
        else:
            with _live(console) as live:
                yield _LiveScreen(screen, live, now_ms)
    finally:
        with suppress(OSError):  # the terminal itself may be gone
            _last_words(screen, console)


@trio.lowlevel.enable_ki_protection  # a second Ctrl-C that comes now must not cut off what the first one led to
def _last_words(screen: Screen, console: Console) -> None:
    if screen.run:  # else nothing had begun, and there is nothing to show
        print_final(final_table(screen), headline(screen), console)


@contextmanager
def _live(console: Console) -> Iterator[Live]:
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    try:
        live.start()
        yield live
    finally:
        with suppress(OSError):
            live.stop()


class _LiveScreen:
    def __init__(self, screen: Screen, live: Live, now_ms: Callable[[], int]) -> None:
        self._screen = screen
        self._live = live
        self._now_ms = now_ms

    def see(self, record: Record) -> None:
        """Nothing to do: the next refresh shows it."""

    async def refresh_forever(self) -> None:
        """Draw eight times a second while something changes, else once a second."""
        drawn: tuple[object, ...] = ()
        while True:
            console, now_ms = self._live.console, self._now_ms()
            look = (self._screen.last, now_ms // 1000, console.size)
            if look != drawn:
                drawn = look
                lines = frame(self._screen, now_ms, *console.size, ascii_only=not console.encoding.startswith("utf"))
                self._live.update(Group(*lines))
                # In a thread, because a terminal that is paused (Ctrl-S, a slow link) would otherwise stop every
                # station. What it draws is finished text: it does not look at the screen model.
                await trio.to_thread.run_sync(self._draw, abandon_on_cancel=True)
            await trio.sleep(REFRESH_S)

    def _draw(self) -> None:
        with suppress(OSError):
            self._live.refresh()


class _PlainLines:
    def __init__(self, screen: Screen, console: Console, now_ms: Callable[[], int], *, progress_line_s: float) -> None:
        self._screen = screen
        self._console = console
        self._now_ms = now_ms
        self._progress_line_s = progress_line_s

    def see(self, record: Record) -> None:
        """Print one line for what somebody would want to know."""
        line = line_of(record, self._screen)
        if line is not None:
            self._print(record, line)

    async def refresh_forever(self) -> None:
        """Print where the run stands every ten seconds, as long as it moves."""
        said: Record | None = None
        while True:
            await trio.sleep(self._progress_line_s)
            last = self._screen.last
            if last is not None and last is not said:
                said = last
                self._print(last, progress(self._screen, self._now_ms()))

    def _print(self, record: Record, line: str) -> None:
        with suppress(OSError):
            say(self._console, f"{record.at:%H:%M:%S}Z {line}")


# --- the live screen ---


def frame(screen: Screen, now_ms: int, width: int, height: int, *, ascii_only: bool = False) -> list[Text]:
    """The whole screen as exactly `height` lines of at most `width` cells."""
    if screen.scanner and screen.finished is None:
        return _fitted(_scan_lines(screen, now_ms, width, height, ascii_only=ascii_only), screen, width, height)
    lines = [*_banner(headline(screen), now_ms, width), Text(), _chips(screen)]
    lines += [Text("   ".join(["", *pace_words(screen, now_ms), *queue_words(screen, now_ms)]))]
    room = max(2, height - len(lines) - 3)  # two titles and the footer
    stations = [station_lines(screen, station, now_ms) for station in screen.stations.values()]
    rows = [row for pair in stations for row in pair]
    if len(rows) + min(len(screen.trays), 3) > room:  # the second lines go first
        rows = [pair[0] for pair in stations]
    rows = rows[: max(1, room - min(len(screen.trays), 3))]
    trays = screen.busy_trays(room - len(rows))
    lines.append(_title("TRAYS", len(screen.trays) - len(trays)))
    lines += [_tray(screen.through(tray), width, ascii_only=ascii_only) for tray in trays]
    lines.append(_title("STATIONS", sum(pair[0] not in rows for pair in stations)))
    lines += rows
    spare = room - len(trays) - len(rows) - 2
    if spare > 0 and screen.failures:
        lines += [Text(), Text(" LAST FAILURES", style="bold")]
        lines += [failure_line(trouble) for trouble in list(reversed(screen.failures))[:spare]]
    return _fitted(lines, screen, width, height)


def _scan_lines(screen: Screen, now_ms: int, width: int, height: int, *, ascii_only: bool) -> list[Text]:
    """Where people scan: the line in one row if it works, the stations as large as they go, the trays if they fit."""
    head = headline(screen)
    calm = head.tone is Tone.CALM
    lines = [Text(f" {safe(head.word)}   {clock(now_ms)}", "bold")] if calm else _banner(head, now_ms, width)
    lines += [_chips(screen)]
    if screen.refused is not None:
        note = refusal(screen.refused, screen.refused_text)
        lines += [Text(f" {row}", TONES[Tone.WARN]) for row in textwrap.wrap(safe(note), max(20, width - 2))[:2]]
    trays = screen.busy_trays(max(0, min(3, height - len(lines) - 1 - PANEL_ROWS * len(screen.stations))))
    lines += panels(screen, now_ms, width, max(1, height - len(lines) - len(trays) - 1), ascii_only=ascii_only)
    return lines + [_tray(screen.through(tray), width, ascii_only=ascii_only) for tray in trays]


def _fitted(lines: list[Text], screen: Screen, width: int, height: int) -> list[Text]:
    """Exactly so many lines, none too wide, the footer last."""
    lines = lines[: height - 1]
    lines += [Text()] * (height - 1 - len(lines)) + [_footer(screen)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines


def _banner(head: Headline, now_ms: int, width: int) -> list[Text]:
    time = clock(now_ms)
    spaced = " ".join(safe(head.word))  # wide letters read from further away
    rows = ["", f"  {spaced:<{max(0, width - len(time) - 4)}}{time}", ""]
    for label, text in (("", head.why), ("DO: ", head.todo)):
        rows += [f"  {line}" for line in textwrap.wrap(f"{label}{safe(text)}", max(20, width - 4))[:2] if text]
    rows += [""] * (len(rows) > 3)
    banner = [Text(row, style=TONES[head.tone]) for row in rows]
    for line in banner:
        line.truncate(width, overflow="ellipsis", pad=True)
    return banner


def _chips(screen: Screen) -> Text:
    """The outcomes, each a word and a number."""
    text = Text(" ")
    for outcome in OUTCOMES:
        count = screen.through(screen.all).outcome(outcome)
        text.append(f" {shown_as(outcome, screen)} {count} ", CHIPS[word_of(outcome)] if count else "dim")
        text.append("  ")
    return text.append(f"{screen.left} of {screen.all.devices} left", "bold")


def _title(word: str, hidden: int) -> Text:
    return Text.assemble((f" {word}", "bold"), (f"   {hidden} more not shown" if hidden else "", "dim"))


def _tray(tray: Tally, width: int, *, ascii_only: bool) -> Text:
    text = Text(f"  {safe(tray.name, 12):<12} ")
    size = max(10, width // 3)
    glyphs = _PLAIN_BARS if ascii_only else _BARS
    cells = _cells_of(tray, size)
    for outcome, count in cells.items():
        text.append(glyphs[outcome] * count, _COLOURS[outcome])
    text.append(("." if ascii_only else "·") * (size - sum(cells.values())), "dim")
    text.append(f" {tray.outcome(Outcome.PASS):>4} of {tray.devices}", "bold")
    for outcome in OUTCOMES[1:]:
        if count := tray.outcome(outcome):
            text.append(f"  {count} {word_of(outcome)}", f"bold {_COLOURS[outcome]}")
    busy = tray.states[State.WORKING] + tray.states[State.CONNECTING]
    return text.append(f"  {busy} under way" if busy else "", "cyan")


def _cells_of(tray: Tally, size: int) -> dict[Outcome, int]:
    """How long each part of a tray's bar is: no failure rounded away, and full exactly when nothing is open."""
    counts = {outcome: tray.outcome(outcome) for outcome in OUTCOMES}
    cells = {outcome: max(count > 0, count * size // max(1, tray.devices)) for outcome, count in counts.items()}
    largest = max(counts, key=lambda outcome: counts[outcome])
    over = sum(cells.values()) - size
    if over + (tray.open > 0) > 0 or (tray.open <= 0 and tray.devices):
        cells[largest] -= over + (tray.open > 0)
    return cells


def _footer(screen: Screen) -> Text:
    parts = [f"run {safe(screen.run, 32)}", f"product {safe(screen.product, 32)}"]
    parts += [f"{screen.carried} results from earlier runs"] * bool(screen.carried)
    parts += [f"strangers: {screen.strangers}"] * bool(screen.strangers)
    return Text(f" {'   '.join(parts)}", "dim")


# --- the final table ---


def print_final(table: FinalTable, head: Headline, console: Console) -> None:
    """Print what the run came to: trays, the devices somebody has to look at, and the verdict last."""
    grid = Table(box=box.SIMPLE_HEAD if console.encoding.startswith("utf") else box.ASCII2, show_footer=False)
    grid.add_column("TRAY", no_wrap=True)
    for column in ("DEVICES", *table.columns):
        grid.add_column(column, justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*_cells(row))
    if table.more_trays:
        grid.add_row(Text(f"and {table.more_trays} more", "dim"))
    grid.add_section()
    grid.add_row(*_cells(table.total), style="bold")
    console.print(grid)
    _print_troubles(table.troubles, console)
    if table.more_troubles:
        console.print(Text(f"and {table.more_troubles} more: the journal names them all"))
    _print_verdict(head, console)


def _print_troubles(troubles: Sequence[Trouble], console: Console) -> None:
    """One line each in a pipe; on a terminal the boards together that the same is to be done with."""
    if not console.is_terminal:
        for trouble in troubles:
            console.print(_named(trouble).append(f"  {because(trouble)}"), soft_wrap=True)
        return
    for remedy in dict.fromkeys(trouble.remedy for trouble in troubles):
        for trouble in (trouble for trouble in troubles if trouble.remedy == remedy):
            line = _named(trouble).append(f"  {safe(trouble.code)}", "bold")
            why = trouble.detail.removeprefix(f"{trouble.device}").lstrip(" :")  # the board has just been named
            line.append(f": {safe(why)}" if why else "", "dim")
            console.print(line, no_wrap=True, overflow="ellipsis")
        for part in textwrap.wrap(f"DO: {safe(remedy)}", max(20, console.width - 10)) if remedy else ():
            console.print(Text(f"         {part}"))


def _named(trouble: Trouble) -> Text:
    place = where(trouble.tray, trouble.slot, trouble.device)
    return Text.assemble((f"{trouble.word:<8}", CHIPS.get(trouble.word, "bold")), f" {place}")


def _print_verdict(head: Headline, console: Console) -> None:
    """The last thing printed: one line in a pipe, a bar across a terminal."""
    why = f": {safe(head.why).rstrip('.')}" if head.why else ""
    if not console.is_terminal:
        todo = f" {safe(head.todo)}" if head.todo else ""
        console.print(Text(f"{safe(head.word)}{why}.{todo}"), soft_wrap=True)
        return
    for text in (f"{safe(head.word)}{why}.", f"DO: {safe(head.todo)}" if head.todo else ""):
        for part in textwrap.wrap(text, max(20, console.width - 4)):
            line = Text(f"  {part}", TONES[head.tone])
            line.truncate(console.width, overflow="ellipsis", pad=True)
            console.print(line)


def _cells(row: Row) -> list[Text]:
    counts = zip((*_COLOURS.values(), "bold"), row.counts, strict=True)
    cells = [Text(str(count), colour if count else "dim") for colour, count in counts]
    return [Text(safe(row.name, 32)), Text(str(row.devices)), *cells]
