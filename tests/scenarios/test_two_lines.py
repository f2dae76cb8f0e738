"""F18 and F19 by simulation: two computers at one bench, with one tray, each with a run and a journal of its own."""

import io
import signal
from collections import Counter
from contextlib import contextmanager

import pytest
import trio
from rich.console import Console

from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.errors import ExitCode
from provisioner.job import Job
from provisioner.journal.reader import replay
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud.state import What
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.history import Event
from provisioner.simulator.virtual.run import run_virtually

BOARDS = 8


@contextmanager
def signals_kept():
    """Two runs in one process put their signal handlers back in the wrong order."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)


async def both(folder, seed, faults):
    """Both lines to their ends; the factory, the journals, and how they ended."""
    factory = VirtualFactory(seed=seed, faults=PROFILES[faults])
    boards = [factory.world.add_photon() for _ in range(BOARDS)]
    ends = {}

    async def line(name, adapter):
        place = folder / name
        place.mkdir()
        settings = LineFile([adapter], budgets={"idle_stop_s": 200})
        job = Job("run", *factory.write(place, [TrayFile("T-0001", boards)], settings, lot=""), place / "runs")
        ends[name] = await factory.run(job, console=Console(file=io.StringIO()))

    async with factory.alive():
        factory.world.start_operators(boards, Habits(boards_max=4))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line, "one", "sim1")
            nursery.start_soon(line, "two", "sim2")
    return factory, boards, ends


@pytest.mark.parametrize("faults", ["none", "typical"])
@pytest.mark.parametrize("seed", range(1, 7))
def test_f18_two_lines_at_one_tray_pass_no_board_falsely_and_give_no_code_to_two(tmp_path, seed, faults):
    """F18 and F19: the one that comes second is not let in, or finds another board; it has written nothing by then."""
    with signals_kept():
        factory, boards, ends = run_virtually(lambda: both(tmp_path, seed, faults), seed=seed)

    records = {name: list(replay(end.journal)) for name, end in ends.items()}
    listed = {board.device_id: "line3+t-0001@example.com" for board in boards}
    together = [record for journal in records.values() for record in journal]
    wrong = check_all(Truth(together, factory.world.history, factory.cloud, listed, visited=set(listed)))
    assert [one for one in wrong if not one.startswith("run.finished says")] == []
    claimed = Counter(one.device for one in factory.cloud.history.of(What.CLAIMED))
    assert max(claimed.values()) == 1
    assert not list(factory.cloud.history.of(What.TAKEN_OVER))
    for journal in records.values():
        counts = {outcome: count for outcome, count in journal[-1].extra["counts"].items() if count}
        assert sum(counts.values()) == BOARDS
    assert {end.exit_code for end in ends.values()} <= {
        ExitCode.ALL_GOOD, ExitCode.SOME_FAILED, ExitCode.SOME_UNKNOWN
    }  # fmt: skip
    if faults == "none":
        passed = [r.device for r in together if r.event == "device.confirmed"]
        assert set(passed) == set(listed)


@pytest.mark.parametrize("seed", range(1, 4))
def test_f18_one_board_is_joined_by_one_adapter_at_a_time(tmp_path, seed):
    """F18 (I11): in the Photons' own history."""
    with signals_kept():
        factory, _, _ = run_virtually(lambda: both(tmp_path, seed, "none"), seed=seed)

    on = {}
    for entry in factory.world.history:
        if entry.event is Event.JOINED:
            assert on.get(entry.device_id) is None, entry
            on[entry.device_id] = entry.via
        elif entry.event in (Event.LEFT, Event.SILENT):
            on[entry.device_id] = None
