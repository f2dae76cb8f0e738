"""A hall of simulated Photons in network namespaces: real sockets, real routes, one kernel. Inside `unshare` only.

The program that imports this is the station: its own network namespace holds the adapters, each Photon ("unit") has
one of its own with 192.168.0.1. Their cables (veth, or two TAPs with a relay between) end in a namespace that is the
air: whose ends are on one bridge there can reach each other, and moving an end is no carrier loss, as it may not be
on a radio. Everything is gone when the program ends: `unshare --kill-child` takes what it started with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tests" / "radiobench" / "photon_server.py"
RELAY = Path(__file__).with_name("relay.py")
AIR = "air"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def sysctl(name: str, value: int) -> None:
    Path("/proc/sys", *name.split(".")).write_text(str(value))


@dataclass
class Unit:
    """One Photon, and the namespace it is in; its bridge in the air has the same name."""

    space: str
    ssid: str
    mac: str
    device_id: str = ""
    process: int = 0
    tells: TextIO | None = None

    @property
    def tells_in(self) -> str:
        """Where it tells of itself: a pipe with a name."""
        return f"/run/{self.space}-tells"

    def ip(self, *arguments: str) -> str:
        return run("ip", "-n", self.space, *arguments)

    def stop(self) -> list[str]:
        """End it, and learn what it experienced."""
        assert self.tells is not None
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.kill(self.process, signal.SIGTERM)
        with self.tells:
            happened: list[str] = json.loads(self.tells.read().splitlines()[-1])["happened"]
        return happened


class Hall:
    """Adapters in this namespace, units in others."""

    def __init__(self) -> None:
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        run("ip", "link", "set", "lo", "up")
        for conf in ("all", "default"):
            sysctl(f"net.ipv4.conf.{conf}.rp_filter", 2)
        run("ip", "netns", "add", AIR)
        self.units: list[Unit] = []
        self.plugged: dict[str, str] = {}
        self.relays: dict[str, subprocess.Popen[str]] = {}
        self.photons: subprocess.Popen[str] | None = None

    def space(self, name: str, address: str, mac: str) -> None:
        """A namespace with that address, and its bridge in the air."""
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", AIR, "link", "add", "name", name, "type", "bridge", "forward_delay", "0")
        run("ip", "-n", AIR, "link", "set", name, "up")
        far = ("type", "veth", "peer", "name", f"{name}x", "netns", AIR)
        run("ip", "-n", name, "link", "add", "eth0", "address", mac, *far)
        run("ip", "-n", AIR, "link", "set", f"{name}x", "master", name, "up")
        run("ip", "-n", name, "addr", "add", address, "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")

    def unit(self, ssid: str, *, listening: bool = True) -> Unit:
        """A unit in listening mode; without, its namespace alone."""
        number = len(self.units)
        unit = Unit(f"unit{number}", ssid, f"02:00:00:00:01:{number:02x}")
        self.units.append(unit)
        self.space(unit.space, "192.168.0.1/24", unit.mac)
        if listening:
            self.power(unit)
        return unit

    def power(self, unit: Unit) -> None:
        """Start its servers; `heard` waits for them."""
        if self.photons is None:
            self.photons = subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, text=True, env=ENVIRONMENT)
        os.mkfifo(unit.tells_in)
        wanted = [self.units.index(unit), unit.ssid, unit.space, unit.tells_in]
        assert self.photons.stdin is not None
        print(json.dumps(wanted), file=self.photons.stdin, flush=True)

    def heard(self) -> Hall:
        """Wait until every unit that was powered listens: they start side by side."""
        for unit in self.units:
            if Path(unit.tells_in).exists() and unit.tells is None:
                unit.tells = open(unit.tells_in)  # noqa: SIM115 - until the unit is stopped
                first = json.loads(unit.tells.readline())
                unit.device_id, unit.process = first["device_id"].lower(), first["process"]
        return self

    # --- cables ---

    def adapter(self, name: str, address: str = "192.168.0.2/24") -> None:
        """An adapter with its cable, plugged in nowhere. All leases are equal, as those of real Photons are."""
        run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}x")
        self._up(name, address)

    def bad_adapter(self, name: str, *, loss: float, delay_ms: int, seed: int, address: str = "192.168.0.2/24") -> None:
        """One whose cable loses and delays frames, each way, as its seed says."""
        command = [sys.executable, str(RELAY), name, f"{name}x", str(loss), str(delay_ms), str(seed)]
        relay = self.relays[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert relay.stdout is not None
        assert relay.stdout.readline() == "ready\n"
        self._up(name, address)

    def _up(self, name: str, address: str) -> None:
        run("ip", "link", "set", f"{name}x", "netns", AIR)
        if address:
            run("ip", "addr", "add", address, "dev", name)
        run("ip", "link", "set", name, "up")

    def plug(self, name: str, unit: Unit | str) -> None:
        """Move an adapter's cable to that unit, or to the namespace of that name."""
        space = self.plugged[name] = unit if isinstance(unit, str) else unit.space
        run("ip", "-n", AIR, "link", "set", f"{name}x", "master", space, "up")

    def unplug(self, name: str) -> None:
        """Pull an adapter's cable, if it is in anywhere: its carrier is lost."""
        if self.plugged.pop(name, None):
            run("ip", "-n", AIR, "link", "set", f"{name}x", "nomaster", "down")

    def relayed(self, name: str) -> dict[str, int]:
        """End a bad cable; what it did to frames."""
        self.relays[name].send_signal(signal.SIGTERM)
        told: dict[str, int] = json.loads(self.relays[name].communicate(timeout=10)[0].splitlines()[-1])
        return told
