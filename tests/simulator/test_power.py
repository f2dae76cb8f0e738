"""A disk that loses power: what was synced is there afterwards, the rest may be."""

import errno
import os
import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from provisioner.errors import JournalWriteFailed
from provisioner.journal.head import End
from provisioner.journal.reader import replay, settle, verify
from provisioner.journal.writer import open_journal
from provisioner.simulator.power import SECTOR, PowerCut, PowerDisk

RUN = "20261120T231600Z-4f2a"
AT = datetime(2026, 11, 20, 23, 16, tzinfo=UTC)
DICE = range(40)


def opened(folder, disk):
    return open_journal(folder / "runs", RUN, wall=lambda: AT, mono=lambda: 0.0, disk=disk)


def written(folder, disk, *, records=3):
    """A journal of some records, until the power fails; returns how many were acknowledged."""
    acknowledged = 0
    try:
        with opened(folder, disk) as journal:
            for number in range(records):
                journal.append("device.imported", slot=number, detail="x" * 700)
                acknowledged += 1
    except PowerCut:
        pass
    return acknowledged


def test_without_a_cut_it_is_a_disk(tmp_path):
    disk = PowerDisk()

    assert written(tmp_path, disk) == 3
    assert disk.restart(random.Random(1)) == Counter()
    assert verify(tmp_path / "runs" / RUN / "journal.jsonl").records == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 20))
def test_what_was_acknowledged_is_there_after_a_cut_at_any_call(tmp_path, call, after):
    """F1: before or after every call; of the rest anything may be there, and it never reads as a record."""
    for number in DICE:
        folder = tmp_path / str(number)
        folder.mkdir()
        disk = PowerDisk()
        disk.cut_at(call, after=after)
        acknowledged = written(folder, disk)
        assert disk.on == (disk.calls < call)

        disk.restart(random.Random(number))
        journal = folder / "runs" / RUN / "journal.jsonl"
        found = verify(journal) if journal.exists() else None
        records = found.records if found is not None else 0

        assert acknowledged <= records <= acknowledged + 1
        assert found is None or found.doubt == ""  # whatever became of the head beside it


def test_every_way_to_lose_a_line_is_among_them(tmp_path):
    lost = Counter()
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        disk = PowerDisk()
        with opened(folder, disk) as journal:
            disk.cut_at(disk.calls + 1, after=True)
            with pytest.raises(PowerCut):
                journal.append("device.imported", detail="x" * 1500)
        lost += disk.restart(random.Random(number))

    assert {"a tail", "a part of a line", "sectors of a line", "nothing of what could be"} <= lost.keys()


def test_every_way_to_lose_a_head_is_among_them_and_none_accuses_anybody(tmp_path):
    """F1: the head was written over five times and never synced."""
    lost = Counter()
    ends = Counter()
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        disk = PowerDisk()
        with suppress(PowerCut), opened(folder, disk) as journal:
            for _ in range(5):
                journal.append("device.imported")
            disk.cut()
        lost += disk.restart(random.Random(number))
        found = verify(journal.path)
        assert (found.records, found.doubt) == (5, "")
        ends[found.end] += 1

    assert {"what was written over", "a part of what was written over"} <= lost.keys()
    assert set(ends) == {End.WHOLE, End.BEHIND}


def test_what_was_written_over_twice_comes_back_as_it_was_when_it_was_safe(tmp_path):
    """F1: nothing in between was ever on the disk for sure."""
    found = set()
    for number in range(40):
        disk, path = PowerDisk(), tmp_path / f"{number}"
        path.write_bytes(b"first")
        descriptor = disk.open_existing(path)
        for data in (b"other", b"again"):
            disk.write_at(descriptor, data, 0)
        disk.cut()
        disk.close(descriptor)
        disk.restart(random.Random(number))
        found.add(path.read_bytes())

    assert {b"first", b"again"} <= found
    assert not any(b"other".startswith(data[:1]) for data in found)


def test_a_sector_that_never_came_is_zeros_inside_a_whole_line(tmp_path):
    for number in DICE:
        disk = PowerDisk()
        path = tmp_path / f"{number}"
        descriptor = disk.open_new(path)
        disk.write(descriptor, b"a" * SECTOR)
        disk.sync_data(descriptor)
        disk.write(descriptor, b"b" * (3 * SECTOR))
        disk.cut()
        disk.close(descriptor)
        way = disk.restart(random.Random(number))
        if "sectors of a line" in way:
            data = path.read_bytes() if path.exists() else b""
            if data:
                assert data[:SECTOR] == b"a" * SECTOR
                assert {data[at : at + SECTOR] for at in range(SECTOR, 4 * SECTOR, SECTOR)} <= {
                    bytes(SECTOR),
                    b"b" * SECTOR,
                }
                assert bytes(SECTOR) in data


def test_names_are_lost_with_all_that_is_below_unless_their_folder_was_synced(tmp_path):
    """F1: a folder that was made and not synced may be forgotten; one that was is kept."""
    outcomes = Counter()
    for number in DICE:
        disk = PowerDisk()
        folder = tmp_path / f"folder-{number}"
        disk.make_folder(folder)
        if number % 2:
            disk.sync_folder(tmp_path)
        disk.close(disk.open_new(folder / "file"))
        disk.cut()
        disk.restart(random.Random(number))
        outcomes["kept" if folder.exists() else "lost", number % 2] += 1

    assert outcomes["lost", 0] > 5
    assert outcomes["lost", 1] == 0


def test_a_cut_of_a_torn_tail_may_come_back_and_is_cut_again(tmp_path):
    """F1: the power fails between the cut and its sync."""
    came_back = 0
    for number in DICE:
        folder = tmp_path / str(number)
        folder.mkdir()
        written(folder, PowerDisk())
        path = folder / "runs" / RUN / "journal.jsonl"
        with path.open("ab") as file:
            file.write(b'{"v":1,"seq":3')
        disk = PowerDisk()
        disk.cut_at(2, after=True)  # open, truncate: and no sync
        with pytest.raises(PowerCut):
            settle(path, disk)
        came_back += disk.restart(random.Random(number))["a cut that came back"]

        assert verify(path).records == 3
        settle(path, disk)
        assert verify(path).torn_bytes == 0

    assert came_back > 5


def test_a_killed_program_loses_nothing_that_was_written(tmp_path):
    """F2: the kernel goes on; only what the program never handed over is missing."""
    disk = PowerDisk()
    disk.cut_at(18, after=True)
    acknowledged = written(tmp_path, disk)

    assert acknowledged > 0
    assert disk.restart(random.Random(1), kept=True) == Counter()
    records = list(replay(tmp_path / "runs" / RUN / "journal.jsonl"))
    assert acknowledged <= len(records) <= acknowledged + 1


def test_without_power_nothing_can_be_asked_but_to_let_go(tmp_path):
    disk = PowerDisk()
    descriptor = disk.open_new(tmp_path / "file")
    disk.cut()

    for ask in (
        lambda: disk.write(descriptor, b"x"),
        lambda: disk.sync(descriptor),
        lambda: disk.sync_folder(tmp_path),
    ):
        with pytest.raises(PowerCut):
            ask()
    disk.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_disk_can_refuse_from_a_call_on_and_says_since_when(tmp_path):
    """F4: the journal is broken from then on, and what the disk refused is not on it."""
    disk = PowerDisk(clock=lambda: 12.5)
    with opened(tmp_path, disk) as journal:
        journal.append("run.started")
        disk.fail_from(disk.calls + 1, "write", errno.ENOSPC)
        for _ in range(2):
            with pytest.raises(JournalWriteFailed, match="No space left"):
                journal.append("device.imported")

    assert disk.failed_at_s == 12.5
    assert verify(journal.path).records == 1


def test_what_must_not_change_any_more_can_be_looked_at_in_the_moment_of_the_cut():
    seen = []
    disk = PowerDisk(at_cut=lambda: seen.append(disk.on))
    disk.cut()
    disk.cut()

    assert seen == [False]
