"""Runs a program in virtual time, one order for one seed.

Rule 1: this is the one place that touches trio's private scheduling switches (trio shuffles tasks on purpose).
Rule 2: the clock jumps to the next deadline as soon as no task can run. It sees neither threads nor real sockets, so
nothing in a simulated world may wait for one.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio._core._run as trio_scheduler

T = TypeVar("T")


class JumpingClock(trio.abc.Clock):
    """As `trio.testing.MockClock(autojump_threshold=0)`, with one turn of trio's loop for a jump instead of two.

    trio asks it how long to wait for input only when no task can run: then it is time to jump.
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump there; without any deadline wait for input (a signal) for ever."""
        if deadline == float("inf"):
            return deadline
        self._now_s = max(self._now_s, deadline)
        return 0.0


def run_virtually(main: Callable[..., Awaitable[T]], *args: Any, seed: int = 0) -> T:
    """`trio.run` under a clock that jumps to the next deadline whenever nobody has anything to do."""
    with one_order(seed):
        return trio.run(main, *args, clock=JumpingClock())


@contextmanager
def one_order(seed: int) -> Iterator[None]:
    """Let trio choose among runnable tasks by this seed alone: the same program runs in the same order every time."""
    private: Any = trio_scheduler
    before = private._ALLOW_DETERMINISTIC_SCHEDULING, private._r
    private._ALLOW_DETERMINISTIC_SCHEDULING, private._r = True, random.Random(seed)
    try:
        yield
    finally:
        private._ALLOW_DETERMINISTIC_SCHEDULING, private._r = before
