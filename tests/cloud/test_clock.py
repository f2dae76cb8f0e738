"""The cloud's time of day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.cloud.clock import CloudClock

DATE = "Fri, 20 Nov 2026 06:00:00 GMT"
AT = datetime(2026, 11, 20, 6, tzinfo=UTC)


def test_nothing_is_known_before_the_first_answer():
    assert CloudClock().at(5.0) is None


def test_the_last_date_goes_on_by_the_seconds_since():
    """F25."""
    clock = CloudClock()
    clock.observe("Fri, 20 Nov 2026 05:00:00 GMT", 10.0)
    clock.observe(DATE, 100.0)

    assert clock.at(160.5) == AT + timedelta(seconds=60.5)
    assert clock.at(90.0) == AT - timedelta(seconds=10)


def test_a_date_without_a_zone_is_utc():
    clock = CloudClock()
    clock.observe("Fri, 20 Nov 2026 06:00:00 -0000", 0.0)

    assert clock.at(0.0) == AT


@pytest.mark.parametrize("date", [None, "", "soon", "Fri, 99 Nov 2026 06:00:00 GMT", "Fri, 20 Nov 99999 06:00:00 GMT"])
def test_what_is_no_date_is_skipped(date):
    clock = CloudClock()
    clock.observe(DATE, 0.0)
    clock.observe(date, 50.0)

    assert clock.at(0.0) == AT


@given(st.text(), st.floats(-1e9, 1e9))
def test_any_text_is_a_date_or_skipped(text, mono_s):
    clock = CloudClock()
    clock.observe(text, 0.0)
    clock.at(mono_s)
