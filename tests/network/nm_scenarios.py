"""What is shown against a real NetworkManager in namespaces (L3); prints one line of JSON. Run by `test_nm_daemon`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import trio
from hall import ENVIRONMENT, run
from nm_hall import HOME, VETH, NMHall, WiredFactory, by_cable, nmcli, wired

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from switcher_cases import CASES, show

from provisioner.errors import ProvisionerError
from provisioner.model import SetupNetwork
from provisioner.network import networkmanager
from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.nm_profile import OURS, WIFI
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

ADAPTERS = ("wlan1", "wlan2")
POLICY = JoinPolicy(budget_s=20, leave_budget_s=8)
FIRST, SECOND = "Photon-AAAA", "Photon-BBBB"


def heard(ssid):
    return SetupNetwork(ssid, "02:00:00:00:00:01", -50, trio.current_time())


async def who(link):
    return str(await SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets()).identify())


class NMBench:
    """The contract's bench: the shipped back end and the real daemon, cables instead of radio."""

    leave_budget_s = 4.0
    join_bound_s = 4.0
    loss_seen_s = 12.0
    while_s = 0.5
    slack_s = 1.5
    restore_s = 8.0
    cannot: ClassVar = {
        "scan": "a cable has no scan",
        "names": "a cable has no names",
    }

    def __init__(self, hall):
        self.hall, self.policy = hall, JoinPolicy(budget_s=4, leave_budget_s=4)
        self.powered = list(hall.units)
        self.factory = WiredFactory(hall)
        hall.names.clear()

    def close(self):
        """Make the hall good again."""
        self.hall.daemon.send_signal(signal.SIGCONT)
        self.hall.speak()
        if self.hall.daemon.poll() is not None:
            self.hall.daemon = self.hall.start_daemon()
        for adapter in ADAPTERS:
            self.hall.plug(adapter, HOME)
            nmcli("connection", "up", f"home {adapter}")

    def put(self, ssid, *, lease=True):
        unit = self.hall.names[ssid] = self.powered.pop(0)
        if not lease:
            self.hall.silence(unit.space)
            self.policy = POLICY

    def vanish(self, ssid):
        unit = self.hall.names.pop(ssid)
        for adapter, space in list(self.hall.plugged.items()):
            if space == unit.space:
                self.hall.unplug(adapter)

    def hang_join(self):
        for space in self.hall.servers:
            self.hall.silence(space)

    def hang_leave(self):
        self.hall.daemon.send_signal(signal.SIGSTOP)

    def fail_leave(self):
        self.hall.kill_daemon()

    def on_uplink(self, adapter):
        return self.hall.at_home(adapter)

    def open(self, adapter, uplink):
        return self.factory.session(adapter=adapter, uplink=uplink)

    async def find(self, switcher, ssid):
        return heard(ssid)

    async def who_answers(self, link):
        device = await who(link)
        return next(ssid for ssid, unit in self.hall.names.items() if unit.device_id == device)


async def contract(hall):
    """Every case of the contract that has no need of a radio."""

    @contextmanager
    def benches():
        bench = NMBench(hall)
        try:
            yield bench
        finally:
            bench.close()

    return await show(benches, list(CASES.values()))


# --- what a real daemon says and does ---


async def refused(factory, adapter):
    """Why a session is not to be had."""
    try:
        async with factory.session(adapter=adapter, uplink=Uplink.SEPARATE):
            return ["opened"]
    except ProvisionerError as failure:
        return [failure.code, failure.detail, failure.remedy]


async def refusals(hall):
    """What cannot be used is refused in words, by the shipped factory as it is: a cable is no Wi-Fi adapter."""
    factory, results = NetworkManagerFactory(), {}
    results["no adapter"] = await refused(factory, "wlan9")
    networkmanager.WIFI = WIFI
    results["no Wi-Fi"] = await refused(factory, "wlan1")
    networkmanager.WIFI = VETH
    nmcli("device", "set", "wlan2", "managed", "no")
    results["not managed"] = await refused(factory, "wlan2")
    nmcli("device", "set", "wlan2", "managed", "yes")
    async with factory.session(adapter="wlan1", uplink=Uplink.SEPARATE):
        results["another station's"] = await refused(NetworkManagerFactory(), "wlan1")
    bus, os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = os.environ["DBUS_SYSTEM_BUS_ADDRESS"], "unix:path=/run/no-such-bus"
    results["no bus"] = await refused(factory, "wlan1")
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus
    hall.kill_daemon()
    results["no NetworkManager"] = await refused(factory, "wlan1")
    hall.daemon = hall.start_daemon()
    return results


async def examined(hall):
    """What doctor says: the version, and profiles of setup networks that other tools have left."""
    nmcli("connection", "add", "type", "wifi", "ifname", "*", "con-name", "Photon-KLJZ", "ssid", "Photon-KLJZ")
    uuid = nmcli("-g", "connection.uuid", "connection", "show", "Photon-KLJZ").strip()
    findings = await NetworkManagerFactory().examine("wlan1")
    nmcli("connection", "delete", "Photon-KLJZ")
    after = await NetworkManagerFactory().examine("wlan1")
    return {
        "findings": {finding.what: [finding.detail, finding.remedy] for finding in findings},
        "uuid": uuid,
        "after": [finding.what for finding in after],
    }


async def a_visit(hall):
    """What a join changes on this computer, and that leaving takes it back."""
    hall.names = {FIRST: hall.units[0]}
    routes = ("ip", "-4", "route", "show", "default")
    resolver = Path("/etc/resolv.conf").read_bytes()
    before = run(*routes)
    async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SHARED) as switcher:
        async with switcher.joined(heard(FIRST), POLICY) as link:
            during = {
                "answers": await who(link) == hall.units[0].device_id,
                "default routes": run(*routes),
                "address": "192.168.0." in run("ip", "-4", "addr", "show", "wlan1"),
                "resolver is the same": Path("/etc/resolv.conf").read_bytes() == resolver,
                "profile": hall.active("wlan1"),
                "on disk": [path.name for path in Path("/etc/NetworkManager").rglob(f"{OURS}*")],
            }
        left = hall.active("wlan1") != f"{OURS}wlan1"
        began = trio.current_time()
        await switcher.restore(timeout=20)
        took = trio.current_time() - began
    return {
        **during, "left": left, "home": hall.at_home("wlan1"), "back after": round(took, 2),
        "default routes after": run(*routes), "default routes before": before,
        "profiles": [name for name in hall.profiles() if name.startswith(OURS)],
    }  # fmt: skip


async def static_address(hall):
    """A unit that gives no lease: said so, and joined with an address of our own."""
    hall.names = {FIRST: hall.units[0]}
    hall.silence(hall.units[0].space)
    results = {}
    async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SEPARATE) as switcher:
        try:
            async with switcher.joined(heard(FIRST), POLICY):
                results["dhcp"] = "joined"
        except ProvisionerError as failure:
            results["dhcp"] = [failure.code, getattr(failure, "backend_code", "")]
        async with switcher.joined(heard(FIRST), JoinPolicy(20, 8, static_address="192.168.0.200")) as link:
            results["static"] = await who(link) == hall.units[0].device_id
    hall.speak()
    return results


async def dropped(hall):
    """One property of a wrong type: the real daemon throws the whole template away in silence; we refuse and leave."""
    hall.names = {FIRST: hall.units[0]}

    def wrong(network, adapter, *, user, static):
        profile = {name: dict(rows) for name, rows in wired(network, adapter, user=user, static=static).items()}
        profile["ipv4"]["dhcp-timeout"] = ("s", "10")
        return profile

    networkmanager.profile_of = wrong
    try:
        async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SEPARATE) as switcher:
            try:
                async with switcher.joined(heard(FIRST), POLICY):
                    said = ["joined"]
            except ProvisionerError as failure:
                said = [failure.code, failure.detail]
    finally:
        networkmanager.profile_of = wired
    return {"said": said, "home": hall.at_home("wlan1"), "profiles": hall.profiles()}


async def leftovers(hall):
    """What an earlier version of us may have left is swept, for this adapter only."""
    for name in (f"{OURS}wlan1", f"{OURS}wlan2", "somebody's"):
        nmcli("connection", "add", "type", "ethernet", "ifname", "wlan1", "con-name", name, "autoconnect", "no")
    before = hall.profiles()
    async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SEPARATE):
        after = hall.profiles()
    for name in (f"{OURS}wlan2", "somebody's"):
        nmcli("connection", "delete", name)
    return sorted(set(before) - set(after))


async def killed(hall):
    """`kill -9` of us while joined: the daemon leaves by itself, nothing of ours stays, and the uplink comes back."""
    hall.names = {FIRST: hall.units[0]}
    hall.plug("wlan1", hall.units[0])
    command = [sys.executable, __file__, "stay joined"]
    with subprocess.Popen(  # noqa: ASYNC220 - there is nothing else to do meanwhile
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT | os.environ
    ) as child:
        assert child.stdout.readline() == "joined\n"
        joined = hall.active("wlan1")
        child.kill()
    began = time.monotonic()
    hall.plug("wlan1", HOME)
    while f"{OURS}wlan1" in hall.profiles() and time.monotonic() < began + 20:
        await trio.sleep(0.05)
    gone = f"{OURS}wlan1" not in hall.profiles()
    while not hall.at_home("wlan1") and time.monotonic() < began + 20:
        await trio.sleep(0.05)
    then = await refused(NetworkManagerFactory(), "wlan1")
    return {"joined": joined, "ours are gone": gone, "home": hall.at_home("wlan1"), "then": then}


class PluggedIn:
    """What the process that is to be killed needs of the hall: the cable is where it should be."""

    names: ClassVar = {FIRST: ""}

    def plug(self, adapter, unit):
        pass


async def stay_joined():
    async with (
        WiredFactory(PluggedIn()).session(adapter="wlan1", uplink=Uplink.SHARED) as switcher,
        switcher.joined(heard(FIRST), POLICY),
    ):
        print("joined", flush=True)
        await trio.sleep_forever()


# --- rights: needs several accounts, so real root ---

ACCOUNT = 1234


async def rights(hall):
    """An account without rights is refused in words; with the shipped polkit rule it visits a unit, without root."""
    Path("/run/passwd").write_text(f"{Path('/etc/passwd').read_text()}provisioner:x:{ACCOUNT}:{ACCOUNT}::/:/bin/sh\n")
    run("mount", "--bind", "/run/passwd", "/etc/passwd")
    hall.plug("wlan1", hall.units[0])
    results = {"root": await refused(NetworkManagerFactory(), "wlan1"), "no polkitd": as_account()}
    hall.start_polkit()
    results["Debian's rules"] = as_account()
    hall.start_polkit(Path(__file__).parents[2] / "config/polkit/50-provisioner.rules")
    results["the shipped rule"] = as_account()
    return {**results, "unit": hall.units[0].device_id}


def as_account():
    """What the account `provisioner` gets, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "as account"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT | os.environ,
    )
    return json.loads(done.stdout)


async def visit_as_account():
    """After dropping all rights: a session, a join, an answer; or the words of the refusal."""
    os.environ["USER"] = os.environ["LOGNAME"] = "provisioner"
    os.setgroups([])
    os.setresgid(*[ACCOUNT] * 3)
    os.setresuid(*[ACCOUNT] * 3)
    try:
        async with (
            WiredFactory(PluggedIn()).session(adapter="wlan1", uplink=Uplink.SEPARATE) as switcher,
            switcher.joined(heard(FIRST), POLICY) as link,
        ):
            print(json.dumps(["answered", await who(link)]))
    except ProvisionerError as failure:
        print(json.dumps([failure.code, failure.detail, failure.remedy]))


class BodyEnds(Exception):
    """The visit's own error."""


async def daemon_killed(hall):
    """The daemon dies under us, comes back, and the next session works and finds its way home."""
    hall.names = {FIRST: hall.units[0], SECOND: hall.units[1]}
    said = []
    try:
        async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SHARED) as switcher:
            try:
                async with switcher.joined(heard(FIRST), POLICY) as link:
                    hall.kill_daemon()
                    said.append(await link.healthy())
                    raise BodyEnds
            except BodyEnds:
                said.append("the body's own error came out")
            async with switcher.joined(heard(SECOND), POLICY):
                said.append("joined")
    except ProvisionerError as failure:
        said.append(failure.code)
    hall.daemon = hall.start_daemon()
    async with WiredFactory(hall).session(adapter="wlan1", uplink=Uplink.SHARED) as switcher:
        async with switcher.joined(heard(SECOND), POLICY) as link:
            answered = await who(link)
        await switcher.restore(timeout=20)
        home = hall.at_home("wlan1")
    return {"said": said, "answered": answered == hall.units[1].device_id, "home": home,
            "profiles": [name for name in hall.profiles() if name.startswith(OURS)]}  # fmt: skip


SCENARIOS = [refusals, examined, a_visit, static_address, dropped, leftovers, killed, daemon_killed, contract, rights]


def main():
    by_cable()
    if sys.argv[1:] == ["stay joined"]:
        trio.run(stay_joined)
    if sys.argv[1:] == ["as account"]:
        return trio.run(visit_as_account)
    hall, results = NMHall(), {}
    for ssid in ("Photon-YYYY", "Photon-ZZZZ"):
        hall.unit(ssid)
    for adapter in ADAPTERS:
        hall.home_adapter(adapter)
    hall.heard()
    for scenario in SCENARIOS:
        if scenario.__name__ in sys.argv[1:]:
            began = time.monotonic()
            try:
                results[scenario.__name__] = {"result": trio.run(scenario, hall)}
            except BaseException:  # noqa: BLE001 - one bad scenario hides no other
                results[scenario.__name__] = {"error": traceback.format_exc()[-4000:]}
            print(scenario.__name__, round(time.monotonic() - began, 1), file=sys.stderr, flush=True)
    print(json.dumps(results), flush=True)
    return os._exit(0)


if __name__ == "__main__":
    main()
