"""Every call of a run as a fault point: the n-th one to a device, the cloud, an adapter or the disk goes wrong.

The seams lie below the shipped clients and know nothing of the flow: the virtual network's connections (device), the
app behind the cloud's TLS (cloud), the switcher (adapter), the journal's disk. A run without injuries counts its
calls, so a sweep goes n = 1, 2, 3 ... and ends when a run has no n-th call.
"""

import enum
import errno
import os
import signal
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from provisioner.errors import AdapterUnavailable, AssociationFailed, LeaveFailed, UplinkNotRestored
from provisioner.simulator.disk import UnsyncedDisk
from provisioner.simulator.virtual.network import Way


class Kind(enum.StrEnum):
    """Who is called."""

    DEVICE = "device"
    CLOUD = "cloud"
    ADAPTER = "adapter"
    DISK = "disk"


class Injury(enum.StrEnum):
    """What happens to the call."""

    NOT_TAKEN = "not taken: no connection, or 503"
    CUT = "cut before anything was done"
    LOST = "done, and the answer lost"
    HANGS = "hangs, nothing is done"
    MUTE = "done, and the answer never comes"
    STOPPED = "the run is stopped there (one signal)"
    CANCELLED = "the run is cancelled there (two signals)"
    CANCELLED_AFTER = "done, and the run cancelled (two signals)"
    FAILS = "fails"
    VANISHES = "the setup network vanishes before it"
    VANISHES_AFTER = "done, and the setup network vanishes"
    ANOTHER = "another device answers from here on"
    EXCHANGED = "the board is exchanged for its twin in the air"
    FULL = "no space left"
    READ_ONLY = "read-only file system"
    BROKEN = "input/output error"
    SHORT = "half of the bytes fit"


ERRNO = {Injury.FULL: errno.ENOSPC, Injury.READ_ONLY: errno.EROFS, Injury.BROKEN: errno.EIO}


NEVER_SENT = "?"  # the name of a call to a device that never came to be


@dataclass
class Points:
    """Counts calls, and says which of them is to go wrong: the `at`-th of its kind, and the next `times - 1`."""

    kind: Kind | None = None
    at: int = 0
    injury: Injury | None = None
    times: int = 1
    names: dict = field(default_factory=lambda: defaultdict(list))
    struck: list = field(default_factory=list)  # the names of the calls that were injured
    struck_s: list = field(default_factory=list)  # and when
    off: bool = False

    def here(self, kind, name):
        """A call is about to be made; its injury, if it has one."""
        self.names[kind].append(name)
        number = len(self.names[kind])
        if self.off or kind is not self.kind or not self.at <= number < self.at + self.times:
            return None
        self.struck.append(name)
        self.struck_s.append(trio.current_time())
        return self.injury


def signalled(injury, *, after=False):
    """Send ourselves the signals of this injury, if it is one of those and this is its place.

    Two different ones: trio passes on the same signal once. Before the program listens to them there is nobody to
    be stopped gently: then nothing is sent.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        return
    place = Injury.CANCELLED_AFTER if after else Injury.CANCELLED
    if injury is place:
        signal.raise_signal(signal.SIGINT)
    if injury is place or (injury is Injury.STOPPED and not after):
        signal.raise_signal(signal.SIGTERM)


# --- devices: every connection that leaves by an adapter ---


class InjuredDevices:
    """The points under a virtual network. `another`: the Photon that answers for ANOTHER and EXCHANGED."""

    def __init__(self, world, network, points, *, another):
        self._world, self._points, self._another = world, points, another
        self._connect, self._way = network.connect, network.air.way
        self.asked = []  # every command that reached a Photon, and when
        self.answers = {}  # at these adapters another Photon answers than the joined one
        network.connect, network.air.way = self.connect, self.way

    async def connect(self, adapter, address, server):
        if not adapter:
            return await self._connect(adapter, address, server)
        injury = self._points.here(Kind.DEVICE, NEVER_SENT)
        number = len(self._points.names[Kind.DEVICE]) - 1
        link = self._world.radio.joined[adapter]
        if injury is Injury.NOT_TAKEN:
            await trio.lowlevel.checkpoint()
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        if injury is Injury.VANISHES:
            await vanished(link)
        if injury is Injury.ANOTHER:
            self.answers[adapter] = self._another
        if injury is Injury.EXCHANGED:
            await exchanged(self._world, link, self._another)

        def named(segment):
            name = self._points.names[Kind.DEVICE][number] = command_of(segment)
            self.asked.append((name, trio.current_time()))

        return await self._connect(adapter, address, InjuredStream(server, injury, named, link))

    def way(self, adapter, address):
        real = self._way(adapter, address)
        other = self.answers.get(adapter)
        return real if other is None else Way(answering(other, real.serve), real.delay_s, real.own_address)


def answering(photon, serve):
    """The same server, for another Photon: what a `functools.partial` of it had for the joined one."""

    async def served(stream):
        await serve.func(photon, stream, **serve.keywords)

    return served


async def vanished(link):
    """The setup network of a joined Photon goes, and comes back some seconds later by itself."""
    if link.alive:
        link.session.asked.set()
        await link.session.gone.wait()


async def exchanged(world, link, twin):
    """Hands take the board off the jig and put one in its place that calls itself the same in the air."""
    twin.ssid, twin.bssid = link.photon.ssid, link.photon.bssid
    world.remove(link.photon)
    world.present(twin)
    await link.session.gone.wait()


def command_of(segment):
    """`GET /device-id HTTP/1.1...` and the TCP form `device-id\\n0\\n\\n` both are `device-id`."""
    first = bytes(segment).split(b"\n", 1)[0].strip().decode("latin-1")
    return first.split(" ")[1].lstrip("/") if " " in first else first


class InjuredStream(trio.abc.HalfCloseableStream):
    """A Photon's end of one connection, whose one request meets an injury."""

    def __init__(self, inner, injury, named, link):
        self._inner, self._injury, self._named, self._link = inner, injury, named, link
        self._asked = False

    async def receive_some(self, max_bytes=None):
        data = await self._inner.receive_some(max_bytes)
        if data and not self._asked:
            self._asked = True
            self._named(data)
            await self._before()
        return data

    async def _before(self):
        signalled(self._injury)
        if self._injury is Injury.CUT:
            self._inner.reset()
            raise trio.BrokenResourceError("cut")
        if self._injury is Injury.HANGS:
            self._inner.stall()
            await trio.sleep_forever()

    async def send_all(self, data):
        signalled(self._injury, after=True)
        if self._injury is Injury.LOST:
            self._inner.reset()
            raise trio.BrokenResourceError("lost")
        if self._injury is Injury.MUTE:
            self._inner.stall()
        if self._injury is Injury.VANISHES_AFTER:
            self._link.session.asked.set()
            await trio.sleep_forever()  # the connection dies with the network
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self._inner.wait_send_all_might_not_block()

    async def send_eof(self):
        await self._inner.send_eof()

    def close(self):
        self._inner.close()

    async def aclose(self):
        await self._inner.aclose()


# --- the cloud: every request that comes out of TLS ---


def injured_cloud(asgi, points):
    """The cloud's app with the points in front of it."""

    async def app(scope, receive, send):
        injury = points.here(Kind.CLOUD, f"{scope['method']} {scope['path']}")
        signalled(injury)
        if injury is Injury.CUT:
            raise ConnectionResetError("cut")
        if injury is Injury.HANGS:
            await trio.sleep_forever()
        if injury is Injury.NOT_TAKEN:
            while (await receive()).get("more_body"):
                pass
            html = [(b"content-type", b"text/html"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 503, "headers": html})
            await send({"type": "http.response.body", "body": b""})
            return

        async def answer(message):
            signalled(injury, after=True)
            if injury is Injury.LOST:
                raise ConnectionResetError("lost")
            if injury is Injury.MUTE:
                await trio.sleep_forever()
            await send(message)

        await asgi(scope, receive, answer)

    return app


# --- adapters: every act of a switcher ---


class InjuredSwitchers:
    """A switcher factory with the points around it."""

    def __init__(self, inner, points):
        self.inner, self.points = inner, points

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        injury = self.points.here(Kind.ADAPTER, "open")
        signalled(injury)
        if injury is Injury.FAILS:
            raise AdapterUnavailable(f"adapter {adapter} is not there")
        async with self.inner.session(adapter=adapter, uplink=uplink) as switcher:
            signalled(injury, after=True)
            yield InjuredSwitcher(switcher, self.points)


class InjuredSwitcher:
    def __init__(self, inner, points):
        self.inner, self.points = inner, points

    @property
    def traits(self):
        return self.inner.traits

    async def scan(self, *, prefix, timeout):
        failure = AdapterUnavailable("the adapter would not listen")
        return await self._act("scan", failure, lambda: self.inner.scan(prefix=prefix, timeout=timeout))

    async def restore(self, *, timeout):
        failure = UplinkNotRestored("the adapter is not back on its uplink")
        await self._act("restore", failure, lambda: self.inner.restore(timeout=timeout))

    async def _act(self, name, failure, act):
        injury = self.points.here(Kind.ADAPTER, name)
        signalled(injury)
        if injury is Injury.FAILS:
            await trio.lowlevel.checkpoint()
            raise failure
        result = await act()
        signalled(injury, after=True)
        if injury is Injury.LOST:
            raise failure
        return result

    @asynccontextmanager
    async def joined(self, network, policy):
        injury = self.points.here(Kind.ADAPTER, "join")
        signalled(injury)
        failure = AssociationFailed("the Photon did not let the adapter in")
        if injury is Injury.FAILS:
            await trio.lowlevel.checkpoint()
            raise failure
        clean = False
        leaving = None
        async with self.inner.joined(network, policy) as link:
            signalled(injury, after=True)
            if injury is Injury.LOST:
                raise failure
            try:
                yield link
                clean = True
            finally:
                leaving = self.points.here(Kind.ADAPTER, "leave")
                signalled(leaving)
        signalled(leaving, after=True)
        if leaving in (Injury.FAILS, Injury.LOST) and clean:  # the seam: leaving never masks the body's own error
            raise LeaveFailed("the adapter did not leave")


# --- the disk: every call of the journal ---


class InjuredDisk(UnsyncedDisk):
    """The journal's disk, one call of which fails. The next ones would work again: nobody may go on all the same.

    `acts` are all calls so far, so that a test can say what was still asked of a disk that had failed.
    """

    def __init__(self, points):
        self.points = points
        self.acts = []

    def _act(self, name):
        self.acts.append(name)
        injury = self.points.here(Kind.DISK, name)
        signalled(injury)
        if injury in ERRNO:
            raise OSError(ERRNO[injury], os.strerror(ERRNO[injury]))
        return injury

    def make_folder(self, path):
        if not path.is_dir():
            self._act("make_folder")
        super().make_folder(path)

    def open_new(self, path):
        self._act("open_new")
        return super().open_new(path)

    def open_lock(self, path):
        self._act("open_lock")
        return super().open_lock(path)

    def open_existing(self, path):
        self._act("open_existing")
        return super().open_existing(path)

    def sync_folder(self, path):
        self._act("sync_folder")

    def write(self, descriptor, data):
        short = self._act("write") is Injury.SHORT
        return super().write(descriptor, data[: len(data) // 2] if short else data)

    def write_at(self, descriptor, data, at):
        short = self._act("write_at") is Injury.SHORT
        return super().write_at(descriptor, data[: len(data) // 2] if short else data, at)

    def truncate(self, descriptor, size):
        self._act("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor):
        self._act("sync")

    def sync_data(self, descriptor):
        self._act("sync_data")
