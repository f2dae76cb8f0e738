"""Real kills: the real `provisioner run` in a process of its own, ended from outside at a record of its journal.

A trial is one factory and a chain of runs in it: each is ended (kill -9, SIGTERM, SIGHUP, Ctrl-C once and twice) when
its journal has the n-th record of some event, the last one goes on to the end. The factory lives in this process, so
it survives and its history can be asked. `python tests/faults --kills 3 --first-seed S` plays trial S again.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent))

import far_factory
from far_factory import FarFactory
from report import Part, Row

from provisioner.errors import ExitCode
from provisioner.journal.reader import runs, verify
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.state import What

DEVICES = 4
STOP_S = 8.0  # of the far factory's settings: so long boards that were written to may take after a stop
STOP_S_MAX = STOP_S + 6.0  # and leaving, which has 5 of its own, and closing the books

HOWS = {
    "kill -9": (far_factory.killed, "F2"),
    "SIGTERM": (far_factory.terminated, "F3"),
    "the terminal closed (SIGHUP)": (far_factory.hung_up, "F3"),
    "Ctrl-C": (far_factory.interrupted, "F3"),
    "Ctrl-C twice": (far_factory.interrupted_twice, "F3"),
}
# One trial is a row of MIDDLE and LATE, with an EARLY before it: what the third waits for, the second leaves behind.
EARLY = ("import.intended", "import.accepted", "device.imported", "station.started", "customer.intended",
         "customer.ready", "run.started", "visit.started", "network.joined")  # fmt: skip
MIDDLE = ("device.identified", "claim_code.intended", "claim_code.accepted", "wifi.intended", "wifi.accepted",
          "connect.intended", "connect.accepted", "device.confirmed", "network.joined")  # fmt: skip
LATE = ("visit.ended", "device.confirmed", "run.finished", "connect.intended", "device.confirmed",
        "device.resumed", "device.resumed", "device.carried", "visit.ended")  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """End the run `how`, when its journal has the `nth` record of `event`."""

    how: str
    event: str
    nth: int = 1

    def __str__(self):
        return f"{self.how} at {self.event} {self.nth}"


def plan(seed):
    """The chain of kills of one trial. In the first round every write is met by kill -9; later rounds mix all."""
    round_, row = divmod(seed - 1, len(MIDDLE))
    hows = list(HOWS)

    def how(shift):
        return hows[(row + round_ + shift) % len(hows)]

    return [
        Kill(how(0), EARLY[(row + round_) % len(EARLY)]),
        Kill("kill -9" if round_ == 0 or row in (5, 6) else how(1), MIDDLE[row], 1 + round_ % 2),
        Kill(how(3), LATE[row]),
    ]


@dataclass
class Trial:
    """What became of one trial."""

    seed: int
    stations: int
    killed: list[Kill] = field(default_factory=list)
    missed: list[Kill] = field(default_factory=list)
    resumed: int = 0
    codes_extra: int = 0
    wrong: list[str] = field(default_factory=list)


async def trial(seed, folder, kills=None):
    """Play one trial: a chain of kills, and a last run to the end; then judge it."""
    played = Trial(seed, stations=1 + seed % 2)
    factory = FarFactory(folder, seed=seed, devices=DEVICES, stations=played.stations)
    async with factory.alive():
        for kill in kills or plan(seed):
            done = await factory.run(at=(kill.event, kill.nth), then=HOWS[kill.how][0])
            if done.stopped_s is None:
                played.missed.append(kill)
                played.wrong += _ended_well(done, factory, kill)
            else:
                played.killed.append(kill)
                played.wrong += [f"{kill}: {wrong}" for wrong in _stopped_well(kill, done, factory)]
        last = await factory.run()
        played.wrong += _ended_well(last, factory, None)
        played.wrong += judged(factory, played)
    return played


def _ended_well(done, factory, kill):
    if done.code == ExitCode.ALL_GOOD:
        return
    after = f"the run that was to be ended by {kill}" if kill else "the last run"
    yield f"{after} ended with {done.code}: {done.out[-400:]} {done.err[-400:]}"


def _stopped_well(kill, done, factory):
    """What must be true right after the process is gone."""
    records = factory.journals()[-1]
    finished = records[-1].event == "run.finished"
    if kill.how == "kill -9":
        if done.code != -9:
            yield f"exit code {done.code}"
        return
    if not finished:
        yield f"the journal ends with {records[-1].event}"
    elif records[-1].code == "interrupted":
        ended = Counter(r.device for r in records if r.outcome and r.event.startswith("device."))
        if set(ended) != set(factory.owners()):
            yield f"{len(ended)} of {len(factory.owners())} devices have an outcome"
    if done.code != ExitCode.INTERRUPTED and not (finished and records[-1].code == "all_good" and done.code == 0):
        yield f"exit code {done.code}, journal: {records[-1].code}"
    asked = next((r for r in records if r.event == "run.stopping"), None)
    # By the journal's own clock: how long Python takes to end on a busy computer is not the line's doing.
    if asked is not None and records[-1].mono_ms - asked.mono_ms > 1000 * STOP_S_MAX:
        yield f"the stop took {(records[-1].mono_ms - asked.mono_ms) / 1000:.1f} s"
    if "Traceback" in done.err:
        yield f"a traceback: {done.err[-600:]}"
    if kill.how != "Ctrl-C twice" and done.stopped_s < STOP_S and (cut := _cut_after_a_write(records)):
        yield f"a visit was cut off although {cut}"


def _cut_after_a_write(records):
    """The write of a visit that was cut off; None if every board that was written to was finished."""
    writes = {}
    for record in records:
        if record.event == "visit.started":
            writes.pop(record.station, None)
        elif record.event.endswith(".intended") and record.station:
            writes[record.station] = f"{record.event} stood in the journal"
        elif record.event == "visit.ended" and record.outcome == "aborted" and record.station in writes:
            return writes[record.station]
    return None


def judged(factory, played):
    """What must be true at the end, from the factory's own history and all journals."""
    journals = factory.journals()
    records = [record for journal in journals for record in journal]
    owners = factory.owners()
    yield from check_all(Truth(records, factory.world.history, factory.cloud, owners, visited=set(owners)))
    yield from _proven_once(journals, owners)
    history = factory.cloud.history
    for what in (What.IMPORTED, What.CLAIMED):
        for device, times in Counter(one.device for one in history.of(what)).items():
            if times > 1:
                yield f"{device} was {what} {times} times"
    if (made := len(list(history.of(What.CUSTOMER_CREATED)))) > 1:
        yield f"the customer was created {made} times"
    if again := [r for r in records if r.event == "import.accepted" and r.extra["counts"]["existing"]]:
        yield f"{len(again)} imports sent devices that were in the product"
    played.codes_extra = len(list(history.of(What.CODE_MINTED))) - len(owners)
    if played.codes_extra > len(played.killed) * played.stations:
        yield f"{played.codes_extra} claim codes more than devices, after {len(played.killed)} kills"
    played.resumed = sum(r.event in ("device.resumed", "device.carried") for r in records)
    for run in runs(factory.runs_dir):
        verify(run.journal)  # raises where the chain does not hold
    written = b"".join(path.read_bytes() for path in factory.folder.rglob("*") if path.is_file())
    for secret in (factory.cloud.client_secret, factory.cloud.user_token, factory.wifi_password):
        if secret.encode() in written:
            yield "a secret is in a file"


def _proven_once(journals, owners):
    """What was shown as proven stays so, and nothing is written to it again."""
    proven = set()
    for journal in journals:
        before = set(proven)
        for record in journal:
            if record.device in proven and record.event.endswith(".intended"):
                yield f"{record.device} was proven, and then {record.event}"
            if record.event == "device.confirmed":
                proven.add(record.device)
        if journal[-1].event == "run.finished":
            carried = {r.device for r in journal if r.event == "device.carried"}
            for device in before - carried if journal[-1].code == "all_good" else ():
                yield f"{device} was proven and is not carried over"


# --- many of them ---


def run(wishes):
    """At least so many kills, a few trials at once. For `python tests/faults --kills N`."""
    return trio.run(_run, wishes)


async def _run(wishes):
    part = Part("real kills")
    played, begun = [], 0
    trials_max = wishes.kills  # each has three kills planned; one that comes too late is made up for by another trial
    seeds = iter(range(wishes.first_seed, wishes.first_seed + trials_max))
    with tempfile.TemporaryDirectory(prefix="provisioner-kills-") as folder:

        async def worker():
            nonlocal begun
            while begun * len(plan(1)) - _missed(played) < wishes.kills and (seed := next(seeds, None)) is not None:
                begun += 1
                played.append(await trial(seed, Path(folder) / f"{seed}"))

        async with trio.open_nursery() as nursery:
            for _ in range(2 * wishes.jobs):  # a good half of the time they wait
                nursery.start_soon(worker)
    for one in played:
        for kill in one.killed:
            part.rows.append(Row(HOWS[kill.how][1], f"{kill.how} at {kill.event}", 1, 1, Counter({"went on": 1})))
        part.violations += [f"{wrong}; python tests/faults --kills 3 --first-seed {one.seed}" for wrong in one.wrong]
    kills, late = sum(len(one.killed) for one in played), _missed(played)
    part.checked = Counter(dict.fromkeys(("I1", "I2", "I4", "I5", "I6", "I9", "I12"), len(played)))
    part.told = (
        f"{kills} kills of the real process in {len(played)} factories of {DEVICES} boards, {late} came too late; "
        f"claim codes made beyond one a board: {sum(one.codes_extra for one in played)}"
    )
    return part


def _missed(played):
    return sum(len(one.missed) for one in played)
