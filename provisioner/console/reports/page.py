"""A run's report as one HTML file that opens offline: no script, no font, nothing from anywhere else.

Rule 1: every text from manifest, journal or cloud goes through `text`: no markup, no control or bidi character.
Rule 2: nothing is told by colour alone: each slot has its sign and its word, and prints in black and white.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provisioner.console.reports.charts import bars, histogram, text
from provisioner.console.reports.run_report import TAKT_STEP_S, RunReport, Unit
from provisioner.console.tally import word_of
from provisioner.console.tray_map import HOLE, TrayMap
from provisioner.console.verdict import Tone, headline
from provisioner.journal.fields import Record
from provisioner.model import Outcome, TrayLayout

HOLES_MAX = 1_000  # a slot without a record is shown as long as a person could count them
SIGNS: Mapping[Outcome | None, str] = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.SKIPPED: "–",
    Outcome.ABORTED: "–",
}
_KINDS: Mapping[Outcome | None, str] = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.UNKNOWN: "unproven"}
_TONES = {Tone.GOOD: "pass", Tone.BAD: "fail", Tone.WARN: "unproven", Tone.CALM: "unproven"}
_STYLE = """
:root { --ink:#14181d; --soft:#5b6570; --line:#d5dae0; --paper:#fff; --wash:#f4f6f8;
  --pass:#0b6e3f; --fail:#b3201b; --unproven:#8a5a00; --none:#5b6570; }
* { box-sizing:border-box } body { margin:0 auto; max-width:60rem; padding:2rem 1.25rem 4rem; color:var(--ink);
  background:var(--paper); font:16px/1.5 system-ui,"Segoe UI",sans-serif }
h1 { font-size:1.6rem; margin:0 } h2 { margin:2.6rem 0 .8rem; font-size:1.15rem; border-bottom:2px solid var(--ink);
  padding-bottom:.25rem } .soft { color:var(--soft) } code { font:0.92em ui-monospace,monospace }
.verdict { margin:1.2rem 0; padding:1rem 1.2rem; font-size:1.35rem; font-weight:700; border-left:.5rem solid; }
.verdict.pass { border-color:var(--pass); background:#e9f5ee }
.verdict.fail { border-color:var(--fail); background:#fbecea }
.verdict.unproven { border-color:var(--unproven); background:#fdf4e1 }
.figures { display:flex; flex-wrap:wrap; gap:.8rem }
.figure { flex:1 1 9rem; background:var(--wash); padding:.8rem 1rem }
.figure b { display:block; font-size:1.7rem; line-height:1.15 }
table { border-collapse:collapse; width:100%; font-size:.93rem } th,td { text-align:left; padding:.35rem .6rem;
  border-bottom:1px solid var(--line); vertical-align:top } th { border-bottom:2px solid var(--line); font-weight:600 }
td.n,th.n { text-align:right; font-variant-numeric:tabular-nums }
td.w { white-space:nowrap } th.do { width:38% }
svg { width:100%; height:auto; font:13px system-ui,sans-serif }
svg rect { fill:#35506b } svg text { fill:var(--ink) }
.map { display:grid; grid-template-columns:repeat(var(--columns),minmax(0,1fr)); gap:.3rem; margin:.4rem 0 1.6rem }
.slot { border:2px solid var(--line); padding:.25rem .3rem; min-height:3.1rem; font-size:.72rem; line-height:1.25 }
.slot b { display:block; font-size:1.15rem } .slot.pass { border-color:var(--pass) } .slot.pass b { color:var(--pass) }
.slot.fail { border:4px double var(--fail); background:#fbecea } .slot.fail b { color:var(--fail) }
.slot.unproven { border-style:dashed; border-color:var(--unproven); background:#fdf4e1 }
.slot.unproven b { color:var(--unproven) } .slot.hole { border-style:dotted }
.slot.missing { border:3px dashed var(--fail); color:var(--fail); font-weight:700 }
.sign { display:grid; grid-template-columns:1fr 1fr; gap:2.5rem; margin-top:2.4rem }
.sign div { border-top:1px solid var(--ink); padding-top:.3rem }
@media print { body { max-width:none; padding:0 } h2 { break-after:avoid } .map,table { break-inside:avoid } }
@media (max-width:40rem) { .map { grid-template-columns:repeat(5,minmax(0,1fr)) } }
"""


def as_html(report: RunReport) -> str:
    """The whole page."""
    return "".join(_page(report))


def _page(report: RunReport) -> Iterator[str]:
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Run {text(report.run)}</title>'
    yield f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>\n'
    yield from _head(report)
    yield "<h2>Trays</h2>\n"
    for tray, units, listed in report.trays():
        yield from _tray(report.screen.roll.maps.get(tray) or TrayMap.of(tray, TrayLayout(), ()), units, listed)
    yield from _attention(report)
    yield from _yields(report)
    yield "<h2>Why visits failed</h2>\n"
    yield bars(report.failures.most_common(15), title="Visits that failed, by reason")
    yield "<h2>Why devices did not pass</h2>\n"
    yield bars(report.unit_failures().most_common(15), title="Devices that did not pass, by reason")
    yield "<h2>Takt: seconds between two proven devices</h2>\n"
    takts = report.takts_s()
    yield histogram(report.histogram(takts), TAKT_STEP_S, title="Takt of the whole line", unit="seconds")
    yield from _hand_over(report)
    yield "</body></html>\n"


def _head(report: RunReport) -> Iterator[str]:
    started, counts, head = report.started, report.outcomes(), headline(report.screen)
    extra = started.extra if started else {}
    lot = f", lot {text(str(extra['lot']))}" if extra.get("lot") else ""
    yield f"<h1>Run {text(report.run)}</h1>"
    yield f'<p class="soft">Product {text(str(extra.get("product") or "none"))}{lot}, '
    yield f"by {text(started.operator if started and started.operator else 'nobody named')}"
    yield f", {started.at:%Y-%m-%d %H:%M} UTC, {report.hours():.2f} h</p>\n" if started else "</p>\n"
    if report.finished is None:
        yield '<p class="verdict unproven">This run has not finished: this is what its journal says so far.</p>'
    if report.doubt:
        yield f'<p class="verdict fail">The journal is in doubt: {text(report.doubt)}</p>'
    passed = f"{counts['pass']} of {max(report.screen.all.devices, len(report.units))} devices {word_of(Outcome.PASS)}"
    yield f'<p class="verdict {_TONES[head.tone]}">{text(head.word)}: {passed}</p>'
    if head.why or head.todo:
        yield f"<p>{text(f'{head.why}. ' if head.why else '')}{text(head.todo)}</p>"
    yield '<div class="figures">'
    for name in ("pass", "fail", "unknown", "skipped", "open"):
        label = "NOT DONE" if name == "open" else word_of(Outcome(name))
        if counts[name] or name in ("pass", "fail"):
            yield f'<div class="figure"><b>{counts[name]}</b>{label}</div>'
    first, tried = report.unit_yield()
    yield f'<div class="figure"><b>{_percent(first, tried)}</b>first-pass yield</div></div>\n'


def _tray(there: TrayMap, units: list[Unit], listed: int) -> Iterator[str]:
    """The tray as it lies on the bench."""
    passed = sum(unit.outcome is Outcome.PASS for unit in units)
    count = f"{passed} of {listed} {word_of(Outcome.PASS)}"
    yield f"<h3>{text(there.name)} <span class='soft'>{count}</span></h3>"
    yield f"<div class='map' style='--columns:{there.columns}'>"
    by_slot: dict[int, list[Unit]] = {}
    for unit in units:
        by_slot.setdefault(unit.slot, []).append(unit)
    missing = set(there.missing)
    for slot in sorted({*by_slot, *range(1, min(len(there.cells), HOLES_MAX) + 1)}):
        there_are = by_slot.get(slot, [])
        yield from (_slot(unit, doubled=len(there_are) > 1) for unit in there_are)
        if not there_are:
            letter = there.letters[slot - 1] if slot <= len(there.cells) else HOLE
            yield _hole(slot, "missing" if slot in missing else "" if letter == HOLE else "no record")
    yield "</div>\n"


def _slot(unit: Unit, *, doubled: bool) -> str:
    sign, kind = SIGNS.get(unit.outcome, "·"), _KINDS.get(unit.outcome, "none")
    title = text(f"{unit.device} {unit.code}".strip())
    twice = " 2×" if doubled else ""
    return (
        f'<div class="slot {kind}" title="{title}"><b>{sign}</b>{unit.slot}{twice} {_word(unit)}<br>'
        f"…{text(unit.device[-4:])}</div>"
    )


def _word(unit: Unit) -> str:
    return word_of(unit.outcome) if unit.outcome is not None else "open"


def _hole(slot: int, why: str) -> str:
    return f'<div class="slot {"missing" if why == "missing" else "hole"}"><b>·</b>{slot} {why}</div>'


def _attention(report: RunReport) -> Iterator[str]:
    bad = [unit for _, units, _ in report.trays() for unit in units if unit.outcome is not Outcome.PASS]
    yield "<h2>Devices somebody has to look at</h2>\n"
    if not bad:
        yield "<p>None.</p>"
        return
    yield "<table><tr><th>Tray</th><th class='n'>Slot</th><th>Device</th><th></th><th>Why</th>"
    yield "<th class='do'>What to do</th></tr>"
    for unit in bad:
        yield f"<tr><td class='w'>{text(unit.tray)}</td><td class='n'>{unit.slot}</td>"
        yield f"<td><code>{text(unit.device)}</code></td><td class='w'>{_word(unit)}</td>"
        yield f"<td>{text(unit.code)}</td><td>{text(unit.remedy)}</td></tr>"
    yield "</table>\n"


def _yields(report: RunReport) -> Iterator[str]:
    first, tried = report.unit_yield()
    yield "<h2>Yield</h2>\n"
    yield f"<p>Units: {first} of {tried} devices were proven after their first visit ({_percent(first, tried)}). "
    yield "Stations: visits that handed a board over. A board that passes on its second station is one good unit and "
    yield "one bad visit, so the two are kept apart.</p>"
    yield "<table><tr><th>Station</th><th class='n'>Visits</th><th class='n'>Good</th><th class='n'>Yield</th>"
    yield "<th class='n'>Median visit</th><th></th></tr>"
    for name, one in sorted(report.stations.items()):
        median = f"{sorted(one.seconds)[len(one.seconds) // 2]:.1f} s" if one.seconds else ""
        yield f"<tr><td>{text(name)}</td><td class='n'>{one.visits}</td><td class='n'>{one.good}</td>"
        yield f"<td class='n'>{_percent(one.good, one.visits)}</td><td class='n'>{median}</td>"
        yield f"<td>{'drained: ' + text(one.drained) if one.drained else ''}</td></tr>"
    yield "</table>\n"


def _hand_over(report: RunReport) -> Iterator[str]:
    counts, started = report.outcomes(), report.started
    extra = started.extra if started else {}
    yield "<h2>Hand-over sheet</h2>\n<table>"
    for name, value in (
        ("Built", f"{sum(unit.visits > 0 for unit in report.units.values())} devices visited"),
        ("Proven", f"{counts['pass']}, of them {sum(unit.carried for unit in report.units.values())} by earlier runs"),
        ("Open", f"{counts['unknown']} unproven, {counts['skipped'] + counts['open']} not done"),
        ("To repair", f"{counts['fail']} failed"),
        ("Manifest", f"{extra.get('manifest') or ''} (SHA-256 {str(extra.get('manifest_sha256') or '')[:16]}…)"),
        ("Journal", f"{report.records} records; head {report.last.hash if report.last else 'none'}"),
        ("Tool, host", f"{extra.get('tool') or ''} on {extra.get('host') or ''}"),
    ):
        yield f"<tr><th>{name}</th><td>{text(value)}</td></tr>"
    yield "</table>\n<h3>What stopped the line</h3>\n"
    if not report.stops:
        yield "<p>Nothing.</p>"
    else:
        yield "<table>"
        yield from (_stop(record) for record in report.stops)
        yield "</table>"
    yield '<div class="sign"><div>handed over by</div><div>taken over by</div></div>\n'


def _stop(record: Record) -> str:
    what = f"{record.event} {record.station or ''}"
    why = f"{record.code or ''} {record.detail or ''}"
    return f"<tr><td>{record.at:%H:%M:%S}</td><td>{text(what)}</td><td>{text(why)}</td></tr>"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
