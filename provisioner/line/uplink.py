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
        self._changed = trio.Event()

    @property
    def is_away(self) -> bool:
        """Whether the adapter is away now, or waits to go."""
        return self._away > 0

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
        self._away += 1
        try:
            while self._calls:
                await self._changed.wait()
            yield
        finally:
            self._away -= 1
            self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
