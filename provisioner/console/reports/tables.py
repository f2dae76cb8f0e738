"""A run's report for machines: CSV, JSON and JUnit XML.

Rule 1: CSV cells that a spreadsheet would take for a formula are neutralised.
Rule 2: JUnit: a tray is a suite, a device a case; failed is a failure, unknown an error, skipped is skipped, so that
a build server shows what a person has to look at.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

from provisioner.console.reports.run_report import RunReport, Unit
from provisioner.model import Outcome, harmless_json, printable
from provisioner.reconcile.discipline import neutral

COLUMNS = ("run", "tray", "slot", "device", "outcome", "first_pass", "carried", "code", "owner", "visits", "stations",
           "seconds", "at", "remedy")  # fmt: skip
_XML_CHARACTERS_MAX = 2_000


def rows_of(report: RunReport) -> list[dict[str, object]]:
    """One row a device, by tray and slot."""
    return [_row(report, unit) for _, units, _ in report.trays() for unit in units]


def _row(report: RunReport, unit: Unit) -> dict[str, object]:
    return {
        "run": report.run,
        "tray": unit.tray,
        "slot": unit.slot,
        "device": unit.device,
        "outcome": unit.outcome.value if unit.outcome else "",
        "first_pass": unit.first_pass,
        "carried": unit.carried,
        "code": unit.code,
        "owner": unit.owner,
        "visits": unit.visits,
        "stations": " ".join(unit.stations),
        "seconds": unit.seconds,
        "at": unit.at.isoformat(timespec="milliseconds") if unit.at else "",
        "remedy": unit.remedy,
    }


def as_csv(report: RunReport) -> str:
    """A header and one row a device (RFC 4180, UTF-8)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows_of(report):
        writer.writerow(neutral("" if row[name] is None else str(row[name])) for name in COLUMNS)
    return out.getvalue()


def as_json(report: RunReport) -> str:
    """The whole report as one object."""
    return harmless_json(json.dumps(object_of(report), ensure_ascii=False, indent=1)) + "\n"


def object_of(report: RunReport) -> dict[str, Any]:
    """The report as plain values."""
    first, tried = report.unit_yield()
    started = report.started
    return {
        "run": report.run,
        "operator": started.operator if started else None,
        "product": started.extra.get("product") if started else None,
        "lot": started.extra.get("lot") if started else None,
        "manifest": started.extra.get("manifest") if started else None,
        "manifest_sha256": started.extra.get("manifest_sha256") if started else None,
        "began": started.at.isoformat() if started else None,
        "ended": report.finished.at.isoformat() if report.finished else None,
        "code": report.finished.code if report.finished else "not finished",
        "journal": {
            "records": report.records,
            "head": report.last.hash if report.last else None,
            "doubt": report.doubt or None,
        },
        "hours": round(report.hours(), 4),
        "outcomes": dict(report.outcomes()),
        "unit_yield": {"first_pass": first, "tried": tried},
        "stations": {
            name: {"visits": one.visits, "good": one.good, "drained": one.drained or None}
            for name, one in sorted(report.stations.items())
        },
        "unit_failures": dict(report.unit_failures().most_common()),
        "visit_failures": dict(report.failures.most_common()),
        "devices": rows_of(report),
    }


def as_junit(report: RunReport) -> str:
    """JUnit XML: one suite a tray, one case a device."""
    suites = ET.Element("testsuites", name=f"provisioner {_xml(report.run)}")
    for tray, units, listed in report.trays():
        suite = ET.SubElement(suites, "testsuite", name=_xml(tray), tests=str(max(listed, len(units))))
        for kind, outcomes in _COUNTED.items():
            suite.set(kind, str(sum(unit.outcome in outcomes for unit in units)))
        for unit in units:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=_xml(tray),
                name=f"{unit.slot} {unit.device}",
                time=f"{unit.seconds or 0:.3f}",
            )
            if mark := _KINDS.get(unit.outcome):
                ET.SubElement(case, mark, message=_xml(unit.code or "no outcome"), type=_xml(unit.code)).text = _xml(
                    unit.remedy
                )
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


_KINDS: dict[Outcome | None, str] = {
    Outcome.FAIL: "failure",
    Outcome.UNKNOWN: "error",
    Outcome.SKIPPED: "skipped",
    Outcome.ABORTED: "error",
    None: "error",
}
_COUNTED: dict[str, tuple[Outcome | None, ...]] = {
    "failures": (Outcome.FAIL,),
    "errors": (Outcome.UNKNOWN, Outcome.ABORTED, None),
    "skipped": (Outcome.SKIPPED,),
}


def _xml(text: str) -> str:
    """What XML cannot say, it cannot say as a number either: so it stands there as in a terminal."""
    return printable(text, _XML_CHARACTERS_MAX)
