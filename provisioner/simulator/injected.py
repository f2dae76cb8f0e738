"""What was injected into a simulated factory, and what became of it: one row a fault, from histories alone.

Rule 1: pure, and of one run: what the world noted (`Strikes`, the cloud's history) beside what the journal says.
Rule 2: a row counts how often a fault struck, on how many listed devices, and how each of those devices ended; so
every column of outcomes sums up to the devices of its row. A fault that could strike and did not has a row of zeros.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from provisioner.journal.fields import Record
from provisioner.model import Outcome
from provisioner.simulator.cloud.state import Happening, What
from provisioner.simulator.faults import PROFILES, Faults
from provisioner.simulator.strikes import Strike

_CLOUD = {
    What.BUSY: ("cloud_busy", "429 from the cloud"),
    What.FAULT: ("cloud_fault", "503 with an HTML page"),
    What.ANSWER_LOST: ("cloud_answer_lost", "done, and the answer lost"),
    What.ROW_SWALLOWED: ("import_row_missing", "a good row that the import swallows"),
}
_WORDS = {
    "join_refused": "the board's radio lets nobody in",
    "dhcp_dead": "a unit that never hands out a lease",
    "dhcp_slow": "a lease after 8 to 20 seconds",
    "scan_fails": "an adapter that will not listen",
    "adapter_sickens": "an adapter that joins nothing for a while",
    "adapter_vanishes": "an adapter that is unplugged",
    "weak_board": "a unit that is heard weakly",
    "ap_vanishes": "the setup network vanishes",
    "reply_lost": "a command carried out, its answer lost",
    "connect_reply_lost": "the answer to connect-ap lost",
    "busy_socket": "503 without a blank line",
    "scan_empty": "scan-ap finds nothing",
    "claim_code_forgotten": "r:0, and the claim code is not kept",
    "claim_code_garbled": "r:0, and rubbish is kept (old firmware)",
    "first_tcp_not_closed": "the first TCP answer is not closed",
    "never_online": "joins the Wi-Fi, never reaches the cloud",
    "slow_online": "a system update on the first connection",
    "key_missing": "a unit without a key",
    "key_damaged": "a unit whose keys do not fit together",
}
_OUTCOMES = (Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN, Outcome.SKIPPED)
_WIDTH = 100
_HEADS = ("PASS", "FAIL", "UNPROVEN", "SKIPPED")


@dataclass
class Row:
    """One fault. `outcomes` are those of the devices it struck; empty for faults of requests and adapters."""

    fault: str
    words: str
    times: int = 0
    devices: set[str] = field(default_factory=set)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)


def table(
    faults: Faults, strikes: Iterable[Strike], cloud: Iterable[Happening], records: Iterable[Record]
) -> list[Row]:
    """A row for every fault that these `faults` can inject, and for every other one that struck."""
    rows = {name: Row(name, words) for name, words in _WORDS.items() if getattr(faults, name, 0.0)}
    rows |= {name: Row(name, words) for name, words in _CLOUD.values() if getattr(faults, name)}
    for strike in strikes:
        row = rows.setdefault(strike.fault, Row(strike.fault, _WORDS.get(strike.fault, "")))
        row.times += 1
        if strike.device:
            row.devices.add(strike.device)
    for happening in cloud:
        if happening.what in _CLOUD:
            row = rows.setdefault(*_named(happening.what))
            row.times += 1
            if happening.device:
                row.devices.add(happening.device)
    ends, codes = _ends(records)
    for row in rows.values():
        row.devices &= ends.keys()
        row.outcomes.update(ends[device] for device in row.devices)
        for device in row.devices:
            row.codes.update(codes.get(device, ()))
    return sorted(rows.values(), key=lambda row: (-row.times, row.fault))


def _named(what: What) -> tuple[str, Row]:
    name, words = _CLOUD[what]
    return name, Row(name, words)


def _ends(records: Iterable[Record]) -> tuple[Mapping[str, Outcome], Mapping[str, set[str]]]:
    """How each device ended, and the codes of all that went wrong with it on the way."""
    ends: dict[str, Outcome] = {}
    codes: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.device is None:
            continue
        if record.event.startswith("device.") and record.outcome is not None:
            ends[record.device] = record.outcome
        if record.code and record.blame is not None:
            codes[record.device].add(record.code)
    return ends, codes


def words_for(fault: str) -> str:
    """What the table calls this fault of `Faults`."""
    return _WORDS.get(fault) or next(words for name, words in _CLOUD.values() if name == fault)


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as plain lines of at most 100 characters, readable without colour."""
    head = f"{'INJECTED':<42}{'TIMES':>7}{'DEVICES':>9}" + "".join(f"{word:>10}" for word in _HEADS)
    told = [head, "-" * len(head)]
    for row in rows:
        cells = "".join(f"{row.outcomes[outcome] or '·':>10}" for outcome in _OUTCOMES) if row.devices else ""
        told.append(f"{row.words or row.fault:<42.42}{row.times:>7}{len(row.devices) or '':>9}{cells}".rstrip())
        if row.codes:
            most = sorted(row.codes.items(), key=lambda code: (-code[1], code[0]))[:3]
            seen = ", ".join(f"{code} {count}" for code, count in most)
            told.append(f"    the line saw: {seen}"[:_WIDTH])
    return told


def can_strike() -> frozenset[str]:
    """The names in `Faults` that are chances: all but durations, stocks, switches and what befalls events."""
    durations = {one.name for one in fields(Faults) if one.name.endswith("_s")}
    others = {"stock", "hostile_air", "channel_crowding", "same_suffix", "same_bssid", "event_lost", "event_doubled"}
    return frozenset(one.name for one in fields(PROFILES["none"])) - durations - others
