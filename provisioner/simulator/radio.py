"""The simulated air: which setup networks are up, how strong each is at which adapter, and what joining takes.

Rule 1: the air knows no stations and no line; adapters are names, and `radio_switcher.py` moves them.
Rule 2: every Photon is on channel 11 at 192.168.0.1; a network is told from another by its BSSID only, for SSIDs
collide (facts: photon-softap 5.1).
Rule 3: `scripted` makes the next act of one adapter fail in a chosen way; chance has only the numbers in `Faults`.
"""

from __future__ import annotations

import enum
import random
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Protocol

import trio

from provisioner.errors import SwitchError
from provisioner.model import SetupNetwork
from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.firmware import lognormal
from provisioner.simulator.photon.sim_photon import SimPhoton

CHANNEL = 11


class Act(enum.StrEnum):
    """What an adapter can be asked to do; each can be scripted to fail."""

    OPEN = "open"
    SCAN = "scan"
    JOIN = "join"
    LEAVE = "leave"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class _Vanished:
    """A network that was in the air: adapters still list it for a while."""

    photon: SimPhoton
    at_s: float  # simulated
    last_beacon_s: float  # trio's, as SetupNetwork.heard_s


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


class SimRadio:
    """The air of one factory. Durations are drawn per adapter, from dice of its own."""

    def __init__(self, *, clock: SimClock, dice: Dice, faults: Faults) -> None:
        self.clock = clock
        self.faults = faults
        self._dice = dice
        self._rolls: Counter[tuple[str, str]] = Counter()
        self._listening: dict[str, SimPhoton] = {}
        self._vanished: dict[str, _Vanished] = {}
        self._scripted: defaultdict[tuple[str, Act], deque[SwitchError]] = defaultdict(deque)
        self.joined: dict[str, Joined] = {}  # what each adapter is on now
        self._uplinks_away: set[str] = set()
        self._uplink_changed = trio.Event()

    # --- setup networks ---

    def ap_up(self, photon: SimPhoton) -> None:
        """A setup network appears."""
        self._vanished.pop(photon.bssid, None)
        self._listening[photon.bssid] = photon

    def ap_down(self, photon: SimPhoton) -> None:
        """A setup network is gone; scans may list it a little longer."""
        if self._listening.pop(photon.bssid, None) is not None:
            self._vanished[photon.bssid] = _Vanished(photon, self.clock.seconds(), trio.current_time())

    def listening(self) -> list[SimPhoton]:
        """Every Photon in listening mode, in the order in which they came up."""
        return list(self._listening.values())

    def find(self, bssid: str) -> SimPhoton | None:
        """The Photon whose setup network has this BSSID and is in the air now."""
        return self._listening.get(bssid)

    def heard(self, adapter: str) -> list[SetupNetwork]:
        """What this adapter hears now, strongest first: also what vanished less than `stale_scan_s` ago."""
        now_s, oldest_s = trio.current_time(), self.clock.seconds() - self.faults.stale_scan_s
        self._vanished = {bssid: gone for bssid, gone in self._vanished.items() if gone.at_s > oldest_s}
        found = [self._network(photon, adapter, now_s) for photon in self._listening.values()]
        found += [self._network(gone.photon, adapter, gone.last_beacon_s) for gone in self._vanished.values()]
        return sorted(found, key=lambda network: -network.signal_dbm)

    def _network(self, photon: SimPhoton, adapter: str, heard_s: float) -> SetupNetwork:
        distance = self._dice.of("radio", "distance", adapter, photon.bssid).uniform(-75, -35)
        swing = self.dice("swing", adapter).gauss(0, 2)
        return SetupNetwork(photon.ssid, photon.bssid, round(min(-20, max(-95, distance + swing))), heard_s, CHANNEL)

    # --- durations and chance ---

    def dice(self, name: str, adapter: str) -> random.Random:
        """Fresh dice for one occasion at one adapter."""
        self._rolls[name, adapter] += 1
        return self._dice.of("radio", name, adapter, self._rolls[name, adapter])

    def scan_s(self, adapter: str) -> float:
        """How long one scan takes: 0.6 to 4 seconds."""
        return self.dice("scan", adapter).uniform(0.6, 4.0)

    def join_s(self, adapter: str) -> tuple[float, float]:
        """Association and DHCP; together median 2.5 and p95 8 seconds, never over the 20 that Android's SDK allows."""
        dice = self.dice("join", adapter)
        total_s = min(20.0, lognormal(dice, 2.5, 8.0))
        share = dice.uniform(0.3, 0.6)
        return total_s * share, total_s * (1 - share)

    def refuses_join(self, adapter: str) -> bool:
        """Whether the Photon's radio does not let this adapter in this time."""
        return self.faults.join_refused > 0 and self.dice("refuse", adapter).random() < self.faults.join_refused

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
