"""Benches for the contract suite: for each back end, a switcher in a small world of Photons, in virtual time (L1).

A new back end needs a bench here; without one the suite fails, it does not skip. Sockets are faked at trio's own
socket factory, so the back end's real code binds, connects and closes.
"""

import errno
import importlib.util
import re
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import trio
import trio.testing

from provisioner.errors import AdapterUnavailable, LeaveFailed, OperatorDeclined
from provisioner.network import backends
from provisioner.network.manual import ManualFactory
from provisioner.network.switcher import JoinPolicy
from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice, profile
from provisioner.simulator.strikes import Strikes

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))  # the daemons in memory

from switcher_cases import HOST, PORT


class Held:
    """Adapters that are held, in this bench alone: several test runs share one computer."""

    def __init__(self):
        self.adapters = set()

    @contextmanager
    def __call__(self, adapter):
        if adapter in self.adapters:
            raise AdapterUnavailable(f"adapter {adapter} is already another station's")
        self.adapters.add(adapter)
        try:
            yield
        finally:
            self.adapters.discard(adapter)


class InMemory:
    """What worlds in memory and virtual time have in common: they can do everything, at once and exactly."""

    policy = JoinPolicy(budget_s=20, leave_budget_s=4)
    cannot: ClassVar = {}
    join_bound_s = 20.0
    loss_seen_s = 0.0
    while_s = 100.0
    slack_s = 1e-6
    restore_s = 30.0

    async def find(self, switcher, ssid):
        found = await switcher.scan(prefix=ssid[:1], timeout=15)
        return next(network for network in found if network.ssid == ssid)

    async def who_answers(self, link):
        """Every Photon greets a connection with its SSID."""
        async with await link.dial(HOST, PORT) as stream:
            return (await stream.receive_some()).decode("utf-8", "surrogateescape")


class Air(trio.abc.SocketFactory):
    """Photons, and which adapter is on which network; hands out the sockets of this world."""

    def __init__(self, nursery):
        self.nursery, self.photons, self.on = nursery, {}, {}

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        return AirSocket(self, kind)

    def address(self, adapter):
        """The address this adapter speaks from; None where it is on nothing."""
        if self.on.get(adapter) == "uplink":
            return "10.0.0.5"
        lease = self.photons.get(self.on.get(adapter))
        return None if lease is None else "192.168.0.2" if lease else "169.254.3.4"


class AirSocket(trio.socket.SocketType):
    """As much of a socket as a back end uses. Bound to no adapter, it leaves by the uplink and finds no Photon."""

    def __init__(self, air, kind):
        self._air, self._kind, self._adapter, self._stream = air, kind, None, None
        self._address, self._closed = None, False

    @property
    def type(self):
        return self._kind

    @property
    def did_shutdown_SHUT_WR(self):
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def setsockopt(self, level, option, value, *_):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_BINDTODEVICE):
            assert self._address is None, "bound after it connected"
            self._adapter = bytes(value).rstrip(b"\0").decode()

    async def connect(self, address):
        await trio.lowlevel.checkpoint()
        assert address[0] == HOST
        self._address = self._air.address(self._adapter)
        if self._address is None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        if self._kind == socket.SOCK_STREAM:
            ssid = self._air.on[self._adapter]
            if ssid not in self._air.photons:
                raise OSError(errno.EHOSTUNREACH, "No route to host")
            self._stream, theirs = trio.testing.memory_stream_pair()
            self._air.nursery.start_soon(greet, theirs, ssid)

    def getsockname(self):
        return (self._address, 40000)

    def getpeername(self):
        return (HOST, PORT)

    def fileno(self):
        return -1 if self._closed else 1000

    async def send(self, data, flags=0):
        if self._closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        await self._stream.send_all(bytes(data))
        return len(data)

    async def recv(self, size, flags=0):
        if self._closed:
            raise trio.ClosedResourceError
        return bytes(await self._stream.receive_some(size))

    def close(self):
        self._closed = True
        if self._stream is not None:
            self._stream.send_stream.close()
            self._stream.receive_stream.close()


async def greet(stream, ssid):
    try:
        await stream.send_all(ssid.encode("utf-8", "surrogateescape"))
        await stream.receive_some()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


class Operator:
    """The person at the manual bench: does what the screen says, and reads it as a person would."""

    def __init__(self, air, *, needs_s=1.0):
        self.air, self.needs_s = air, needs_s
        self.types, self.gone, self.tell_does = [], False, "show"

    async def tell(self, text):
        await trio.lowlevel.checkpoint()
        if self.tell_does == "hang":
            await trio.sleep_forever()
        if self.tell_does == "fail":
            raise OperatorDeclined("the terminal was closed")

    async def confirm(self, text):
        await trio.sleep(self.needs_s)
        if self.gone:
            await trio.sleep_forever()
        adapter = re.search(r"adapter (\w+)", text)[1]
        wanted = re.search(r"Join the network (Photon-\w+)", text)
        self.air.on[adapter] = wanted[1] if wanted else "uplink"
        return True

    async def line(self, text):
        await trio.sleep(self.needs_s)
        return self.types.pop(0) if self.types else ""


class ManualBench(InMemory):
    join_bound_s = 60.0
    cannot: ClassVar = {
        "goodbye": "a person is told to go back, and not waited for",
        "names": "a person names a setup network; nothing else is ever acted on",
    }

    def __init__(self, nursery):
        self.air = Air(nursery)
        trio.socket.set_custom_socket_factory(self.air)
        self.operator = Operator(self.air)
        self.hold = Held()

    def put(self, ssid, *, lease=True):
        self.air.photons[ssid] = lease

    def vanish(self, ssid):
        del self.air.photons[ssid]

    def shout(self, ssid):
        self.operator.types.append(ssid)  # a person can type, and a scanner read, anything

    def hang_join(self):
        self.operator.gone = True

    def hang_leave(self):
        self.operator.tell_does = "hang"

    def fail_leave(self):
        self.operator.tell_does = "fail"

    def on_uplink(self, adapter):
        return self.air.on.get(adapter, "uplink") == "uplink"

    def open(self, adapter, uplink):
        factory = ManualFactory(self.operator, person_budget_s=self.join_bound_s, hold=self.hold)
        return factory.session(adapter=adapter, uplink=uplink)

    async def find(self, switcher, ssid):
        self.operator.types[:] = [ssid]
        (found,) = await switcher.scan(prefix="Photon-", timeout=15)
        return found


class SimulatedBench(InMemory):
    """The simulated radio, with Photons that only greet; its durations can be made endless."""

    def __init__(self, nursery):
        photon_ap, photon_firmware, radio, switcher = (
            importlib.import_module(f"provisioner.simulator.{name}")
            for name in ("photon.ap", "photon.firmware", "radio", "radio_switcher")
        )

        class Photon:
            def __init__(self, ssid, number, lease):
                self.ssid, self.bssid, self.dhcp_dead = ssid, f"02:00:00:00:00:{number:02x}", not lease
                self.device_id, self.bench, self.weak = f"{number:024x}", radio.BENCH, False
                self.session = photon_ap.ApSession(photon_firmware.V2_3_1)
                self.session.ready.set()

            def note(self, *_, **__):
                pass

        class Radio(radio.SimRadio):
            def roll(self, name, adapter):  # 1e6: the end of any distribution, and far beyond it
                return 1e6 if name in self.endless else super().roll(name, adapter)

            @contextmanager
            def joining(self, adapter):
                with super().joining(adapter) as times:
                    yield (1e6, 1e6) if "join" in self.endless else times

        async def dial(photon, port, adapter):
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(greet, theirs, photon.ssid)
            return ours

        self.make, self.photons = Photon, {}
        self.radio = Radio(clock=SimClock(), dice=Dice(7), faults=profile("none"), strikes=Strikes(SimClock()))
        self.radio.endless = set()
        self.factory = switcher.SimSwitcherFactory(self.radio, dial)
        self._fail = lambda: self.radio.scripted("wlan1", radio.Act.LEAVE, LeaveFailed("the adapter is stuck"))

    def put(self, ssid, *, lease=True):
        self.photons[ssid] = self.make(ssid, len(self.photons), lease)
        self.radio.ap_up(self.photons[ssid])

    def vanish(self, ssid):
        self.radio.ap_down(self.photons[ssid])
        self.photons.pop(ssid).session.end()

    def shout(self, ssid):
        self.put(ssid)

    def hang_join(self):
        self.radio.endless |= {"join", "restore"}

    def hang_leave(self):
        self.radio.endless |= {"leave"}

    def fail_leave(self):
        self._fail()

    def on_uplink(self, adapter):
        return not self.radio.uplink_away(adapter)

    def open(self, adapter, uplink):
        return self.factory.session(adapter=adapter, uplink=uplink)


class NetworkManagerBench(InMemory):
    """NetworkManager in memory, under jeepney's own router; sockets as in the manual bench."""

    def __init__(self, nursery):
        fake = importlib.import_module("fake_nm")
        networkmanager = importlib.import_module("provisioner.network.networkmanager")
        self.air = Air(nursery)
        trio.socket.set_custom_socket_factory(self.air)
        self.daemon = fake.FakeNM(nursery, moved=self.air.on.__setitem__)
        for adapter in ("wlan1", "wlan2"):
            self.daemon.put_on_uplink(self.daemon.add_device(adapter))
        self.factory = networkmanager.NetworkManagerFactory(self.daemon.router, boot_s=trio.current_time, hold=Held())

    def put(self, ssid, *, lease=True):
        self.air.photons[ssid] = lease
        self.daemon.add_point(ssid, lease=lease)

    def _points(self, ssid):
        return [
            point
            for point in self.daemon.points.values()
            if point.ssid == ssid.encode("utf-8", "surrogateescape") and point.last_seen is None
        ]

    def vanish(self, ssid):
        del self.air.photons[ssid]
        for point in self._points(ssid):
            point.last_seen = trio.current_time()

    def shout(self, ssid):
        self.daemon.add_point(ssid)

    def hang_join(self):
        self.daemon.hangs.add("activation")

    def hang_leave(self):
        self.daemon.hangs.add("DeactivateConnection")

    def fail_leave(self):
        self.daemon.fails["DeactivateConnection"] = "org.freedesktop.DBus.Error.Failed"

    def on_uplink(self, adapter):
        return self.air.on.get(adapter) == "uplink"

    def open(self, adapter, uplink):
        return self.factory.session(adapter=adapter, uplink=uplink)


class WpaSupplicantBench(InMemory):
    """A wpa_supplicant in memory for each adapter; sockets as in the manual bench."""

    def __init__(self, nursery):
        self.fake = importlib.import_module("fake_wpa")
        module = importlib.import_module("provisioner.network.wpa_supplicant")
        self.air, self.points = Air(nursery), []
        trio.socket.set_custom_socket_factory(self.air)
        self.daemons = {
            adapter: self.fake.FakeWpa(nursery, adapter, self.points, moved=self.air.on.__setitem__)
            for adapter in ("wlan1", "wlan2")
        }
        for daemon in self.daemons.values():
            daemon.put_on_uplink()
        self.factory = module.WpaSupplicantFactory(
            lambda adapter: self.daemons[adapter].open(adapter), ip=self._ip, hold=Held()
        )

    async def _ip(self, arguments):
        await trio.sleep(0.003)

    def put(self, ssid, *, lease=True):
        self.air.photons[ssid] = lease
        self.shout(ssid)

    def shout(self, ssid):
        raw = ssid.encode("utf-8", "surrogateescape")
        self.points.append(self.fake.Point(raw, f"02:00:00:00:00:{len(self.points):02x}"))

    def vanish(self, ssid):
        del self.air.photons[ssid]
        for point in self.points:
            point.up = point.up and point.ssid != ssid.encode("utf-8", "surrogateescape")

    def _each(self, act):
        for daemon in self.daemons.values():
            act(daemon)

    def hang_join(self):
        self._each(lambda daemon: daemon.hangs.add("associate"))

    def hang_leave(self):
        self._each(lambda daemon: daemon.hangs.add("REMOVE_NETWORK"))

    def fail_leave(self):
        self._each(lambda daemon: daemon.fails.update({"REMOVE_NETWORK": "FAIL"}))

    def on_uplink(self, adapter):
        return self.air.on.get(adapter) == "uplink"

    def open(self, adapter, uplink):
        return self.factory.session(adapter=adapter, uplink=uplink)


BENCHES = {
    "manual": ManualBench,
    "networkmanager": NetworkManagerBench,
    "simulated": SimulatedBench,
    "wpa_supplicant": WpaSupplicantBench,
}


def discovered():
    """Every back end there is: by name, and the simulated radio once there is one."""
    found = set(backends.names())
    if importlib.util.find_spec("provisioner.simulator.radio"):
        found.add("simulated")
    return sorted(found)
