"""The head beside a journal: it finds a cut-off end, and no crash ever makes it accuse anybody."""

import os
import shutil

import pytest
from journal_samples import SAMPLE, written

from provisioner.errors import JournalCorrupt, JournalCut, JournalWriteFailed
from provisioner.journal.disk import Disk
from provisioner.journal.head import HEAD_NAME, LINE_BYTES, End, Head, born, parsed
from provisioner.journal.reader import replay, require_in_chain, settle, verify
from provisioner.journal.writer import open_journal
from provisioner.simulator.disk import UnsyncedDisk


def head_file(journal):
    return journal.with_name(HEAD_NAME)


def test_after_every_record_the_head_is_the_journals(tmp_path):
    path = written(tmp_path, check=lambda journal: verify(journal.path))

    found = verify(path)
    assert (found.end, found.kept) == (End.WHOLE, Head(len(SAMPLE), found.head_hash))
    assert [next(replay(path)).extra["head"]] == [HEAD_NAME]
    assert (found.doubt, found.note) == ("", "")


def test_a_journal_without_records_is_whole(tmp_path):
    path = written(tmp_path, records=0)

    assert verify(path).end is End.WHOLE


def test_the_heads_line_has_one_length_and_reads_back():
    heads = [Head(0), Head(7, "ab" * 32), Head(10**12 - 1, "f" * 64)]

    assert {len(head.line()) for head in heads} == {LINE_BYTES}
    assert [parsed(head.line()) for head in heads] == heads
    assert parsed(born()) == Head()


# --- what crashes leave ---


def test_f1_a_head_that_a_power_cut_tore_accuses_nobody(tmp_path):
    """F1: the line that is written over may be old, new, or any mixture; the journal is safe up to the new one."""
    path = written(tmp_path)
    new = head_file(path).read_bytes()
    old = born()[:LINE_BYTES] + Head(len(SAMPLE) - 1, list(replay(path))[-2].hash).line()
    mixed = [new[:at] + old[at:] for at in range(len(new) + 1)] + [old[:at] + new[at:] for at in range(len(new) + 1)]
    zeros = [new[:LINE_BYTES] + bytes(at) + new[LINE_BYTES + at :] for at in range(LINE_BYTES + 1)]
    cut = [new[: LINE_BYTES + at] for at in range(LINE_BYTES)]
    for data in mixed + zeros + cut:
        head_file(path).write_bytes(data)

        assert verify(path).end in (End.WHOLE, End.BEHIND)


def test_f1_a_head_that_is_behind_is_brought_up_before_the_next_run(tmp_path):
    """F1: so that from then on a cut-off end is found again."""
    path = written(tmp_path)
    head_file(path).write_bytes(born())

    found = settle(path, UnsyncedDisk())

    assert found.end is End.BEHIND
    assert "at 0 records" in found.note
    assert verify(path).end is End.WHOLE


def test_f1_settling_cuts_the_torn_line_and_then_brings_up_the_head(tmp_path):
    """F1."""
    path = written(tmp_path)
    head_file(path).write_bytes(born())
    path.write_bytes(path.read_bytes() + b'{"v":1,"seq"')

    assert settle(path, UnsyncedDisk()).torn_bytes == 12
    assert (verify(path).end, verify(path).torn_bytes) == (End.WHOLE, 0)


def test_a_run_that_still_writes_is_not_cut(tmp_path):
    with open_journal(tmp_path, "r-1", wall=SAMPLE.wall, mono=lambda: 0.0, disk=UnsyncedDisk()) as journal:
        journal.append("run.started")
        assert verify(journal.path).end is End.WHOLE


# --- what no crash leaves ---


def test_f36_a_tail_cut_anywhere_is_found(tmp_path):
    """F36: between two records, where the chain alone says nothing, and in the middle of one."""
    path = written(tmp_path)
    whole = path.read_bytes()
    for size in reversed(range(len(whole))):
        os.truncate(path, size)

        with pytest.raises(JournalCut, match=r"journal\.jsonl: it has .* records, and its head says that 6 records"):
            verify(path).require_whole()


def test_f36_a_cut_tail_is_left_as_evidence_and_a_run_may_go_on(tmp_path):
    """F36, I5: settling neither repairs the head nor refuses."""
    path = written(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    head = head_file(path).read_bytes()

    found = settle(path, UnsyncedDisk())

    assert "the end was cut off, or the disk lost what it had confirmed" in found.doubt
    assert head == head_file(path).read_bytes()


def test_f36_every_changed_byte_is_found(tmp_path):
    """F36: in the last record too, where the chain alone takes some changes for a torn write."""
    path = written(tmp_path)
    whole = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for index, byte in enumerate(whole):
            for other in {byte ^ 1, 0x0A, 0x7D, 0x00} - {byte}:
                os.pwrite(file.fileno(), bytes([other]), index)

                with pytest.raises(JournalCorrupt):
                    verify(path).require_whole()
            os.pwrite(file.fileno(), bytes([byte]), index)
    assert verify(path).end is End.WHOLE


def test_f36_every_removed_repeated_or_swapped_record_is_found(tmp_path):
    """F36."""
    path = written(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = [lines[:at] + lines[at + 1 :] for at in range(len(lines))]
    changed += [[*lines[: at + 1], *lines[at:]] for at in range(len(lines))]
    for one in range(len(lines)):
        for other in range(one):
            swapped = list(lines)
            swapped[one], swapped[other] = lines[other], lines[one]
            changed.append(swapped)
    for version in changed:
        path.write_bytes(b"".join(version))

        with pytest.raises(JournalCorrupt):
            verify(path).require_whole()


def test_f36_an_end_that_was_written_anew_is_found(tmp_path):
    """F36: whoever knows the format can make a chain that verifies; it is not the one whose head was kept."""
    path = written(tmp_path)
    forged = written(tmp_path / "forged", changed="device.failed")
    shutil.copy(forged, path)

    with pytest.raises(JournalCut, match="the end was replaced"):
        verify(path).require_whole()


@pytest.mark.parametrize(("damage", "what"), [("gone", "is gone"), ("empty", "cannot be read"), ("junk", "cannot be")])
def test_f36_a_head_that_was_deleted_or_spoilt_is_missed(tmp_path, damage, what):
    """F36: the first record says that a head was kept, and no crash spoils both of its lines."""
    path = written(tmp_path)
    if damage == "gone":
        head_file(path).unlink()
    else:
        head_file(path).write_bytes({"empty": b"", "junk": b"x" * 190}[damage])

    with pytest.raises(JournalCut, match=what):
        verify(path).require_whole()


def test_a_journal_from_before_heads_is_read_and_said(tmp_path):
    path = written(tmp_path)
    head_file(path).unlink()
    lines = path.read_bytes().splitlines(keepends=True)
    (tmp_path / "old.jsonl").write_bytes(b"".join(SAMPLE.without_head(lines)))

    found = verify(tmp_path / "old.jsonl")

    assert (found.end, found.doubt) == (End.NOT_KEPT, "")
    assert "older program" in found.note


def test_a_head_from_a_report_must_be_in_the_chain(tmp_path):
    """F36: the head that was kept elsewhere finds what a person has done to both files."""
    path = written(tmp_path)
    heads = [record.hash for record in replay(path)]
    for head in heads:
        require_in_chain(path, head.upper())
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    head_file(path).write_bytes(born()[:LINE_BYTES] + Head(3, heads[2]).line())

    assert verify(path).end is End.WHOLE
    with pytest.raises(JournalCut, match="no record has the hash"):
        require_in_chain(path, heads[-1])


# --- the disk ---


class Failing(Disk):
    """Fails at the head only."""

    def __init__(self, what):
        self.what = what
        self.syncs = 0

    def write_at(self, descriptor, data, at):
        if at == LINE_BYTES and self.what == "write":
            raise OSError(5, "Input/output error")
        return super().write_at(descriptor, data, at)

    def sync_data(self, descriptor):
        self.syncs += 1
        if self.what == "close" and self.syncs == 2:
            raise OSError(5, "Input/output error")


def test_f4_a_head_that_cannot_be_written_breaks_the_journal(tmp_path):
    """F4: the disk is bad, whichever file says so first."""
    with open_journal(tmp_path, "r-1", wall=SAMPLE.wall, mono=lambda: 0.0, disk=Failing("write")) as journal:
        for _ in range(2):
            with pytest.raises(JournalWriteFailed, match="Input/output error"):
                journal.append("run.started")

    assert verify(journal.path).end is End.BEHIND


def test_f4_a_head_that_cannot_be_synced_at_the_end_is_said_but_hides_nothing(tmp_path):
    """F4."""
    with (
        pytest.raises(JournalWriteFailed, match="Input/output error"),
        open_journal(tmp_path, "r-1", wall=SAMPLE.wall, mono=lambda: 0.0, disk=Failing("close")) as journal,
    ):
        journal.append("run.started")
    with pytest.raises(ZeroDivisionError):
        fail_in_a_journal(tmp_path)


def fail_in_a_journal(runs_dir):
    with open_journal(runs_dir, "r-2", wall=SAMPLE.wall, mono=lambda: 0.0, disk=Failing("close")) as journal:
        journal.append("run.started")
        raise ZeroDivisionError
