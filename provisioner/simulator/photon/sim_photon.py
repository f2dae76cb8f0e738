"""One simulated Photon: what it does from power-on to power-off, with its commands and its life in the factory.

Rule 1: `live` is the whole life as one task; whoever owns the world's nursery starts it.
Rule 2: one command at a time over all sockets of both ports, because the firmware's commands share their state
(facts: photon-softap 1.1, "Threading").
Rule 3: a fault strikes only by the numbers in `Faults`, each with dice of its own; every one is in the history.
Rule 4: after connect-ap nothing is promised: the answer may be lost, the join may fail, the cloud may be silent
(facts: photon-softap 5.4).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import trio

from provisioner.simulator.factory_wifi import HeardNetwork, first_joined
from provisioner.simulator.faults import Faults
from provisioner.simulator.photon import firmware as takes
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.commands import Commands, Flash, fingerprint
from provisioner.simulator.photon.firmware import FIRMWARE_0_7, Firmware
from provisioner.simulator.photon.history import Event
from provisioner.simulator.photon.keys import key_pair
from provisioner.simulator.surroundings import Surroundings

Address = tuple[str, int]


class SimPhoton:
    """A Photon. `device_id` lower case; `session` is its setup network while there is one.

    `http_address` and `tcp_address` are its loopback ports, if the world serves it on sockets.
    """

    def __init__(
        self,
        *,
        device_id: str,
        serial: str,
        ssid: str,
        bssid: str,
        surroundings: Surroundings,
        faults: Faults,
        number: int = 0,
        firmware: Firmware = FIRMWARE_0_7,
        flash: Flash | None = None,
    ) -> None:
        self.device_id = device_id.lower()
        self.serial = serial
        self.ssid = ssid
        self.bssid = bssid
        self.firmware = firmware
        self.faults = faults
        self.commands = Commands(self.device_id, key_pair(number), firmware, flash or Flash())
        self.session: ApSession | None = None
        self.http_address: Address | None = None
        self.tcp_address: Address | None = None
        self.powered = False
        self.online = False
        self.left_listening = trio.Event()  # set the first time it leaves for the factory Wi-Fi
        self._world = surroundings
        self._rolls: Counter[str] = Counter()
        self.dhcp_dead = self._strikes("dhcp_dead", faults.dhcp_dead)
        self._one_command = trio.Lock()
        self._setup_held = False
        self._credentials_changed = False
        self._power_again = False
        self._power = trio.CancelScope()
        self._station_mode = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<SimPhoton {self.device_id} {self.ssid} {self.bssid}>"

    @property
    def flash(self) -> Flash:
        """What survives a power cycle."""
        return self.commands.flash

    @property
    def listening(self) -> bool:
        """Whether its setup network is in the air."""
        return self.session is not None and not self.session.gone.is_set()

    # --- hands on the board ---

    def power_cycle(self) -> None:
        """Take the power away and give it back: RAM is lost, flash is kept."""
        self._power_again = True
        self._power.cancel()

    def power_off(self) -> None:
        """Take the power away for good; `live` returns."""
        self._power_again = False
        self._power.cancel()

    def hold_setup(self) -> None:
        """Hold SETUP for three seconds: listening mode, whatever it was doing; after booting, if it is not yet up."""
        if not self.listening:
            self._setup_held = True
            self._station_mode.cancel()

    # --- life ---

    async def live(self) -> None:
        """From power-on to `power_off`; to be run as a task of the world."""
        self._power_again = True
        while self._power_again:
            with trio.CancelScope() as self._power:
                try:
                    await self._run_on_power()
                finally:
                    self._lose_power()

    async def _run_on_power(self) -> None:
        self.powered = True
        self.note(Event.POWERED)
        self._credentials_changed = False
        boot_s = self._world.boot_delay_s
        await self._sleep(takes.boot_s(self._dice("boot")) if boot_s is None else boot_s)
        listens = not self.flash.networks
        while True:
            if listens or self._setup_held:
                await self._listen()
            with trio.CancelScope() as self._station_mode:
                if await self._join():
                    await self._stay_online()
            listens = True

    def _lose_power(self) -> None:
        self._silence()
        if self.online:
            self._go_dark()
        self._setup_held = False
        self._one_command = trio.Lock()
        self.powered = False
        self.note(Event.UNPOWERED)

    async def _listen(self) -> None:
        """Be a setup network until told to connect. It may vanish and come back on the way."""
        self._credentials_changed = False
        while True:
            self._setup_held = False
            session = self.session = ApSession(self.firmware)
            self.note(Event.LISTENING)
            self._world.ap_up(self)
            await self._sleep(takes.servers_up_s(self._dice("servers")))
            session.ready.set()
            self._world.servers_up(self, session)
            await session.asked.wait()
            if session.connect_told:
                await self._sleep(takes.leaves_after_s(self._dice("leaving")))
                self._silence()
                self.left_listening.set()
                return
            self._silence()
            await self._sleep(takes.vanished_s(self._dice("vanished")))

    def _silence(self) -> None:
        if self.listening and self.session is not None:
            self.session.end()
            self.session = None
            self.note(Event.SILENT)
            self._world.ap_down(self)

    async def _join(self) -> bool:
        """Join the factory Wi-Fi. False: credentials of this session did not work, or there are none."""
        began_s = self._world.clock.seconds()
        dice = self._dice("joining")
        while True:
            if not self.flash.networks:
                await self._sleep(3.0)
                return False
            if self._world.online_delay_s is None:
                await self._sleep(takes.radio_join_s(dice))
            if first_joined(self.flash.networks, self._world.factory_networks):
                self.note(Event.WIFI_JOINED)
                return True
            if self._credentials_changed:
                await self._sleep(began_s + takes.gives_up_join_s(dice) - self._world.clock.seconds())
                self.note(Event.WIFI_FAILED)
                return False
            await self._sleep(2.0)

    async def _stay_online(self) -> None:
        """Reach the cloud, with everything that can go wrong there, and stay until power or Wi-Fi is taken away."""
        delay_s = self._world.online_delay_s
        await self._sleep(takes.to_cloud_s(self._dice("to cloud")) if delay_s is None else delay_s)
        if self._struck("never_online", self.faults.never_online):
            self.note(Event.CLOUD_UNREACHABLE)
            await trio.sleep_forever()
        try:
            if self._struck("slow_online", self.faults.slow_online):
                await self._update()
            self._shake_hands()
            await trio.sleep_forever()
        finally:
            if self.online:
                self._go_dark()

    async def _update(self) -> None:
        """The first connection of a fresh unit fetches a new system firmware: minutes, with several reboots."""
        dice = self._dice("update")
        await self._sleep(dice.uniform(5, 60))
        for _ in range(dice.randint(2, 3)):
            self._shake_hands()
            await self._sleep(dice.uniform(10, 60))
            self.online = False
            self.note(Event.OFFLINE, detail="update")
            self._world.cloud.device_offline(self.device_id)
            await self._sleep(dice.uniform(5, 30))

    def _shake_hands(self) -> None:
        """A full handshake: the stored claim code goes out each time, until the cloud acknowledges one."""
        code = self.flash.claim_code
        self.online = True
        self.note(Event.ONLINE)
        acknowledged = self._world.cloud.device_online(self.device_id, None if code is None else code.decode("latin-1"))
        if acknowledged and code is not None:
            self.flash.claim_code = None
            self.flash.claimed = True
            self.note(Event.CLAIMED, detail=fingerprint(code))

    def _go_dark(self) -> None:
        self.online = False
        self.note(Event.OFFLINE)
        self._world.went_dark(self)

    # --- commands ---

    async def perform(self, command: str, body: bytes, *, via: str) -> tuple[bytes, ...] | None:
        """Carry out one command; return the writes of its answer, empty if it was not understood, None if it is lost.

        `command` is one of `commands.NAMES`; `via` names where the connection came from.
        """
        session = self.session
        if session is None:
            return None
        async with self._one_command:
            vanish = self._struck("ap_vanishes", self.faults.ap_vanishes) and command != "connect-ap"
            before = vanish and self._dice("ap_vanishes when").random() < 0.5
            if before:
                await self._vanish(session)
            request = self.commands.read(command, body)
            await self._sleep(takes.command_s(self._dice("commands"), command, scans=request.scans))
            heard = self._scan(command) if command in ("scan-ap", "configure-ap") else ()
            answer = self.commands.carry_out(request, heard=heard)
            self.note(answer.event, via=via, detail=answer.detail)
            self._afterwards(answer.event, session)
            if vanish:
                await self._vanish(session)
        lost = self._answer_lost(command)
        return None if lost else answer.writes

    def _afterwards(self, event: Event, session: ApSession) -> None:
        if event is Event.CONFIGURED:
            self._credentials_changed = True
        elif event is Event.CONNECT:
            session.connect_told = True
            session.asked.set()
        elif event is Event.CLAIM_CODE_SET and self._struck("claim_code_forgotten", self.faults.claim_code_forgotten):
            self.flash.claim_code = None

    def _answer_lost(self, command: str) -> bool:
        if command == "connect-ap":
            return self._struck("connect_reply_lost", self.faults.connect_reply_lost)
        return self._struck("reply_lost", self.faults.reply_lost)

    def _scan(self, command: str) -> Iterable[HeardNetwork]:
        if command == "scan-ap" and self._struck("scan_empty", self.faults.scan_empty):
            return ()
        return self._world.heard_by(self)

    async def _vanish(self, session: ApSession) -> None:
        """Make the setup network vanish; never returns, for the connection dies with it."""
        session.asked.set()
        await trio.sleep_forever()

    # --- dice and notes ---

    def busy_socket(self) -> bool:
        """Whether this connection meets an exhausted server."""
        return self._struck("busy_socket", self.faults.busy_socket)

    def leaves_first_tcp_open(self) -> bool:
        """Whether the first 5609 connection of a session is answered but not closed (device-os issue 1252)."""
        return self._strikes("first_tcp_not_closed", self.faults.first_tcp_not_closed)

    def note(self, event: Event, *, via: str = "", detail: str = "") -> None:
        """Write into the world's history."""
        self._world.history.note(self.device_id, event, self.bssid, via=via, detail=detail)

    def _struck(self, fault: str, probability: float) -> bool:
        if not self._strikes(fault, probability):
            return False
        self.note(Event.FAULT, detail=fault)
        return True

    def _strikes(self, fault: str, probability: float) -> bool:
        return probability > 0 and self._dice(fault).random() < probability

    def _dice(self, name: str) -> random.Random:
        """Fresh dice for one occasion: thousands of Photons cannot each keep a dozen generators."""
        self._rolls[name] += 1
        return self._world.dice.of("photon", self.device_id, name, self._rolls[name])

    async def _sleep(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)
