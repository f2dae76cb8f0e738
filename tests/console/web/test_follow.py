"""The page over another process's run: it reads the journal as it grows, and goes over to the next run by itself."""

from datetime import UTC, datetime, timedelta

import page_server
import pytest
import trio

from provisioner.console.web.follow import NEWER_S, Follower
from provisioner.console.web.life import LifeDesk
from provisioner.errors import InputRefused, JournalCorrupt
from provisioner.journal.writer import open_journal
from provisioner.simulator.disk import UnsyncedDisk

WALL = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


class Run:
    """A run of another process: an open journal to write into."""

    def __init__(self, journal):
        self.journal = journal

    def __call__(self, _, event, **fields):
        self.journal.append(event, **fields)


@pytest.fixture
def begin(tmp_path):
    """`begin(run_id)`: a run in the folder, begun."""
    opened = []

    def make(run_id, stations=("S1",), trays=None):
        if opened:
            opened.pop().__exit__(None, None, None)
        context = open_journal(tmp_path, run_id, wall=lambda: WALL, mono=trio.current_time, disk=UnsyncedDisk())
        run = Run(context.__enter__())
        opened.append(context)
        page_server.begin(run, list(stations), trays or {"T-0001": 3})
        return run

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
async def follower(tmp_path, nursery):
    found = Follower(tmp_path, None, lambda: WALL + timedelta(seconds=trio.current_time()))
    nursery.start_soon(found.follow)
    return found


async def test_it_waits_for_a_run_and_follows_it(tmp_path, begin, follower, autojump_clock):
    await trio.sleep(5)
    assert follower.journal() is None

    run = begin("20261120T060000Z-0001")
    await trio.sleep(2)
    page_server.visit(run, 0, "S1", 1)
    await trio.sleep(1)

    assert follower.screen.run == "20261120T060000Z-0001"
    assert follower.screen.stations["S1"].visits == 1


async def test_it_goes_over_to_the_next_run_by_itself(begin, follower, autojump_clock):
    begin("20261120T060000Z-0001")
    await trio.sleep(2)

    begin("20261120T070000Z-0002", stations=["S7"])
    await trio.sleep(2 * NEWER_S)

    assert follower.screen.run == "20261120T070000Z-0002"
    assert list(follower.screen.stations) == ["S7"]


async def test_a_nights_repairs_are_no_shift(tmp_path, begin, follower, autojump_clock):
    begin("20261120T060000Z-0001")
    await trio.sleep(2)

    with open_journal(tmp_path / "n", "20261120T080000Z-0003", wall=lambda: WALL, mono=lambda: 0.0) as night:
        night.append("run.started", command="reconcile")
    (tmp_path / "n" / "20261120T080000Z-0003").rename(tmp_path / "20261120T080000Z-0003")
    await trio.sleep(2 * NEWER_S)

    assert follower.screen.run == "20261120T060000Z-0001"


async def test_half_a_record_is_waited_for(begin, follower, autojump_clock):
    run = begin("20261120T060000Z-0001")
    await trio.sleep(2)
    path = run.journal.path
    whole = path.read_bytes()
    page_server.visit(run, 0, "S1", 1, until="visit.started")
    line = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + line[:20])
    await trio.sleep(1)
    assert follower.screen.stations["S1"].visits == 0

    path.write_bytes(whole + line)
    await trio.sleep(1)

    assert follower.screen.stations["S1"].visits == 1


async def test_a_journal_that_was_changed_is_not_shown_any_further(begin, tmp_path, autojump_clock):
    run = begin("20261120T060000Z-0001")
    data = run.journal.path.read_bytes().replace(b"tempmon", b"tempMON", 1)
    run.journal.path.write_bytes(data)

    with pytest.raises(JournalCorrupt):
        await Follower(tmp_path, None, lambda: WALL).follow()


async def test_elapsed_time_goes_on_between_records_and_stands_still_after_the_end(begin, follower, autojump_clock):
    run = begin("20261120T060000Z-0001")
    await trio.sleep(2)
    before = follower.feed._now_ms()
    await trio.sleep(10)
    assert follower.feed._now_ms() - before == 10_000

    run(0, "run.finished", outcome="pass", code="all_good", counts={})
    await trio.sleep(1)
    ended = follower.feed._now_ms()
    await trio.sleep(10)

    assert follower.feed._now_ms() == ended


# --- one device's life ---


async def test_a_life_is_read_from_the_journal_that_is_being_written(begin, tmp_path):
    run = begin("20261120T060000Z-0001")
    page_server.visit(run, 0, "S1", 2)
    desk = LifeDesk(tmp_path, lambda: run.journal.path, lambda _: None)

    by_slot = await desk.life("T-0001/2")
    by_id = await desk.life(page_server._device("T-0001", 2).upper())

    assert by_slot == by_id
    (told,) = by_slot["runs"]
    assert [record["event"] for record in told["records"]][:2] == ["device.imported", "device.identified"]


@pytest.mark.parametrize("text", ["T-0001/9", "T-0009/1", "x", "", "PHHMAB804PAKLJZ", "T.0001/1", "T-0001/1\x00"])
async def test_a_life_of_nobody_is_refused_in_words(begin, tmp_path, text):
    run = begin("20261120T060000Z-0001")
    desk = LifeDesk(tmp_path, lambda: run.journal.path, lambda _: None)

    with pytest.raises(InputRefused) as refused:
        await desk.life(text)

    assert refused.value.remedy


async def test_without_any_journal_there_is_no_life(tmp_path):
    with pytest.raises(InputRefused):
        await LifeDesk(tmp_path, lambda: None, lambda _: None).life("T-0001/1")
