"""Runs a program in virtual time, one order for one seed.

Rule 1: this is the one place that touches trio's private scheduling switches (trio shuffles tasks on purpose).
Rule 2: no clock of the computer's decides anything: the same program on a busy computer has the same history.
Rule 3: the clock jumps to the next deadline as soon as no task can run. It sees neither threads nor real sockets, so
nothing in a simulated world may wait for one. So trio need not ask the system for input between any two turns.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpcore._async.http11 as http_connections
import trio
import trio._core._run as trio_scheduler

from provisioner.simulator.jumping_clock import JumpingClock

T = TypeVar("T")


_private: Any = trio_scheduler


class _Order(random.Random):
    """The order of tasks. Most turns have one task."""

    def shuffle(self, x: Any) -> None:
        """As ever, and nothing for one."""
        if len(x) > 1:
            super().shuffle(x)


class _NoTime:
    """httpcore's clock. It closes a connection that was idle for five of the computer's seconds, not of the world's."""

    @staticmethod
    def monotonic() -> float:
        """Always now: an idle connection stays open, unless the other side closes it."""
        return 0.0


class _SeldomInput(_private.TheIOManager):  # type: ignore[misc]  # whichever this system has
    """trio's input, which the system is asked for only while nobody can run, or when something was put there.

    Nothing comes from outside but signals, whose handlers put what they want into the queue for trio's next turn.
    """

    def get_events(self, timeout: float) -> Any:
        """What came; nothing, at once, as long as there is something to do."""
        entries = _private.GLOBAL_RUN_CONTEXT.runner.entry_queue
        if timeout <= 0 and not entries.queue and not entries.idempotent_queue:
            return ()
        return super().get_events(timeout)


def run_virtually(main: Callable[..., Awaitable[T]], *args: Any, seed: int = 0) -> T:
    """`trio.run` under a clock that jumps to the next deadline whenever nobody has anything to do."""
    with one_order(seed):
        return trio.run(main, *args, clock=JumpingClock())


@contextmanager
def one_order(seed: int) -> Iterator[None]:
    """Let trio choose among runnable tasks by this seed alone: the same program runs in the same order every time."""
    before = _private._ALLOW_DETERMINISTIC_SCHEDULING, _private._r, _private.TheIOManager
    connections: Any = http_connections
    time_before, connections.time = connections.time, _NoTime
    _private._ALLOW_DETERMINISTIC_SCHEDULING, _private._r = True, _Order(seed)
    _private.TheIOManager = _SeldomInput
    try:
        yield
    finally:
        _private._ALLOW_DETERMINISTIC_SCHEDULING, _private._r, _private.TheIOManager = before
        connections.time = time_before
