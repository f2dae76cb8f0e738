"""Hostile text into every output (F27, I10): no control or bidi byte comes out, tables stay tables, pages stay pages.

The texts go in where they come in on the line: as values of records, errors, findings, file names, log events.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import structlog
from hostile_texts import Target, harmless, texts, values
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from provisioner import cli_night, cli_shared
from provisioner.cli import _code_of, main
from provisioner.console.life import life_object, print_life
from provisioner.console.lines import line_of, progress
from provisioner.console.morning import class_rows, print_morning
from provisioner.console.reports.page import as_html
from provisioner.console.reports.run_report import RunReport
from provisioner.console.reports.tables import COLUMNS, as_csv, as_json, as_junit
from provisioner.console.status import print_status, status_object, status_of
from provisioner.console.terminal import frame, make_console, print_final
from provisioner.console.verdict import final_table, headline, summary
from provisioner.console.view import Screen
from provisioner.errors import Blame, FileRefused, Mistake, ProvisionerError
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose, decode
from provisioner.logs import configure_logs
from provisioner.model import CloudDevice, DeviceID, Outcome, printable
from provisioner.network.host import Finding
from provisioner.network.terminal_ask import TerminalAsk
from provisioner.reconcile.classes import Class
from provisioner.reconcile.discipline import COLUMNS as FINDING_COLUMNS
from provisioner.reconcile.discipline import Findings, beat, last_beat
from provisioner.reconcile.facts import Facts, Listed
from provisioner.reconcile.index import open_index
from provisioner.reconcile.life import life_of
from provisioner.reconcile.reconciler import Found, Tally

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DEVICE = "3b0021001747353236343033"
EVENTS = (
    "device.imported", "visit.started", "device.identified", "claim_code.intended", "connect.intended",
    "connect.accepted", "visit.ended", "device.confirmed", "device.failed", "device.unknown", "device.skipped",
    "device.refused", "device.carried", "stranger.seen", "station.drained", "station.started", "line.held",
    "line.released", "run.stopping", "import.intended", "import.refused", "journal.torn_tail_cut", "scan.refused",
)  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "span", "b", "br", "table", "tr",
    "th", "td", "code", "svg", "rect", "text",
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


# --- a journal full of hostile texts ---


core = st.fixed_dictionaries(
    {},
    optional={
        "station": texts, "operator": texts, "tray": texts, "slot": st.integers(0, 2**53), "ssid": texts,
        "bssid": texts, "attempt": st.integers(0, 2**53), "step": texts, "outcome": st.sampled_from(Outcome),
        "code": texts, "blame": st.sampled_from(Blame), "remedy": texts, "detail": texts,
        "evidence": st.dictionaries(st.one_of(texts, st.just("owner")), st.one_of(texts, st.booleans()), max_size=3),
        "owner": texts, "serial": texts, "customer": texts, "wifi": texts, "reason": texts, "scanned": texts,
        "seconds": st.floats(-1e12, 1e12), "signal_dbm": st.integers(-(2**53), 2**53),
    },
)  # fmt: skip
opening = st.fixed_dictionaries(
    {"trays": st.dictionaries(texts, st.integers(0, 2**53), max_size=3)},
    optional={
        "operator": texts, "command": texts, "product": texts, "lot": texts, "manifest": texts, "tool": texts,
        "manifest_sha256": texts, "host": texts, "stations": st.lists(texts, max_size=3),
        "resumes": st.lists(texts, max_size=2), "devices": st.integers(0, 2**53),
    },
)  # fmt: skip
acts = st.lists(st.tuples(st.sampled_from(EVENTS), core), min_size=1, max_size=5)
names = texts.map(lambda text: text.encode("utf-8", "replace").decode())
journals = st.tuples(opening, acts, core, names)


def records_of(journal):
    """A journal as the line would have written it, with these texts in it: every line harmless, and read back."""
    started, acts, finished, run = journal
    whole = [("run.started", started), *((event, {"device": DEVICE, **fields}) for event, fields in acts)]
    head, records, lines = GENESIS, [], []
    for seq, (event, fields) in enumerate([*whole, ("run.finished", finished)]):
        at = NOW + timedelta(seconds=seq)
        record, line = compose(event, fields, seq=seq, at=at, mono_ms=seq * 1000, run=run, prev=head)
        harmless(line, "the journal")
        assert decode(line) == record
        head = record.hash
        records.append(record)
        lines.append(line)
    return records, b"".join(lines)


def journal(case):
    records_of(case)
    return "written and read"


def screen(case):
    """The live screen in several sizes, the lines of a pipe, the final table, and the summary for machines."""
    model, records = Screen(), records_of(case)[0]
    for record in records:
        model.see(record)
        line = line_of(record, model)
        if line is not None:
            harmless(line, "a line")
            assert "\n" not in line
        harmless(progress(model, record.mono_ms), "progress")
    for width, height in ((20, 5), (80, 24), (200, 60)):
        lines = frame(model, 7_000, width, height)
        harmless("".join(part.plain for part in lines), "the live screen")
        assert len(lines) == height
    _on_consoles(lambda console: print_final(final_table(model), headline(model), console))
    with redirect_stdout(io.StringIO()) as out:
        cli_shared.print_json(summary(model))
    _one_line_of_json(out.getvalue())
    return "shown"


def status(case):
    said = status_of(records_of(case)[0])
    _on_consoles(lambda console: print_status(said, {"began": NOW.isoformat(), "verdict": case[3]}, NOW, console))
    with redirect_stdout(io.StringIO()) as out:
        cli_shared.print_json(status_object(said, NOW))
    _one_line_of_json(out.getvalue())
    return "shown"


def reports(case):
    """HTML, CSV, JSON, JUnit: no control byte, no foreign tag, no formula, and each still what it is."""
    report = RunReport.of(records_of(case)[0])
    page, table, whole, junit = as_html(report), as_csv(report), as_json(report), as_junit(report)
    for form, text in (("HTML", page), ("CSV", table.replace("\r\n", "\n")), ("JSON", whole), ("JUnit", junit)):
        harmless(text, form)
    _Page().feed(page)
    _a_table(table, COLUMNS)
    assert len(json.loads(whole)["devices"]) == len(report.units)
    assert ET.fromstring(junit).tag == "testsuites"
    return "written"


def life(case):
    """`show`, from the index of a runs folder; the run's name is the folder's, as on a real disk."""
    started, acts, finished, _ = case
    _, lines = records_of((started, acts, finished, "20261120T060000Z-abcd"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "20261120T060000Z-abcd" / "journal.jsonl"
        path.parent.mkdir()
        path.write_bytes(lines)
        with open_index(Path(folder)) as index:
            index.refresh()
            told = life_of(index, DeviceID(DEVICE))
    _on_consoles(lambda console: print_life(told, console))
    with redirect_stdout(io.StringIO()) as out:
        cli_shared.print_json(life_object(told))
    _one_line_of_json(out.getvalue())
    return "shown"


# --- the night ---

found = st.builds(
    Found,
    st.just(DeviceID(DEVICE)),
    st.sampled_from(Class),
    st.none() | st.builds(Listed, st.just(DEVICE), texts, texts, st.integers(0, 9999), texts, texts, texts,
                          st.booleans()),
    st.none() | st.builds(Facts, tray=texts, code=texts, step=texts, run=texts, at=st.just(NOW), owner=texts),
    st.none() | st.builds(CloudDevice, st.just(DeviceID(DEVICE)), st.booleans(), texts, st.booleans(), st.booleans(),
                          st.booleans(), st.none(), serial_number=texts, name=texts),
)  # fmt: skip


def morning(case):
    """`reconcile`: the screen, reconcile.csv and reconcile.json."""
    founds, text = case
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        findings = Findings(folder)
        for one in founds:
            tally.add(one)
            findings.note(one)
        findings.close(complete=True)
        table = findings.path.read_bytes().decode()
        beat(folder, {"began": NOW.isoformat(), "verdict": text, "troubles": [text]})
        written = (folder / "reconcile.json").read_bytes()
        assert last_beat(folder)["verdict"] == text
    harmless(table.replace("\r\n", "\n"), "reconcile.csv")
    harmless(written, "reconcile.json")
    _a_table(table, FINDING_COLUMNS)
    rows = class_rows(tally, NOW)
    _on_consoles(
        lambda console: print_morning(rows, text, console, troubles=[text], repairs={"imported": 1}, notes=[text])
    )
    return "shown"


# --- the command line ---


def failure(case):
    """What ends a command: the words of an error with its remedy, a file's mistakes, and all of it as JSON."""
    detail, remedy, file = case
    for error in (
        ProvisionerError(detail, remedy=remedy),
        FileRefused([Mistake(file, 1, 2, detail, remedy, file)]),
        FileRefused([Mistake(file, 1, 2, "", detail, remedy), Mistake(detail, 0, 0, "", remedy, file)]),
    ):
        _said(lambda error=error: _code_of(error))

        @cli_shared.common
        def command(*, as_json, error=error):
            raise error

        out, _ = _said(lambda command=command: _swallowed(command))
        _one_line_of_json(out)
    return "said"


def bug(text):
    """Our own bug (exit 70), with that text in its message and in its notes, causes and groups."""
    error = ValueError(text)
    error.add_note(text)
    error.__cause__ = KeyError(text)
    _said(lambda: _code_of(ExceptionGroup(text, [error])))
    return "said"


def usage(words):
    """What a person types, as it comes back in a refusal."""
    for argv in ([words[0]], ["check", *words], ["demo", "--faults", words[0]], ["show", f"--{words[0]}"]):
        _said(lambda argv=argv: _swallowed(main, argv))
    return "said"


def findings(case):
    what, detail, remedy = case
    _said(lambda: cli_night._tell(Finding(what, detail, remedy)))
    with redirect_stdout(io.StringIO()) as out:
        cli_shared.print_json({"findings": [cli_shared.vars_of(Finding(what, detail, remedy))]})
    _one_line_of_json(out.getvalue())
    return "said"


def questions(text):
    """What a person at the terminal is asked."""
    reader, writer = os.pipe()
    try:
        TerminalAsk(in_fd=reader, out_fd=writer)._show(f"{text[:2000]}\n")
        shown = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
        os.close(writer)
    harmless(shown, "a question")
    assert shown.endswith(b"\n")
    return "asked"


# --- the rest ---


def logs(case):
    """The debug log, by structlog and by the standard library."""
    key, value, text = case
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "debug.jsonl"
        with configure_logs(file):
            structlog.get_logger().warning(text, **{f"k{key}": value}, other=[value, {text: text}])
            logging.getLogger("library").error("%s %r", text, text)
            try:
                raise ValueError(text)
            except ValueError:
                structlog.get_logger().exception("a.bug")
        written = file.read_bytes()
    harmless(written, "the debug log")
    assert [json.loads(line)["level"] for line in written.splitlines()] == ["warning", "error", "error"]
    return "written"


def console(text):
    """The last net: whatever gets to our console as a text of rich's, or as a plain one."""
    with redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)) as out:
        make_console().print(Text(text), text, soft_wrap=True)
    harmless(out.buffer.getvalue(), "the console")
    return "printed"


def escaped(case):
    text, limit = case
    shown = printable(text, limit)
    harmless(shown, "printable")
    assert "\n" not in shown
    assert len(shown) <= limit
    assert printable(shown, limit) == shown
    return "escaped"


TARGETS = [
    Target("F27", "journal lines", journals, journal),
    Target("F27", "the live screen, lines, final table", journals, screen),
    Target("F27", "status", journals, status),
    Target("F27", "reports: HTML, CSV, JSON, JUnit", journals, reports),
    Target("F27", "show: a device's life", journals, life),
    Target("F27", "the morning, reconcile.csv and .json", st.tuples(st.lists(found, max_size=3), texts), morning),
    Target("F27", "error messages, and as JSON", st.tuples(texts, texts, texts), failure),
    Target("F27", "tracebacks of our own bugs", texts, bug),
    Target("F27", "refusals of what was typed", st.lists(texts, min_size=1, max_size=2), usage),
    Target("F27", "doctor's findings", st.tuples(texts, texts, texts), findings),
    Target("F27", "questions at the terminal", texts, questions),
    Target("F27", "the debug log", st.tuples(texts, values, texts), logs),
    Target("F27", "whatever a console prints", texts, console),
    Target("F27", "printable", st.tuples(texts, st.integers(1, 80)), escaped),
]


# --- judging ---


def _on_consoles(show):
    """In a pipe and on a terminal; without colours, so that every escape in there is not rich's own."""
    for terminal in (False, True):
        out = io.StringIO()
        show(Console(file=out, width=100, force_terminal=terminal, color_system=None, legacy_windows=False))
        harmless(out.getvalue(), "a terminal" if terminal else "a pipe")


def _said(act):
    """What an act wrote to stdout and stderr; both harmless."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        act()
    harmless(out.getvalue(), "stdout")
    harmless(err.getvalue(), "stderr")
    return out.getvalue(), err.getvalue()


def _swallowed(act, *args):
    """For acts that end in an exit or an error, as they must."""
    with suppress(SystemExit, ProvisionerError, click.ClickException):
        act(*args, **({"as_json": True} if not args else {}))


def _one_line_of_json(text):
    harmless(text, "JSON on stdout")
    assert text.count("\n") == 1
    json.loads(text)


def _a_table(text, columns):
    for row in csv.reader(io.StringIO(text, newline="")):
        assert len(row) == len(columns)
        for cell in row:
            assert not cell.lstrip().startswith(FORMULA), cell
            assert not any(part.lstrip().startswith(FORMULA) for part in cell.split(";")), cell


class _Page(HTMLParser):
    """Complains about what our page never has: other tags, handlers, scripts, links."""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("href", "src"), (name, value)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data!r}")

    def handle_pi(self, data):
        raise AssertionError(f"an instruction: {data!r}")
