"""Numbers of waiting: every series ends, a seed repeats it, and no window lets more through than it says."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.pacing import Retry, TokenBucket, delays, polls


@given(
    attempts=st.integers(1, 2000),
    total_s=st.floats(0, 1e6),
    first_s=st.floats(0.001, 100),
    longest_s=st.floats(0.001, 1000),
    seed=st.integers(),
)
def test_retries_end_by_attempts_and_by_seconds(attempts, total_s, first_s, longest_s, seed):
    policy = Retry(attempts, total_s, first_s, longest_s)

    waits = list(delays(policy, random.Random(seed)))

    assert len(waits) <= attempts - 1
    assert sum(waits) <= total_s
    assert all(0 < wait <= longest_s for wait in waits)
    assert waits == list(delays(policy, random.Random(seed)))


def test_waits_between_retries_double_until_the_longest():
    waits = list(delays(Retry(6, 1000, first_s=1, longest_s=4), random.Random(1)))

    for wait, ceiling in zip(waits, [1, 2, 4, 4, 4], strict=True):
        assert ceiling / 2 <= wait <= ceiling


def test_the_first_try_waits_for_nothing():
    assert list(delays(Retry(1, 100), random.Random(1))) == []


def test_polls_grow_to_the_longest_and_never_end():
    assert list(itertools.islice(polls(1, 4, factor=2), 6)) == [1, 2, 4, 4, 4, 4]


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = TokenBucket(per_second=2, burst=3)

    assert [bucket.take(100.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]


def test_a_bucket_fills_up_to_its_burst_and_no_further():
    bucket = TokenBucket(per_second=2, burst=3)
    for _ in range(3):
        bucket.take(0.0)

    assert bucket.take(0.5) == 0
    assert [bucket.take(1000.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_clock_that_steps_back_gives_nothing_away():
    bucket = TokenBucket(per_second=1, burst=1)

    assert [bucket.take(now) for now in (10.0, 9.0, 10.0)] == [0, 1, 2]


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=80),
    per_second=st.sampled_from([0.5, 1, 2, 8]),
    burst=st.integers(1, 10),
)
def test_no_window_lets_more_through_than_burst_and_rate(gaps, per_second, burst):
    """Eighths of a second, so that every number is exact."""
    bucket = TokenBucket(per_second=per_second, burst=burst)
    used = [now + bucket.take(now) for now in itertools.accumulate(gap / 8 for gap in gaps)]

    assert used == sorted(used)
    for first, last in itertools.combinations(range(len(used)), 2):
        assert last - first + 1 <= burst + per_second * (used[last] - used[first])


@pytest.mark.parametrize("count", [100])
def test_waiting_costs_no_more_than_the_rate(count):
    """A stream that keeps asking is let through at the full rate."""
    bucket = TokenBucket(per_second=10, burst=5)

    assert max(bucket.take(0.0) for _ in range(count)) == pytest.approx((count - 5) / 10)
