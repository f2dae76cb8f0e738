"""The contract of switchers on a real Wi-Fi stack (L4): a lane is two adapters, two Photons and an uplink of its own.

Lanes run side by side, each a process; what stops NetworkManager for everybody is left to the last one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import trio
from air import PASSWORD, AccessPoint, ended, raw, sh, started

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from switcher_cases import (
    CASES,
    HOSTILE,
    Case,
    hostile_names_never_raise_and_only_the_prefix_is_offered,
    show,
)

from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.network.wpa_supplicant import WpaSupplicantFactory
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

CONTROL = Path("/run/wpa_supplicant")
STOPS_EVERYBODY = "hang leave"  # where one daemon serves all adapters
FAILS = "a daemon that runs does not fail on request; it is killed in namespaces (L3)"


@dataclass
class Lane:
    """What one lane has. `names` is what its uplink is called."""

    backend: str
    adapters: Sequence[str]
    photons: Sequence[AccessPoint]
    uplink: AccessPoint
    uplink_name: str
    supplicants: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    uplink_is_up: bool = False


class RadioBench:
    """What both back ends' benches do alike."""

    policy = JoinPolicy(budget_s=30, leave_budget_s=10)
    join_bound_s = 12.0
    while_s = 1.0
    slack_s = 4.0
    restore_s = 12.0
    loss_seen_s = 25.0
    cannot: ClassVar[Mapping[str, str]] = {}

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.free = list(lane.photons)
        self.points: dict[str, AccessPoint] = {}

    def put(self, ssid, *, lease=True):
        point = self.points[ssid] = self.free.pop(0)
        point.up(ssid)
        if not lease:
            point.mute()

    def vanish(self, ssid):
        self.points[ssid].silence()

    def shout(self, ssid):
        raise NotImplementedError("a radio shouts all names at once: `shouted`")

    def fail_leave(self):
        raise NotImplementedError

    def hang_join(self):
        self.policy = JoinPolicy(self.join_bound_s, self.policy.leave_budget_s)
        for point in (*self.lane.photons, self.lane.uplink):
            point.freeze()

    def close(self):
        for point in (*self.lane.photons, self.lane.uplink):
            point.good()
        for point in self.lane.photons:
            point.silence()

    @asynccontextmanager
    async def open(self, adapter, uplink):
        """On its uplink before, where it is to be shared."""
        name = self.lane.adapters[int(adapter[-1]) - 1]
        if uplink is Uplink.SHARED:
            if not self.lane.uplink_is_up:
                self.lane.uplink.up(self.lane.uplink_name, wpa=True)
                self.lane.uplink_is_up = True
            await self.at_home(name)
        async with self.factory().session(adapter=name, uplink=uplink) as switcher:
            yield switcher

    async def find(self, switcher, ssid):
        """By this lane's own BSSID: other lanes' Photons have the same names."""
        wanted = self.points[ssid].bssid
        for _ in range(6):
            for network in await switcher.scan(prefix=ssid[:1], timeout=20):
                if network.bssid == wanted:
                    return network
        raise AssertionError(f"{ssid!r} was never heard")

    async def who_answers(self, link):
        device = str(await SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets()).identify())
        return next(ssid for ssid, point in self.points.items() if point.device_id == device)

    def on_uplink(self, adapter):
        name = self.lane.adapters[int(adapter[-1]) - 1]
        return self.is_home(name) and "1 packets received" in sh(
            f"busybox ping -c 1 -W 5 -I {name} {self.lane.uplink.address}", check=False
        )

    async def at_home(self, name):
        """Wait until it is there, with an answer."""
        self.go_home(name)
        with trio.fail_after(60):
            while not self.on_uplink(f"wlan{self.lane.adapters.index(name) + 1}"):
                await trio.sleep(0.5)


class NetworkManagerBench(RadioBench):
    """Real NetworkManager; the system's own wpa_supplicant works for it."""

    cannot: ClassVar = {"fail leave": FAILS}

    def factory(self):
        return NetworkManagerFactory()

    def go_home(self, name):
        if f"home {name}" not in sh("nmcli -g NAME connection show").splitlines():
            arguments = [
                "nmcli", "connection", "add", "type", "wifi", "ifname", name, "con-name", f"home {name}",
                "ssid", self.lane.uplink_name, "wifi-sec.key-mgmt", "wpa-psk", "wifi-sec.psk", PASSWORD,
                "ipv6.method", "disabled",
            ]  # fmt: skip
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        if not self.is_home(name):
            sh(f"nmcli --wait 40 connection up 'home {name}'", check=False)

    def is_home(self, name):
        return sh(f"nmcli -g GENERAL.CONNECTION device show {name}").strip() == f"home {name}"

    def hang_leave(self):
        sh("pkill -STOP -x NetworkManager")

    def close(self):
        sh("pkill -CONT -x NetworkManager", check=False)
        super().close()


class WpaBench(RadioBench):
    """A plain wpa_supplicant for each adapter, that nobody else manages."""

    cannot: ClassVar = {"dhcp": "it brings an address of its own and asks for none"}
    loss_seen_s = 12.0

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        for name in lane.adapters:
            if name not in lane.supplicants or lane.supplicants[name].poll() is not None:
                lane.supplicants[name] = started(
                    f"exec wpa_supplicant -i {name} -D nl80211 -C {CONTROL}", f"wpa-{name}.log"
                )

    def factory(self):
        return WpaSupplicantFactory()

    @asynccontextmanager
    async def open(self, adapter, uplink):
        with trio.fail_after(20):
            for name in self.lane.adapters:
                while not (CONTROL / name).exists():
                    await trio.sleep(0.1)
        async with super().open(adapter, uplink) as switcher:
            yield switcher

    def go_home(self, name):
        """As an administrator would: the network by its bytes, an address that stays."""
        if "provisioner" not in sh("id -un") and "COMPLETED" not in sh(f"wpa_cli -i {name} status"):
            number = sh(f"wpa_cli -i {name} add_network").strip()
            sh(f"wpa_cli -i {name} set_network {number} ssid {raw(self.lane.uplink_name).hex()}")
            sh(f"wpa_cli -i {name} set_network {number} psk '\"{PASSWORD}\"'")
            sh(f"wpa_cli -i {name} select_network {number}")
        base = self.lane.uplink.address.rpartition(".")[0]
        sh(f"ip addr replace {base}.{77 + self.lane.adapters.index(name)}/24 dev {name}")

    def is_home(self, name):
        status = sh(f"wpa_cli -i {name} status", check=False)
        return "wpa_state=COMPLETED" in status and f"bssid={self.lane.uplink.bssid}" in status

    def hang_leave(self):
        for supplicant in self.lane.supplicants.values():
            ended(supplicant, signal.SIGSTOP)

    def fail_leave(self):
        for name, supplicant in self.lane.supplicants.items():
            ended(supplicant)
            supplicant.wait()
            (CONTROL / name).unlink(missing_ok=True)

    def close(self):
        for supplicant in self.lane.supplicants.values():
            ended(supplicant, signal.SIGCONT)
        super().close()
        for name in self.lane.adapters:
            sh(f"ip addr flush dev {name} to 192.168.0.0/24", check=False)


BENCHES = {"networkmanager": NetworkManagerBench, "wpa_supplicant": WpaBench}


def run(lane: Lane, cases: Sequence[Case]) -> dict[str, str]:
    """These cases in this lane, one after the other."""

    @contextmanager
    def benches() -> Iterator[RadioBench]:
        bench = BENCHES[lane.backend](lane)
        try:
            yield bench
        finally:
            bench.close()

    return trio.run(show, benches, cases)


def shares(backend: str, lanes: int) -> tuple[list[list[Case]], list[Case]]:
    """The contract's cases, spread over so many lanes; and those that one lane must run alone."""
    alone = [case for case in CASES.values() if backend == "networkmanager" and STOPS_EVERYBODY in case.wants]
    rest = [case for case in CASES.values() if case not in alone]
    return [rest[number::lanes] for number in range(lanes)], alone


# --- names that nobody should have ---

SAYABLE = [name for name in HOSTILE if 1 <= len(raw(name)) <= 32]


async def shouted(lane: Lane, point: AccessPoint, also: Sequence[str]) -> dict[str, object]:
    """All hostile names that fit into a beacon are in the air at once, and are heard as what they are."""
    point.up(SAYABLE[0], more=tuple(SAYABLE[1:]))
    bench = BENCHES[lane.backend](lane)
    bench.put("Photon-AAAA")
    heard: Callable[..., object] = bench.shout
    bench.shout = lambda name: None  # they are in the air already
    try:
        await trio.sleep(2)
        await hostile_names_never_raise_and_only_the_prefix_is_offered(bench, SAYABLE, also)
        async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
            found = await switcher.scan(prefix="", timeout=20)
    finally:
        bench.shout = heard
        bench.close()
        point.silence()
    return {"in the air": len(SAYABLE), "heard as they are": sorted(ascii(n.ssid) for n in found if n.ssid in SAYABLE)}
