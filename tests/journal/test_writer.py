"""The writer: whole lines on the disk or nothing, one process at a time, broken for good after a failure."""

import errno
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import trio
import trio.testing

from provisioner.errors import JournalLocked, JournalWriteFailed, RunsFolderUnusable
from provisioner.journal.disk import Disk
from provisioner.journal.fields import GENESIS
from provisioner.journal.reader import replay, runs, verify
from provisioner.journal.writer import new_run_id, open_journal
from provisioner.secrets import Secret

RUN = "20261120T231600Z-4f2a"
AT = datetime(2026, 11, 20, 23, 16, tzinfo=UTC)
ROOT = Path(__file__).parent.parent.parent


class SyncsTo(Disk):
    """A disk whose every sync of an append is this function instead."""

    def __init__(self, sync):
        self.sync_data = sync


def opened(runs_dir, run_id=RUN, *, sync=lambda _: None, **changes):
    ticks = iter(range(1_000_000))
    parts = {"wall": lambda: AT, "mono": lambda: 5.0 + next(ticks) / 1000, "disk": SyncsTo(sync)}
    return open_journal(runs_dir, run_id, **(parts | changes))


def elsewhere(body, *arguments):
    """A Python process of its own with this package; `body` sees `sys.argv[1:]`."""
    start = (
        "import sys, os, time\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from provisioner.journal.writer import open_journal\n"
        "def opened(runs_dir, run_id):\n"
        "    return open_journal(Path(runs_dir), run_id, wall=lambda: datetime.now(UTC), mono=time.monotonic)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", start + body, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


# --- run IDs ---


def test_run_ids_sort_by_time_and_are_utc():
    dice = random.Random(1)
    early = new_run_id(datetime(2026, 11, 21, 7, 16, tzinfo=timezone(timedelta(hours=8))), dice)
    late = new_run_id(AT + timedelta(seconds=1), dice)

    assert re.fullmatch(r"20261120T231600Z-[0-9a-f]{4}", early)
    assert early < late
    assert early != new_run_id(AT, dice)


def test_a_clock_that_was_set_back_gives_no_run_an_id_that_sorts_before_an_older_run(tmp_path):
    """F25: what reads the runs reads them in the order of their IDs; the newest must have the last word."""
    with opened(tmp_path, "20261121T231600Z-aaaa") as ahead:
        ahead.append("run.started")
    named = []
    for run_id in ("20261120T231600Z-ffff", "20261120T231605Z-0000", "20261122T000000Z-1111"):
        with opened(tmp_path, run_id) as journal:
            named.append((journal.run_id, journal.append("run.started").run, journal.path.parent.name))

    ids = [run_id for run_id, *_ in named]
    assert ids == ["20261121T231601Z-ffff", "20261121T231602Z-0000", "20261122T000000Z-1111"]
    assert all(len(set(three)) == 1 for three in named)
    assert [run.id for run in runs(tmp_path)] == ["20261121T231600Z-aaaa", *ids]


def test_a_run_in_the_same_second_gets_the_next_one(tmp_path):
    for _ in range(2):
        with opened(tmp_path) as journal:
            last = journal.run_id

    assert last == "20261120T231601Z-4f2a"


@pytest.mark.parametrize("name", ["99991231T235959Z-0000", "20269999T999999Z-0000", "notes", "20261130"])
def test_folders_of_other_peoples_names_do_not_stop_a_run(tmp_path, name):
    (tmp_path / name).mkdir()
    with opened(tmp_path) as journal:
        assert journal.run_id == RUN


@pytest.mark.parametrize("run_id", ["..", "../x", "", "a/b", "a b", "-x", "x" * 65, "x\n"])
def test_a_run_id_that_could_leave_the_folder_is_refused(tmp_path, run_id):
    with pytest.raises(ValueError, match="run ID"), opened(tmp_path, run_id):
        pytest.fail("opened")


# --- appending ---


def test_records_are_numbered_chained_and_on_disk_when_append_returns(tmp_path):
    with opened(tmp_path / "deep" / "runs") as journal:
        first = journal.append("run.started", devices=2)
        second = journal.append("device.imported", tray="T-0001", slot=1)

        lines = journal.path.read_bytes().splitlines()
        assert [first.hash, second.hash] == [json.loads(line)["hash"] for line in lines]
        assert (first.seq, first.prev) == (0, GENESIS)
        assert (1, first.hash) == (second.seq, second.prev)
        assert (2, second.hash) == (journal.seq, journal.head)
        assert [first, second] == list(replay(journal.path))


def test_monotonic_time_counts_from_the_opening(tmp_path):
    now_s = [1000.0]
    with opened(tmp_path, mono=lambda: now_s[0]) as journal:
        now_s[0] += 1.2341

        assert journal.append("run.started").mono_ms == 1234
        assert journal.mono_ms() == 1234


def test_listeners_hear_each_record_after_it_is_synced(tmp_path):
    heard = []
    synced = []
    with opened(tmp_path, sync=synced.append) as journal:
        journal.append("run.started")
        journal.subscribe(lambda record: heard.append((record.event, len(synced))))
        journal.append("run.finished")

    assert heard == [("run.finished", 2)]


def test_a_listener_that_appends_is_a_bug(tmp_path):
    with opened(tmp_path) as journal:
        journal.subscribe(lambda _: journal.append("line.held"))

        with pytest.raises(RuntimeError, match="must not append"):
            journal.append("run.started")

    assert verify(journal.path).records == 1


def test_a_failing_listener_stops_the_caller_but_not_the_journal(tmp_path):
    with opened(tmp_path) as journal:
        journal.subscribe(lambda _: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                journal.append("run.started")

    assert verify(journal.path).records == 2


def test_bound_fields_are_filled_in_and_given_ones_win(tmp_path):
    with opened(tmp_path) as journal:
        station = journal.bound(station="ST1", attempt=1)
        visit = station.bound(tray="T-0001", attempt=2)

        plain = station.append("station.started")
        bound = visit.append("visit.started", tray="T-0002")

    assert (plain.station, plain.tray, plain.attempt) == ("ST1", None, 1)
    assert (bound.station, bound.tray, bound.attempt) == ("ST1", "T-0002", 2)


def test_a_refused_record_leaves_the_journal_as_it_was(tmp_path):
    with opened(tmp_path) as journal:
        journal.append("run.started")
        with pytest.raises(ValueError, match="a secret in 'detail'"):
            journal.append("run.finished", detail=Secret("hunter2"))
        journal.append("run.finished")

    assert verify(journal.path).records == 2
    assert b"hunter2" not in journal.path.read_bytes()


async def test_append_is_no_checkpoint(tmp_path):
    with opened(tmp_path) as journal, trio.testing.assert_no_checkpoints():
        journal.append("run.started")


def test_ctrl_c_cannot_fall_between_the_bytes_and_the_state(tmp_path):
    states = []

    async def task():  # plain task code, in which trio raises KeyboardInterrupt at any instruction
        with opened(tmp_path, sync=lambda _: signal.raise_signal(signal.SIGINT)) as journal:
            record = journal.append("run.started")
            states.append((journal.seq, journal.head == record.hash))
            await trio.lowlevel.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        trio.run(task)

    assert states == [(1, True)]


# --- a disk that does not take it ---


def test_after_a_failed_sync_nothing_is_written_or_synced_again(tmp_path):
    syncs = []

    def failing(descriptor):
        syncs.append(descriptor)
        raise OSError(5, "Input/output error")

    with opened(tmp_path, sync=failing) as journal:
        with pytest.raises(JournalWriteFailed, match=r"journal\.jsonl.*Input/output error"):
            journal.append("run.started")
        size = journal.path.stat().st_size
        with pytest.raises(JournalWriteFailed, match="Input/output error"):
            journal.bound(station="ST1").append("station.started")

    assert len(syncs) == 1
    assert size == journal.path.stat().st_size


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "That disk fails"),
        (errno.EFBIG, "ulimit"),
        (errno.ENODEV, "Check the disk"),
    ],
)
def test_f4_the_message_names_the_disk_and_what_to_do_each_time(tmp_path, number, remedy):
    """F4: also at the end of the run, which is what a person reads."""

    def failing(_):
        raise OSError(number, os.strerror(number))

    with opened(tmp_path, sync=failing) as journal:
        for _ in range(2):
            with pytest.raises(
                JournalWriteFailed, match=rf"{os.strerror(number)} \(the disk mounted at /.*\)"
            ) as failed:
                journal.append("run.started")
            assert remedy in failed.value.remedy


def test_who_asked_is_told_at_once_and_once_that_the_journal_is_broken(tmp_path):
    """F4: nobody goes on working while the one who met the failure cleans up."""
    told = []

    def failing(_):
        raise OSError(28, "No space left on device")

    with opened(tmp_path, sync=failing) as journal:
        journal.when_broken(lambda: told.append(journal.seq))
        for _ in range(2):
            with pytest.raises(JournalWriteFailed):
                journal.append("run.started")

    assert told == [0]


def test_a_write_that_was_left_halfway_breaks_the_journal(tmp_path):
    class Unforeseen(BaseException):
        pass

    def exploding(_):
        raise Unforeseen

    with opened(tmp_path, sync=exploding) as journal:
        with pytest.raises(Unforeseen):
            journal.append("run.started")
        with pytest.raises(JournalWriteFailed, match="did not come to its end"):
            journal.append("run.started")


def test_listeners_never_hear_of_a_record_that_is_not_on_the_disk(tmp_path):
    heard = []

    def failing(_):
        raise OSError(28, "No space left on device")

    with opened(tmp_path, sync=failing) as journal:
        journal.subscribe(heard.append)
        with pytest.raises(JournalWriteFailed, match="No space left on device"):
            journal.append("run.started")

    assert heard == []


def test_a_full_disk_stops_the_run_and_leaves_a_prefix(tmp_path):
    limit = 5_000
    process = elsewhere(
        "import resource\n"
        "from provisioner.errors import JournalWriteFailed\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "with opened(sys.argv[1], 'r-1') as journal:\n"
        "    try:\n"
        "        while True: journal.append('run.started', detail='x' * 100)\n"
        "    except JournalWriteFailed as error: print(journal.seq, error.detail)\n"
        "    try: journal.append('run.finished')\n"
        "    except JournalWriteFailed: print('still broken')\n",
        tmp_path,
    )
    out, err = process.communicate(timeout=30)

    found = verify(tmp_path / "r-1" / "journal.jsonl")
    first, second = out.splitlines()
    assert err == ""
    assert str(found.records) == first.split()[0]
    assert found.records > 3
    assert found.torn_bytes > 0
    assert found.path.stat().st_size == limit
    assert "cannot be written" in first
    assert second == "still broken"
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (limit, limit)


# --- the folder and the lock ---


def test_a_runs_folder_that_cannot_be_is_refused_with_its_name(tmp_path):
    (tmp_path / "runs").write_text("a file")

    with (
        pytest.raises(RunsFolderUnusable, match=re.escape(str(tmp_path / "runs"))) as refused,
        opened(tmp_path / "runs"),
    ):
        pytest.fail("opened")

    assert "--runs-dir" in refused.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_runs_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunsFolderUnusable, match="Permission denied"), opened(tmp_path):
            pytest.fail("opened")
    finally:
        tmp_path.chmod(0o700)


def test_a_lock_file_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "runs" / "lock").symlink_to(tmp_path / "precious")

    with pytest.raises(RunsFolderUnusable), opened(tmp_path / "runs"):
        pytest.fail("opened")

    assert (tmp_path / "precious").read_text() == "keep me"


def test_a_run_is_never_written_into_twice(tmp_path):
    with opened(tmp_path, "r-1") as journal:
        journal.append("run.started")
    before = journal.path.read_bytes()

    with pytest.raises(RunsFolderUnusable, match="exists"), opened(tmp_path, "r-1"):
        pytest.fail("opened")

    assert before == journal.path.read_bytes()


def test_the_journal_is_not_for_everybody(tmp_path):
    with opened(tmp_path / "runs") as journal:
        assert journal.path.stat().st_mode & 0o007 == 0
        assert journal.path.parent.stat().st_mode & 0o007 == 0


def test_a_second_run_is_refused_naming_the_first_and_touches_nothing(tmp_path):
    """F19: who wants it too must find whoever has it, perhaps on another computer of a shared disk."""
    with opened(tmp_path, operator="Ada\x1b[2J"):
        with pytest.raises(JournalLocked) as no, opened(tmp_path, "r-2"):
            pytest.fail("opened")

        holder = f"process {os.getpid()} on {socket.gethostname()}, operator Ada\\x1b[2J, run {RUN}, since 2026"
        assert f"{tmp_path} is in use by {holder}" in no.value.detail
        assert not (tmp_path / "r-2").exists()
    with opened(tmp_path, "r-3"):
        pass


def test_a_second_process_is_refused_until_the_first_has_died(tmp_path):
    holder = elsewhere(
        "with opened(sys.argv[1], 'r-1'):\n    print('held', flush=True)\n    sys.stdin.read()\n    time.sleep(60)\n",
        tmp_path,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        second = elsewhere(
            "from provisioner.errors import JournalLocked\n"
            "try:\n    with opened(sys.argv[1], 'r-2'): print('opened')\n"
            "except JournalLocked as error: print(error.detail)\n",
            tmp_path,
        )
        out, _ = second.communicate(timeout=30)
        assert f"process {holder.pid} on {socket.gethostname()}, run r-1" in out
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    with opened(tmp_path, "r-3"):  # kill -9 frees the lock
        pass


def test_the_holders_text_is_shown_harmless(tmp_path):
    with opened(tmp_path):
        (tmp_path / "lock").write_text("\x1b]0;owned\x07")
        with pytest.raises(JournalLocked) as refused, opened(tmp_path, "r-2"):
            pytest.fail("opened")

    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("seed", range(5))
def test_kill_minus_nine_leaves_every_acknowledged_record(tmp_path, seed):
    with elsewhere(
        "with opened(sys.argv[1], 'r-1') as journal:\n"
        "    while True: print(journal.append('run.started', detail='x' * 300).hash, flush=True)\n",
        tmp_path,
    ) as process:
        acknowledged = [process.stdout.readline().strip() for _ in range(random.Random(seed).randrange(1, 300))]
        process.kill()
        rest = process.stdout.read()  # (`communicate` would leave out what is in the buffer already)
    acknowledged += [line for line in rest.splitlines() if len(line) == 64]

    kept = [record.hash for record in replay(tmp_path / "r-1" / "journal.jsonl")]

    assert acknowledged == kept[: len(acknowledged)]
    assert len(kept) <= len(acknowledged) + 1
