"""Switchers with a bug: another distribution may bring one. It must not look like a failure of the line."""

from contextlib import asynccontextmanager
from functools import partial

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


class BreaksWithSecrets(FarFactory):
    """The way to a Photon breaks when the claim code is on its way: every frame below ours has it, and so has the
    message."""

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        async with super().session(adapter=adapter, uplink=uplink) as switcher:
            joined = switcher.joined

            @asynccontextmanager
            async def breaking(network, policy):
                async with joined(network, policy) as link:
                    dial = link.dial

                    async def bad_dial(host, port):
                        stream = await dial(host, port)
                        stream.send_all = partial(_break, stream.send_all)
                        return stream

                    link.dial = bad_dial
                    yield link

            switcher.joined = breaking
            yield switcher


async def _break(send_all, data):
    if b'"cc"' in data:
        raise RuntimeError(f"bug in the link, with {data!r} in its hands")
    await send_all(data)
