"""Headline, final table and summary: never better than the records."""

import json

import pytest

from provisioner.console.verdict import TROUBLES_IN_TABLE_MAX, Tone, final_table, headline, summary
from provisioner.console.view import Screen

BEGUN = ("station.started", {"station": "ST1"})
HELD = ("line.held", {"code": "cloud_unreachable", "detail": "no answer for 2 min", "remedy": "Check the uplink."})
DRAINED = {"code": "adapter_unavailable", "detail": "wlan1 is gone", "remedy": "Plug it in again."}
FAIL = {"outcome": "fail", "code": "no_address", "blame": "device", "remedy": "Press RESET."}


def ended(*outcomes, finished="pass"):
    """Records that give the five devices these outcomes."""
    events = {"pass": "device.confirmed", "fail": "device.failed", "unknown": "device.unknown"}
    for number, outcome in enumerate(outcomes, start=1):
        event = events.get(outcome, "device.skipped")
        yield event, {"device": number, **(FAIL if outcome == "fail" else {}), "outcome": outcome}
    yield "run.finished", {"outcome": finished}


def test_before_anything_happened_and_while_the_line_opens_it_is_starting(fold):
    assert headline(Screen()).word == headline(fold()).word == "STARTING"
    assert "adapters" in headline(fold()).why


@pytest.mark.parametrize(
    ("steps", "word", "tone"),
    [
        ([], "STARTING", Tone.CALM),
        ([BEGUN], "LINE RUNNING", Tone.CALM),
        ([("device.imported", {"device": 1})], "LINE RUNNING", Tone.CALM),
        ([HELD, ("line.released", {})], "STARTING", Tone.CALM),
        ([BEGUN, HELD, ("line.released", {})], "LINE RUNNING", Tone.CALM),
        ([("import.intended", {"tray": "T-0001"})], "IMPORTING", Tone.CALM),
        ([HELD], "LINE HELD", Tone.BAD),
        ([("import.intended", {"tray": "T-0001"}), HELD], "LINE HELD", Tone.BAD),
        ([BEGUN, ("station.drained", {"station": "ST1", **DRAINED})], "LINE RUNNING", Tone.WARN),
        ([("station.drained", {"station": name, **DRAINED}) for name in ("ST1", "ST2")], "LINE STOPPED", Tone.BAD),
        ([*ended(*["pass"] * 5)], "FINISHED, ALL PASS", Tone.GOOD),
        ([*ended("pass", "pass", "fail", "unknown", "skipped", finished="fail")], "FINISHED, 1 FAIL", Tone.BAD),
        ([*ended("pass", "pass", "pass", "unknown", "skipped")], "FINISHED, 1 UNPROVEN", Tone.WARN),
        ([*ended("pass", "pass", "pass", "pass", "skipped")], "FINISHED, 1 SKIPPED", Tone.WARN),
        ([*ended("pass", finished="aborted")], "INTERRUPTED", Tone.BAD),
        ([*ended("pass")], "DOES NOT ADD UP", Tone.BAD),
        ([HELD, *ended(*["unknown"] * 5, finished="unknown")], "HELD, STOPPED", Tone.BAD),
    ],
)
def test_the_headline_says_the_worst_first(fold, steps, word, tone):
    head = headline(fold(*steps))

    assert (head.word, head.tone) == (word, tone)
    assert head.why or head.todo or tone in (Tone.CALM, Tone.GOOD)


def test_held_says_why_and_what_to_do(fold):
    head = headline(fold(HELD))

    assert (head.why, head.todo) == ("no answer for 2 min", "Check the uplink.")


def test_only_all_pass_is_good(fold):
    for worse in ("fail", "unknown", "skipped"):
        assert headline(fold(*ended(*["pass"] * 4, worse))).tone is not Tone.GOOD


def test_the_final_table_adds_up_by_row_and_column(fold):
    table = final_table(fold(*ended("pass", "fail", "unknown", "skipped", "pass", finished="fail")))

    assert table.columns == ("PASS", "FAIL", "UNPROVEN", "SKIPPED", "NOT DONE")
    assert [(row.name, row.counts) for row in table.rows] == [("T-0001", (1, 1, 1, 0, 0)), ("T-0002", (1, 0, 0, 1, 0))]
    assert all(sum(row.counts) == row.devices for row in (*table.rows, table.total))
    assert table.total.counts == tuple(map(sum, zip(*(row.counts for row in table.rows), strict=True)))
    assert [trouble.word for trouble in table.troubles] == ["FAIL", "UNPROVEN", "SKIPPED"]
    assert (table.more_trays, table.more_troubles, table.adds_up) == (0, 0, True)


def test_of_very_many_trays_only_those_not_all_pass_are_named(fold):
    started = ("run.started", {"trays": {f"T-{number:03}": 1 for number in range(100)}})
    done = [("device.confirmed", {"device": f"{n:024x}", "tray": f"T-{n:03}"}) for n in range(98)]
    failed = [("device.failed", {"device": f"{n:024x}", "tray": f"T-{n:03}", **FAIL}) for n in (98, 99)]

    table = final_table(fold(*done, *failed, started=started))

    assert [row.name for row in table.rows] == ["T-098", "T-099"]
    assert (table.more_trays, table.total.devices) == (98, 100)


def test_of_very_many_failures_some_are_named_and_the_rest_counted(fold):
    started = ("run.started", {"trays": {"T": 100}})
    failed = [("device.failed", {"device": f"{n:024x}", "tray": "T", **FAIL}) for n in range(100)]

    table = final_table(fold(*failed, started=started))

    assert len(table.troubles) == TROUBLES_IN_TABLE_MAX
    assert len(table.troubles) + table.more_troubles == 100


def test_the_summary_is_json_and_adds_up(fold):
    screen = fold(
        ("device.identified", {"station": "ST1", "device": 1}),
        ("station.drained", {"station": "ST2", **DRAINED}),
        *ended("pass", "fail", "unknown", "skipped", "fail", finished="fail"),
    )

    told = json.loads(json.dumps(summary(screen)))

    assert told["outcomes"] == {"pass": 1, "fail": 2, "unknown": 1, "skipped": 1, "open": 0}
    assert sum(told["outcomes"].values()) == told["devices"] == sum(told["states"].values())
    assert told["trays"]["T-0001"] == {"devices": 3, "pass": 1, "fail": 1, "unknown": 1, "skipped": 0, "open": 0}
    assert told["codes"] == {"no_address": 2, "": 2}
    assert told["stations"]["ST2"]["drained"] == "adapter_unavailable"
    assert (told["outcome"], told["adds_up"], told["head"]) == ("fail", True, screen.last.hash)


def test_the_summary_of_nothing_is_json():
    assert json.loads(json.dumps(summary(Screen())))["devices"] == 0
