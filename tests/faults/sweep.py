"""The part of the fault table that goes through every call: `python tests/faults --sweep`.

One case again: `python tests/faults/sweep.py "cloud 7 LOST 1 customer separate 1"`.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from call_points import ERRNO, Injury, Kind
from one_visit import Case, Site, case_of, sweep
from report import Part, Row

FOR_ANY_CALL = (
    Injury.NOT_TAKEN,
    Injury.CUT,
    Injury.LOST,
    Injury.HANGS,
    Injury.MUTE,
    Injury.STOPPED,
    Injury.CANCELLED,
    Injury.CANCELLED_AFTER,
)
UNANSWERED = (Injury.CUT, Injury.LOST, Injury.HANGS, Injury.MUTE)
FOR_ADAPTERS = (Injury.FAILS, Injury.LOST, Injury.STOPPED, Injury.CANCELLED, Injury.CANCELLED_AFTER)
FOR_DISKS = (*ERRNO, Injury.SHORT, Injury.STOPPED, Injury.CANCELLED)
IN_THE_AIR = (Injury.VANISHES, Injury.VANISHES_AFTER, Injury.ANOTHER, Injury.EXCHANGED)
SITE = Site()
OTHER_SITES = (Site("account"), Site("online"), Site("none"), Site("customer", "shared"))
FAULT = {
    Injury.NOT_TAKEN: "F6",
    Injury.STOPPED: "F3",
    Injury.CANCELLED: "F3",
    Injury.CANCELLED_AFTER: "F3",
    Injury.VANISHES: "F15",
    Injury.VANISHES_AFTER: "F15",
    Injury.ANOTHER: "F16",
    Injury.EXCHANGED: "F16",
}
JUDGED = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I11", "I12", "I13")


@dataclass(frozen=True)
class Plan:
    """One sweep."""

    kind: Kind
    injury: Injury
    times: int = 1
    site: Site = SITE

    @property
    def fault(self):
        return "F4" if self.kind is Kind.DISK and self.injury not in FAULT else FAULT.get(self.injury, "F7")

    @property
    def what(self):
        return f"{self.kind}{f' x{self.times}' if self.times > 1 else ''}: {self.injury}"


def plans():
    """All sweeps, the long ones first."""
    yield Plan(Kind.DISK, Injury.FULL, 1, Site(stations=3))
    yield from (Plan(Kind.DISK, injury) for injury in FOR_DISKS)
    yield from (Plan(Kind.CLOUD, injury) for injury in FOR_ANY_CALL)
    yield from (Plan(Kind.DEVICE, injury) for injury in (*FOR_ANY_CALL, *IN_THE_AIR))
    yield from (Plan(Kind.ADAPTER, injury) for injury in FOR_ADAPTERS)
    for kind in (Kind.CLOUD, Kind.DEVICE):
        yield from (Plan(kind, injury, 2) for injury in UNANSWERED)
        for site in OTHER_SITES:
            yield from (Plan(kind, injury, 1, site) for injury in (Injury.LOST, Injury.MUTE, Injury.CANCELLED_AFTER))
    yield from (Plan(Kind.DEVICE, injury, 1, OTHER_SITES[-1]) for injury in IN_THE_AIR[:2])
    yield from (Plan(Kind.ADAPTER, injury, 1, OTHER_SITES[-1]) for injury in FOR_ADAPTERS)


def carry_out(plan):
    """One sweep, as a row of the table and what was wrong."""
    row, wrong = Row(plan.fault, plan.what), []
    for done in sweep(plan.kind, plan.injury, site=plan.site, times=plan.times):
        row.times += len(done.line.points.struck)
        row.runs += 1
        row.became[done.became] += 1
        wrong += [f"{line}; again: python tests/faults/sweep.py '{done.case}'" for line in done.wrong]
    return row, wrong


def run(wishes):
    """As `__main__` wants it."""
    part = Part("every call of one visit")
    with ProcessPoolExecutor(wishes.jobs) as pool:
        for row, wrong in pool.map(carry_out, plans()):
            part.rows.append(row)
            part.violations += wrong
    runs = sum(row.runs for row in part.rows)
    part.checked = Counter(dict.fromkeys(JUDGED, 2 * runs))
    part.told = f"{runs:,} runs with one injured call, each run again on a sound line"
    return part


def main(text):
    """Show one case."""
    kind, at, injury, times, claim, uplink, stations = text.split()
    done = case_of(Case(Kind(kind), int(at), Injury[injury], int(times), Site(claim, uplink, int(stations))))
    for record in done.records:
        print(record.run[-4:], record.seq, record.at.time(), record.event, record.code or "", record.detail or "")
    for one in done.line.world.history:
        print(f"{one.at_s:9.3f}", one.device_id, one.event, one.via, one.detail)
    print(done.call, done.first, done.second, sep="\n")
    print("\n".join(done.wrong) if done.wrong else "nothing is wrong")
    sys.exit(bool(done.wrong))


if __name__ == "__main__":
    main(sys.argv[1])
