"""A hall with a real NetworkManager on a bus of its own (L3). Inside `unshare` only, like `hall`.

There is no Wi-Fi in a namespace: cables stand in for the air. What that changes of the shipped back end stands in
`by_cable`, all of it; the rest, every call, signal, reason, profile, wait and clean-up, is the shipped code against
the real daemon.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import trio
from hall import Hall, Unit, run

from provisioner.errors import NetworkNotFound, NoAddress, SwitchError
from provisioner.model import SetupNetwork
from provisioner.network import networkmanager, nm_profile
from provisioner.network.bound import BoundLink
from provisioner.network.networkmanager import NetworkManagerFactory, NetworkManagerSwitcher

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
"""
# As Debian's own system bus, with the rules that the services bring.
BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/></policy>
<includedir>/usr/share/dbus-1/system.d</includedir></busconfig>
"""
HOME = "home"
POLKITD = "/usr/lib/polkit-1/polkitd"
POLKIT_PING = "org.freedesktop.DBus.Peer.Ping"
VETH = 20  # NMDeviceType


class NMHall(Hall):
    """Units that give leases, a network called home, and the daemons."""

    def __init__(self) -> None:
        super().__init__()
        for folder in ("/var/lib/NetworkManager", "/etc/NetworkManager"):
            run("mount", "-t", "tmpfs", "tmpfs", folder)
        run("mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys")  # then it does not wait for udev
        for name in ("NetworkManager", "dbus", "dnsmasq"):
            Path("/run", name).mkdir()
        Path("/run/nm.conf").write_text(NM_CONF)
        Path("/run/bus.conf").write_text(BUS_CONF)
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/run/bus"
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.names: dict[str, Unit] = {}  # what is in the air
        self.start("dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile")
        while not Path("/run/bus").exists():
            time.sleep(0.05)
        self.space(HOME, "10.9.0.1/24", "02:00:00:00:02:00")
        self.leases(HOME, "10.9.0.5,10.9.0.50")
        self.daemon = self.start_daemon()
        self.polkit: subprocess.Popen[bytes] | None = None

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with Path("/run", f"{Path(command[0]).name}.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def start_daemon(self) -> subprocess.Popen[bytes]:
        daemon = self.start(
            "NetworkManager", "--no-daemon", "--config=/run/nm.conf", "--config-dir=/run/none",
            "--system-config-dir=/run/none",
        )  # fmt: skip
        for _ in range(30):
            if subprocess.run(["nmcli", "-t", "general"], capture_output=True, check=False).returncode == 0:
                return daemon
            time.sleep(0.1)
        raise RuntimeError(f"NetworkManager does not start: {Path('/run/NetworkManager.log').read_text()[-2000:]}")

    def kill_daemon(self) -> None:
        self.daemon.kill()
        self.daemon.wait()

    def start_polkit(self, *rules: Path) -> None:
        """Start polkitd with these rules and what Debian ships; whoever asked before is asked anew."""
        folder = Path("/etc/polkit-1/rules.d")
        if self.polkit is None:
            run("mount", "-t", "tmpfs", "tmpfs", str(folder))
        else:
            self.polkit.terminate()
            self.polkit.wait()
        for rule in rules:
            (folder / rule.name).write_bytes(rule.read_bytes())
            (folder / rule.name).chmod(0o644)
        self.polkit = self.start(POLKITD, "--no-debug")
        ask = ("dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.PolicyKit1", "/", POLKIT_PING)
        for _ in range(50):
            if subprocess.run(ask, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("polkitd does not start")

    def leases(self, space: str, span: str) -> None:
        """A DHCP server in that namespace; it also offers itself as router and resolver, as a Photon does."""
        self.servers[space] = self.start(
            "ip", "netns", "exec", space, "dnsmasq", "--no-daemon", "--no-ping", "--port=0",
            "--conf-file=/dev/null", "--bind-interfaces", "--interface=eth0", f"--dhcp-range={span},5m",
            f"--dhcp-leasefile=/run/dnsmasq/{space}", f"--pid-file=/run/dnsmasq/{space}.pid",
        )  # fmt: skip

    def silence(self, space: str) -> None:
        self.servers[space].send_signal(signal.SIGSTOP)

    def speak(self) -> None:
        for server in self.servers.values():
            server.send_signal(signal.SIGCONT)

    def unit(self, ssid: str, *, listening: bool = True) -> Unit:
        unit = super().unit(ssid, listening=listening)
        self.leases(unit.space, "192.168.0.2,192.168.0.9")
        return unit

    def home_adapter(self, name: str) -> None:
        """An adapter that is plugged in at home, with a profile that NetworkManager joins by itself."""
        self.adapter(name, "")
        self.plug(name, HOME)
        profile = ("type", "ethernet", "ifname", name, "con-name", f"home {name}", "ipv6.method", "disabled")
        nmcli("connection", "add", *profile)
        nmcli("connection", "up", f"home {name}")

    def at_home(self, name: str) -> bool:
        """Whether it is on its own network, with that network's address."""
        return self.active(name) == f"home {name}" and "10.9.0." in run("ip", "-4", "addr", "show", name)

    def active(self, name: str) -> str:
        shown = nmcli("-t", "-g", "GENERAL.CONNECTION", "device", "show", name).strip()
        return shown.replace("\\", "")

    def profiles(self) -> list[str]:
        return nmcli("-t", "-g", "NAME", "connection", "show").splitlines()


def nmcli(*arguments: str) -> str:
    return run("nmcli", "--wait", "20", *arguments)


# --- cables instead of radio ---


def wired(network: SetupNetwork, adapter: str, *, user: str | None, static: str | None) -> nm_profile.Settings:
    """Our profile, as it would be for a cable."""
    profile = dict(nm_profile.profile_of(network, adapter, user=user, static=static))
    del profile["802-11-wireless"]
    return {**profile, "connection": {**profile["connection"], "type": ("s", "802-3-ethernet")}, "802-3-ethernet": {}}


class WiredSwitcher(NetworkManagerSwitcher):
    """The shipped switcher; where it would ask for an access point, the cable is moved."""

    hall: NMHall

    async def _point_of(self, network):
        unit = self.hall.names.get(network.ssid)
        if unit is None:
            raise NetworkNotFound(f"{network.ssid} is not heard any more")
        self.hall.plug(self._adapter, unit)
        await self._carrier()
        return networkmanager.NO_OBJECT

    async def _go_back(self):
        self.hall.plug(self._adapter, HOME)
        await self._carrier()
        await super()._go_back()

    async def _carrier(self):
        with trio.fail_after(5):
            while await self._bus.get(self._device, ".Device", "State") <= nm_profile.UNAVAILABLE:
                await trio.sleep(0.05)

    async def _check_where_we_are(self, network):
        config = await self._bus.get(self._device, ".Device", "Ip4Config")
        rows = await self._bus.get(config, ".IP4Config", "AddressData")
        if not any(row["address"][1].startswith("192.168.0.") for row in rows):
            raise NoAddress("no address of the Photon's subnet")

    def _link_of(self, network):
        return WiredLink(network, self._adapter, self._bus, self._device)


class WiredLink(networkmanager.NetworkManagerLink):
    """The shipped link; a cable has no BSSID to compare."""

    async def healthy(self):
        if not await BoundLink.healthy(self):
            return False
        try:
            return await self._bus.get(self._device, ".Device", "State") == nm_profile.ACTIVATED
        except SwitchError:
            return False


class WiredFactory(NetworkManagerFactory):
    """The shipped factory over cables."""

    def __init__(self, hall, **parts):
        super().__init__(**parts)
        self.hall = hall

    def _switcher(self, bus, adapter, uplink, device):
        switcher = WiredSwitcher(bus, adapter, uplink, device, boot_s=self._boot_s)
        switcher.hall = self.hall
        return switcher


def by_cable() -> None:
    """From now on this process takes cables for Wi-Fi."""
    networkmanager.WIFI = VETH
    networkmanager.profile_of = wired
    nm_profile._MUST_HOLD = tuple(row for row in nm_profile._MUST_HOLD if row[0] != "802-11-wireless")
