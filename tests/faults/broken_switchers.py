"""Switchers with a bug: another distribution may bring one. It must not look like a failure of the line."""

from contextlib import asynccontextmanager

from far_switcher import FarFactory


class BreaksAtOnce(FarFactory):
    """A plain exception when a station is opened."""

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        raise RuntimeError(f"bug in the switcher of {adapter}")
        yield


class BreaksInTheVisit(FarFactory):
    """A plain exception when the first board is joined."""

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        async with super().session(adapter=adapter, uplink=uplink) as switcher:
            switcher.joined = self._joined
            yield switcher

    @asynccontextmanager
    async def _joined(self, network, policy):
        raise ZeroDivisionError("bug in the switcher, at the first board")
        yield
