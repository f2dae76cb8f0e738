"""In the virtual machine: radios, Photons and an uplink, then scenarios with the program's own back end."""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import trio

from provisioner import errors
from provisioner.network.networkmanager import NetworkManagerFactory
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.network.wpa_supplicant import WpaSupplicantFactory
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.softap.client import SoftAPClient

BENCH = Path(__file__).parent
OUT = Path(sys.argv[1])
PHOTONS, STATIONS = int(os.environ["PHOTONS"]), int(os.environ["STATIONS"])
KERNEL = os.environ["KERNEL"]
USER_ID = 1234
POLKITD = "/usr/lib/polkit-1/polkitd --no-debug"
SYMBOLS = "23456789ABCDEFGH"
POLICY = JoinPolicy(budget_s=40, leave_budget_s=15)
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
HOSTAPD = "interface={wlan}\ndriver=nl80211\nssid={ssid}\nhw_mode=g\nchannel={channel}\n"
WPA = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=factory-password\n"


def sh(command, check=True):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def started(command, log):
    return subprocess.Popen(
        command, shell=True, stdout=(OUT / log).open("w"), stderr=subprocess.STDOUT, start_new_session=True
    )


class Air:
    """Access points in namespaces of their own: `ap(0)` is the first Photon's."""

    def __init__(self):
        count = PHOTONS + STATIONS + 2  # the uplink, and a twin
        sh(f"modprobe -d {KERNEL} mac80211_hwsim radios={count}")
        phys = sorted((Path("/sys/class/ieee80211")).iterdir(), key=lambda path: int(path.name[3:]))
        self.names = {phy.name: next((phy / "device/net").iterdir()).name for phy in phys}
        self.phys = [phy.name for phy in phys]
        self.hostapds, self.photons = {}, {}

    def ap(self, number, ssid, *, address, channel, wpa=False):
        phy = self.phys[STATIONS + number]
        wlan, space = self.names[phy], f"ap{number}"
        if number not in self.hostapds:
            sh(f"ip netns add {space}; iw phy {phy} set netns name {space}")
        conf = OUT / f"hostapd{number}.conf"
        conf.write_text(HOSTAPD.format(wlan=wlan, ssid=ssid, channel=channel) + (WPA if wpa else ""))
        run = f"ip netns exec {space}"
        sh(f"{run} ip link set lo up; {run} ip link set {wlan} up")
        sh(f"{run} ip addr flush dev {wlan}; {run} ip addr add {address}/24 dev {wlan}")
        base = address.rpartition(".")[0]
        self.hostapds[number] = started(f"{run} hostapd {conf}", f"hostapd{number}.log")
        started(
            f"{run} dnsmasq --keep-in-foreground --no-ping --port=0 --conf-file=/dev/null --bind-interfaces"
            f" --interface={wlan}"
            f" --dhcp-range={base}.2,{base}.50,5m --dhcp-leasefile=/run/leases{number} --pid-file=/run/dnsmasq{number}",
            f"dnsmasq{number}.log",
        )
        return sh(f"{run} cat /sys/class/net/{wlan}/address").strip()

    def photon(self, number, ssid):
        bssid = self.ap(number, ssid, address="192.168.0.1", channel=11)
        command = f"ip netns exec ap{number} {sys.executable} {BENCH}/photon_server.py {number} {ssid}"
        process = subprocess.Popen(
            command.split(), stdout=subprocess.PIPE, stderr=(OUT / f"photon{number}.log").open("w"), text=True
        )
        told = json.loads(process.stdout.readline())
        self.photons[ssid] = {**told, "bssid": bssid, "number": number}

    def silence(self, number):
        """The Photon leaves access-point mode without a word."""
        os.killpg(self.hostapds[number].pid, signal.SIGKILL)
        wlan = self.names[self.phys[STATIONS + number]]
        sh(f"ip netns exec ap{number} ip link set {wlan} down")

    def stations(self):
        return [self.names[phy] for phy in self.phys[:STATIONS]]


async def visit(switcher, air, ssid):
    """Scan until it is heard, join, ask who it is, leave; the times of each."""
    began = trio.current_time()
    network = await find(switcher, ssid)
    scanned = trio.current_time()
    async with switcher.joined(network, POLICY) as link:
        joined = trio.current_time()
        client = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets())
        for _ in range(5):
            await client.version()
        device = await client.identify()
        asked = trio.current_time()
        assert await link.healthy()
    left = trio.current_time()
    assert device == air.photons[ssid]["device_id"], f"{device} answered on {ssid}"
    return {"ssid": ssid, "scan": round(scanned - began, 2), "join": round(joined - scanned, 2),
            "six requests": round(asked - joined, 2), "leave": round(left - asked, 2)}  # fmt: skip


async def find(switcher, ssid):
    for _ in range(6):
        for network in await switcher.scan(prefix="Photon-", timeout=20):
            if network.ssid == ssid:
                return network
    raise RuntimeError(f"{ssid} was never heard")


async def one_radio(air, adapter):
    """One adapter of its own, three Photons one after the other, and back to nothing."""
    factory = NetworkManagerFactory()
    async with factory.session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
        return [await visit(switcher, air, ssid) for ssid in list(air.photons)[:3]]


async def many_radios(air, adapters):
    """All adapters at once, each with a Photon of its own: the right one answers every time."""
    factory = NetworkManagerFactory()
    pairs = list(zip(adapters, air.photons, strict=False))
    results, began = [], trio.current_time()

    async def work(switcher, ssid):
        results.append(await visit(switcher, air, ssid))

    async def nested(left):
        if not left:
            async with trio.open_nursery() as nursery:
                for switcher, ssid in switchers:
                    nursery.start_soon(work, switcher, ssid)
            return
        (adapter, ssid), *rest = left
        async with factory.session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
            switchers.append((switcher, ssid))
            await nested(rest)

    switchers = []
    await nested(pairs)
    return {"radios": len(pairs), "seconds": round(trio.current_time() - began, 2), "visits": results}


async def single_radio(air, adapter):
    """The only radio is also the uplink: a window of Photons, then back; the uplink answers again."""
    factory = NetworkManagerFactory()
    sh(f"nmcli device wifi rescan ifname {adapter}; sleep 4", check=False)
    sh(f"nmcli -w 60 device wifi connect FactoryUplink password factory-password ifname {adapter}")
    assert "10.9.0." in sh(f"ip -4 addr show {adapter}")
    async with factory.session(adapter=adapter, uplink=Uplink.SHARED) as switcher:
        visits = [await visit(switcher, air, ssid) for ssid in list(air.photons)[:2]]
        began = trio.current_time()
        await switcher.restore(timeout=30)
        back = trio.current_time() - began
        assert "10.9.0." in sh(f"ip -4 addr show {adapter}")
        answer = sh(f"curl -s -m 10 --interface {adapter} http://10.9.0.1/")
        assert "Directory listing" in answer
    return {"visits": visits, "back on the uplink": round(back, 2)}


async def vanishing(air, adapter):
    """A Photon that goes away under us, and one that went before we came."""
    factory = NetworkManagerFactory()
    ssid = list(air.photons)[-1]
    async with factory.session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
        network = await find(switcher, ssid)
        async with switcher.joined(network, POLICY) as link:
            air.silence(air.photons[ssid]["number"])
            began = trio.current_time()
            client = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets(softap_command_s=5))
            try:
                await client.identify()
                seen = "answered"
            except errors.SoftAPError as failure:
                seen = failure.code
            noticed = trio.current_time() - began
        try:
            async with switcher.joined(network, JoinPolicy(12, 10)):
                gone = "joined"
        except errors.SwitchError as failure:
            gone = failure.code
    return {"seen": seen, "after": round(noticed, 2), "joining it again": gone}


async def killed(air, adapter):
    """SIGKILL while joined: NetworkManager leaves the Photon by itself, and nothing of ours stays."""
    ssid = next(iter(air.photons))
    child = subprocess.Popen(  # noqa: ASYNC220 - there is nothing else to do meanwhile
        [sys.executable, str(BENCH / "joined.py"), adapter, ssid], stdout=subprocess.PIPE, text=True
    )
    line = child.stdout.readline()
    assert "joined" in line, line
    before = sh("nmcli -t -f NAME connection show")
    child.kill()
    began = time.monotonic()
    while "provisioner" in sh("nmcli -t -f NAME connection show") and time.monotonic() - began < 30:
        await trio.sleep(0.2)
    left = time.monotonic() - began
    state = sh(f"nmcli -t -f GENERAL.STATE,GENERAL.CONNECTION device show {adapter}")
    return {"ours before": "provisioner" in before, "gone after": round(left, 2), "then": state.split()}


async def wpa_radio(air, adapter):
    """An adapter of its own under a plain wpa_supplicant: two Photons, one channel, addresses of our own."""
    sh(f"nmcli device set {adapter} managed no; sleep 1")
    daemon = started(f"wpa_supplicant -i {adapter} -D nl80211 -C /run/wpa_supplicant", "wpa.log")
    try:
        with trio.fail_after(20):
            while not Path(f"/run/wpa_supplicant/{adapter}").exists():
                await trio.sleep(0.2)
        async with WpaSupplicantFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
            visits = [await visit(switcher, air, ssid) for ssid in list(air.photons)[:2]]
            assert "192.168.0" not in sh(f"ip -4 addr show {adapter}")
        return visits
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        sh(f"sleep 1; nmcli device set {adapter} managed yes", check=False)


async def twin(air, adapter):
    """The wanted board goes, another with the same name stays: the adapter must not end on it."""
    (first, told), *_ = air.photons.items()
    other = PHOTONS + 1
    bssid = air.ap(other, first, address="192.168.0.1", channel=11)
    async with NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
        for _ in range(6):
            heard = {network.bssid: network for network in await switcher.scan(prefix="Photon-", timeout=20)}
            if {bssid, told["bssid"]} <= heard.keys():
                break
        air.silence(other)
        try:
            async with switcher.joined(heard[bssid], JoinPolicy(15, 10)):
                ended = "joined"
        except errors.SwitchError as failure:
            ended = failure.code
        assert ended != "joined"
        async with switcher.joined(heard[told["bssid"]], POLICY) as link:
            client = SoftAPClient(link.dial, settings=SoftAPSettings(), budgets=Budgets())
            assert await client.identify() == told["device_id"]
    return {"the one that went": ended, "the one that stayed": "answered"}


async def daemon_killed(air, adapter):
    """NetworkManager is killed while we are joined, and starts again: said at once, and the next session works."""
    ssid = next(iter(air.photons))
    said = []
    try:
        async with NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
            network = await find(switcher, ssid)
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
    async with NetworkManagerFactory().session(adapter=adapter, uplink=Uplink.SEPARATE) as switcher:
        again = await visit(switcher, air, ssid)
    assert said[-1] == "backend_gone"
    return {"said": said, "afterwards": again}


async def rights(air, adapter):
    """An account without rights is refused in words; with the shipped polkit rule it works a board, without root."""
    ssid, told = next(iter(air.photons.items()))
    command = f"{sys.executable} {BENCH}/as_user.py {adapter} {ssid} {USER_ID}"
    without = sh(command).strip()
    sh(f"mkdir -p /etc/polkit-1/rules.d; cp {BENCH}/../../config/polkit/50-provisioner.rules /etc/polkit-1/rules.d/")
    sh("pkill -x polkitd; sleep 1", check=False)
    started(POLKITD, "polkit2.log")
    await trio.sleep(3)
    answered = sh(command).strip()
    assert (without, answered) == ("switching_not_allowed", told["device_id"])
    return {"without the rule": without, "with it": "the right Photon answered"}


class BodyEnds(Exception):
    """The visit's own error."""


SCENARIOS = (one_radio, wpa_radio, killed, single_radio, twin, vanishing, rights, daemon_killed)


def start_services():
    sh("dbus-daemon --system --fork --nopidfile; /lib/systemd/systemd-udevd --daemon; udevadm trigger; udevadm settle")
    sh(f"echo 'provisioner:x:{USER_ID}:{USER_ID}::/:/bin/sh' >>/etc/passwd")
    started(POLKITD, "polkit.log")
    (OUT / "nm.conf").write_text(NM_CONF)
    start_networkmanager("nm.log")


def start_networkmanager(log):
    started(
        f"NetworkManager --no-daemon --config={OUT}/nm.conf --config-dir=/run/none --system-config-dir=/run/none", log
    )
    for _ in range(120):
        if "running" in sh("nmcli -t -f RUNNING general", check=False):
            return
        time.sleep(0.5)
    raise RuntimeError("NetworkManager does not start")


def main():
    Path("/var/empty").mkdir(exist_ok=True)
    results = {}
    air = Air()
    for number in range(PHOTONS):
        air.photon(number, f"Photon-AB{SYMBOLS[number]}Z")
    air.ap(PHOTONS, "FactoryUplink", address="10.9.0.1", channel=6, wpa=True)
    started(
        f"ip netns exec ap{PHOTONS} {sys.executable} -m http.server 80 --bind 10.9.0.1 --directory /var/empty",
        "web.log",
    )
    start_services()
    time.sleep(2)
    adapters = air.stations()
    todo = [
        (name, partial(scenario, air, adapters[0])) for name, scenario in ((one.__name__, one) for one in SCENARIOS)
    ]
    todo.insert(1, ("many_radios", partial(many_radios, air, adapters)))
    for name, scenario in todo:
        began = time.monotonic()
        try:
            results[name] = {"ok": True, "result": trio.run(scenario), "seconds": round(time.monotonic() - began, 1)}
        except BaseException:  # noqa: BLE001 - every scenario is told
            results[name] = {"ok": False, "error": traceback.format_exc()[-3000:]}
        (OUT / "results.json").write_text(json.dumps(results, indent=1))


main()
