"""One device's life on a terminal: run by run, oldest first, with evidence and who did it.

Rule 1: text from journals is escaped before a terminal sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provisioner.console.lines import safe
from provisioner.journal.fields import Record
from provisioner.reconcile.life import Life

_COLOURS = {"pass": "bold green", "fail": "bold red", "unknown": "bold yellow", "skipped": "yellow"}
_SHOWN = ("claim_code", "owner", "scanned", "source")


def print_life(life: Life, console: Console) -> None:
    """Print it; the last line is where the device stands."""
    names = [life.device, *([f"serial {safe(life.serial)}"] if life.serial else [])]
    console.print(Text("  ".join(names), "bold"), soft_wrap=not console.is_terminal)
    for place in life.places:
        console.print(Text(f"listed as {safe(place, 300)}"), soft_wrap=not console.is_terminal)
    for row, records in life.runs:
        started = row.started
        who = f"{started.get('command') or 'run'} by {started.get('operator') or 'nobody named'}"
        head = f"run {safe(row.run)}  {safe(str(who), 80)} on {safe(str(started.get('host') or 'an unknown host'), 80)}"
        console.print(Text(head, "bold"), soft_wrap=not console.is_terminal)
        _print_records(records, console)
    console.print(Text(stands(life), "bold"), soft_wrap=not console.is_terminal)


def stands(life: Life) -> str:
    """Where the journals leave it, in one line."""
    facts = life.facts
    if facts.restored:
        return f"RESTORED: taken back on purpose, last on {facts.at:%Y-%m-%d %H:%M} UTC."
    if facts.in_doubt:
        return "IN DOUBT: its journal does not verify."
    if facts.proven:
        return f"PASS: proven in run {safe(facts.run)}; owner {safe(facts.owner or 'nobody')}."
    if facts.open:
        told = "told to connect" if facts.connecting else "given the factory Wi-Fi"
        return f"UNPROVEN: {told} in run {safe(facts.run)}, and not proven yet."
    if facts.outcome is not None:
        return f"{facts.outcome.value.upper()}: {safe(facts.code)}, in run {safe(facts.run)}."
    return "IMPORTED: in the product, and not finished at any station." if facts.imported else "NO OUTCOME yet."


def _print_records(records: Sequence[Record], console: Console) -> None:
    """One line each in a pipe; on a terminal in columns, so that what is long stays in its own."""
    if not console.is_terminal:
        for record in records:
            line = f"  {record.at:%Y-%m-%d %H:%M:%S}  {record.event:<22}  {'  '.join(_parts(record))}"
            console.print(Text(line.rstrip()), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2))
    for record in records:
        when = Text(f"  {record.at:%Y-%m-%d %H:%M:%S}", "dim")
        event = Text(record.event, _COLOURS.get(record.outcome or "", ""))
        grid.add_row(when, event, Text("  ".join(_parts(record))))
    console.print(grid)


def _parts(record: Record) -> list[str]:
    parts = [f"station {safe(record.station)}"] if record.station else []
    parts += [f"by {safe(record.operator)}"] if record.operator else []
    parts += [safe(text, 100) for text in (record.ssid, record.bssid) if text]
    parts += [f"step {safe(record.step)}"] if record.step else []
    parts += [str(record.outcome)] if record.outcome else []
    parts += [safe(text, 300) for text in (record.code, record.detail) if text]
    parts += [f"{key} {safe(str(value), 80)}" for key, value in record.extra.items() if key in _SHOWN]
    if record.evidence:
        parts.append(
            "evidence: " + ", ".join(f"{safe(key)} {safe(str(value), 80)}" for key, value in record.evidence.items())
        )
    return parts


def life_object(life: Life) -> dict[str, Any]:
    """The same for machines."""
    return {
        "device": life.device,
        "serial": life.serial,
        "places": list(life.places),
        "stands": stands(life),
        "proven": life.facts.proven,
        "runs": [
            {"run": row.run, **row.started, "records": [record_object(record) for record in records]}
            for row, records in life.runs
        ],
    }


def record_object(record: Record) -> Mapping[str, object]:
    """One record of a life, for machines and pages."""
    core = {
        "at": record.at.isoformat(timespec="milliseconds"),
        "event": record.event,
        "station": record.station,
        "operator": record.operator,
        "tray": record.tray,
        "slot": record.slot,
        "ssid": record.ssid,
        "bssid": record.bssid,
        "step": record.step,
        "outcome": record.outcome,
        "code": record.code,
        "blame": record.blame,
        "remedy": record.remedy,
        "evidence": record.evidence,
        "detail": record.detail,
        **record.extra,
    }
    return {key: value for key, value in core.items() if value is not None}
