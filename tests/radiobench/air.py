"""The air in the virtual machine: simulated radios, access points in namespaces of their own, Photons behind them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

BENCH = Path(__file__).parent
OUT = Path(os.environ.get("OUT", "/nowhere"))
HOSTAPD = "interface={wlan}\ndriver=nl80211\nhw_mode=g\nchannel={channel}\nssid2={ssid}\n"
WPA = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=factory-password\n"
PASSWORD = "factory-password"


def sh(command: str, check: bool = True) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def started(command: str, log: str) -> subprocess.Popen[bytes]:
    with (OUT / log).open("w") as told:
        return subprocess.Popen(command, shell=True, stdout=told, stderr=subprocess.STDOUT, start_new_session=True)


def ended(process: subprocess.Popen[bytes] | None, sign: int = signal.SIGKILL) -> None:
    """Signal it. It may be another process's child: asking whether it lives would say no."""
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)


def raw(ssid: str) -> bytes:
    return ssid.encode("utf-8", "surrogateescape")


class AccessPoint:
    """One radio as an access point, in a namespace of its own, with a DHCP server; silent until `up`."""

    def __init__(self, phy: str, wlan: str, number: int, *, address: str = "192.168.0.1", channel: int = 11) -> None:
        self.wlan, self.space, self.channel, self.address = wlan, f"ap{number}", channel, address
        self.bssid = Path(f"/sys/class/net/{wlan}/address").read_text().strip()
        sh(f"ip netns add {self.space}; iw phy {phy} set netns name {self.space}")
        self.inside = f"ip netns exec {self.space}"
        self.device_id = ""
        self.hostapd: subprocess.Popen[bytes] | None = None
        sh(f"ip -n {self.space} link set lo up; ip -n {self.space} addr add {address}/24 dev {wlan}")
        base = address.rpartition(".")[0]
        self.dnsmasq = started(
            f"exec {self.inside} dnsmasq --keep-in-foreground --no-ping --port=0 --conf-file=/dev/null"
            f" --bind-dynamic --interface={wlan} --dhcp-range={base}.2,{base}.50,5m"
            f" --dhcp-leasefile=/run/leases-{self.space} --pid-file=/run/dnsmasq-{self.space}",
            f"dnsmasq-{self.space}.log",
        )

    def up(self, ssid: str, *, wpa: bool = False, more: tuple[str, ...] = ()) -> AccessPoint:
        """Begin to send; `more` names are sent by the same radio."""
        conf = OUT / f"hostapd-{self.space}.conf"
        text = HOSTAPD.format(wlan=self.wlan, channel=self.channel, ssid=raw(ssid).hex()) + (WPA if wpa else "")
        for number, name in enumerate(more):
            text += f"bss={self.wlan}_{number}\nssid2={raw(name).hex()}\n"
        conf.write_text(text)
        self.hostapd = started(f"exec {self.inside} hostapd {conf}", f"hostapd-{self.space}.log")
        self._wait_until_sending()
        return self

    def _wait_until_sending(self) -> None:
        log = OUT / f"hostapd-{self.space}.log"
        for _ in range(300):
            if "AP-ENABLED" in (text := log.read_text()):
                return
            if "AP-DISABLED" in text:
                break
            time.sleep(0.1)
        raise RuntimeError(f"{self.space} does not send: {text[-1000:]}")

    def silence(self) -> None:
        """It is gone, without a word."""
        ended(self.hostapd)
        self.hostapd = None
        sh(f"ip -n {self.space} link set {self.wlan} down", check=False)

    def freeze(self) -> None:
        """It goes on sending beacons, and answers nobody who wants in."""
        ended(self.hostapd, signal.SIGSTOP)

    def mute(self) -> None:
        """It gives no addresses."""
        ended(self.dnsmasq, signal.SIGSTOP)

    def good(self) -> None:
        """Itself again."""
        ended(self.hostapd, signal.SIGCONT)
        ended(self.dnsmasq, signal.SIGCONT)


class Radios:
    """All simulated radios, handed out one by one."""

    def __init__(self, count: int, kernel: str) -> None:
        sh(f"modprobe -d {kernel} mac80211_hwsim radios={count}")
        phys = sorted(Path("/sys/class/ieee80211").iterdir(), key=lambda path: int(path.name[3:]))
        self.free = [(phy.name, next((phy / "device/net").iterdir()).name) for phy in phys]
        self.phy_of = {wlan: phy for phy, wlan in self.free}
        self.points = 0

    def adapter(self) -> str:
        return self.free.pop(0)[1]

    def point(self, **parts: object) -> AccessPoint:
        self.points += 1
        return AccessPoint(*self.free.pop(0), self.points, **parts)  # type: ignore[arg-type]
