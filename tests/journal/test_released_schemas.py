"""Journals of every released program are read by this one; of a newer schema, none (F37)."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from provisioner.console.reports.run_report import RunReport
from provisioner.errors import JournalTooNew
from provisioner.journal.fields import GENESIS, SCHEMA_VERSION
from provisioner.journal.head import End
from provisioner.journal.reader import replay, verify
from provisioner.journal.records import compose, decode, encode
from provisioner.line.ledger import History
from provisioner.model import DeviceID, Outcome
from provisioner.reconcile.index import open_index

ROOT = Path(__file__).parents[2]
CORPUS = {folder.name: folder / "journal.jsonl" for folder in sorted((ROOT / "fixtures" / "journals").glob("*/"))}
WHAT_CAME_OF_IT = [
    (Outcome.PASS, ""),
    (Outcome.FAIL, "takeover_refused"),
    (Outcome.SKIPPED, "not_seen"),
    (Outcome.UNKNOWN, "not_proven"),
]

sys.path.insert(0, str(ROOT / "tests" / "faults"))


@pytest.fixture(params=CORPUS, ids=str)
def journal(request):
    return CORPUS[request.param]


def test_the_corpus_has_every_schema_there_ever_was():
    assert {decode(path.read_bytes().splitlines()[0]).v for path in CORPUS.values()} == {*range(1, SCHEMA_VERSION + 1)}
    assert len(CORPUS) == 3


def test_f37_an_old_journal_is_read_to_its_last_byte(journal):
    """F37."""
    records = list(replay(journal))

    found = verify(journal)
    assert (found.records, found.torn_bytes, found.doubt) == (44, 0, "")
    assert found.end is (End.WHOLE if "head" in journal.parent.name else End.NOT_KEPT)
    assert b"".join(map(encode, records)) == journal.read_bytes()


def test_f37_a_resumed_run_takes_from_it_what_stands_in_it(journal):
    """F37, I6: the proven board stays proven, the one told to connect belongs to the cloud first."""
    history = History()
    devices = {}
    for record in replay(journal):
        history.see(record)
        if record.tray and record.device:
            devices[record.device] = record.slot

    known = [history.of(DeviceID(device)) for device in sorted(devices, key=devices.get)]
    assert [(one.outcome, one.code) for one in known] == WHAT_CAME_OF_IT
    assert [one.connecting for one in known] == [False, False, False, True]
    assert known[0].evidence["owner"] == "line3+t-0001@example.com"
    assert known[3].cloud_from is not None


def test_f37_reports_and_the_nights_index_read_it(journal, tmp_path):
    """F37."""
    report = RunReport.of(replay(journal))
    assert report.outcomes() == {"pass": 1, "fail": 1, "unknown": 1, "skipped": 1}

    folder = tmp_path / report.run
    shutil.copytree(journal.parent, folder)
    with open_index(tmp_path) as index:
        index.refresh()
        assert (index.records_read, index.cut) == (44, [])
        assert [row.trouble for row in index.journals()] == [""]


def newer(path, v):
    """The same journal as a program of a later schema would have written it: a chain that holds."""
    prev = GENESIS
    for record in replay(path):
        fields = {key: value for key, value in json.loads(encode(record)).items() if key not in HEADS}
        _, line = compose(record.event, fields, seq=record.seq, at=record.at, mono_ms=0, run=record.run, prev=prev)
        line = line.replace(b'{"v":1,', b'{"v":%d,' % v, 1)
        body = line[: line.rindex(b',"hash":')]
        prev = sha256(body)
        yield body + b',"hash":"' + prev.encode() + b'"}\n'


HEADS = {"v", "seq", "at", "mono_ms", "run", "event", "prev", "hash"}


def sha256(body):
    import hashlib

    return hashlib.sha256(body).hexdigest()


def test_f37_a_newer_schema_is_refused_by_name_and_nothing_is_touched(journal, tmp_path):
    """F37: neither reading nor a run begins; the journal stays byte for byte, and no folder is left behind."""
    from call_points import Points
    from one_visit import Line

    from provisioner.simulator.virtual.run import run_virtually

    line = Line(tmp_path, Points())
    line.boards(1)
    path = line.runs_dir / "20300101T000000Z-0000" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(newer(journal, SCHEMA_VERSION + 1)))
    before = path.read_bytes()

    with pytest.raises(JournalTooNew, match="schema version 2"):
        list(replay(path))

    async def run():
        async with line.alive(bring=False):
            return await line.attempt()

    refused = run_virtually(run)
    assert isinstance(refused, JournalTooNew)
    assert str(path) in refused.detail
    assert "newer provisioner" in refused.remedy
    assert line.requests == []
    assert before == path.read_bytes()
    assert [entry.name for entry in line.runs_dir.iterdir() if entry.is_dir()] == [path.parent.name]
