"""The benchmarks run (what they measure is for people: `python tests/bench`)."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def benches(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "bench"))
    import import_rate
    import metered
    import night
    import serial

    yield metered, import_rate, serial, night
    for name in ("metered", "import_rate", "serial", "night", "line_benches"):
        sys.modules.pop(name, None)


def test_the_line_is_measured(benches):
    measured = benches[0].shift(12, 2)

    assert measured.passed == 12
    assert 0 < measured.held <= measured.busy <= 1


def test_so_is_a_line_in_a_process_of_its_own(benches):
    measured = benches[0].read(benches[0].started(12, 2))

    assert measured["passed"] == 12
    assert measured["peak_mb"] > 10


def test_so_is_the_serial_sequence(benches):
    assert benches[2].devices_per_hour(2) > 0


def test_so_is_the_import(benches):
    assert [row for row in benches[1].rate(full=False, devices=1500) if "of the limit" in row]


def test_so_is_the_night(benches):
    measured = benches[3].measure(1000)

    assert all(night[0].startswith("EVERYTHING ADDS UP: 1,000 devices") for night in measured["told"])
    assert [night[3] for night in measured["told"]] == [0, 0], "the runs have taken their journals in"
