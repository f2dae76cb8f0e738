"""What a part of `python tests/faults` hands back: how often each fault was injected, what became of it, what broke.

A part is a module of this folder with `run(wishes) -> Part`; `__main__.py` names it and prints all parts as one table.
Numbers are counted in the run itself, never written down by hand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_WIDTH = 118


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for. A number of 0 leaves that part out; `jobs` processes work at once.

    `keep`: leave the files of each run where they are. `within_s`: fail if the seeds take longer;
    `at_most_s`: begin no seed after so many seconds. 0: any time.
    """

    seeds: int = 0
    devices: int = 100
    first_seed: int = 1
    jobs: int = 2
    kills: int = 0
    sweep: bool = False
    hostile: int = 0
    keep: bool = False
    at_most_s: float = 0
    within_s: float = 0


@dataclass
class Row:
    """One kind of injury. `fault` is its number in `fault_table.py`, `what` says in a few words what was done.

    `times`: how often in all; `runs`: in how many of the part's runs (seeds, kills, cases); `became`: what came of it,
    in words of the part's own (`PASS`, `resumed`, `refused`, ...), most often devices by outcome.
    """

    fault: str
    what: str
    times: int = 0
    runs: int = 0
    became: Counter[str] = field(default_factory=Counter)

    def add(self, other: Row) -> None:
        """Add another run's count of the same injury."""
        self.times += other.times
        self.runs += other.runs
        self.became.update(other.became)


@dataclass
class Part:
    """What one part found. `told` is one line about its size; `checked` counts how often each invariant was judged.

    A violation is one line that says what is wrong, and ends with the command that shows it again.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    told: str = ""


def merged(rows: list[Row]) -> list[Row]:
    """The rows added up, one for each fault and injury, in the order of the faults' numbers."""
    sums: dict[tuple[str, str], Row] = {}
    for row in rows:
        sums.setdefault((row.fault, row.what), Row(row.fault, row.what)).add(row)
    return sorted(sums.values(), key=lambda row: (number_of(row.fault), -row.times, row.what))


def number_of(fault: str) -> int:
    """`F12` -> 12; what has no number comes last."""
    return int(fault[1:]) if fault[1:].isdigit() else 99


def lines(parts: list[Part]) -> list[str]:
    """All parts as plain lines."""
    told: list[str] = []
    for part in parts:
        told += [f"== {part.name}: {part.told}", "", f"{'FAULT':<6}{'INJECTED':<50}{'TIMES':>9}{'RUNS':>7}  BECAME"]
        for row in merged(part.rows):
            became = ", ".join(f"{word} {count:,}" for word, count in row.became.most_common(4))
            head = f"{row.fault:<6}{row.what:<50.50}{row.times:>9,}{row.runs:>7,}  "
            told.append(f"{head}{became}"[:_WIDTH].rstrip())
        told.append("")
        if part.checked:
            judged = ", ".join(f"{name} {count:,}" for name, count in sorted(part.checked.items(), key=_by_number))
            told += [f"Invariants judged: {judged}.", ""]
        told += [f"VIOLATED  {line}" for line in part.violations]
    broken = sum(len(part.violations) for part in parts)
    faults = {row.fault for part in parts for row in part.rows if row.times and number_of(row.fault) < 99}
    injected = sum(row.times for part in parts for row in part.rows)
    told.append(f"{injected:,} injuries of {len(faults)} kinds of the fault table; violations: {broken}.")
    return told


def _by_number(item: tuple[str, int]) -> int:
    return number_of(item[0])
