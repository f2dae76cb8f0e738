"""What asks this process to end: Ctrl-C, a service manager, a terminal that is closed.

Rule 1: `nohup` is obeyed: a signal that was ignored when we were started is ignored.
Rule 2: one that comes when there is nothing left to end asks for nothing: it must not cut off what a run has to say.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

_LATE_MAX = 8


# A service manager's word, and a terminal that is closed: Windows knows no such thing.
LIKE_CTRL_C = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def stop_signals() -> list[signal.Signals]:
    """Those that ask a run to end."""
    return [one for one in (signal.SIGINT, *LIKE_CTRL_C) if signal.getsignal(one) is not signal.SIG_IGN]


@asynccontextmanager
async def heard() -> AsyncIterator[AsyncIterator[int]]:
    """The stop signals that come within the block, one after the other. Those that nobody took are forgotten.

    Only the main thread of a process can hear them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _none()
        return
    with trio.open_signal_receiver(*stop_signals()) as arrivals:
        yield arrivals
        # The receiver would raise what is left a second time when it closes.
        async with trio.open_nursery() as late:
            late.start_soon(_forget, arrivals)
            for _ in range(_LATE_MAX):
                await trio.lowlevel.checkpoint()
            late.cancel_scope.cancel()


async def _none() -> AsyncIterator[int]:
    await trio.sleep_forever()
    yield 0


async def _forget(arrivals: AsyncIterator[int]) -> None:
    async for _ in arrivals:
        pass
