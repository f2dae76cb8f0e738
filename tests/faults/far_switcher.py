"""A switcher for a simulated factory in another process: what a killed `provisioner run` leaves behind goes on living.

It is installed as any other distribution's switcher is: an entry point (`installed_in`) under the name `simulated`.
Every act is a connection of its own to the factory; the kernel closes them all when this process dies, however it
dies, and the factory then does what an adapter does whose program is gone: it leaves.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import asynccontextmanager

import trio

from provisioner import errors
from provisioner.model import SetupNetwork
from provisioner.network.bound import PHOTON_HOST
from provisioner.network.switcher import Traits, Uplink

ADDRESS = "FAR_FACTORY"  # the variable that says where the factory listens: HOST:PORT
_LINE_BYTES_MAX = 1 << 20
_ERRORS = {cls.code: cls for cls in vars(errors).values() if isinstance(cls, type) and hasattr(cls, "code")}


def installed_in(folder, target="far_switcher:FarFactory"):
    """Write what pip would have written for a distribution with this switcher; the folder goes into PYTHONPATH."""
    info = folder / "far_switcher-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: far-switcher\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[provisioner.switchers]\nsimulated = {target}\n")


class Wire:
    """Lines of JSON over one connection."""

    def __init__(self, stream):
        self.stream = stream
        self._rest = bytearray()

    async def tell(self, **message):
        await self.stream.send_all(json.dumps(message).encode() + b"\n")

    async def hear(self):
        """The next message; None at the end of the connection."""
        while b"\n" not in self._rest:
            part = await self.stream.receive_some()
            if not part or len(self._rest) > _LINE_BYTES_MAX:
                return None
            self._rest += part
        line, _, rest = bytes(self._rest).partition(b"\n")
        self._rest = bytearray(rest)
        return json.loads(line)

    async def ask(self, **message):
        """Tell, and hear the answer; raises the SwitchError it carries."""
        try:
            await self.tell(**message)
            answer = await self.hear()
        except trio.BrokenResourceError:
            answer = None
        if answer is None:
            raise errors.BackendGone("the simulated factory hung up")
        if "error" in answer:
            raise _ERRORS[answer["error"]](answer["detail"], backend_code=answer["backend_code"])
        return answer


@asynccontextmanager
async def _asking(**message):
    """One act: a connection, its first message, and the answer."""
    host, _, port = os.environ[ADDRESS].rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        wire = Wire(stream)
        yield wire, await wire.ask(**message)


class FarFactory:
    """What the entry point names."""

    @asynccontextmanager
    async def session(self, *, adapter, uplink):
        async with _asking(act="session", adapter=adapter, uplink=uplink.value):
            yield FarSwitcher(adapter, uplink)


class FarSwitcher:
    """One adapter of the far factory."""

    def __init__(self, adapter, uplink):
        self._adapter = adapter
        self.traits = Traits(
            name="simulated", adapter=adapter, uplink=Uplink(uplink), restores_on_crash=True, static_addresses=True
        )

    async def scan(self, *, prefix, timeout):
        async with _asking(act="scan", adapter=self._adapter, prefix=prefix, timeout=timeout) as (_, answer):
            now_s = trio.current_time()  # two processes have two clocks: what travels is an age
            return [
                SetupNetwork(ssid, bssid, signal_dbm, now_s - age_s, channel)
                for ssid, bssid, signal_dbm, age_s, channel in answer["heard"]
            ]

    @asynccontextmanager
    async def joined(self, network, policy):
        wish = {"ssid": network.ssid, "bssid": network.bssid, "budget_s": policy.budget_s}
        wish |= {"leave_budget_s": policy.leave_budget_s, "static_address": policy.static_address}
        async with _asking(act="join", adapter=self._adapter, **wish) as (wire, answer):
            link = FarLink(network, wire, answer["ports"])
            clean = False
            try:
                yield link
                clean = True
            finally:
                left = await self._leave(link, wire, policy)
                if clean and left is not None:
                    raise left

    @staticmethod
    async def _leave(link, wire, policy):
        with trio.move_on_after(policy.leave_budget_s, shield=True):
            await link.close()
            try:
                await wire.ask(act="leave")
            except errors.SwitchError as failure:
                return failure
            return None
        return errors.LeaveFailed("the far adapter did not leave in time")

    async def restore(self, *, timeout):
        async with _asking(act="restore", adapter=self._adapter, timeout=timeout):
            pass


class FarLink:
    """The way to one far Photon: its ports on loopback, while the join lasts."""

    def __init__(self, network, wire, ports):
        self.network = network
        self._wire = wire
        self._ports = ports
        self._streams = []
        self._left = False

    async def healthy(self):
        return not self._left and (await self._wire.ask(act="healthy"))["healthy"]

    async def dial(self, host, port):
        if self._left:
            raise OSError(errno.ENETUNREACH, "the setup network has been left")
        if host != PHOTON_HOST or str(port) not in self._ports:
            raise OSError(errno.EHOSTUNREACH, "nobody has that address here")
        stream = await trio.open_tcp_stream("127.0.0.1", self._ports[str(port)])
        self._streams.append(stream)
        return stream

    async def close(self):
        self._left = True
        for stream in self._streams:
            await trio.aclose_forcefully(stream)
