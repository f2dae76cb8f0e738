"""One simulated Photon: what it does from power-on to power-off, with its commands and its life in the factory.

Rule 1: `live` is the whole life as one task; whoever owns the world's nursery starts it.
Rule 2: one command at a time over all sockets of both ports, because the firmware's commands share their state
(facts: photon-softap 1.1, "Threading").
Rule 3: a fault strikes only by the numbers in `Faults` and the profile of its firmware, each with rolls of its own;
every one is in the history.
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
from provisioner.simulator.photon import takes
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.commands import Commands, Flash, fingerprint
from provisioner.simulator.photon.firmware import V2_3_1, Firmware
from provisioner.simulator.photon.history import Event
from provisioner.simulator.photon.keys import KeyPair, key_pair, pairs_that_do_not_fit
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
        firmware: Firmware = V2_3_1,
        flash: Flash | None = None,
    ) -> None:
        self.device_id = device_id.lower()
        self.serial = serial
        self.ssid = ssid
        self.bssid = bssid
        self.firmware = firmware
        self.faults = faults
        self.session: ApSession | None = None
        self.http_address: Address | None = None
        self.tcp_address: Address | None = None
        self.bench = ""  # where it lies
        self.powered = False
        self.online = False
        self.has_left = False  # whether it has ever left listening mode for the factory Wi-Fi
        self._left_listening: trio.Event | None = None
        self._world = surroundings
        self._rolls: Counter[str] = Counter()
        self.dhcp_dead = self._strikes("dhcp_dead", faults.dhcp_dead)
        self.weak = self._strikes("weak_board", faults.weak_board)
        self.commands = self._made(number, flash)
        self._one_command = trio.Lock()
        self._setup_held = False
        self._credentials_changed = False
        self._power_again = False
        self._power = trio.CancelScope()
        self._station_mode = trio.CancelScope()

    def _made(self, number: int, flash: Flash | None) -> Commands:
        """Its keys and its flash, as the factory and its first boot left them."""
        key: KeyPair | None = key_pair(number)
        shown: KeyPair | None = None
        if self._strikes("key_damaged", self.faults.key_damaged):
            key, shown = pairs_that_do_not_fit(number)
        if self._strikes("key_missing", self.faults.key_missing):
            key = None
        return Commands(self.device_id, key, self.firmware, shown, flash or Flash())

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

    @property
    def left_listening(self) -> trio.Event:
        """Set once it has left listening mode for the factory Wi-Fi for the first time."""
        if self._left_listening is None:
            self._left_listening = trio.Event()
            if self.has_left:
                self._left_listening.set()
        return self._left_listening

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
        await self._sleep(takes.boot_s(self._roll("boot")) if boot_s is None else boot_s)
        self._note_how_it_was_made()
        listens = not self.flash.networks
        while True:
            if listens or self._setup_held:
                await self._listen()
            with trio.CancelScope() as self._station_mode:
                if await self._join():
                    await self._stay_online()
            listens = True

    def _note_how_it_was_made(self) -> None:
        """Faults of the unit itself strike when it is switched on."""
        faults = {
            "dhcp_dead": self.dhcp_dead,
            "weak_board": self.weak,
            "key_missing": self.commands.key is None,
            "key_damaged": self.commands.shown_key is not None,
        }
        for name, struck in faults.items():
            if struck:
                self._note_fault(name)

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
            await self._sleep(takes.servers_up_s(self._roll("servers")))
            session.ready.set()
            self._world.servers_up(self, session)
            await session.asked.wait()
            if session.connect_told:
                await self._sleep(takes.leaves_after_s(self._roll("leaving")))
                self._silence()
                self.has_left = True
                if self._left_listening is not None:
                    self._left_listening.set()
                return
            self._silence()
            await self._sleep(takes.vanished_s(self._roll("vanished")))

    def _silence(self) -> None:
        if self.listening and self.session is not None:
            self.session.end()
            self.session = None
            self.note(Event.SILENT)
            self._world.ap_down(self)

    async def _join(self) -> bool:
        """Join the factory Wi-Fi. False: credentials of this session did not work, or there are none."""
        began_s = self._world.clock.seconds()
        while True:
            if not self.flash.networks:
                await self._sleep(3.0)
                return False
            if self._world.online_delay_s is None:
                await self._sleep(takes.radio_join_s(self._roll("joining")))
            if first_joined(self.flash.networks, self._world.factory_networks):
                self.note(Event.WIFI_JOINED)
                return True
            if self._credentials_changed:
                back_s = began_s + takes.gives_up_join_s(self._roll("giving up"))
                await self._sleep(back_s - self._world.clock.seconds())
                self.note(Event.WIFI_FAILED)
                return False
            await self._sleep(2.0)

    async def _stay_online(self) -> None:
        """Reach the cloud, with everything that can go wrong there, and stay until power or Wi-Fi is taken away."""
        delay_s = self._world.online_delay_s
        await self._sleep(takes.to_cloud_s(self._roll("to cloud")) if delay_s is None else delay_s)
        if self._struck("never_online", self.faults.never_online):
            self.note(Event.CLOUD_UNREACHABLE)
            await trio.sleep_forever()
        if self.firmware.keeps_beaconing:
            self._world.ap_up(self)  # but nobody is let in: it only beacons (device-os issue 971)
        try:
            if self._struck("slow_online", self.faults.slow_online):
                await self._update()
            self._shake_hands()
            await trio.sleep_forever()
        finally:
            if self.firmware.keeps_beaconing:
                self._world.ap_down(self)
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
        turn = self._one_command  # most come alone, and taking a free lock the usual way is a turn of the scheduler
        turn.acquire_nowait() if not turn.locked() else await turn.acquire()
        try:
            writes = await self._carried_out(command, body, session, via)
        finally:
            turn.release()
        return None if self._answer_lost(command) else writes

    async def _carried_out(self, command: str, body: bytes, session: ApSession, via: str) -> tuple[bytes, ...]:
        vanish = self._struck("ap_vanishes", self.faults.ap_vanishes) and command != "connect-ap"
        before = vanish and self._roll("ap_vanishes when") < 0.5
        if before:
            await self._vanish(session)
        request = self.commands.read(command, body)
        await self._sleep(takes.command_s(self._roll(command), command, scans=request.scans))
        heard = self._scan(command) if command in ("scan-ap", "configure-ap") else ()
        passwords = [one.password.encode() for one in self._world.factory_networks]
        answer = self.commands.carry_out(request, heard=heard, passwords=passwords)
        self.note(answer.event, via=via, detail=answer.detail)
        self._afterwards(answer.event, session)
        if vanish:
            await self._vanish(session)
        return answer.writes

    def _afterwards(self, event: Event, session: ApSession) -> None:
        if event is Event.CONFIGURED:
            self._credentials_changed = True
        elif event is Event.CONNECT:
            session.connect_told = True
            session.asked.set()
        elif event is Event.CLAIM_CODE_SET:
            if self._struck("claim_code_forgotten", self.faults.claim_code_forgotten):
                self.flash.claim_code = None
            elif self._struck("claim_code_garbled", self.firmware.claim_code_garbled):
                self.flash.claim_code = bytes(63)  # T12: a dangling pointer, and r:0 all the same

    def _answer_lost(self, command: str) -> bool:
        if command == "connect-ap":
            return self._struck("connect_reply_lost", self.faults.connect_reply_lost)
        return self._struck("reply_lost", self.faults.reply_lost)

    def _scan(self, command: str) -> Iterable[HeardNetwork]:
        if command == "configure-ap":
            return self._world.heard_by(self)
        if self._struck("scan_empty", self.faults.scan_empty):
            return ()
        found = list(self._world.heard_by(self))
        self._dice("found").shuffle(found)  # networks come in the order in which they are heard
        return found

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
        return self._struck("first_tcp_not_closed", float(self.firmware.first_tcp_left_open))

    def note(self, event: Event, *, via: str = "", detail: str = "") -> None:
        """Write into the world's history."""
        self._world.history.note(self.device_id, event, self.bssid, via=via, detail=detail)

    def _struck(self, fault: str, probability: float) -> bool:
        if not self._strikes(fault, probability):
            return False
        self._note_fault(fault)
        return True

    def _note_fault(self, fault: str) -> None:
        self.note(Event.FAULT, detail=fault)
        self._world.strike(fault, self)

    def _strikes(self, fault: str, probability: float) -> bool:
        return probability > 0 and self._roll(fault) < probability

    def _roll(self, name: str) -> float:
        """One roll for this occasion: thousands of Photons cannot each keep a dozen generators."""
        self._rolls[name] += 1
        return self._world.dice.fraction("photon", self.device_id, name, self._rolls[name])

    def _dice(self, name: str) -> random.Random:
        """Fresh dice, for an occasion that needs more than one roll."""
        self._rolls[name] += 1
        return self._world.dice.of("photon", self.device_id, name, self._rolls[name])

    async def _sleep(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)
