"""The terminal: everything fits, nothing harms, and it never stops the line."""

import io
import os
import pty
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
import trio
from rich.console import Console

from provisioner.console.terminal import frame, make_console, print_final, shown
from provisioner.console.verdict import final_table, headline
from provisioner.console.view import Screen

HERE = Path(__file__).parent
FAIL = {"outcome": "fail", "code": "no_address", "blame": "device", "remedy": "Press RESET on the board."}
DRAINED = {"code": "adapter_unavailable", "detail": "wlan3 is gone", "remedy": "Plug the adapter in again."}
HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e\r\n\0[red]x[/red]"


def looks(screen, width=100, height=30, now_ms=60_000, **how):
    return [line.plain.rstrip() for line in frame(screen, now_ms, width, height, **how)]


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (40, 12), (20, 5), (1, 1), (300, 100)])
def test_a_frame_has_the_size_of_the_terminal_at_every_moment(shift, size):
    width, height = size
    screen = Screen()
    for record in shift[::1]:
        screen.see(record)
        if screen.last.seq % 40 == 0 or record.event.startswith(("line.", "run.", "station.")):
            lines = frame(screen, record.mono_ms, width, height)
            assert len(lines) == height
            assert max(line.cell_len for line in lines) <= width


def test_with_more_stations_and_trays_than_fit_both_are_shown_in_part(fold):
    stations = [f"ST{number}" for number in range(40)]
    screen = fold(started=("run.started", {"trays": {f"T-{n:02}": 5 for n in range(40)}, "stations": stations}))

    text = "\n".join(looks(screen, 80, 24))

    assert "TRAYS   37 more not shown" in text
    assert "more not shown" in text.split("STATIONS")[1]
    assert "T-00" in text
    assert "ST0" in text


def test_it_says_running_only_when_it_runs(fold):
    held = fold(("line.held", {"code": "cloud_unreachable", "detail": "no answer", "remedy": "Check the uplink."}))
    stopped = fold(*(("station.drained", {"station": name, **DRAINED}) for name in ("ST1", "ST2")))

    assert "L I N E   R U N N I N G" in looks(fold(fold.begun))[1]
    assert "S T A R T I N G" in looks(fold())[1]
    assert "L I N E   H E L D" in looks(held)[1]
    assert looks(held)[3:5] == ["  no answer", "  DO: Check the uplink."]
    assert "L I N E   S T O P P E D" in looks(stopped)[1]
    for screen in (held, stopped):
        assert "R U N N I N G" not in "\n".join(looks(screen))


def test_banners_differ_in_more_than_words(fold):
    held = fold(("line.held", {"code": "x"}))

    assert frame(fold(), 0, 80, 24)[1].style != frame(held, 0, 80, 24)[1].style


def test_failures_are_words_with_what_to_do(fold):
    screen = fold(
        (5, "visit.started", {"station": "ST1"}),
        (9, "device.identified", {"station": "ST1", "device": 1}),
        ("device.failed", {"device": 2, "station": "ST2", **FAIL}),
        ("device.unknown", {"device": 3, "code": "not_proven", "remedy": "Leave it powered."}),
    )

    text = "\n".join(looks(screen))

    assert " FAIL 1 " in text
    assert " UNPROVEN 1 " in text
    assert "UNKNOWN" not in text.upper().replace("UNPROVEN", "")
    assert "3 of 5 left" in text
    assert "CLAIMING" in text
    assert "51 s  T-0001/1 …343001" in text
    assert "FAIL  T-0001/2  Press RESET on the board.  no_address" in text
    assert "UNPROVEN  T-0001/3  Leave it powered.  not_proven" in text


def test_a_drained_station_shows_why_and_what_to_do(fold):
    text = "\n".join(looks(fold(("station.drained", {"station": "ST1", **DRAINED}))))

    assert "ST1           STATION OUT   wlan3 is gone" in text
    assert "DO: Plug the adapter in again." in text


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_bar_is_full_exactly_when_nothing_is_open_and_hides_no_failure(fold, ascii_only):
    count = 1000
    started = ("run.started", {"trays": {"T": count}})
    steps = [("device.confirmed", {"device": f"{n:024x}", "tray": "T"}) for n in range(count - 2)]
    steps += [("device.failed", {"device": f"{count - 2:024x}", "tray": "T", **FAIL})]
    last = ("device.confirmed", {"device": f"{count - 1:024x}", "tray": "T"})

    def bar(*steps):
        (line,) = [
            line for line in looks(fold(*steps, started=started), ascii_only=ascii_only) if line.startswith("  T ")
        ]
        return line.split()[1]

    full, failed, rest = ("#", "x", ".") if ascii_only else ("█", "×", "·")
    assert bar(*steps) == full * 31 + failed + rest
    assert bar(*steps, last) == full * 32 + failed
    assert bar() == rest * 33


def test_no_text_from_a_record_reaches_the_screen_raw(fold):
    fields = dict.fromkeys(("ssid", "bssid", "code", "remedy", "detail", "operator", "step"), HOSTILE)
    at = {"station": HOSTILE, "tray": HOSTILE, **fields}
    names = {"trays": {HOSTILE: 3}, "product": HOSTILE, "stations": [HOSTILE]}
    steps = [
        ("visit.started", at),
        ("device.identified", {**at, "device": f"{1:024x}"}),
        ("device.failed", {**at, "device": f"{2:024x}", "outcome": "fail"}),
        ("line.held", fields),
    ]
    for count in range(1, 5):
        screen = fold(*steps[:count], started=("run.started", names))
        output = io.StringIO()
        print_final(final_table(screen), headline(screen), Console(file=output, width=500))
        for line in [*looks(screen, 400, 40), *output.getvalue().splitlines()]:
            assert not [char for char in line if unicodedata.category(char)[0] == "C"]
    assert "[red]" in output.getvalue()


def test_the_final_table_names_the_verdict_and_every_board_to_look_at(fold):
    passes = [("device.confirmed", {"device": number}) for number in (1, 2, 3, 4)]
    screen = fold(*passes, ("device.failed", {"device": 5, **FAIL}), ("run.finished", {"outcome": "fail"}))
    output = io.StringIO()

    print_final(final_table(screen), headline(screen), Console(file=output, width=80))

    text = output.getvalue()
    total = next(line.split() for line in text.splitlines() if line.strip().startswith("all"))
    assert total == ["all", "5", "4", "1", "0", "0", "0"]
    assert "FAIL     T-0002/5 3b0021001747353236343005  no_address -> Press RESET on the board." in text
    assert text.rstrip().splitlines()[-1].startswith("FINISHED, 1 FAIL.")


# --- plain lines ---


async def test_without_a_terminal_it_prints_lines_and_progress(fold, autojump_clock):
    output = io.StringIO()
    screen = fold(fold.begun, ("device.confirmed", {"device": 1}))
    with shown(screen, console=Console(file=output, width=80), now_ms=lambda: 0) as display:
        display.see(screen.last)
        with trio.move_on_after(35):
            await display.refresh_forever()

    lines = output.getvalue().splitlines()
    assert lines[0] == "06:00:00Z PASS T-0001/1 3b0021001747353236343001 (1 of 5)"
    assert lines[1] == "06:00:00Z LINE RUNNING: 1 PASS, 0 FAIL, 0 UNPROVEN, 0 SKIPPED, 4 of 5 left"
    assert "TRAY" in lines[3]  # no second progress line: nothing has moved
    assert "\x1b" not in output.getvalue()


def test_no_color_gives_plain_lines_on_a_terminal_too():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, _environ={"NO_COLOR": "1"})

    with shown(Screen(), console=console, now_ms=lambda: 0):
        assert "\x1b[?1049h" not in output.getvalue()


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_went_away_does_not_stop_the_line(fold, monkeypatch):
    monkeypatch.setattr("sys.stdout", Broken())
    screen = fold(("device.confirmed", {"device": 1}))

    with shown(screen, console=make_console(), now_ms=lambda: 0) as display:
        display.see(screen.last)
        display.see(screen.last)


def test_a_character_that_the_terminal_cannot_show_does_not_stop_the_line(fold, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    screen = fold(("device.failed", {"device": 1, "code": "x", "detail": "Zoë …"}))

    with shown(screen, console=make_console(stderr=True), now_ms=lambda: 0) as display:
        display.see(screen.last)

    assert b"Zo\\xeb" in raw.getvalue()


# --- the live screen ---


def live_console(file):
    return Console(
        file=file, force_terminal=True, width=80, height=24, color_system="truecolor", _environ={"TERM": "xterm"}
    )


@pytest.mark.parametrize("end", [None, ZeroDivisionError, KeyboardInterrupt])
def test_the_terminal_is_restored_whatever_happens_and_the_table_follows(fold, end):
    output = io.StringIO()

    def body():
        with shown(fold(), console=live_console(output), now_ms=lambda: 0):
            if end is not None:
                raise end

    if end is None:
        body()
    else:
        with pytest.raises(end):
            body()

    before, after = output.getvalue().split("\x1b[?1049l")
    assert "\x1b[?1049h" in before
    assert "\x1b[?25h" in before + after  # the cursor is back
    assert "DEVICES" in after


async def test_it_draws_what_the_screen_says(fold):
    output = io.StringIO()
    with shown(fold(fold.begun), console=live_console(output), now_ms=lambda: 0) as display:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(display.refresh_forever)
            while "T-0001" not in output.getvalue():
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    assert "L I N E   R U N N I N G" in output.getvalue()


class Paused(io.StringIO):
    """A terminal on which somebody pressed Ctrl-S."""

    def __init__(self):
        super().__init__()
        self.blocked = threading.Event()
        self.goes_on = threading.Event()
        self.held_us_up = False

    def write(self, text):
        if "TRAYS" in text and not self.goes_on.is_set():
            self.blocked.set()
            self.held_us_up = not self.goes_on.wait(3)
        return super().write(text)


async def test_a_paused_terminal_does_not_stop_the_line(fold):
    output = Paused()
    with shown(fold(), console=live_console(output), now_ms=lambda: 0) as display:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(display.refresh_forever)
            while not output.blocked.is_set():
                await trio.sleep(0.01)  # the line works on
            nursery.cancel_scope.cancel()
        output.goes_on.set()

    assert not output.held_us_up


async def test_a_terminal_that_is_gone_does_not_stop_the_line(fold):
    class Gone(io.StringIO):
        def write(self, text):
            if "TRAYS" in text:
                gone.set()
                raise OSError(5, "Input/output error")
            return super().write(text)

    gone = threading.Event()
    with shown(fold(), console=live_console(Gone()), now_ms=lambda: 0) as display, trio.move_on_after(0.05):
        await display.refresh_forever()

    assert gone.is_set()


# --- the player, as a person starts it ---


def played(*arguments, **how):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, str(HERE / "play_journal.py"), *arguments]
    return subprocess.Popen(command, env=environment, **how)


def test_a_shift_played_into_a_pipe_ends_with_the_verdict():
    out, err = played("--speed", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).communicate(timeout=60)

    assert err == ""
    assert out.rstrip().splitlines()[-1].startswith("FINISHED, ")
    assert sum(" PASS T-" in line for line in out.splitlines()) > 90


def test_a_shift_played_on_a_terminal_and_interrupted_leaves_it_as_it_was():
    leader, follower = pty.openpty()
    process = played("--speed", "50", stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    seen = b""
    while b"S T A T I O N S" not in seen and b"STATIONS" not in seen:
        seen += os.read(leader, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:
        pass  # Linux: the other side is closed
    process.wait(timeout=60)
    os.close(leader)

    assert seen.index(b"\x1b[?1049h") < seen.index(b"\x1b[?1049l") < seen.rindex(b"DEVICES")
    assert seen.rindex(b"\x1b[?25l") < seen.rindex(b"\x1b[?25h")
