"""One board from the list to the proof, with one call of it injured; then the same run again on a sound line.

`sweep(...)` injures the n-th call of a kind, n = 1, 2, 3 ..., until a run has no n-th call. Each case is judged by
checkers that read the journal and the world's history only.
"""

import functools
import io
import itertools
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "scenarios"))

from call_points import NEVER_SENT, InjuredDevices, InjuredDisk, InjuredSwitchers, Injury, Kind, Points, injured_cloud
from factory import CUSTOMER, Factory
from rich.console import Console
from trio._signals import get_pending_signal_count

from provisioner import app
from provisioner.console.stopped import exit_code_of, failures_of
from provisioner.errors import ExitCode, ProvisionerError
from provisioner.job import Job
from provisioner.journal.reader import replay, runs
from provisioner.simulator.call_checkers import Calls, check_calls, no_effect_after
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.sim_cloud import ACCOUNT
from provisioner.simulator.disk import UnsyncedDisk
from provisioner.simulator.photon.history import WRITES
from provisioner.simulator.virtual.run import run_virtually

BOUND_S = 2 * 3600  # in the world's time; the longest a run may wait is a hold of the site (10 minutes) and its budgets
OWNERS = {"customer": "line3+t-0001@example.com", "account": ACCOUNT, "online": ACCOUNT, "none": None}
WRITES_BY_NAME = {"set", "configure-ap", "connect-ap"}
CODES = {"customer": 2, "account": 2, "online": 0, "none": 0}  # made by a run in which nothing goes wrong


@dataclass(frozen=True)
class Site:
    """What kind of line it is."""

    claim: str = "customer"
    uplink: str = "separate"
    stations: int = 1  # and as many boards

    def __str__(self):
        return f"{self.claim} {self.uplink} {self.stations}"

    @property
    def policy(self):
        return CUSTOMER if self.claim == "customer" else f"{{to: {self.claim}}}"


@dataclass(frozen=True)
class Case:
    """Which call of which kind meets which injury, how often in a row, on which line. `kind` None: none does."""

    kind: Kind | None
    at: int = 0
    injury: Injury | None = None
    times: int = 1
    site: Site = Site()

    def __str__(self):
        injury = self.injury.name if self.injury else "NONE"
        return f"{self.kind} {self.at} {injury} {self.times} {self.site}"


@dataclass
class Done:
    """What came of a case. `first` and `second`: the two runs' ends, or what they raised."""

    case: Case
    line: "Line"
    boards: list
    call: str = ""  # the name of the injured call; "" if the run had no such call
    calls: dict = field(default_factory=dict)  # the names of all calls of the injured run, by kind
    first: object = None
    second: object = None
    records: list = field(default_factory=list)  # of both runs
    wrong: list = field(default_factory=list)
    lasted_s: float = 0.0

    @property
    def hit(self):
        return bool(self.call)

    @property
    def struck_s(self):
        """When the call was injured, by the world's clock."""
        return self.line.points.struck_s[0]

    @property
    def exit(self):
        """What the injured run's end means to a script."""
        if isinstance(self.first, app.RunEnd):
            return self.first.exit_code
        return exit_code_of(failures_of(self.first)[0])

    @property
    def became(self):
        """The injured run in a word: the first board's outcome, or why there was none."""
        if not isinstance(self.first, app.RunEnd):
            return failures_of(self.first)[0].code
        run = [record for record in self.records if record.run == self.first.run_id]
        finals = [record.outcome for record in run if record.device == self.boards[0].device_id and record.outcome]
        return str(finals[-1]) if finals else "aborted"


class Line(Factory):
    """A factory whose calls go through points; `stranger` is a board in no tray, out of the station's hearing."""

    def __init__(self, folder, points, **how):
        super().__init__(folder, **how)
        self.points = points
        self.virtual.serve(injured_cloud(self._counting(cloud_app(self.cloud)), points))
        self.world.switchers = InjuredSwitchers(self.world.switchers, points)
        self.virtual.disk = self.disk = InjuredDisk(points)
        (self.stranger,) = self.strange_boards(1)
        self.devices = InjuredDevices(self.world, self.virtual.network, points, another=self.stranger)

    async def attempt(self):
        """One run, whatever comes of it: its end, or what it raised. Our own bugs go up."""
        job = Job("run", *self.files(), self.runs_dir, watched=True)
        try:
            with trio.fail_after(BOUND_S):
                return await self.virtual.run(
                    job, console=Console(file=io.StringIO(), width=200), stop=app.Stop(), outside=self.virtual.outside()
                )
        except (ProvisionerError, BaseExceptionGroup) as error:
            if not failures_of(error):
                raise
            return error

    @property
    def changes(self):
        """What was asked of the cloud or a device that changes something, and when."""
        of_cloud = [(f"{method} {path}", at_s) for method, path, at_s in self.requests if method != "GET"]
        return of_cloud + [(name, at_s) for name, at_s in self.devices.asked if name in WRITES_BY_NAME]


def case_of(case):
    """Run one case in virtual time and judge it."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        done = run_virtually(lambda: _case(case, Path(folder)), seed=1)
    if done.call == NEVER_SENT:
        done.call = names_of(case.site, case.kind)[case.at - 1]
    return done


async def _case(case, folder):
    points = Points(case.kind, case.at, case.injury, case.times)
    line = Line(folder, points, uplink=case.site.uplink, claim=case.site.policy, stations=case.site.stations)
    done = Done(case, line, line.boards(case.site.stations))
    async with line.alive(bring=False):
        for board in done.boards:
            line.world.present(board)
        if case.injury is Injury.ANOTHER:
            line.world.present(line.stranger, "another bench")
        began_s = trio.current_time()
        done.first = await line.attempt()
        await swallow_late_signals()
        done.lasted_s = trio.current_time() - began_s
        done.calls = {kind: list(names) for kind, names in points.names.items()}
        if case.kind is not None and not points.struck:
            return done
        done.call = done.calls[case.kind][case.at - 1] if case.kind is not None else "none"
        done.wrong += after_first(done)
        heal(line)
        for board in done.boards:
            if not board.powered:
                line.world.present(board)
        done.second = await line.attempt()
        done.wrong += after_second(done)
    return done


async def swallow_late_signals():
    """A signal that came when all was over goes to whoever listens next: that must not be the second run."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as late:
        for _ in range(10):  # trio hands them on from turn to turn
            await trio.lowlevel.checkpoint()
        for _ in range(get_pending_signal_count(late)):
            await anext(late)


@functools.cache
def names_of(site, kind):
    """The calls that are made when nothing goes wrong."""
    return case_of(Case(None, site=site)).calls[kind]


def heal(line):
    """From now on nothing goes wrong any more."""
    line.points.off = True
    line.virtual.disk = UnsyncedDisk()
    line.devices.answers.clear()
    if line.stranger.powered:
        line.world.remove(line.stranger)


# --- judging ---


def after_first(done):
    """What must hold when the injured run has ended."""
    wrong = _judged(done)
    if done.line.world.radio.joined:
        wrong.append("an adapter is still joined")
    if done.line.world.radio.uplink_away():
        wrong.append("an uplink was not restored")
    if not isinstance(done.first, app.RunEnd):  # the journal is not whole, and cannot say what became of the board
        wrong = [line for line in wrong if not line.endswith(("run.finished", "has no outcome"))]
        if done.case.kind is Kind.DISK:
            wrong += _after_disk_failure(done)
    if done.case.injury is Injury.ANOTHER and done.call in WRITES_BY_NAME:
        wrong = _after_the_gap(done, wrong)
    return [f"first run: {line}" for line in wrong]


def after_second(done):
    """What must hold when a sound run has ended what the injured one began: the board is proven."""
    wrong = _judged(done)
    if done.case.injury is Injury.ANOTHER and done.call in WRITES_BY_NAME:
        wrong = [line for line in wrong if done.line.stranger.device_id not in line]  # judged after the first run
    if not isinstance(done.second, app.RunEnd):
        wrong.append(repr(done.second))
    elif done.second.exit_code != ExitCode.ALL_GOOD:
        finals = [f"{r.event} {r.code}: {r.detail}" for r in done.records if r.event.startswith("device.")]
        wrong.append(f"it ended with {done.second.exit_code.name}: {finals[-1]}")
    return [f"second run: {line}" for line in wrong]


def _after_the_gap(done, wrong):
    """Another device answers for the first time at a write, in the milliseconds since the right one was read.

    On a real adapter that would need two boards with one BSSID and a join that never broke (an exchange by hand ends
    the join: EXCHANGED). One write cannot be held back then; there must be no other, and no proof.
    """
    other = done.line.stranger.device_id
    wrong = [line for line in wrong if other not in line]
    writes = [entry for entry in done.line.world.history if entry.device_id == other and entry.event in WRITES]
    if len(writes) > 1 or done.became == "pass":
        wrong.append(f"{other} was written to {len(writes)} times; the run ended with {done.became}")
    return wrong


def _after_disk_failure(done):
    """What must hold of a run whose disk failed once: nothing more is done to anybody, nor asked of the disk."""
    line, failures = done.line, failures_of(done.first)
    wrong = list(no_effect_after(done.struck_s, line.changes))
    asked = line.disk.acts[line.points.at :]
    if asked:
        wrong.append(f"after the failure the disk was asked for {', '.join(asked)}")
    said = " ".join(str(failure) for failure in failures)
    if str(line.runs_dir) not in said or not all("disk" in failure.remedy for failure in failures):
        wrong.append(f"the message does not name the disk or what to do: {said}")
    expected = ExitCode.HELD_BY_SITE if "journal" in failures[0].code else ExitCode.INPUT_REFUSED
    if done.exit != expected:
        wrong.append(f"exit code {done.exit}")
    return wrong


def _judged(done):
    """The checkers over the journals of all runs and the world's whole history. Reading checks the chains."""
    line, site = done.line, done.case.site
    done.records = [record for folder in runs(line.runs_dir) for record in replay(folder.journal)]
    truth = Truth(
        records=done.records,
        photons=line.world.history,
        cloud=line.cloud,
        listed={board.device_id: OWNERS[site.claim] for board in done.boards},
        visited={board.device_id for board in done.boards},
    )
    wrong = check_all(truth)
    if not any(record.event.startswith("device.") for record in done.records):
        wrong = [line for line in wrong if not line.endswith("has no outcome")]  # stopped before the line began
    runs_so_far = 1 + (done.second is not None)
    calls = Calls(
        done.records,
        line.world.history,
        list(line.cloud.history),
        line.clock.epoch,
        codes_max=(CODES[site.claim] * runs_so_far + done.case.times) * site.stations,
    )
    return [*wrong, *check_calls(calls)]


def sweep(kind, injury, *, site=Site(), times=1):
    """The n-th call, n = 1, 2, 3 ..., until a run has none."""
    for at in itertools.count(1):
        names = names_of(site, kind)
        if injury is Injury.SHORT and at <= len(names) and names[at - 1] != "write":
            continue  # only a write can fit in half
        done = case_of(Case(kind, at, injury, times, site))
        if not done.hit:
            return
        yield done
