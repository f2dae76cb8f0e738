"""Reports: the figures are right, hostile text stays text, and the page needs nothing from anywhere."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from provisioner.console.reports.charts import bars, histogram
from provisioner.console.reports.page import as_html
from provisioner.console.reports.run_report import RunReport
from provisioner.console.reports.tables import as_csv, as_json, as_junit
from provisioner.console.verdict import headline
from provisioner.journal.fields import GENESIS
from provisioner.journal.records import compose

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
HOSTILE = '=HYPERLINK("http://evil")<script>alert(1)</script>&\x1b[2J'


def id_of(number):
    return f"3b00210017473532363430{number:02x}"


def records(*events, **started):
    """(milliseconds, event, fields) after a run.started."""
    opening = (0, "run.started", {"command": "run", "operator": "Ada", "trays": {"T-1": 4}, **started})
    for seq, (mono_ms, event, fields) in enumerate([opening, *events]):
        at = START + timedelta(milliseconds=mono_ms)
        yield compose(event, fields, seq=seq, at=at, mono_ms=mono_ms, run="run-1", prev=GENESIS)[0]


def row(number):
    return {"device": id_of(number), "tray": "T-1", "slot": number}


def visit(number, station, outcome, at_ms, code=None):
    fields = {**row(number), "station": station}
    yield at_ms, "device.identified", fields
    yield at_ms + 9_000, "visit.ended", {**fields, "outcome": outcome, "code": code, "seconds": 9.0}


def passed(number, at_ms, event="device.confirmed", owner="line3@example.com"):
    return at_ms, event, {**row(number), "outcome": "pass", "evidence": {"owner": owner}}


def failed(number, at_ms, code="not_claimed", remedy="Hold SETUP."):
    return at_ms, "device.failed", {**row(number), "outcome": "fail", "code": code, "remedy": remedy}


@pytest.fixture
def report():
    """1 passes at once, 2 on its second station, 3 fails, 4 was proven earlier."""
    return RunReport.of(
        records(
            passed(4, 100, "device.carried"),
            *visit(1, "A", "pass", 1_000),
            passed(1, 20_000),
            *visit(2, "A", "fail", 21_000, "softap_silent"),
            *visit(2, "B", "pass", 31_000),
            passed(2, 52_000),
            *visit(3, "B", "fail", 60_000, "command_refused"),
            failed(3, 70_000),
            (71_000, "station.drained", {"station": "B", "code": "adapter_unavailable", "detail": HOSTILE}),
            (72_000, "run.finished", {"outcome": "fail", "code": "some_failed"}),
        )
    )


def test_unit_yield_and_station_yield_are_different_questions(report):
    assert report.unit_yield() == (1, 3), "only device 1 passed at its first visit; 4 is an earlier run's"
    assert {name: (one.good, one.visits) for name, one in report.stations.items()} == {"A": (1, 2), "B": (1, 2)}
    assert report.outcomes() == {"pass": 3, "fail": 1}
    assert report.failures == {"softap_silent": 1, "command_refused": 1}
    assert report.unit_failures() == {"not_claimed": 1}


def test_a_stranger_is_no_device_of_the_run():
    seen = (500, "stranger.seen", {"device": id_of(9), "station": "A", "code": "stranger_device", "blame": "operator"})
    report = RunReport.of(records(seen, passed(1, 20_000)))

    assert report.outcomes() == {"pass": 1}
    assert "1 of 4 devices PASS" in as_html(report)
    assert id_of(9) not in as_html(report)


def test_a_report_shows_the_journals_head_and_what_speaks_against_its_end(report):
    """F36: the head is kept elsewhere from then on."""
    report.doubt = "runs/x: the end was cut off"

    page, told = as_html(report), json.loads(as_json(report))

    assert f"{report.records} records; head {report.last.hash}" in page
    assert "The journal is in doubt: runs/x: the end was cut off" in page
    assert told["journal"] == {"records": report.records, "head": report.last.hash, "doubt": report.doubt}


def test_takt_is_between_proofs_of_this_run(report):
    assert report.takts_s() == [32.0]
    assert report.histogram([1.0, 4.9, 5.0, 999.0], step=5.0, bars=4) == [(0, 2), (5, 1), (10, 0), (15, 1)]
    assert report.histogram([]) == []
    assert report.units[id_of(2)].seconds == 31.0


def test_json_and_csv_have_a_row_for_each_device(report):
    devices = json.loads(as_json(report))["devices"]
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))

    assert [one["device"] for one in devices] == [one["device"] for one in rows] == [id_of(n) for n in (1, 2, 3, 4)]
    assert [one["outcome"] for one in rows] == ["pass", "pass", "fail", "pass"]
    assert [one["first_pass"] for one in rows] == ["True", "False", "False", "False"]


def test_junit_shows_what_a_person_has_to_look_at(report):
    suites = ET.fromstring(as_junit(report))
    (suite,) = suites

    assert suite.attrib == {"name": "T-1", "tests": "4", "failures": "1", "errors": "0", "skipped": "0"}
    (failure,) = suite.iter("failure")
    assert (failure.get("message"), failure.text) == ("not_claimed", "Hold SETUP.")


class Page(HTMLParser):
    """What a browser would load, and what a person would read."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text += data


def test_the_page_opens_offline_and_reads_without_colour(report):
    text = as_html(report)
    page = Page(text)

    assert page.loads == []
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert "@import" not in text
    assert "url(" not in text
    for sign in ("✓", "✗", "1 PASS", "3 FAIL", "FINISHED, 1 FAIL: 3 of 4 devices PASS", "drained: adapter_unavailable"):
        assert sign in page.text, sign
    assert "handed over by" in page.text


def test_hostile_text_stays_text_everywhere():
    report = RunReport.of(
        records(
            failed(1, 10, code="x", remedy=HOSTILE),
            (20, "device.failed", {"device": id_of(2), "tray": HOSTILE, "slot": 1, "outcome": "fail"}),
            operator=HOSTILE, lot=HOSTILE, manifest=HOSTILE,
        )
    )  # fmt: skip
    page = Page(as_html(report))
    assert "script" not in page.tags
    assert page.loads == []
    for cells in csv.reader(io.StringIO(as_csv(report))):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert ET.fromstring(as_junit(report)) is not None
    assert json.loads(as_json(report))["operator"] == HOSTILE


def test_a_run_that_has_not_finished_says_so_and_a_hole_in_a_tray_is_seen():
    text = Page(as_html(RunReport.of(records(passed(1, 10), passed(3, 20))))).text

    assert "This run has not finished" in text
    assert "2 no record" in text
    assert "4 no record" in text


def test_a_report_says_the_terminals_verdict_in_its_words(report):
    head = headline(report.screen)

    assert f"{head.word}: 3 of 4 devices PASS" in as_html(report)
    assert head.todo in as_html(report)


def test_a_tray_of_a_report_lies_there_as_on_the_page():
    told = {"layout": "2x3", "slots": {"T-1": "1-2,4-5"}, "devices": 4}
    twice = (30, "device.failed", {**row(2), "device": id_of(8), "outcome": "fail", "code": "x"})
    text = as_html(RunReport.of(records(passed(1, 10), passed(2, 20), twice, **told)))

    assert "--columns:3" in text
    assert ">3 missing<" in text
    assert "2 2× PASS" in text
    assert "2 2× FAIL" in text
    assert ">6 <" in text, "an empty place at the end is no hole"


def test_an_empty_journal_is_a_page_too():
    text = as_html(RunReport())

    assert "0 of 0 devices" in text
    assert re.search(r"<h2>Takt.*Too few to show", text, re.DOTALL)


def test_charts_escape_and_give_every_bar_its_number():
    drawn = bars([("<b>", 3), ("x", 1)], title='"t"')
    assert "&lt;b&gt;" in drawn
    assert ">3<" in drawn
    assert "&quot;t&quot;" in drawn
    assert histogram([(0.0, 2), (5.0, 0)], 5.0, title="t", unit="seconds").count("<rect") == 2
