"""Seeds of the deterministic simulation: plays each in a process of its own, judges it, and counts what was injected.

Rule 1: one seed, one history: the same seed in the same folder writes the same journals, byte for byte.
Rule 2: a seed that breaks something is told in one line that ends with the command that plays it again.
"""

from __future__ import annotations

import fcntl
import gc
import hashlib
import itertools
import math
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import checks
import seed_plan
import seed_world
from report import Part, Row, Wishes, merged
from seed_counts import rows_of

REAL_SECONDS_MAX = 300  # for one seed; it takes one or two
TOLD_OF_A_SEED = 3
GARBAGE_EVERY = 8  # seeds; one leaves some 40 MB
_PLAYED = itertools.count(1)  # by this process


@dataclass
class Judged:
    """One seed: what was injected, what was judged, what was wrong, and its size."""

    seed: int
    rows: list[Row] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    size: Counter[str] = field(default_factory=Counter)


def run(wishes: Wishes) -> Part:
    """Play and judge as many seeds as wished, several at once; none is begun when the time is over."""
    part, size, began_s = Part("simulation"), Counter(), time.perf_counter()
    seeds = range(wishes.first_seed, wishes.first_seed + wishes.seeds)
    played = 0
    gc.freeze()  # what was imported stays, so nobody needs to look whether it is garbage
    until_s = began_s + min(wishes.within_s or math.inf, wishes.at_most_s or math.inf)
    for judged in _each(seeds, wishes, until_s=until_s):
        played += 1
        part.rows = merged([*part.rows, *judged.rows])
        part.checked += judged.checked
        size += judged.size
        again = f"python tests/faults --seeds 1 --first-seed {judged.seed} --devices {wishes.devices}"
        told = judged.wrong[:TOLD_OF_A_SEED]
        more = len(judged.wrong) - len(told)
        part.violations += [f"{line}{f' (and {more} more)' if more else ''}: {again}" for line in told]
    took_s = time.perf_counter() - began_s
    if wishes.within_s and played < wishes.seeds:
        part.violations.append(f"only {played} of {wishes.seeds} seeds were played within {wishes.within_s:g} s")
    part.told = (
        f"{played:,} of {wishes.seeds:,} seeds x {wishes.devices} devices, {size['starts']:,} starts of the program, "
        f"{size['cuts']:,} of them cut off, {size['records']:,} records, {size['hours']:,} hours of the factory, "
        f"in {took_s:.0f} s on {min(wishes.jobs, wishes.seeds)} processes"
    )
    return part


def _each(seeds: range, wishes: Wishes, *, until_s: float) -> Iterator[Judged]:
    args = ((seed, wishes.devices, wishes.keep) for seed in seeds if time.perf_counter() < until_s)
    if wishes.jobs <= 1 or len(seeds) <= 1:
        yield from map(_judge_one, args)
        return
    with ProcessPoolExecutor(min(wishes.jobs, len(seeds)), mp_context=multiprocessing.get_context("fork")) as pool:
        waiting = {pool.submit(_judge_one, one) for one in itertools.islice(args, 2 * wishes.jobs)}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            waiting |= {pool.submit(_judge_one, one) for one in itertools.islice(args, len(done))}
            yield from sorted((future.result() for future in done), key=lambda judged: judged.seed)


def _judge_one(args: tuple[int, int, bool]) -> Judged:
    seed, devices, keep = args
    return judge(seed, devices, keep=keep)


def judge(seed: int, devices: int, *, keep: bool = False) -> Judged:
    """Play one seed and judge it; whatever comes out of it that is not an outcome is a violation."""
    judged = Judged(seed)
    with _folder(seed, devices, keep=keep) as folder, _in_real_time(), _garbage_later():
        try:
            played = seed_world.play(seed_plan.drawn(seed, devices), folder)
            judged.wrong, judged.checked = checks.judged(played)
            judged.rows = rows_of(played)
            judged.size = _size(played)
        except Exception as bug:  # noqa: BLE001 - a bug anywhere is this seed's finding, and the others go on
            judged.wrong = [f"{_innermost(bug)}"]
        if judged.wrong and keep:
            (folder / "wrong.txt").write_text("\n".join(judged.wrong))
    return judged


def _size(played: seed_world.Played) -> Counter[str]:
    journals = list(played.runs_dir.glob("*/journal.jsonl"))
    return Counter(
        starts=len(played.lives),
        cuts=sum(life.cut for life in played.lives),
        records=sum(path.read_bytes().count(b"\n") for path in journals),
        hours=round(played.lives[-1].ended_world_s / 3600),
    )


def digest(folder: Path) -> str:
    """One hash over all journals of a seed."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("runs/*/journal.jsonl")):
        found.update(path.parent.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


# --- where and for how long ---


@contextmanager
def _folder(seed: int, devices: int, *, keep: bool) -> Iterator[Path]:
    """A folder that is the same for every play of a seed: journals name their files. In memory where there is room."""
    memory = Path("/dev/shm")
    home = (memory if memory.is_dir() else Path(tempfile.gettempdir())) / f"provisioner-faults-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / f"{seed}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = home / f"{seed}-{devices}"
        except BlockingIOError:  # somebody else plays this seed now
            folder = Path(tempfile.mkdtemp(prefix=f"{seed}-{devices}-", dir=home))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
                (home / f"{seed}.lock").unlink(missing_ok=True)


@contextmanager
def _garbage_later() -> Iterator[None]:
    """A seed is over before its garbage matters, and looking for it takes a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        if next(_PLAYED) % GARBAGE_EVERY == 0:
            gc.collect()
        gc.enable()


@contextmanager
def _in_real_time() -> Iterator[None]:
    """Raise TimeoutError where virtual time stands still: a wait without a deadline waits for ever."""

    def ring(*_):
        raise TimeoutError(f"I8: this seed did not end within {REAL_SECONDS_MAX} s of real time")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(REAL_SECONDS_MAX)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _innermost(error: BaseException) -> str:
    """One line about a bug: what, and where."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {error}"
