"""The simulated air: which setup networks are up, how strong each is at which adapter, and what joining takes.

Rule 1: the air knows no stations and no line; adapters are names, and `radio_switcher.py` moves them.
Rule 2: every Photon is on channel 11 at 192.168.0.1; a network is told from another by its BSSID only, for SSIDs
collide (facts: photon-softap 5.1). Two units with one BSSID look like one network, the stronger one.
Rule 3: an adapter hears the boards of its own bench, and shares the channel with that bench's adapters.
Rule 4: `scripted` makes the next act of one adapter fail in a chosen way; chance has only the numbers in `Faults`.
"""

from __future__ import annotations

import enum
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from provisioner.errors import AdapterUnavailable, SwitchError
from provisioner.model import SetupNetwork, printable
from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.photon import takes
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.strikes import Strikes

CHANNEL = 11
BENCH = "bench"  # where everything is that nobody has put elsewhere
_WEAK_REFUSED = 0.25  # of the joins of a weak board
_NEAR_DBM, _WEAK_DBM = (-75.0, -35.0), (-86.0, -74.0)
_SWING_DBM = 3.0
_TURNS = 1000.0  # so many that boards at nearly one place swing apart


class Act(enum.StrEnum):
    """What an adapter can be asked to do; each can be scripted to fail."""

    OPEN = "open"
    SCAN = "scan"
    JOIN = "join"
    LEAVE = "leave"
    RESTORE = "restore"


class Joined(Protocol):
    """An adapter's link to one Photon."""

    @property
    def photon(self) -> SimPhoton:
        """Whose network it is."""
        ...

    @property
    def session(self) -> ApSession:
        """The stretch of that network the adapter joined."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the adapter is still associated."""
        ...


@dataclass(frozen=True, slots=True)
class _Vanished:
    """A network that was in the air: adapters still list it for a while."""

    photon: SimPhoton
    at_s: float  # simulated
    last_beacon_s: float  # trio's, as SetupNetwork.heard_s


class SimRadio:
    """The air of one factory. What is drawn is drawn per adapter, by rolls of its own."""

    def __init__(self, *, clock: SimClock, dice: Dice, faults: Faults, strikes: Strikes) -> None:
        self.clock = clock
        self.faults = faults
        self.joined: dict[str, Joined] = {}  # what each adapter is on now
        self._dice = dice
        self._strikes = strikes
        self._places: dict[str, int] = {}  # numbers that stand for where things are: of boards in the air, of adapters
        self._rolls: Counter[tuple[str, str]] = Counter()
        self._benches: dict[str, str] = {}  # by adapter
        self._listening: defaultdict[str, dict[str, SimPhoton]] = defaultdict(dict)  # by bench and device
        self._vanished: defaultdict[str, dict[str, _Vanished]] = defaultdict(dict)
        self._scripted: defaultdict[tuple[str, Act], deque[SwitchError]] = defaultdict(deque)
        self._joining: Counter[str] = Counter()  # joins under way, by bench
        self._sick_until_s: dict[str, float] = {}
        self._uplinks_away: set[str] = set()
        self._uplink_changed = trio.Event()

    # --- places ---

    def place(self, adapter: str, bench: str) -> None:
        """Put an adapter on a bench."""
        self._benches[adapter] = bench

    def bench_of(self, adapter: str) -> str:
        """The bench an adapter is on."""
        return self._benches.get(adapter, BENCH)

    # --- setup networks ---

    def ap_up(self, photon: SimPhoton) -> None:
        """A setup network appears."""
        self._vanished[photon.bench].pop(photon.device_id, None)
        self._listening[photon.bench][photon.device_id] = photon

    def ap_down(self, photon: SimPhoton) -> None:
        """A setup network is gone; scans may list it a little longer."""
        if self._listening[photon.bench].pop(photon.device_id, None) is not None:
            gone = _Vanished(photon, self.clock.seconds(), trio.current_time())
            self._vanished[photon.bench][photon.device_id] = gone

    def listening(self, bench: str | None = None) -> list[SimPhoton]:
        """Every Photon whose setup network is in the air (of one bench, if given), in the order they came up."""
        benches = self._listening.values() if bench is None else [self._listening[bench]]
        return [photon for boards in benches for photon in boards.values()]

    def find(self, bssid: str, adapter: str) -> SimPhoton | None:
        """The Photon that an adapter reaches under this BSSID now: of several, the strongest."""
        there = [photon for photon in self._listening[self.bench_of(adapter)].values() if photon.bssid == bssid]
        return max(there, key=lambda photon: self._signal_dbm(photon, adapter), default=None)

    def heard(self, adapter: str) -> list[SetupNetwork]:
        """What this adapter hears now, strongest first: also what vanished less than `stale_scan_s` ago."""
        bench = self.bench_of(adapter)
        now_s, oldest_s = trio.current_time(), self.clock.seconds() - self.faults.stale_scan_s
        vanished = self._vanished[bench]
        for device in [device for device, gone in vanished.items() if gone.at_s <= oldest_s]:
            del vanished[device]
            self._places.pop(device, None)
        roll = self.roll("swing", adapter)
        found = [self._network(photon, adapter, now_s, roll) for photon in self._listening[bench].values()]
        found += [self._network(gone.photon, adapter, gone.last_beacon_s, roll) for gone in vanished.values()]
        found.sort(key=lambda network: -network.signal_dbm)
        if not self.faults.same_bssid:
            return found
        return list({network.bssid: network for network in reversed(found)}.values())[::-1]

    def _network(self, photon: SimPhoton, adapter: str, heard_s: float, roll: float) -> SetupNetwork:
        return SetupNetwork(photon.ssid, photon.bssid, round(self._signal_dbm(photon, adapter, roll)), heard_s, CHANNEL)

    def _signal_dbm(self, photon: SimPhoton, adapter: str, roll: float | None = None) -> float:
        """How loud a board is at an adapter; with the roll of one listen, as it is heard in that."""
        low, high = _WEAK_DBM if photon.weak else _NEAR_DBM
        place = Dice.met(self._place(adapter), self._place(photon.device_id))
        # One roll for the whole listen: the board's own place turns it into the board's own swing.
        swing = 0.0 if roll is None else (2 * ((roll + _TURNS * place) % 1) - 1) * _SWING_DBM
        return min(-20.0, low + (high - low) * place + swing)

    def _place(self, thing: str) -> int:
        place = self._places.get(thing)
        if place is None:  # every listen asks for every board in the air
            place = self._places[thing] = self._dice.number("radio", "place", thing)
        return place

    # --- durations and chance ---

    def roll(self, name: str, adapter: str) -> float:
        """One roll, from 0 up to 1, for one occasion at one adapter."""
        self._rolls[name, adapter] += 1
        return self._dice.fraction("radio", name, adapter, self._rolls[name, adapter])

    def strikes(self, fault: str, probability: float, adapter: str, device: str = "") -> bool:
        """Whether this fault strikes at this adapter now; if so, it is noted."""
        if probability <= 0 or self.roll(fault, adapter) >= probability:
            return False
        self._strikes.note(fault, device=device, adapter=adapter)
        return True

    def scan_s(self, adapter: str) -> float:
        """How long one listen takes: 0.6 to 4 seconds."""
        return takes.uniform(self.roll("scan", adapter), 0.6, 4.0)

    @contextmanager
    def joining(self, adapter: str) -> Iterator[tuple[float, float]]:
        """A join under way: yields how long association and DHCP will take.

        Together median 2.5 and p95 8 seconds, at most the 20 that Android's SDK allows, before the channel is shared.
        """
        bench = self.bench_of(adapter)
        crowd = 1 + self.faults.channel_crowding * self._joining[bench]
        total_s = min(20.0, takes.lognormal(self.roll("join", adapter), 2.5, 8.0)) * crowd
        associate_s = total_s * takes.uniform(self.roll("share", adapter), 0.3, 0.6)
        dhcp_s = total_s - associate_s
        if self.strikes("dhcp_slow", self.faults.dhcp_slow, adapter):
            dhcp_s = takes.uniform(self.roll("slow lease", adapter), 8.0, 20.0)
        self._joining[bench] += 1
        try:
            yield associate_s, dhcp_s
        finally:
            self._joining[bench] -= 1

    def refuses_join(self, adapter: str, photon: SimPhoton) -> bool:
        """Whether the Photon's radio does not let this adapter in this time."""
        if photon.weak and self.strikes("weak_board", _WEAK_REFUSED, adapter, photon.device_id):
            return True
        return self.strikes("join_refused", self.faults.join_refused, adapter, photon.device_id)

    # --- adapters that fail ---

    def is_sick(self, adapter: str) -> bool:
        """Whether this adapter joins nothing now; it may fall ill by being asked to join."""
        now_s = self.clock.seconds()
        if now_s < self._sick_until_s.get(adapter, 0.0):
            return True
        if not self.strikes("adapter_sickens", self.faults.adapter_sickens, adapter):
            return False
        self._sick_until_s[adapter] = now_s + takes.uniform(self.roll("sick", adapter), *self.faults.adapter_sick_s)
        return True

    def check_there(self, adapter: str, *, joins: bool = False) -> None:
        """Raise AdapterUnavailable if the adapter was unplugged; it may be, by being asked to join."""
        if joins and self.strikes("adapter_vanishes", self.faults.adapter_vanishes, adapter):
            self._sick_until_s[adapter] = math.inf
        if self._sick_until_s.get(adapter) == math.inf:
            raise AdapterUnavailable(f"adapter {printable(adapter)} is gone", backend_code="sim:no-device")

    def repair_adapters(self) -> None:
        """Whatever is sick or unplugged works again."""
        self._sick_until_s.clear()

    def scripted(self, adapter: str, act: Act, failure: SwitchError) -> None:
        """Make the next such act of this adapter fail like this; several add up."""
        self._scripted[adapter, act].append(failure)

    def raise_scripted(self, adapter: str, act: Act) -> None:
        """Raise the failure that is due, if any."""
        due = self._scripted[adapter, act]
        if due:
            raise due.popleft()

    # --- uplinks over the same radio ---

    def set_uplink_away(self, adapter: str, away: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """This adapter, which also carries the way to the cloud, has left or regained it."""
        (self._uplinks_away.add if away else self._uplinks_away.discard)(adapter)
        self._uplink_changed.set()
        self._uplink_changed = trio.Event()

    def uplink_away(self, adapter: str | None = None) -> bool:
        """Whether this adapter (or any of this computer's) carries the way to the cloud and is on a setup network."""
        return bool(self._uplinks_away) if adapter is None else adapter in self._uplinks_away

    async def wait_uplink_back(self, adapter: str | None = None) -> None:
        """Wait until the way to the cloud is there again."""
        while self.uplink_away(adapter):
            await self._uplink_changed.wait()
