"""Virtual time: a clock for trio that jumps to the next deadline as soon as no task can run, and cheap sleep on it.

Rule 1: trio asks its clock how long to wait for input only when no task can run: then it is time to jump.
Rule 2: who sleeps here stands in a queue of this clock's own. A shift sleeps a million times, and `trio.sleep` costs
a cancel scope, an entry among the deadlines and an exception for each.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from itertools import count
from typing import Any

import trio

_Sleeper = tuple[float, int, list[trio.lowlevel.Task]]  # when, its number, and who (emptied when cancelled)


class JumpingClock(trio.abc.Clock):
    """As `trio.testing.MockClock(autojump_threshold=0)`, with one turn of trio's loop for a jump instead of two."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[_Sleeper] = []
        self._numbers = count()

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump there, or to the first sleeper; without any wait for input (a signal) for ever."""
        sleepers = self._sleepers
        while sleepers and not sleepers[0][2]:
            heappop(sleepers)
        if sleepers and sleepers[0][0] < deadline:
            deadline = sleepers[0][0]
        if deadline == math.inf:
            return deadline
        self._now_s = max(self._now_s, deadline)
        while sleepers and sleepers[0][0] <= self._now_s:
            for task in heappop(sleepers)[2]:
                trio.lowlevel.reschedule(task)
        return 0.0

    async def sleep_until(self, when_s: float) -> None:
        """Sleep; a checkpoint in any case."""
        if when_s <= self._now_s:
            await trio.lowlevel.checkpoint()
            return
        who = [trio.lowlevel.current_task()]

        def wake(_: Any) -> trio.lowlevel.Abort:
            who.clear()
            return trio.lowlevel.Abort.SUCCEEDED

        heappush(self._sleepers, (when_s, next(self._numbers), who))
        await trio.lowlevel.wait_task_rescheduled(wake)


async def sleep(seconds: float) -> None:
    """`trio.sleep`, and the cheap one where the clock is a jumping one."""
    clock = trio.lowlevel.current_clock()
    if isinstance(clock, JumpingClock):
        await clock.sleep_until(clock.current_time() + seconds)
    else:
        await trio.sleep(seconds)
