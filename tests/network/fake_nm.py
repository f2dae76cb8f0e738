"""A NetworkManager in memory, under jeepney's own router: every message is serialised and parsed, so that a wrong type
in our code fails here as it does on a bus. Its times are those of facts, network 2: a name that is not there fails
after 25 s, a Photon that is gone is noticed after 16.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio
from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.io.trio import DBusRouter
from jeepney.low_level import Parser

from provisioner.network.nm_bus import reading

NM = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop/NetworkManager"
TYPES = {
    "connection": {"id": "s", "type": "s", "autoconnect": "b", "interface-name": "s", "permissions": "as"},
    "802-11-wireless": {"ssid": "ay", "mode": "s", "bssid": "ay", "powersave": "u", "assigned-mac-address": "s"},
    "ipv4": {"method": "s", "never-default": "b", "ignore-auto-dns": "b", "may-fail": "b", "dhcp-timeout": "i",
             "address-data": "aa{sv}"},
    "ipv6": {"method": "s"},
}  # fmt: skip
NAIVE = {
    "connection": {"id": ("s", "Wired connection 1"), "autoconnect": ("b", True)},
    "ipv4": {"method": ("s", "auto"), "never-default": ("b", False)},
}


@dataclass
class Device:
    """One adapter."""

    name: str
    path: str
    kind: int = 2
    state: int = 30
    reason: int = 0
    active: str = "/"
    point: str = "/"
    address: str | None = None
    last_scan: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


@dataclass
class Point:
    """One access point. `last_seen` is None while it is up."""

    path: str
    ssid: bytes
    bssid: str
    lease: bool = True
    secured: bool = False
    last_seen: float | None = None


class FakeNM:
    """The daemon. `moved(adapter, ssid)` is told where an adapter is now: None for nowhere."""

    def __init__(self, nursery, *, moved=lambda *_: None):
        self.nursery, self.moved = nursery, moved
        self.devices, self.points, self.profiles, self.actives = {}, {}, {}, {}
        self.rights = dict.fromkeys(
            (f"{NM}.{right}" for right in ("network-control", "wifi.scan", "settings.modify.own")), "yes"
        )
        self.calls = []
        self.hangs, self.fails = set(), {}
        self.running = True
        self.version = "1.42.4"
        self.signal_first = False
        self.home = None  # the profile that is auto-connected
        self._numbers = itertools.count(1)
        self._connections = []
        self.join_s, self.scan_s, self.gone_s = 0.6, 3.8, 25.8

    # --- arranging ---

    def add_device(self, name, **parts):
        path = f"{ROOT}/Devices/{next(self._numbers)}"
        self.devices[path] = Device(name, path, **parts)
        return self.devices[path]

    def add_point(self, ssid, **parts):
        number = next(self._numbers)
        raw = ssid if isinstance(ssid, bytes) else ssid.encode("utf-8", "surrogateescape")
        point = Point(f"{ROOT}/AccessPoint/{number}", raw, f"02:00:00:00:00:{number:02X}", **parts)
        self.points[point.path] = point
        return point

    def add_profile(self, settings):
        path = f"{ROOT}/Settings/{next(self._numbers)}"
        self.profiles[path] = settings
        return path

    def put_on_uplink(self, device):
        profile = self.add_profile({"connection": {"id": ("s", "home"), "autoconnect": ("b", True)}})
        self._activate_now(device, profile, "/", "10.0.0.5")
        self.moved(device.name, "uplink")
        return profile

    def stop(self):
        """The daemon is killed: nothing answers any more."""
        self.running = False

    # --- the bus ---

    @asynccontextmanager
    async def router(self):
        connection = MemoryConnection(self)
        self._connections.append(connection)
        try:
            async with reading(DBusRouter(connection)) as router:
                yield router
        finally:
            self._connections.remove(connection)

    def say(self, message):
        for connection in self._connections:
            connection.put(message)

    async def handle(self, message, connection):
        fields = message.header.fields
        member, path = fields[HeaderFields.member], fields[HeaderFields.path]
        self.calls.append(member)
        if member in ("AddMatch", "RemoveMatch"):
            connection.put(new_method_return(message))
            return
        if not self.running:
            connection.put(new_error(message, "org.freedesktop.DBus.Error.ServiceUnknown", "s", ("no such name",)))
            return
        if member in self.hangs:
            return
        if member in self.fails:
            name = self.fails[member]
            connection.put(new_error(message, name, "s", ("as the test wants it",)))
            return
        try:
            answer = await getattr(self, f"on_{member}")(path, *message.body)
        except DBusFault as fault:
            connection.put(new_error(message, fault.name, "s", (str(fault),)))
        else:
            connection.put(new_method_return(message, *answer) if answer else new_method_return(message))

    # --- what it answers ---

    async def on_GetDeviceByIpIface(self, _, name):
        for device in self.devices.values():
            if device.name == name:
                return "o", (device.path,)
        raise DBusFault(f"{NM}.UnknownDevice", "No device found for the requested iface.")

    async def on_GetPermissions(self, _):
        return "a{ss}", (self.rights,)

    async def on_Get(self, path, interface, name):
        return "v", (self._properties(path, interface)[name],)

    async def on_GetAll(self, path, interface):
        return "a{sv}", (self._properties(path, interface),)

    def _properties(self, path, interface):
        if path in self.points:
            point = self.points[path]
            flags = 1 if point.secured else 0
            seen = trio.current_time() if point.last_seen is None else point.last_seen
            return {
                "Ssid": ("ay", point.ssid), "HwAddress": ("s", point.bssid), "Strength": ("y", 70),
                "LastSeen": ("i", int(seen)), "Flags": ("u", flags), "WpaFlags": ("u", 0), "RsnFlags": ("u", flags),
            }  # fmt: skip
        if path in self.devices:
            device = self.devices[path]
            return {
                "DeviceType": ("u", device.kind), "State": ("u", device.state), "LastScan": ("x", device.last_scan),
                "StateReason": ("(uu)", (device.state, device.reason)), "ActiveConnection": ("o", device.active),
                "ActiveAccessPoint": ("o", device.point), "Ip4Config": ("o", f"{path}/ip4" if device.address else "/"),
            }  # fmt: skip
        if path.endswith("/ip4"):
            device = self.devices[path.removesuffix("/ip4")]
            return {"AddressData": ("aa{sv}", [{"address": ("s", device.address), "prefix": ("u", 24)}])}
        if path in self.actives:
            state = next(
                (2 if device.state == 100 else 1 for device in self.devices.values() if device.active == path), 4
            )
            return {"Connection": ("o", self.actives[path]), "State": ("u", state)}
        if path == ROOT:
            return {"Version": ("s", self.version)}
        if path.endswith("/Settings"):
            return {"Connections": ("ao", list(self.profiles))}
        raise DBusFault("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")

    async def on_GetSettings(self, path):
        if path not in self.profiles:
            raise DBusFault("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        return "a{sa{sv}}", (self.profiles[path],)

    async def on_Delete(self, path):
        self.profiles.pop(path, None)
        for device in self.devices.values():
            if self.actives.get(device.active) == path:
                await self.on_DeactivateConnection(None, device.active)

    async def on_RequestScan(self, path, _options):
        if path not in self.devices:
            raise DBusFault("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        self.nursery.start_soon(self._scan, self.devices[path])

    async def _scan(self, device):
        await trio.sleep(self.scan_s)
        device.last_scan = int(trio.current_time() * 1000) + 1

    async def on_GetAllAccessPoints(self, _path):
        return "ao", (list(self.points),)

    async def on_AddAndActivateConnection2(self, _, profile, device, point, _options):
        """As the real one: one wrong property, and the whole template is thrown away."""
        good = all(
            TYPES.get(section, {}).get(name) == value[0]
            for section, rows in profile.items()
            for name, value in rows.items()
        )
        if device not in self.devices:
            raise DBusFault(f"{NM}.UnknownDevice", "Device not found")
        path = self.add_profile(profile if good else NAIVE)
        active = self._begin(self.devices[device], path, point)
        return "ooa{sv}", (path, active, {})

    async def on_ActivateConnection(self, _, profile, device, point):
        return "o", (self._begin(self.devices[device], profile, point),)

    async def on_DeactivateConnection(self, _, active):
        for device in self.devices.values():
            if device.active == active:
                device.scope.cancel()
                self._change(device, 110, 39)
                self.nursery.start_soon(self._down, device)
                return
        raise DBusFault(f"{NM}.ConnectionNotActive", "The connection was not active.")

    async def _down(self, device):
        await trio.sleep(0.2)
        self._forget(device)
        self._change(device, 30, 39)
        self.moved(device.name, None)
        if self.home is not None and device.active == "/":  # it goes back by itself
            await trio.sleep(0.03)
            if device.active == "/":
                self._begin(device, self.home, "/")

    # --- activation ---

    def _begin(self, device, profile, point):
        device.scope.cancel()
        if device.active != "/":
            self._change(device, 110, 60)
            self._forget(device)
            self._change(device, 30, 60)
        active = f"{ROOT}/ActiveConnection/{next(self._numbers)}"
        self.actives[active], device.active = profile, active
        device.scope = trio.CancelScope()
        self.moved(device.name, None)
        if self.signal_first:
            self._change(device, 40, 0)
        self.nursery.start_soon(self._activate, device, profile, point, device.scope)
        return active

    async def _activate(self, device, profile, point, scope):
        with scope:
            for state in (40, 50):
                self._change(device, state, 0)
                await trio.sleep(self.join_s / 4)
            if "activation" in self.hangs:
                await trio.sleep_forever()
            settings = self.profiles[profile]
            if point == "/":  # the uplink
                await trio.sleep(self.join_s / 2)
                self._activate_now(device, profile, "/", "10.0.0.5", device.active)
                self.moved(device.name, "uplink")
                return
            there = self.points.get(point)
            if there is None or there.last_seen is not None:
                await trio.sleep(self.gone_s)
                self._fail(device, 53)
                return
            self._change(device, 70, 0)
            static = settings.get("ipv4", {}).get("address-data")
            if not there.lease and static is None:
                await trio.sleep(settings["ipv4"]["dhcp-timeout"][1])
                self._fail(device, 5)
                return
            await trio.sleep(self.join_s / 2)
            self._activate_now(device, profile, point, "192.168.0.2", device.active)
            self.moved(device.name, there.ssid.decode("utf-8", "surrogateescape"))

    def _activate_now(self, device, profile, point, address, active=None):
        active = active or f"{ROOT}/ActiveConnection/{next(self._numbers)}"
        self.actives[active] = profile
        device.active, device.point, device.address = active, point, address
        self._change(device, 100, 0)

    def _fail(self, device, reason):
        self._change(device, 120, reason)
        self._forget(device)
        self._change(device, 30, 0)

    def fail(self, device, reason):
        device.scope.cancel()
        self._fail(device, reason)
        self.moved(device.name, None)

    def _forget(self, device):
        profile = self.actives.pop(device.active, None)
        if profile is not None and str(
            self.profiles.get(profile, {}).get("connection", {}).get("id", ("s", ""))[1]
        ).startswith("prov"):
            self.profiles.pop(profile, None)  # volatile
        device.active, device.point, device.address = "/", "/", None

    def _change(self, device, state, reason):
        old, device.state, device.reason = device.state, state, reason
        emitter = DBusAddress(device.path, interface=f"{NM}.Device")
        self.say(new_signal(emitter, "StateChanged", "uuu", (state, old, reason)))


class DBusFault(Exception):
    """An error reply."""

    def __init__(self, name, text):
        super().__init__(text)
        self.name = name


class MemoryConnection:
    """As much of a DBusConnection as jeepney's router uses; bytes on both ways."""

    def __init__(self, daemon):
        self.daemon, self.unique_name = daemon, ":1.7"
        self.outgoing_serial = itertools.count(1)
        self._serials = itertools.count(1)
        self._send, self._receive = trio.open_memory_channel(10_000)

    async def send(self, message, *, serial=None):
        await trio.lowlevel.checkpoint()
        parsed = parse(message.serialise(serial))
        assert parsed.header.message_type is MessageType.method_call
        self.daemon.nursery.start_soon(self.daemon.handle, parsed, self)

    def put(self, message):
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):  # the bus has gone
            self._send.send_nowait(parse(message.serialise(next(self._serials))))

    async def receive(self):
        return await self._receive.receive()

    def close(self):
        self._send.close()


def parse(data):
    parser = Parser()
    parser.add_data(data)
    return parser.get_next_message()
