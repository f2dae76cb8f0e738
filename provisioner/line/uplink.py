"""The way to the cloud, when it is the same radio that joins Photons.

Rule 1: with `uplink: shared` no cloud call is attempted while the adapter is away; with `separate` nothing waits.
Rule 2: leaving waits for the calls under way (each has its own deadline), and no new one begins meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Uplink:
    """Cloud calls go through `present()`; a single-radio station goes `away()` for a window of devices."""

    def __init__(self) -> None:
        self._calls = 0
        self._away = 0
        self._away_at_s = 0.0
        self._away_s = 0.0
        self._changed = trio.Event()

    @property
    def is_away(self) -> bool:
        """Whether the adapter is away now, or waits to go."""
        return self._away > 0

    def away_s(self) -> float:
        """For how long in all no cloud call could begin, in seconds, until now."""
        return self._away_s + (trio.current_time() - self._away_at_s if self._away else 0.0)

    @asynccontextmanager
    async def present(self) -> AsyncIterator[None]:
        """Hold the uplink for one cloud call; waits while the adapter is away."""
        while self._away:
            await self._changed.wait()
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._announce()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Take the adapter away for a window; waits until the calls under way have ended."""
        if not self._away:
            self._away_at_s = trio.current_time()
        self._away += 1
        try:
            while self._calls:
                await self._changed.wait()
            yield
        finally:
            if self._away == 1:
                self._away_s = self.away_s()
            self._away -= 1
            self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
