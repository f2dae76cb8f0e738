"""The index is quick and never the truth: it goes on where it stopped, and is built again when a journal changed."""

import json
import shutil

import pytest

from provisioner.errors import InputRefused, JournalTooNew
from provisioner.model import DeviceID, Outcome
from provisioner.reconcile.index import INDEX_NAME, open_index
from provisioner.reconcile.life import find, life_of

A, B = "3b0021001747353236343033", "3b0021001747353236343034"
PASSED = {"owner": "line3@example.com", "last_handshake_at": "2026-11-19T06:00:00.000Z"}


def imported(device, slot=1):
    return ("device.imported", {"device": device, "tray": "T-1", "slot": slot, "code": "added"})


def confirmed(device, slot=1):
    return ("device.confirmed", {"device": device, "tray": "T-1", "slot": slot, "outcome": "pass", "evidence": PASSED})


def failed(device, slot=1):
    return ("device.failed", {"device": device, "tray": "T-1", "slot": slot, "outcome": "fail", "code": "not_claimed"})


def facts(tmp_path, *devices):
    with open_index(tmp_path / "runs") as index:
        index.refresh()
        found = index.facts_of(devices)
        return [found.get(device) for device in devices], index.records_read


def test_the_last_final_record_over_all_runs_counts(tmp_path, write):
    write("run-1", imported(A), failed(A), imported(B, 2), confirmed(B, 2))
    write("run-2", confirmed(A), ("device.skipped", {"device": B, "tray": "T-1", "slot": 2, "outcome": "skipped"}))
    (a, b), _ = facts(tmp_path, A, B)

    assert (a.outcome, a.run, a.owner) == (Outcome.PASS, "run-2", "line3@example.com")
    assert (b.outcome, b.run) == (Outcome.PASS, "run-1"), "a turn that did not come takes no proof away"


@pytest.mark.parametrize(("then", "is_open"), [((), True), (("skipped",), True), (("failed",), False)])
def test_a_board_that_was_given_the_wifi_is_open_until_a_final_record_knows_better(tmp_path, write, then, is_open):
    """The power went between `wifi.intended` and connect-ap: with power the board goes online by itself."""
    row = {"device": A, "tray": "T-1", "slot": 1}
    ends = {"skipped": ("device.skipped", {**row, "outcome": "skipped"}), "failed": failed(A)}
    write("run-1", imported(A), ("wifi.intended", row), *(ends[word] for word in then))
    (a,), _ = facts(tmp_path, A)

    assert (a.has_wifi, a.open, a.run) == (is_open, is_open, "run-1")


def test_a_second_night_with_nothing_new_reads_nothing(tmp_path, write):
    write("run-1", imported(A), confirmed(A))
    assert facts(tmp_path, A)[1] == 3
    assert facts(tmp_path, A)[1] == 0

    write("run-2", failed(A))
    (a,), read = facts(tmp_path, A)
    assert (a.outcome, read) == (Outcome.FAIL, 2)


def test_a_journal_that_grew_is_read_from_where_it_stopped(tmp_path, write):
    path = write("run-1", imported(A), confirmed(A))
    whole = path.read_bytes()
    *first, last = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(first) + last[:-9])  # a run that is being written
    (a,), read = facts(tmp_path, A)
    assert (a.outcome, read) == (None, 2)

    path.write_bytes(whole)
    (a,), read = facts(tmp_path, A)
    assert (a.outcome, read) == (Outcome.PASS, 1)


@pytest.mark.parametrize("change", ["shorter", "gone", "another", "damaged index", "older index"])
def test_it_is_built_again_from_the_journals(tmp_path, write, change):
    path = write("run-1", imported(A), confirmed(A))
    facts(tmp_path, A)
    if change == "shorter":
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    elif change == "gone":
        shutil.rmtree(path.parent)
    elif change == "another":
        shutil.rmtree(path.parent)
        write("run-1", imported(A), failed(A))
    elif change == "damaged index":
        (tmp_path / "runs" / INDEX_NAME).write_bytes(b"this is no database" * 100)
    else:
        with open_index(tmp_path / "runs") as index:
            index.database.execute("UPDATE meta SET version = '0'")
            index.database.commit()
    (a,), _ = facts(tmp_path, A)

    expected = {"shorter": None, "another": Outcome.FAIL}.get(change, Outcome.PASS)
    assert (a is None) if change == "gone" else (a.outcome is expected)


def test_a_journal_that_does_not_verify_puts_its_devices_in_doubt_until_another_proves_them(tmp_path, write):
    path = write("run-1", imported(A), confirmed(A), imported(B, 2), confirmed(B, 2), imported(B, 2))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"slot":2', b'"slot":3')
    path.write_bytes(b"".join(lines))
    (a, b), _ = facts(tmp_path, A, B)
    assert a.in_doubt
    assert b.in_doubt
    with open_index(tmp_path / "runs") as index:
        assert "run-1" in index.journals()[0].trouble

    write("run-2", confirmed(A))
    (a, b), _ = facts(tmp_path, A, B)
    assert not a.in_doubt
    assert b.in_doubt


def test_a_journal_of_a_newer_schema_is_refused_by_name(tmp_path, write):
    path = write("run-1", imported(A))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b'{"v":1,', b'{"v":9,'))

    with open_index(tmp_path / "runs") as index, pytest.raises(JournalTooNew, match="run-1"):
        index.refresh()


def test_a_copy_of_a_run_counts_once_and_is_named(tmp_path, write):
    path = write("run-1", imported(A), confirmed(A))
    shutil.copytree(path.parent, path.parent.with_name("copy-of-run-1"))

    with open_index(tmp_path / "runs") as index:
        index.refresh()
        assert index.doubled == ["copy-of-run-1"]
        assert [row.run for row in index.journals()] == ["run-1"]


def test_a_device_is_found_by_id_serial_and_slot_and_its_life_is_whole(tmp_path, write):
    write(
        "run-1", ("device.identified", {"device": A, "tray": "T-1", "slot": 1, "serial": "PHHMAB804PAKLJZ"}), failed(A)
    )
    write("run-2", imported(B, 2), confirmed(A), operator="Ada")
    with open_index(tmp_path / "runs") as index:
        index.refresh()
        assert {find(index, text) for text in (A, A.upper(), "phhmab804pakljz", "T-1/1")} == {A}
        life = life_of(index, DeviceID(A))

    assert [row.run for row, _ in life.runs] == ["run-1", "run-2"]
    assert [[record.event for record in records] for _, records in life.runs] == [
        ["device.identified", "device.failed"],
        ["device.confirmed"],
    ]
    assert life.runs[1][0].started["operator"] == "Ada"


@pytest.mark.parametrize("text", ["3b00210017473532363430ff", "T-1/77", "NOSERIAL", "", "../etc/passwd", "' OR 1=1 --"])
def test_what_nobody_knows_is_said_so(tmp_path, write, text):
    write("run-1", imported(A))
    with open_index(tmp_path / "runs") as index:
        index.refresh()
        with pytest.raises(InputRefused, match="no journal and no manifest knows"):
            find(index, text)


def test_a_slot_that_was_two_devices_is_asked_back(tmp_path, write):
    write("run-1", imported(A), imported(B))
    with open_index(tmp_path / "runs") as index:
        index.refresh()
        with pytest.raises(InputRefused, match="2 devices"):
            find(index, "T-1/1")


def test_parts_fold_like_the_whole(tmp_path, write, monkeypatch):
    events = [
        event for device in (A, B) for event in (imported(device), failed(device), imported(device), confirmed(device))
    ]
    write("run-1", *events)
    whole, _ = facts(tmp_path, A, B)
    monkeypatch.setattr("provisioner.reconcile.index.PART", 1)
    (tmp_path / "runs" / INDEX_NAME).unlink()

    assert facts(tmp_path, A, B)[0] == whole
    with open_index(tmp_path / "runs") as index:
        assert len(list(index.places_of(A))) == 4
        assert json.loads(json.dumps(index.journals()[0].started))["product"] == "tempmon-v100"
