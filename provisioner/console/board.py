"""The page's model: a screen in parts, each a plain JSON value that is sent again only when it has changed. Pure.

Rule 1: it says nothing that the terminal could not say: states, words and counts come from the same screen.
Rule 2: words are keys of the catalogue (`words.json`); texts from records go out as they are, for the page to set as
text and never as markup. What would hide or turn round text is escaped here.
Rule 3: bounded: however long a run and however many trays, the parts are so many and so long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from provisioner.console.lines import safe
from provisioner.console.stage import bin_of, stage_of
from provisioner.console.station_view import Board, StationView, Verdict
from provisioner.console.tally import OUTCOMES, Tally, Trouble
from provisioner.console.tray_map import TrayMap
from provisioner.console.verdict import headline
from provisioner.console.view import Screen
from provisioner.journal.fields import JSON, Record
from provisioner.model import DeviceID

TRAYS_MAX: Final = 120
ASIDE_SHOWN: Final = 6
PARETO_ROWS: Final = 10
TEXT_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Gauges:
    """What only the running process knows: how much may still be asked of the cloud. None: not known here."""

    requests_left: int | None = None
    requests_max: int | None = None
    waiting: int = 0
    cooling_s: float = 0.0


def parts_of(screen: Screen, now_ms: int, gauges: Gauges | None = None) -> Iterator[tuple[str, JSON]]:
    """Every part of the page by its name."""
    yield "run", _run(screen)
    yield "head", _head(screen)
    yield "totals", _tally(screen, screen.all)
    yield "pace", _pace(screen, now_ms)
    yield "queue", _queue(screen)
    yield "site", _site(gauges)
    yield "failures", [_trouble(trouble) for trouble in reversed(screen.failures)]
    yield "curve", _curve(screen)
    yield "pareto", _pareto(screen)
    for station in screen.stations.values():
        yield f"station/{station.name}", _station(screen, station, now_ms)
    for tray in screen.busy_trays(TRAYS_MAX):
        yield f"tray/{tray.name}", _tray(screen, tray)


def _run(screen: Screen) -> JSON:
    return {
        "id": screen.run,
        "command": screen.command,
        "product": safe(screen.product),
        "lot": safe(screen.lot),
        "resumes": len(screen.resumes),
        "carried": screen.carried,
        "strangers": screen.strangers,
        "trays": len(screen.trays),
        "stations": len(screen.stations),
        "finished": screen.finished.value if screen.finished is not None else None,
        "adds_up": screen.adds_up,
    }


def _head(screen: Screen) -> JSON:
    head = headline(screen)
    return {
        "key": head.key,
        "count": head.count,
        "names": safe(head.names),
        "tone": head.tone.value,
        "why": safe(head.why),
        "todo": safe(head.todo),
        "trouble": _trouble(head.trouble),
        "importing": safe(screen.importing),
        "held": screen.held is not None,
        "by_person": screen.held_by_person,
        "stopping": screen.stopping,
    }


def _tally(screen: Screen, tally: Tally) -> dict[str, JSON]:
    shown = screen.through(tally)
    return {
        "devices": shown.devices,
        **{outcome.value: shown.outcome(outcome) for outcome in OUTCOMES},
        "open": shown.open,
        "left": screen.left if tally is screen.all else shown.open,
    }


def _pace(screen: Screen, now_ms: int) -> JSON:
    pace = screen.pace(now_ms)
    return {
        "recent_per_h": _round(pace.recent_per_h),
        "overall_per_h": _round(pace.overall_per_h),
        "left_s": _round(pace.left_s),
    }


def _queue(screen: Screen) -> JSON:
    oldest = screen.proofs.oldest
    return {
        "waiting": len(screen.proofs.queue),
        "unproven": len(screen.proofs.open) - len(screen.proofs.queue),
        "oldest": None if oldest is None else {**_place(oldest), "since_ms": oldest.mono_ms},
        "usual_ms": screen.proofs.usual_ms(),
    }


def _site(gauges: Gauges | None) -> JSON:
    if gauges is None:
        return None
    return {
        "left": gauges.requests_left,
        "most": gauges.requests_max,
        "waiting": gauges.waiting,
        "cooling_s": round(gauges.cooling_s),
    }


def _curve(screen: Screen) -> JSON:
    curve = screen.curve
    return {"step_ms": curve.step_ms, "steps": [[step.passes, step.fails, step.unproven] for step in curve.steps]}


def _pareto(screen: Screen) -> JSON:
    ranked = [(code, count) for code, count in screen.roll.codes.most_common(PARETO_ROWS) if count > 0]
    return {
        "rows": [[code, count] for code, count in ranked],
        "all": sum(c for c in screen.roll.codes.values() if c > 0),
    }


# --- stations ---


def _station(screen: Screen, station: StationView, now_ms: int) -> JSON:
    stage = stage_of(screen, station)
    last_ms, hour_ms = station.takt_ms(now_ms)
    aside = list(station.aside.items())
    return {
        "kind": stage.kind.value,
        "led": stage.led.value if stage.led is not None else None,
        "bin": stage.bin.value if stage.bin is not None else None,
        "board": _board(stage.board),
        "trouble": _trouble(stage.trouble),
        "step": station.step,
        "began_ms": station.began_ms,
        "since_ms": station.since_ms,
        "usual_ms": station.usual_visit_ms(),
        "here": _named(station.tray, station.slot, station.device) if station.began_ms is not None else None,
        "ssid": safe(station.ssid) if station.began_ms is not None else "",
        "boards": [_board(board) for board in reversed(station.boards)],
        "aside": [_trouble(trouble) for _, trouble in aside[-ASIDE_SHOWN:]],
        "aside_more": max(0, len(aside) - ASIDE_SHOWN),
        "takt_ms": last_ms,
        "takt_hour_ms": hour_ms,
        "visits": station.visits,
        "passes": station.passes,
        "today": {
            "pass": station.today.passes,
            "fail": station.today.fails,
            "unproven": station.today.unproven,
        },
        "join_faults": len(station.join_faults),
        "usual_join_s": _round(station.usual_join_s(), 1),
        "stopped": station.stopped,
        "scans": screen.scanner,
        "operator": safe(station.operator),
        "scan": None if station.refused is None else {**_refusal(station.refused), "scanned": safe(station.scan_text)},
    }


def _refusal(trouble: Trouble) -> dict[str, JSON]:
    return {
        "code": trouble.code,
        "remedy": safe(trouble.remedy),
        "detail": safe(trouble.detail),
        "at_ms": trouble.mono_ms,
    }


def _board(board: Board | None) -> JSON:
    if board is None:
        return None
    where = _named(board.tray, board.slot, board.device)
    code = board.trouble.code if board.trouble is not None else ""
    return {**where, "verdict": board.verdict.value, "at_ms": board.at_ms, "code": code, "ssid": safe(board.ssid)}


def _trouble(trouble: Trouble | None) -> JSON:
    if trouble is None:
        return None
    verdict = Verdict.FAIL if trouble.word == "FAIL" else Verdict.UNPROVEN if trouble.word == "UNPROVEN" else None
    board_bin = bin_of(verdict, trouble) if verdict is not None else None
    return {
        **_named(trouble.tray, trouble.slot, trouble.device),
        "word": trouble.word,
        "code": trouble.code,
        "blame": trouble.blame,
        "remedy": safe(trouble.remedy, TEXT_MAX),
        "detail": safe(trouble.detail, TEXT_MAX),
        "station": safe(trouble.station or ""),
        "at": _time(trouble.at.timestamp() * 1000),
        "at_ms": trouble.mono_ms,
        "bin": board_bin.value if board_bin is not None else None,
    }


# --- trays ---


def _tray(screen: Screen, tray: Tally) -> JSON:
    there = screen.roll.maps.get(tray.name) or TrayMap(tray.name, 0, 0, bytearray())
    return {
        **_tally(screen, tray),
        "rows": there.rows,
        "columns": there.columns,
        "cells": there.letters,
        "missing": list(there.missing[:TRAYS_MAX]),
        "doubled": sorted(there.doubled)[:TRAYS_MAX],
    }


# --- small parts ---


def _named(tray: str | None, slot: int | None, device: DeviceID | None) -> dict[str, JSON]:
    return {"tray": safe(tray or ""), "slot": slot, "device": device or ""}


def _place(record: Record) -> dict[str, JSON]:
    return {**_named(record.tray, record.slot, record.device), "station": safe(record.station or "")}


def _time(unix_ms: float) -> int:
    return round(unix_ms)


def _round(value: float | None, digits: int = 0) -> float | None:
    return None if value is None else round(value, digits)


def clock_of(screen: Screen, wall: datetime) -> int:
    """The journal's clock now, where only the journal is at hand: its last record's, and what has passed since."""
    last = screen.last
    if last is None:
        return 0
    if screen.finished is not None:
        return last.mono_ms
    return last.mono_ms + max(0, round((wall - last.at).total_seconds() * 1000))
