"""The reader: every prefix opens, every change is found, a torn tail is said and can be cut."""

from datetime import UTC, datetime

import pytest

from provisioner.errors import JournalCorrupt, JournalError, JournalTooNew, JournalWriteFailed
from provisioner.journal.fields import GENESIS
from provisioner.journal.reader import RunFolder, newest, replay, runs, settle, verify
from provisioner.journal.records import compose
from provisioner.journal.writer import open_journal

AT = datetime(2026, 11, 20, 23, 16, tzinfo=UTC)


def lines_of(count=4, run="r-1", at=AT):
    prev = GENESIS
    for seq in range(count):
        fields = {"station": "ST1", "evidence": {"owner": "a"}, "slot": seq}
        record, line = compose("device.confirmed", fields, seq=seq, at=at, mono_ms=seq * 10, run=run, prev=prev)
        prev = record.hash
        yield line


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(lines_of()))
    return path


def test_a_whole_journal_verifies(whole):
    found = verify(whole)

    records = list(replay(whole))
    assert (found.records, found.torn_bytes, found.first_at, found.last_at) == (4, 0, AT, AT)
    assert found.head_hash == records[-1].hash
    assert [record.slot for record in records] == [0, 1, 2, 3]


def test_an_empty_journal_verifies(tmp_path):
    (tmp_path / "journal.jsonl").touch()

    found = verify(tmp_path / "journal.jsonl")

    assert (found.records, found.torn_bytes, found.head_hash, found.first_at) == (0, 0, GENESIS, None)


def test_every_prefix_replays_to_a_prefix_and_can_be_repaired(whole):
    data = whole.read_bytes()
    expected = list(replay(whole))
    for size in range(len(data)):
        whole.write_bytes(data[:size])
        complete = data.count(b"\n", 0, size)
        torn = size - (data.rfind(b"\n", 0, size) + 1)

        reading = replay(whole)

        assert expected[:complete] == list(reading)
        assert torn == reading.torn_bytes
        assert torn == settle(whole).torn_bytes
        assert (complete, 0) == (verify(whole).records, verify(whole).torn_bytes)


@pytest.mark.parametrize("byte", [0x00, 0x20, 0x0A, 0x7B, 0x39, 0xFF, None])
def test_every_changed_byte_is_found(tmp_path, byte):
    path = tmp_path / "journal.jsonl"
    lines = list(lines_of(3))
    data = b"".join(lines)
    for index in range(len(data)):
        other = data[index] ^ 1 if byte is None else byte
        if other == data[index]:
            continue
        path.write_bytes(data[:index] + bytes([other]) + data[index + 1 :])
        try:
            found = verify(path)
        except (JournalCorrupt, JournalTooNew) as error:
            number = int(str(error).removeprefix(f"{path}:").split(":")[0])
            assert number in (data.count(b"\n", 0, index) + 1, data.count(b"\n", 0, index) + 2)
        else:  # only the last line can look like a torn write; then that is said, and the head differs
            assert index >= len(lines[0]) + len(lines[1])
            assert found.torn_bytes == len(lines[2])
            assert found.records == 2


def test_dropped_moved_doubled_and_foreign_records_are_found(tmp_path):
    path = tmp_path / "journal.jsonl"
    a, b, c, d = lines_of()
    foreign = list(lines_of(run="r-2"))
    for changed in ([b, c, d], [a, c, d], [a, b, d], [a, c, b, d], [a, a, b], [a, b, b], [a, foreign[1]], [a, b"\n"]):
        path.write_bytes(b"".join(changed) + d)
        with pytest.raises(JournalCorrupt):
            verify(path)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"prev": "f" * 64}, "'prev' is not the hash"), ({"seq": 9}, "'seq' is 9"), ({"run": "r-2"}, "another run")],
)
def test_a_well_made_record_that_does_not_belong_there_is_refused(whole, changes, what):
    parts = {"seq": 4, "at": AT, "mono_ms": 40, "run": "r-1", "prev": verify(whole).head_hash}
    _, line = compose("device.confirmed", {}, **(parts | changes))
    with whole.open("ab") as file:
        file.write(line)

    with pytest.raises(JournalCorrupt, match=rf":5: .*{what}"):
        verify(whole)


def test_a_cut_between_two_records_shows_only_in_the_head(whole):
    before = verify(whole)
    whole.write_bytes(b"".join(list(lines_of())[:3]))

    after = verify(whole)

    assert after.torn_bytes == 0
    assert before.head_hash != after.head_hash


def test_garbage_of_any_length_is_refused_without_reading_it_into_memory(whole, monkeypatch):
    monkeypatch.setattr("provisioner.journal.reader.LINE_BYTES_MAX", 1000)
    monkeypatch.setattr("provisioner.journal.records.LINE_BYTES_MAX", 1000)
    with whole.open("ab") as file:
        file.write(b"{" * 5000)

    with pytest.raises(JournalCorrupt, match=":5: longer than 1,000 bytes"):
        verify(whole)


def test_a_corrupt_journal_is_not_repaired(whole):
    data = whole.read_bytes().replace(b'"slot":1', b'"slot":9') + b'{"torn'
    whole.write_bytes(data)

    with pytest.raises(JournalCorrupt, match=r"journal\.jsonl:2: .*the line was changed"):
        settle(whole)

    assert data == whole.read_bytes()


def test_a_newer_schema_is_named_by_line(whole):
    whole.write_bytes(whole.read_bytes() + b'{"v":2,"seq":4}\n' + b"{}\n")

    with pytest.raises(JournalTooNew, match=":5: the record has schema version 2"):
        verify(whole)


def test_replay_gives_records_before_it_reads_on(whole):
    whole.write_bytes(whole.read_bytes() + b"garbage\nmore garbage\n")
    reading = replay(whole)

    assert [next(reading).seq for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(JournalCorrupt):
        next(reading)


def test_a_journal_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(JournalError, match="No such file"):
        verify(tmp_path / "none.jsonl")
    with pytest.raises(JournalError, match="directory"):
        verify(tmp_path)


def test_a_tail_that_cannot_be_cut_is_said(whole, monkeypatch):
    whole.write_bytes(whole.read_bytes()[:-5])

    def failing(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", failing)
    with pytest.raises(JournalWriteFailed, match="Input/output error"):
        settle(whole)


# --- which runs there are ---


def run_at(runs_dir, run_id, at):
    (runs_dir / run_id).mkdir()
    (runs_dir / run_id / "journal.jsonl").write_bytes(b"".join(lines_of(1, run=run_id, at=at)))


def test_runs_are_listed_oldest_first_also_within_one_second(tmp_path):
    run_at(tmp_path, "20261120T231601Z-0000", AT)
    run_at(tmp_path, "20261120T231600Z-ffff", AT)
    run_at(tmp_path, "20261120T231600Z-aaaa", AT.replace(microsecond=500_000))
    (tmp_path / "20261120T231602Z-0000").mkdir()  # no journal: never began
    (tmp_path / "README.md").touch()

    ids = ["20261120T231600Z-ffff", "20261120T231600Z-aaaa", "20261120T231601Z-0000"]
    assert ids == [run.id for run in runs(tmp_path)]
    assert newest(tmp_path) == RunFolder(ids[-1], tmp_path / ids[-1])
    assert newest(tmp_path).journal == tmp_path / ids[-1] / "journal.jsonl"


def test_a_broken_journal_does_not_hide_the_other_runs(tmp_path):
    run_at(tmp_path, "20261120T231600Z-aaaa", AT)
    run_at(tmp_path, "20261120T231600Z-bbbb", AT)
    (tmp_path / "20261120T231600Z-bbbb" / "journal.jsonl").write_bytes(b"garbage\n\n\n")

    assert len(runs(tmp_path)) == 2


def test_no_folder_is_no_runs(tmp_path):
    assert runs(tmp_path / "none") == []
    assert newest(tmp_path / "none") is None


def test_what_the_writer_wrote_verifies_with_real_syncs(tmp_path):
    with open_journal(tmp_path, "r-1", wall=lambda: AT, mono=lambda: 0.0) as journal:
        for slot in range(20):
            journal.append("device.confirmed", slot=slot)

        assert journal.head == verify(journal.path).head_hash
    assert [run.id for run in runs(tmp_path)] == ["r-1"]
