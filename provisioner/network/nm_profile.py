"""What NetworkManager is asked to do, and what it says when it does not: profiles, numbers and reasons. Pure.

Rule 1: NetworkManager drops a whole profile in silence if one property has a wrong name or type, and then joins with
one that is auto-connected and the default route (facts: network 4.3). So what it took is read back and compared.
Rule 2: the true reason of a failure is in Device.StateChanged, never in the active connection's (facts: network 0.10).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from provisioner.errors import (
    AdapterUnavailable,
    AssociationFailed,
    LinkLost,
    NetworkNotFound,
    NoAddress,
    SwitchError,
)
from provisioner.model import SetupNetwork, parse_bssid, printable

WIFI: Final = 2  # NMDeviceType
UNMANAGED, UNAVAILABLE, DISCONNECTED, ACTIVATED, DEACTIVATING = 10, 20, 30, 100, 110
NEW_ACTIVATION: Final = 60  # NMDeviceStateReason: another program wants the adapter
DHCP_S: Final = 10
RIGHTS: Final = (
    "org.freedesktop.NetworkManager.network-control",
    "org.freedesktop.NetworkManager.wifi.scan",
    "org.freedesktop.NetworkManager.settings.modify.own",
)
OURS: Final = "provisioner "  # the beginning of our profiles' names

_PRIVACY = 0x1  # NM80211ApFlags

Variant = tuple[str, Any]
Settings = Mapping[str, Mapping[str, Variant]]

_REASONS: Mapping[int, tuple[type[SwitchError], str]] = {
    5: (NoAddress, "gave no address"),
    6: (NoAddress, "gave an address that had run out"),
    15: (NoAddress, "gave no address: the DHCP client did not start"),
    16: (NoAddress, "gave no address: the DHCP client failed"),
    17: (NoAddress, "gave no address: the DHCP client gave up"),
    7: (AssociationFailed, "asks for a password: it is no Photon's"),
    8: (AssociationFailed, "let the adapter go again"),
    9: (AssociationFailed, "could not be joined: the adapter was not configured"),
    10: (AssociationFailed, "could not be joined: the adapter failed"),
    11: (AssociationFailed, "did not let the adapter in for too long"),
    36: (AdapterUnavailable, "was not joined: the adapter was taken out"),
    40: (LinkLost, "vanished while it was joined"),
    53: (NetworkNotFound, "was not there any more"),
    NEW_ACTIVATION: (AdapterUnavailable, "was left: another program uses the adapter"),
}


def failure_of(reason: int, network: SetupNetwork) -> SwitchError:
    """What a Device.StateChanged reason means for us."""
    cls, words = _REASONS.get(reason, (AssociationFailed, "could not be joined"))
    return cls(f"{printable(network.ssid)} {words}", backend_code=f"nm-device:{reason}")


def ssid_bytes(network: SetupNetwork) -> bytes:
    """The name as it is in the air."""
    return network.ssid.encode("utf-8", "surrogateescape")


def profile_of(network: SetupNetwork, adapter: str, *, user: str | None, static: str | None) -> Settings:
    """Our profile of one setup network (facts: network 4.4): this adapter and BSSID only, never auto-connected, never
    the default route, never the resolver. `user` may use it without an administrator's rights."""
    connection: dict[str, Variant] = {
        "id": ("s", f"{OURS}{adapter}"),
        "type": ("s", "802-11-wireless"),
        "autoconnect": ("b", False),
        "interface-name": ("s", adapter),
    }
    if user is not None:
        connection["permissions"] = ("as", [f"user:{user}:"])
    ipv4: dict[str, Variant] = {
        "method": ("s", "auto"),
        "never-default": ("b", True),
        "ignore-auto-dns": ("b", True),
        "may-fail": ("b", False),
        "dhcp-timeout": ("i", DHCP_S),
    }
    if static is not None:
        ipv4 = {
            "method": ("s", "manual"),
            "never-default": ("b", True),
            "may-fail": ("b", False),
            "address-data": ("aa{sv}", [{"address": ("s", static), "prefix": ("u", 24)}]),
        }
    return {
        "connection": connection,
        "802-11-wireless": {
            "ssid": ("ay", ssid_bytes(network)),
            "mode": ("s", "infrastructure"),
            "bssid": ("ay", bytes.fromhex(network.bssid.replace(":", ""))),
            "powersave": ("u", 2),
            "assigned-mac-address": ("s", "permanent"),
        },
        "ipv4": ipv4,
        "ipv6": {"method": ("s", "disabled")},
    }


_MUST_HOLD = (
    ("connection", "id"),
    ("connection", "autoconnect"),
    ("connection", "interface-name"),
    ("802-11-wireless", "ssid"),
    ("802-11-wireless", "bssid"),
    ("ipv4", "method"),
    ("ipv4", "never-default"),
    ("ipv6", "method"),
)
_DEFAULTS: Mapping[tuple[str, str], Any] = {("connection", "autoconnect"): True, ("ipv4", "never-default"): False}


def what_was_dropped(sent: Settings, taken: Settings) -> list[str]:
    """The properties that NetworkManager did not take as they were sent; none if all is well."""
    return [
        f"{section}.{name}"
        for section, name in _MUST_HOLD
        if _plain(sent[section][name][1]) != _plain(_taken(taken, section, name))
    ]


def _taken(taken: Settings, section: str, name: str) -> Any:
    value = taken.get(section, {}).get(name)
    return _DEFAULTS.get((section, name)) if value is None else value[1]


def _plain(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        return bytes(value)
    return bytes(value) if isinstance(value, bytearray) else value


# --- what it tells ---


def open_network(point: Mapping[str, Any], *, boot_s: float, now_s: float) -> SetupNetwork | None:
    """An access point as a network without a password; None if it has one, or if a property is missing or is none.

    `point` has the properties whose types are right; `boot_s` is the time of its `LastSeen`, `now_s` trio's.
    """
    try:
        if point["Flags"] & _PRIVACY or point["WpaFlags"] or point["RsnFlags"]:
            return None
        name = bytes(point["Ssid"]).decode("utf-8", "surrogateescape")
        heard_s = now_s - max(0.0, boot_s - point["LastSeen"])
        return SetupNetwork(name, parse_bssid(point["HwAddress"]), signal_dbm(point["Strength"]), heard_s)
    except (KeyError, ValueError):
        return None


def address_of(row: Mapping[str, Variant]) -> ipaddress.IPv4Address | None:
    """One row of `AddressData`; None if it is no address."""
    kind, text = row.get("address", ("", ""))
    try:
        return ipaddress.IPv4Address(text) if kind == "s" else None
    except ValueError:
        return None


def signal_dbm(strength: int) -> int:
    """NetworkManager's percentage as dBm: it makes the one from the other linearly, -100 to -50."""
    return min(100, max(0, strength)) // 2 - 100
