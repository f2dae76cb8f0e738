"""Scenarios of the radio bench: the program's own back ends among real access points. Each tells what happened."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trio
from air import OUT, PASSWORD, AccessPoint, ended, sh, started

from provisioner import errors
from provisioner.network.host import look
from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.network.wpa_supplicant import WpaSupplicantFactory
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

ROOT = Path(__file__).parents[2]
POLICY = JoinPolicy(budget_s=40, leave_budget_s=15)
USER_ID = 1234
AT_HOME = "the way to the cloud"
POLKITD = "/usr/lib/polkit-1/polkitd --no-debug"
NM_CONF = """
[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
no-auto-default=*
auth-polkit=true
dhcp=internal
hostname-mode=none
[connectivity]
enabled=false
[device]
wifi.scan-rand-mac-address=no
"""


@dataclass
class Hall:
    """What the scenarios share: adapters, Photons by name, one more of each kind, and a WPA2 uplink."""

    adapters: list[str]
    photons: dict[str, AccessPoint]
    loner: AccessPoint  # a Photon that may vanish
    twin: AccessPoint  # takes another's name
    uplink: AccessPoint
    phy_of: dict[str, str]
    uplink_name: str = "FactoryUplink"
    notes: list[str] = field(default_factory=list)

    @property
    def adapter(self) -> str:
        return self.adapters[0]

    @property
    def second(self) -> str:
        return self.adapters[-1]


def client_of(link, **budgets):
    return SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets(**budgets))


async def find(switcher, point_or_name):
    """Listen until it is heard: by BSSID, or any of that name."""
    for _ in range(6):
        for network in await switcher.scan(prefix="Photon-", timeout=20):
            if network.ssid == point_or_name or network.bssid == getattr(point_or_name, "bssid", ""):
                return network
    raise RuntimeError(f"{getattr(point_or_name, 'bssid', point_or_name)} was never heard")


async def visit(switcher, point):
    """Listen until it is heard, join, ask who it is, leave; the times of each."""
    began = trio.current_time()
    network = await find(switcher, point)
    scanned = trio.current_time()
    async with switcher.joined(network, POLICY) as link:
        joined = trio.current_time()
        client = client_of(link)
        for _ in range(5):
            await client.version()
        device = await client.identify()
        asked = trio.current_time()
        assert await link.healthy()
    left = trio.current_time()
    assert device == point.device_id, f"{device} answered on {network.ssid}"
    return {"listen": round(scanned - began, 2), "join": round(joined - scanned, 2),
            "six requests": round(asked - joined, 2), "leave": round(left - asked, 2)}  # fmt: skip


async def refusal(switcher, network, policy=POLICY):
    """What comes of a join that must not be."""
    try:
        async with switcher.joined(network, policy):
            return "joined"
    except errors.SwitchError as failure:
        return failure.code


# --- times ---


async def one_radio(hall):
    """One adapter of its own, three Photons one after the other, and back to nothing."""
    async with NetworkManagerFactory().session(adapter=hall.adapter, uplink=Uplink.SEPARATE) as switcher:
        return [await visit(switcher, point) for point in list(hall.photons.values())[:3]]


async def many_radios(hall):
    """All adapters at once, each with a Photon of its own: the right one answers every time."""
    factory, results = NetworkManagerFactory(), []

    async def work(switcher, point):
        results.append(await visit(switcher, point))

    async with AsyncExitStack() as stack:
        pairs = [
            (await stack.enter_async_context(factory.session(adapter=adapter, uplink=Uplink.SEPARATE)), point)
            for adapter, point in zip(hall.adapters, hall.photons.values(), strict=True)
        ]
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for pair in pairs:
                nursery.start_soon(work, *pair)
        took = trio.current_time() - began
    longest = {what: max(one[what] for one in results) for what in results[0]}
    return {"radios": len(pairs), "seconds": round(took, 2), "the longest of each": longest}


async def wpa_radio(hall):
    """An adapter under a plain wpa_supplicant: two Photons, one channel, addresses of our own."""
    name = hall.second
    sh(f"nmcli device set {name} managed no; sleep 1")
    daemon = started(f"exec wpa_supplicant -i {name} -D nl80211 -C /run/wpa_supplicant", "wpa.log")
    try:
        with trio.fail_after(20):
            while not Path(f"/run/wpa_supplicant/{name}").exists():
                await trio.sleep(0.2)
        async with WpaSupplicantFactory().session(adapter=name, uplink=Uplink.SEPARATE) as switcher:
            visits = [await visit(switcher, point) for point in list(hall.photons.values())[:2]]
        assert "192.168.0" not in sh(f"ip -4 addr show {name}")
        return visits
    finally:
        ended(daemon, signal.SIGTERM)
        sh(f"sleep 1; nmcli device set {name} managed yes", check=False)


# --- one radio that is also the uplink, and `kill -9` ---


def answers_at_home(adapter):
    return AT_HOME in sh(f"curl -s -m 10 --interface {adapter} http://10.9.0.1/", check=False)


async def single_radio(hall):
    """A window of Photons on the only radio, then back; the uplink answers again."""
    name, points = hall.adapter, list(hall.photons.values())[:2]
    sh(f"nmcli device wifi rescan ifname {name}; sleep 4", check=False)
    sh(f"nmcli -w 60 device wifi connect {hall.uplink_name} password {PASSWORD} ifname {name}")
    assert "10.9.0." in sh(f"ip -4 addr show {name}")
    async with NetworkManagerFactory().session(adapter=name, uplink=Uplink.SHARED) as switcher:
        visits = [await visit(switcher, point) for point in points]
        began = trio.current_time()
        await switcher.restore(timeout=30)
        back = trio.current_time() - began
        assert "10.9.0." in sh(f"ip -4 addr show {name}")
        assert answers_at_home(name)
    return {"visits": visits, "back on the uplink": round(back, 2)}


def killed_away_from_home(hall):
    """SIGKILL while joined on the only radio, and the next run at once: it finds the uplink, and brings it back."""
    name, point = hall.adapter, next(iter(hall.photons.values()))
    before, left = _killed_while_joined(name, point, Uplink.SHARED)

    async def next_run():
        async with NetworkManagerFactory().session(adapter=name, uplink=Uplink.SHARED) as switcher:
            times = await visit(switcher, point)
            await switcher.restore(timeout=30)
            return times

    times = trio.run(next_run)
    home = answers_at_home(name)
    sh(f"nmcli connection delete {hall.uplink_name}")
    assert home
    return {"ours before": before, "gone after": left, "the next run": times, "then": "on its uplink"}


def killed(hall):
    """SIGKILL while joined: NetworkManager leaves the Photon by itself, and nothing of ours stays."""
    before, left = _killed_while_joined(hall.adapter, next(iter(hall.photons.values())), Uplink.SEPARATE)
    state = sh(f"nmcli -t -f GENERAL.STATE,GENERAL.CONNECTION device show {hall.adapter}")
    assert "(connected)" not in state
    return {"ours before": before, "gone after": left, "then": state.split()}


def _killed_while_joined(name, point, uplink):
    def stay(tell):
        async def joined():
            async with (
                NetworkManagerFactory().session(adapter=name, uplink=uplink) as switcher,
                switcher.joined(await find(switcher, point), POLICY),
            ):
                tell("joined")
                await trio.sleep_forever()

        trio.run(joined)

    with forked(stay) as child:
        assert child.said() == "joined"
        ours = f"provisioner {name}"
        before = ours in sh("nmcli -g NAME connection show").splitlines()
        os.kill(child.pid, signal.SIGKILL)
        began = time.monotonic()
        while ours in sh("nmcli -g NAME connection show").splitlines() and time.monotonic() - began < 30:
            time.sleep(0.2)
        left = round(time.monotonic() - began, 2)
    assert before
    assert ours not in sh("nmcli -g NAME connection show").splitlines()
    return before, left


class forked:  # noqa: N801 - used as a statement
    """A child of this process, which has everything imported: an emulated processor takes ten seconds for that."""

    def __init__(self, work):
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                work(lambda text: os.write(writing, f"{text}\n".encode()))
            except BaseException as error:  # noqa: BLE001 - said, and then this process is over
                os.write(writing, f"{error!r}\n".encode())
            os._exit(0)
        os.close(writing)

    def __enter__(self):
        return self

    def said(self):
        """Its next words; empty when it has ended."""
        text = b""
        while not text.endswith(b"\n") and (more := os.read(self.reading, 1000)):
            text += more
        return text.decode().strip()

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.reading)


# --- what goes away ---


async def twin(hall):
    """The wanted board goes, another with the same name stays: the adapter must not end on it."""
    (first, stays), *_ = hall.photons.items()
    goes = hall.twin.up(first)
    async with NetworkManagerFactory().session(adapter=hall.adapter, uplink=Uplink.SEPARATE) as switcher:
        heard = {}
        for _ in range(6):
            heard = {network.bssid: network for network in await switcher.scan(prefix="Photon-", timeout=20)}
            if {goes.bssid, stays.bssid} <= heard.keys():
                break
        goes.silence()
        ended_ = await refusal(switcher, heard[goes.bssid], JoinPolicy(15, 10))
        assert ended_ != "joined"
        async with switcher.joined(heard[stays.bssid], POLICY) as link:
            assert await client_of(link).identify() == stays.device_id
    return {"the one that went": ended_, "the one that stayed": "answered"}


async def vanishing(hall):
    """A Photon that goes away under us, and one that went before we came."""
    async with NetworkManagerFactory().session(adapter=hall.second, uplink=Uplink.SEPARATE) as switcher:
        network = await find(switcher, hall.loner)
        async with switcher.joined(network, POLICY) as link:
            hall.loner.silence()
            began = trio.current_time()
            try:
                await client_of(link, softap_command_s=5).identify()
                seen = "answered"
            except errors.SoftAPError as failure:
                seen = failure.code
            noticed = trio.current_time() - began
        gone = await refusal(switcher, network, JoinPolicy(12, 10))
        assert gone != "joined"
        assert seen != "answered"
    return {"seen": seen, "after": round(noticed, 2), "joining it again": gone}


async def unplugged(hall):
    """The adapter is pulled out in mid-visit: the station's fault and no device's, in every answer from then on."""
    name, point = hall.second, list(hall.photons.values())[-1]
    said = {}
    try:
        async with NetworkManagerFactory().session(adapter=name, uplink=Uplink.SEPARATE) as switcher:
            network = await find(switcher, point)
            async with switcher.joined(network, POLICY) as link:
                sh(f"iw dev {name} del")
                try:
                    await client_of(link).identify()
                except errors.SoftAPError as failure:
                    said["the request"] = failure.code
                try:
                    await link.healthy()
                except errors.AdapterUnavailable as failure:
                    said["the link"] = failure.code
            said["the next join"] = await refusal(switcher, network)
            try:
                await switcher.scan(prefix="Photon-", timeout=10)
            except errors.SwitchError as failure:
                said["the next scan"] = failure.code
    except errors.SwitchError as failure:
        said["the session"] = failure.code
    with trio.fail_after(20):
        while sh(f"iw phy {hall.phy_of[name]} interface add {name} type managed || echo busy", check=False).strip():
            await trio.sleep(0.5)  # what NetworkManager had on that radio goes a moment later
        while name not in sh("nmcli -g DEVICE device").split():
            await trio.sleep(0.2)
    async with NetworkManagerFactory().session(adapter=name, uplink=Uplink.SEPARATE) as switcher:
        said["plugged in again"] = await visit(switcher, point)
    assert said["the link"] == said["the next join"] == "adapter_unavailable", said
    return said


# --- what concerns all adapters at once: run alone ---


async def switched_off(hall):
    """The radio's switch is off: refused in words, and doctor has the switch."""
    sh("nmcli radio wifi off; sleep 1")
    try:
        async with NetworkManagerFactory().session(adapter=hall.adapter, uplink=Uplink.SEPARATE):
            said = "opened"
    except errors.AdapterUnavailable as failure:
        said = failure.detail
    doctor = [finding.remedy for finding in look([hall.adapter]) if finding.what == "radio switch"]
    sh("nmcli radio wifi on; sleep 2")
    assert "switched off" in said
    assert any("rfkill unblock" in remedy for remedy in doctor)
    return {"said": said, "doctor": sorted(set(doctor))}


class BodyEnds(Exception):
    """The visit's own error."""


async def daemon_killed(hall):
    """NetworkManager is killed while we are joined, and starts again: said at once, and the next session works."""
    point = next(iter(hall.photons.values()))
    said = []
    try:
        async with NetworkManagerFactory().session(adapter=hall.adapter, uplink=Uplink.SEPARATE) as switcher:
            network = await find(switcher, point)
            try:
                async with switcher.joined(network, POLICY) as link:
                    sh("pkill -9 -x NetworkManager")
                    began = trio.current_time()
                    while await link.healthy():
                        await trio.sleep(0.1)
                    said.append(f"unhealthy after {trio.current_time() - began:.1f} s")
                    raise BodyEnds
            except BodyEnds:
                pass
            await switcher.scan(prefix="Photon-", timeout=5)
    except errors.BackendGone as gone:
        said.append(gone.code)
    start_networkmanager("nm2.log")
    async with NetworkManagerFactory().session(adapter=hall.adapter, uplink=Uplink.SEPARATE) as switcher:
        again = await visit(switcher, point)
    assert said[-1] == "backend_gone"
    return {"said": said, "afterwards": again}


def rights(hall):
    """An account without rights is refused in words; with the shipped polkit rule it works a board, without root."""
    point = next(iter(hall.photons.values()))
    without = _as_account(hall.adapter, point)
    sh(f"mkdir -p /etc/polkit-1/rules.d; cp {ROOT}/config/polkit/50-provisioner.rules /etc/polkit-1/rules.d/")
    sh("pkill -x polkitd; sleep 1", check=False)
    started(POLKITD, "polkit2.log")
    time.sleep(3)
    answered = _as_account(hall.adapter, point)
    assert (without, answered) == ("switching_not_allowed", point.device_id)
    return {"without the rule": without, "with it": "the right Photon answered"}


def _as_account(adapter, point):
    def work(tell):
        os.environ["USER"] = os.environ["LOGNAME"] = "provisioner"
        os.setgroups([])
        os.setresgid(*[USER_ID] * 3)
        os.setresuid(*[USER_ID] * 3)
        tell(trio.run(ask))

    async def ask():
        try:
            async with (
                NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher,
                switcher.joined(await find(switcher, point), POLICY) as link,
            ):
                return str(await client_of(link).identify())
        except errors.SwitchError as failure:
            return failure.code

    with forked(work) as child:
        return child.said()


# --- services ---


def start_services():
    Path("/usr/share/dbus-1/system-services/org.freedesktop.nm_dispatcher.service").unlink(missing_ok=True)
    sh("dbus-daemon --system --fork --nopidfile; /lib/systemd/systemd-udevd --daemon")
    sh("udevadm trigger --settle --subsystem-match=net --subsystem-match=ieee80211 --subsystem-match=rfkill")
    sh(f"echo 'provisioner:x:{USER_ID}:{USER_ID}::/:/bin/sh' >>/etc/passwd")
    sh("curl --version; pkill --version", check=False)  # read now: time runs ahead while a file is awaited
    started(POLKITD, "polkit.log")
    (OUT / "nm.conf").write_text(NM_CONF)
    start_networkmanager("nm.log")


def start_networkmanager(log):
    started(
        f"exec NetworkManager --no-daemon --config={OUT}/nm.conf --config-dir=/run/none --system-config-dir=/run/none",
        log,
    )
    for _ in range(120):
        if "running" in sh("nmcli -t -f RUNNING general", check=False):
            return
        time.sleep(0.5)
    raise RuntimeError("NetworkManager does not start")


def told(results, name, value):
    """Keep a result where the host reads it, whatever comes after."""
    results[name] = value
    (OUT / f"results-{os.getpid()}.json").write_text(json.dumps(results, indent=1))


FIRST = (one_radio, many_radios, wpa_radio)
SIDE_BY_SIDE = ((killed, single_radio, killed_away_from_home, twin), (vanishing, unplugged))
ALONE = (rights, daemon_killed, switched_off)  # the switch silences the access points, too: last
