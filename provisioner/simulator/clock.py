"""The simulated world's clock: reality's seconds, run faster by one factor.

Rule 1: every duration in the simulator is written in reality's seconds; only this module divides by the speed.
Rule 2: the clock is trio's, so under a MockClock the whole factory runs in virtual time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio

from provisioner.simulator.jumping_clock import sleep

EPOCH = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


class SimClock:
    """`speed` 10 means that ten simulated seconds pass in one of trio's; `epoch` is the cloud's time at the start."""

    def __init__(self, *, speed: float = 1.0, epoch: datetime = EPOCH) -> None:
        self.speed = speed
        self.epoch = epoch
        self._started_s: float | None = None

    def seconds(self) -> float:
        """Simulated seconds since the first call."""
        now_s = trio.current_time()
        if self._started_s is None:
            self._started_s = now_s
        return (now_s - self._started_s) * self.speed

    def now(self) -> datetime:
        """The cloud's time of day (UTC). Not the computer's: the two must never be compared."""
        return self.epoch + timedelta(seconds=self.seconds())

    def jump(self, seconds: float) -> None:
        """The computer slept so long: the world's time went on, trio's did not (it does not count a suspend)."""
        self._started_s = trio.current_time() - (self.seconds() + seconds) / self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait so many simulated seconds."""
        await sleep(max(0.0, seconds) / self.speed)
