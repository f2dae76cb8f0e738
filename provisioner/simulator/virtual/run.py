"""Runs a program in virtual time, one order for one seed.

Rule 1: this is the one place that touches trio's private scheduling switches (trio shuffles tasks on purpose).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
import trio._core._run as trio_scheduler
from trio.testing import MockClock

T = TypeVar("T")


def run_virtually(main: Callable[..., Awaitable[T]], *args: Any, seed: int = 0) -> T:
    """`trio.run` under a clock that jumps to the next deadline whenever nobody has anything to do."""
    with one_order(seed):
        return trio.run(main, *args, clock=MockClock(autojump_threshold=0))


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
