"""How long to wait and how often: pure numbers, no clock and no sleeping.

Rule 1: randomness comes in as an argument, so a seed gives the same waits.
Rule 2: every series of delays ends (two limits: attempts and seconds).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` tries within `total_s` seconds; waits grow from `first_s` to `longest_s`."""

    attempts: int
    total_s: float
    first_s: float = 0.5
    longest_s: float = 10.0


def delays(policy: Retry, dice: random.Random) -> Iterator[float]:
    """Yield the wait before each try but the first: exponential, with full jitter in the upper half, in seconds."""
    spent = 0.0
    for attempt in range(policy.attempts - 1):
        ceiling = min(policy.longest_s, policy.first_s * 2.0 ** min(attempt, 60))  # a float has no room for 2**1024
        delay = ceiling * (0.5 + dice.random() / 2)
        spent += delay
        if spent > policy.total_s:
            return
        yield delay


def polls(first_s: float, longest_s: float, factor: float = 1.5) -> Iterator[float]:
    """Yield waits between polls, growing from `first_s` to `longest_s`, without end: the caller has the deadline."""
    wait = first_s
    while True:
        yield wait
        wait = min(longest_s, wait * factor)


class TokenBucket:
    """`burst` at once, then `per_second`; the caller brings the time and does the waiting.

    In any window of W seconds it lets at most burst + per_second * W through.
    """

    def __init__(self, *, per_second: float, burst: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self._level = burst
        self._at: float | None = None

    def take(self, now_s: float) -> float:
        """Take one token and return how many seconds to wait before using it."""
        if self._at is not None:
            self._level = min(self.burst, self._level + max(0.0, now_s - self._at) * self.per_second)
        self._at = now_s if self._at is None else max(self._at, now_s)
        self._level -= 1
        return 0.0 if self._level >= 0 else -self._level / self.per_second

    def wait_s(self, now_s: float) -> float:
        """Return how many seconds it is until a token is there; takes none. A rounding error short is there."""
        elapsed_s = 0.0 if self._at is None else max(0.0, now_s - self._at)
        level = min(self.burst, self._level + elapsed_s * self.per_second)
        return 0.0 if level > 1 - 1e-6 else (1 - level) / self.per_second
