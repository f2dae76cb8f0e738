"""Today's figures over runs: from the last record of a run that ended, from the whole of one that did not."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from provisioner.journal.writer import open_journal
from provisioner.today import counted_today

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DEVICES = [f"{number:024x}" for number in range(5)]


def run(folder, run_id, *, at=NOON, passes=2, finished=True, today=None):
    with open_journal(folder, run_id, wall=lambda: at, mono=lambda: 0.0) as journal:
        journal.append("run.started", command="run", devices=5, trays={"T": 5}, stations=["S1"], today=today)
        for number in range(passes):
            row = {"tray": "T", "slot": number + 1, "device": DEVICES[number], "station": "S1"}
            journal.append("device.identified", **row)
            journal.append("device.confirmed", outcome="pass", **row)
        if finished:
            journal.append("run.finished", outcome="pass", today={"S1": [passes, 0, 0]})
    return folder / run_id / "journal.jsonl"


def test_nothing_was_done_before_the_first_run(tmp_path):
    assert counted_today(tmp_path, "20261120T120000Z-0001", NOON) == {}


def test_a_run_that_ended_tells_it_in_its_last_record(tmp_path):
    run(tmp_path, "20261120T080000Z-0001")

    assert counted_today(tmp_path, "20261120T120000Z-0002", NOON) == {"S1": [2, 0, 0]}


def test_one_that_broke_off_is_counted_from_its_records_with_what_it_began_with(tmp_path):
    run(tmp_path, "20261120T080000Z-0001", finished=False, today={"S1": [10, 1, 1]})

    assert counted_today(tmp_path, "20261120T120000Z-0002", NOON) == {"S1": [12, 1, 1]}


@pytest.mark.parametrize("finished", [True, False])
def test_yesterday_is_over(tmp_path, finished):
    run(tmp_path, "20261118T080000Z-0001", at=NOON - timedelta(days=2), finished=finished)

    assert counted_today(tmp_path, "20261120T120000Z-0002", NOON) == {}


def test_this_run_and_a_nights_repairs_are_not_asked(tmp_path):
    run(tmp_path, "20261120T080000Z-0001")
    with open_journal(tmp_path, "20261120T090000Z-0002", wall=lambda: NOON, mono=lambda: 0.0) as night:
        night.append("run.started", command="reconcile")
    run(tmp_path, "20261120T120000Z-0003", passes=0, finished=False)

    assert counted_today(tmp_path, "20261120T120000Z-0003", NOON) == {"S1": [2, 0, 0]}


def test_a_journal_that_cannot_be_read_counts_nothing_and_stops_nobody(tmp_path):
    path = run(tmp_path, "20261120T080000Z-0001", finished=False)
    lines = path.read_text().splitlines()
    spoilt = json.loads(lines[2])
    lines[2] = json.dumps(spoilt | {"slot": 9})
    path.write_text("\n".join(lines) + "\n")

    assert counted_today(tmp_path, "20261120T120000Z-0002", NOON) == {}
