"""What of this computer's own network could send a request to the wrong Photon, or none: read from /proc and /sys.

Rule 1: nothing is changed and nothing is sent. Where a file is not there (another system), nothing is said of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioner.network.bound import PHOTON_SUBNET

_ROUTE_UP = 0x1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty where all is well; `advice` does not fail the check."""

    what: str
    detail: str
    remedy: str = ""
    advice: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing has to be done."""
        return not self.remedy


@dataclass(frozen=True, slots=True)
class Route:
    """One IPv4 route of the kernel."""

    adapter: str
    network: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address


def look(adapters: Sequence[str], root: Path = Path("/")) -> Iterator[Finding]:
    """Everything that can be seen without asking anybody."""
    yield from _reverse_paths(adapters, root)
    yield from _kill_switches(root)
    yield from _clashes(adapters, routes(root))


def _reverse_paths(adapters: Sequence[str], root: Path) -> Iterator[Finding]:
    """Strict reverse-path filtering drops what comes in on every radio but one (facts: network 0.5)."""
    conf = root / "proc/sys/net/ipv4/conf"
    everywhere = _number(conf / "all/rp_filter")
    if everywhere is None:
        return
    strict = [name for name in adapters if max(everywhere, _number(conf / name / "rp_filter") or 0) == 1]
    if strict and len(adapters) > 1:
        yield Finding(
            "reverse path filter",
            f"strict on {', '.join(strict)}: only one of several adapters would get answers",
            "Run: sudo sysctl -w net.ipv4.conf.all.rp_filter=2, and write it into /etc/sysctl.d/.",
        )
    else:
        yield Finding(
            "reverse path filter", "lets every adapter work" if not strict else "strict, with one adapter only"
        )


def _kill_switches(root: Path) -> Iterator[Finding]:
    switches = root / "sys/class/rfkill"
    for switch in sorted(switches.iterdir()) if switches.is_dir() else ():
        if _text(switch / "type") != "wlan":
            continue
        name = _text(switch / "name") or switch.name
        if _text(switch / "hard") == "1":
            yield Finding("radio switch", f"{name} is off by its key", "Switch the radio on with its key or slider.")
        elif _text(switch / "soft") == "1":
            yield Finding("radio switch", f"{name} is off", "Run: sudo rfkill unblock wlan")
        else:
            yield Finding("radio switch", f"{name} is on")


def _clashes(adapters: Sequence[str], table: Sequence[Route]) -> Iterator[Finding]:
    """A factory LAN on 192.168.0.0/24 has a router that answers as a Photon to whoever is not bound."""
    others = sorted({route.adapter for route in table if route.adapter not in adapters and _is_photons(route)})
    if others:
        yield Finding(
            "address clash",
            f"{', '.join(others)} is on 192.168.0.0/24, where every Photon is 192.168.0.1, too",
            "Nothing breaks, because all requests are bound to their adapter; but use another range for the factory LAN"
            " if you can: people with a browser will reach the router instead.",
            advice=True,
        )
    elif table:
        yield Finding("address clash", "no other network here is 192.168.0.0/24")


def _is_photons(route: Route) -> bool:
    return route.network.prefixlen > 0 and route.network.overlaps(PHOTON_SUBNET)


def uplinks(table: Sequence[Route]) -> list[str]:
    """The adapters that hold a default route."""
    return sorted({route.adapter for route in table if route.network.prefixlen == 0})


def routes(root: Path = Path("/")) -> list[Route]:
    """The kernel's IPv4 routes that are up; none where there is no such file."""
    found = []
    for line in (_text(root / "proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or not int(fields[3], 16) & _ROUTE_UP:
            continue
        mask = bin(int(fields[7], 16)).count("1")
        network = ipaddress.IPv4Network((_address(fields[1]), mask), strict=False)
        found.append(Route(fields[0], network, _address(fields[2])))
    return found


def _address(text: str) -> ipaddress.IPv4Address:
    """The kernel writes addresses as one number in the machine's own byte order."""
    return ipaddress.IPv4Address(int(text, 16).to_bytes(4, "little"))


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
