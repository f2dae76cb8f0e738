"""The simulated factory as a whole: its clock, its air, its Photons and the networks they shall join.

Rule 1: one seed, one history. All chance is drawn from `dice`, by name.
Rule 2: `running` opens the one nursery of the world; every Photon's life and every connection is a task in it, and
a bug in one of them stops the world.
Rule 3: the same Photons are served in memory (virtual time) or on loopback sockets (other people's clients).
Rule 4: under a MockClock nothing here may touch a thread or a socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from provisioner.model import SecurityType
from provisioner.network.bound import PHOTON_HOST, bound_socket
from provisioner.simulator.clock import SimClock
from provisioner.simulator.factory_wifi import HOSTILE_NETWORKS, TEST_ROUTER, FactoryNetwork, HeardNetwork
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.loopback import LoopbackPort
from provisioner.simulator.operators import Habits, Operators
from provisioner.simulator.photon import takes
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.commands import Flash
from provisioner.simulator.photon.firmware import STOCKS, Firmware, drawn_from
from provisioner.simulator.photon.history import PhotonHistory
from provisioner.simulator.photon.http import serve_http
from provisioner.simulator.photon.naming import Mint, Names
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.photon.tcp import serve_tcp
from provisioner.simulator.radio import BENCH, CHANNEL, SimRadio
from provisioner.simulator.radio_switcher import SimSwitcherFactory
from provisioner.simulator.spool import Spool
from provisioner.simulator.strikes import Strikes
from provisioner.simulator.surroundings import CloudLike

SERVE = {80: serve_http, 5609: serve_tcp}
_CLOUD_NOTICES_S = 46.0  # two keep-alives of a Photon
_PHOTON_SIGNAL_DBM = -55


class World:
    """A factory around one cloud. `factory_networks` is what is up now and may be changed while it runs.

    `online_delay_s` replaces the drawn time from leaving listening mode to being online, `boot_delay_s` the one from
    power-on to the first beacon. With a `spool` the history is kept on disk. A `clock` is given if the cloud was made
    with it; else the world makes one of `speed`.
    """

    def __init__(
        self,
        *,
        seed: int,
        cloud: CloudLike,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        speed: float = 1.0,
        clock: SimClock | None = None,
        factory_networks: Sequence[FactoryNetwork] = (TEST_ROUTER,),
        online_delay_s: float | None = None,
        boot_delay_s: float | None = None,
        spool: Spool | None = None,
    ) -> None:
        self.clock = clock or SimClock(speed=speed)
        self.dice = Dice(seed)
        self.faults = faults
        self.cloud = cloud
        self.strikes = Strikes(self.clock)
        self.radio = SimRadio(clock=self.clock, dice=self.dice, faults=faults, strikes=self.strikes)
        self.switchers = SimSwitcherFactory(self.radio, self._dial)
        self.history = PhotonHistory(self.clock, spool)
        self.factory_networks = list(factory_networks)
        self.neighbours: list[HeardNetwork] = [
            HeardNetwork("Büro".encode(), -71, SecurityType.WPA2_MIXED, 1),
            HeardNetwork(b"", -80, SecurityType.WPA2_AES, 11),
            HeardNetwork(b"Printer 4th floor", -83, SecurityType.OPEN, 6, 54_000),
        ]
        if faults.hostile_air:
            self.neighbours += HOSTILE_NETWORKS
        self.online_delay_s = online_delay_s
        self.boot_delay_s = boot_delay_s
        self.photons: dict[str, SimPhoton] = {}
        self._mint = Mint(self.dice, same_suffix=faults.same_suffix, same_bssid=faults.same_bssid)
        self._made = 0
        self._nursery: trio.Nursery | None = None
        self._ports: dict[str, dict[int, LoopbackPort]] | None = None
        self._alive: set[str] = set()
        self._sockets = False

    # --- making Photons ---

    def add_photon(
        self,
        *,
        device_id: str | None = None,
        serial: str | None = None,
        ssid: str | None = None,
        bssid: str | None = None,
        firmware: Firmware | None = None,
        faults: Faults | None = None,
        flash: Flash | None = None,
    ) -> SimPhoton:
        """Make a Photon, without power; what is not given is drawn. The cloud hears of it."""
        number, self._made = self._made, self._made + 1
        names = self.label_of(number, firmware)
        photon = self._photon(
            number,
            device_id or names.device_id,
            serial or names.serial,
            ssid or names.ssid,
            bssid or names.bssid,
            firmware=firmware,
            faults=faults,
            flash=flash,
        )
        self.cloud.know_device(photon.device_id, serial=photon.serial)
        return photon

    def deliver(self, count: int) -> range:
        """So many Photons lie in their trays: the cloud knows them, they have labels, and none is made yet."""
        numbers = range(self._made, self._made + count)
        self._made += count
        for number in numbers:
            names = self.label_of(number)
            self.cloud.know_device(names.device_id, serial=names.serial)
        return numbers

    def label_of(self, number: int, firmware: Firmware | None = None) -> Names:
        """What is printed on the `number`th Photon, and what it calls itself in the air."""
        return self._mint.names(number, suffix_symbols=(firmware or self._firmware_of(number)).suffix_symbols)

    def unpack(self, numbers: Iterable[int]) -> Iterator[SimPhoton]:
        """Take delivered Photons out of their trays, each when somebody asks for the next one."""
        for number in numbers:
            names = self.label_of(number)
            yield self._photon(number, names.device_id, names.serial, names.ssid, names.bssid)

    def _firmware_of(self, number: int) -> Firmware:
        return drawn_from(STOCKS[self.faults.stock], self.dice.fraction("firmware", number))

    def _photon(
        self,
        number: int,
        device_id: str,
        serial: str,
        ssid: str,
        bssid: str,
        *,
        firmware: Firmware | None = None,
        faults: Faults | None = None,
        flash: Flash | None = None,
    ) -> SimPhoton:
        photon = self.photons[device_id] = SimPhoton(
            device_id=device_id,
            serial=serial,
            ssid=ssid,
            bssid=bssid,
            surroundings=self,
            faults=faults or self.faults,
            number=number,
            firmware=firmware or self._firmware_of(number),
            flash=flash,
        )
        return photon

    def make_trays(self, trays: int = 3, devices: int = 60) -> list[list[SimPhoton]]:
        """Make `devices` Photons in all, spread over `trays` as evenly as it goes."""
        share, left = divmod(devices, trays)
        return [[self.add_photon() for _ in range(share + (tray < left))] for tray in range(trays)]

    # --- running ---

    @asynccontextmanager
    async def running(self, *, loopback: bool = False, sockets: bool = False) -> AsyncIterator[World]:
        """Let the world go on for the length of the block. With `loopback`, Photons have ports on 127.0.0.1.

        With `sockets` the adapters' own sockets are dialled, which a virtual network routes (`virtual/air.py`).
        """
        self._ports = {} if loopback else None
        self._sockets = sockets
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.clock.seconds()  # its time begins now
                try:
                    yield self
                finally:
                    self.history.closed = True
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            for port in (port for ports in (self._ports or {}).values() for port in ports.values()):
                port.close()

    def present(self, photon: SimPhoton, bench: str = BENCH) -> None:
        """Power a Photon on a bench; after booting it listens, with SETUP held if it has credentials."""
        nursery = self._running()
        if photon.device_id in self._alive:
            return
        self._alive.add(photon.device_id)
        photon.bench = bench
        if self._ports is not None and photon.device_id not in self._ports:
            ports = self._ports[photon.device_id] = {port: LoopbackPort() for port in SERVE}
            photon.http_address, photon.tcp_address = ports[80].address, ports[5609].address
        photon.hold_setup()
        nursery.start_soon(self._live, photon)

    def remove(self, photon: SimPhoton) -> None:
        """Take a Photon's power away."""
        photon.power_off()

    def forget(self, photon: SimPhoton) -> None:
        """A Photon has left the factory; only the cloud still knows it."""
        self.photons.pop(photon.device_id, None)

    def start_operators(self, boards: Iterable[SimPhoton], habits: Habits = Habits()) -> Operators:  # noqa: B008
        """Let operators bring these boards to the bench, in order, a few at a time."""
        operators = Operators(self, habits)
        self._running().start_soon(operators.work, boards)
        return operators

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise RuntimeError("the world stands still: enter `world.running()` first")
        return self._nursery

    # --- what a Photon needs of its surroundings ---

    def heard_by(self, photon: SimPhoton) -> Iterator[HeardNetwork]:
        """Everything on 2.4 GHz but the Photon itself and what hides its name; the factory's own networks first."""
        for one in self.factory_networks:
            if not one.hidden:
                yield HeardNetwork(one.ssid.encode(), one.signal_dbm, one.security, one.channel)
        yield from self.neighbours
        for other in self.radio.listening(photon.bench):
            if other is not photon:
                yield HeardNetwork(other.ssid.encode(), _PHOTON_SIGNAL_DBM, SecurityType.OPEN, CHANNEL)

    def strike(self, fault: str, photon: SimPhoton) -> None:
        """A fault of this Photon struck."""
        self.strikes.note(fault, device=photon.device_id)

    def ap_up(self, photon: SimPhoton) -> None:
        """The setup network sends its first beacon."""
        self.radio.ap_up(photon)

    def servers_up(self, photon: SimPhoton, session: ApSession) -> None:
        """Ports 80 and 5609 listen."""
        if self._ports is not None:
            self._running().start_soon(self._serve_ports, photon, session)

    def ap_down(self, photon: SimPhoton) -> None:
        """The setup network has sent its last beacon."""
        self.radio.ap_down(photon)

    def went_dark(self, photon: SimPhoton) -> None:
        """The cloud notices some time after a device is gone."""
        self._running().start_soon(self._notice_offline, photon)

    async def _live(self, photon: SimPhoton) -> None:
        try:
            await photon.live()
        finally:
            self._alive.discard(photon.device_id)

    async def _notice_offline(self, photon: SimPhoton) -> None:
        await self.clock.sleep(_CLOUD_NOTICES_S)
        if not photon.online:
            self.cloud.device_offline(photon.device_id)

    # --- bytes ---

    async def _serve_ports(self, photon: SimPhoton, session: ApSession) -> None:
        """Listen on the Photon's loopback ports for as long as its setup network is there."""
        if self._ports is None:
            return
        async with trio.open_nursery() as nursery:
            for number, port in self._ports[photon.device_id].items():
                nursery.start_soon(port.serve, partial(SERVE[number], photon))
            await session.gone.wait()
            nursery.cancel_scope.cancel()

    def connect_s(self, adapter: str) -> float:
        """How long a TCP connection to a Photon takes (facts: photon-softap 6)."""
        return takes.uniform(self.radio.roll("connect", adapter), 0.005, 0.05)

    async def _dial(self, photon: SimPhoton, port: int, adapter: str) -> trio.abc.Stream:
        """A stream to a port of a Photon: over loopback if it is served there, else in memory. Raises OSError."""
        if self._sockets:
            sock = bound_socket(adapter)
            try:
                await sock.connect((PHOTON_HOST, port))
            except BaseException:
                sock.close()
                raise
            return trio.SocketStream(sock)
        await self.clock.sleep(self.connect_s(adapter))
        if self._ports is not None:
            return await trio.open_tcp_stream(*self._ports[photon.device_id][port].address)
        from trio.testing import memory_stream_pair  # loads all of pytest, where there is one

        ours, theirs = memory_stream_pair()
        self._running().start_soon(partial(SERVE[port], photon, theirs, via=adapter))
        return ours
