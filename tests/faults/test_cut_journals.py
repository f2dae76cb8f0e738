"""A journal whose end is gone: it always opens, the next run always goes on, and says what it found."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "journal"))

from call_points import Points
from journal_samples import SAMPLE
from one_visit import Line, heal

from provisioner.earlier_runs import EarlierRuns
from provisioner.errors import ExitCode
from provisioner.job import Job, prepare
from provisioner.journal.head import HEAD_NAME, LINE_BYTES, Head, born
from provisioner.journal.reader import replay, runs
from provisioner.journal.writer import open_journal
from provisioner.model import DeviceID
from provisioner.simulator.call_checkers import Calls, nothing_twice
from provisioner.simulator.checkers import Lived, Said, Truth, no_false_confirmed, no_write_to_a_stranger
from provisioner.simulator.disk import UnsyncedDisk
from provisioner.simulator.virtual.run import run_virtually

OWNER = "line3+t-0001@example.com"


@pytest.fixture
def line(tmp_path):
    made = Line(tmp_path, Points())
    made.boards(1)
    return made


def test_f1_a_journal_cut_at_every_byte_opens_and_says_what_its_whole_records_say(line):
    """F1: what a resumed run knows is what the whole records say, wherever in the next one the power failed."""
    prepared = prepare(Job("run", *line.files(), line.runs_dir), {})
    device = line.listed[0].device_id
    with open_journal(line.runs_dir, "r-1", wall=SAMPLE.wall, mono=lambda: 0.0, disk=UnsyncedDisk()) as journal:
        for event, fields in SAMPLE:
            named = {"device": device} if "device" in fields else {}
            started = {"manifest_sha256": prepared.manifest.sha256, "cloud": prepared.settings.cloud.base_url}
            journal.append(event, **{**fields, **named, **(started if event == "run.started" else {})})
    whole = journal.path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 0x0A]
    known = {}
    for size in range(len(whole), -1, -1):
        records = sum(end <= size for end in ends)
        write_cut(journal.path, whole, size, records)

        earlier = EarlierRuns.read(prepared, "r-2", UnsyncedDisk())

        torn = size - ([0, *ends][records])
        assert earlier.torn == ({"r-1": torn} if torn else {})
        assert earlier.cut == {}
        assert earlier.resumes == (("r-1",) if records else ())
        assert known.setdefault(records, earlier.history.of(DeviceID(device))) == earlier.history.of(DeviceID(device))
    assert [known[count].outcome for count in (5, 6)] == ["pass", "pass"]
    assert [known[count].connecting for count in (4, 5)] == [True, False]
    assert known[0] is known[1] is None


def write_cut(path, whole, size, records):
    """A journal as a power cut leaves it: so many bytes of it, and a head that is at most as far."""
    put(path, whole[:size])
    kept = list(replay(path))
    last = Head(records, kept[-1].hash) if records else Head()
    put(path.with_name(HEAD_NAME), born()[:LINE_BYTES] + last.line())


def put(path, data):
    """Write over a file without emptying it first, which would make the disk wait."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


@pytest.mark.parametrize(
    "last",
    ["nothing", "run.started", "import.intended", "device.imported", "visit.started", "device.identified",
     "claim_code.intended", "wifi.intended", "connect.intended", "connect.accepted", "visit.ended", "device.confirmed"],
)  # fmt: skip
def test_f36_a_run_after_a_lost_end_says_so_and_does_nothing_twice(line, last):
    """F36, I5, I13: confirmed records are gone. The board is proven by the cloud, or honestly left."""
    board = line.listed[0]

    async def twice():
        async with line.alive(bring=False):
            line.world.present(board)
            await line.attempt()
            heal(line)
            journal = runs(line.runs_dir)[0].journal
            events = [record.event for record in replay(journal)]
            kept = events.index(last) + 1 if last in events else 0
            journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:kept]))
            return await line.attempt()

    end = run_virtually(twice, seed=1)

    said = list(replay(end.journal))
    assert [record.code for record in said if record.event == "journal.end_doubted"] == ["journal_cut"]
    in_doubt = [ExitCode.SOME_UNKNOWN] * (last == "wifi.intended")  # with that it goes online by itself
    assert end.exit_code in (ExitCode.ALL_GOOD, *(in_doubt or [ExitCode.SOME_FAILED]))
    if end.exit_code is ExitCode.SOME_FAILED:  # it is online, and this journal does not know that it did that
        assert [record.code for record in said if record.event == "device.skipped"] == ["not_seen"]
    truth = Truth(said, line.world.history, line.cloud, {board.device_id: OWNER}, visited={board.device_id})
    lived = Lived.of(truth.photons, truth.listed)
    calls = Calls(said, line.world.history, list(line.cloud.history), line.clock.epoch)
    assert [*no_false_confirmed(Said.of(said), lived, truth), *no_write_to_a_stranger(lived)] == []
    assert list(nothing_twice(calls)) == []
