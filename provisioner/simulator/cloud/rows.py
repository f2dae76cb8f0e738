"""How the simulated cloud writes things down as JSON: products, devices, pages (facts, particle-cloud 3 and 14).

Rule 1: an absent field is absent, not null, wherever the recordings show it so (a device that was never online has no
name and no times; an unclaimed one has no owner, unless the rules say null).
Rule 2: dicts are made here, at the edge, and nothing reads them again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from provisioner.simulator.cloud.rules import CloudRules, Json
from provisioner.simulator.cloud.state import VARIABLES, SimAccount, SimDevice, SimProduct

SYSTEM_VERSION = "2.3.1"
Row = dict[str, Json]
T = TypeVar("T")


@functools.lru_cache(maxsize=512)  # each page shows mostly what the last one did
def stamp(at: datetime) -> str:
    """A time as the cloud writes it: UTC, milliseconds, `Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def product_object(product: SimProduct, devices: int, user: str) -> Row:
    """The product as recorded in 2019, with the fields added since that matter to a line."""
    return {
        "id": product.id,
        "platform_id": product.platform_id,
        "name": product.name,
        "slug": product.slug,
        "description": product.name,
        "subscription_id": 11111,
        "mb_limit": None,
        "groups": [],
        "settings": {"quarantine": True},
        "user": user,
        "device_count": devices,
    }


def _owner(owner: SimAccount | None, rules: CloudRules) -> Row:
    if owner is None:
        return {"owner": None} if rules.unclaimed_owner == "null" else {}
    return {"owner": owner.username, ("customer_id" if owner.is_customer else "user_id"): owner.id}


def _times(device: SimDevice) -> Row:
    if device.last_handshake_at is None or device.last_heard is None:
        return {}
    return {
        "last_ip_address": "203.0.113.7",
        "last_heard": stamp(device.last_heard),
        "last_handshake_at": stamp(device.last_handshake_at),
    }


def _firmware(device: SimDevice, product_id: int) -> Row:
    if device.last_handshake_at is None:
        return {}
    return {"system_firmware_version": SYSTEM_VERSION, "firmware_product_id": product_id, "firmware_version": 1}


def _abilities(device: SimDevice) -> Row:
    if device.last_handshake_at is None:
        return {}
    return {"functions": [], "variables": dict.fromkeys(VARIABLES, "int32")}


def _name(device: SimDevice) -> Row:
    return {"name": device.name} if device.name or (device.last_handshake_at and not device.quarantined_in) else {}


def product_row(device: SimDevice, product: SimProduct, now_s: float, rules: CloudRules) -> Row:
    """One row of `GET /v1/products/:p/devices`. In quarantine `product_id` is the platform's, and there is no owner."""
    quarantined = device.quarantined_in == product.id
    return {
        "id": device.id,
        **_name(device),
        **_times(device),
        "product_id": device.platform_id if quarantined else product.id,
        "online": device.online,
        "platform_id": device.platform_id,
        "cellular": False,
        **_abilities(device),
        "status": "normal",
        "serial_number": device.serial,
        **_firmware(device, product.id),
        "groups": list(device.groups),
        **({"notes": device.notes} if device.notes is not None else {}),
        "desired_firmware_version": device.desired_firmware_version,
        "targeted_firmware_release_version": None,
        "development": device.development,
        "quarantined": quarantined,
        "denied": device.denied,
        **({} if quarantined else _owner(device.shown_owner(now_s), rules)),
    }


def product_device(device: SimDevice, product: SimProduct, now_s: float, rules: CloudRules) -> Row:
    """`GET /v1/products/:p/devices/:id`: the row and a few fields more."""
    return {
        **product_row(device, product, now_s, rules),
        "connected": device.online,
        "current_build_target": SYSTEM_VERSION,
        "default_build_target": SYSTEM_VERSION,
        "firmware_updates_enabled": True,
        "firmware_updates_forced": False,
    }


def user_row(device: SimDevice) -> Row:
    """One row of `GET /v1/devices`."""
    return {
        "id": device.id,
        "name": device.name,
        "last_app": None,
        **_times(device),
        "product_id": device.product_id if device.product_id is not None else device.platform_id,
        "online": device.online,
        "connected": device.online,
        "platform_id": device.platform_id,
        "cellular": False,
        "notes": device.notes,
        "status": "normal",
        "serial_number": device.serial,
        "current_build_target": SYSTEM_VERSION,
        "system_firmware_version": SYSTEM_VERSION,
        "default_build_target": SYSTEM_VERSION,
        **_abilities(device),
    }


def user_device(device: SimDevice, now_s: float, rules: CloudRules) -> Row:
    """`GET /v1/devices/:id`: the row, and who owns it."""
    return {"functions": [], "variables": {}, **user_row(device), **_owner(device.shown_owner(now_s), rules)}


# --- lists ---


def _whole(text: str | None) -> int | None:
    """A count as written in a query; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 10 else None


def page_of(items: Sequence[T], query: Mapping[str, str], rules: CloudRules) -> tuple[Sequence[T], Row]:
    """The page asked for and its `meta`. Both page-size names are taken; a page past the end is empty."""
    first, size = _place(query, rules)
    return items[first : first + size], {"total_pages": math.ceil(len(items) / size)}


def _place(query: Mapping[str, str], rules: CloudRules) -> tuple[int, int]:
    """Where the page begins, and how long it is."""
    size = _whole(query.get("perPage") or query.get("per_page")) or rules.page_devices_default
    if rules.page_devices_max is not None:
        size = min(size, rules.page_devices_max)
    return ((_whole(query.get("page")) or 1) - 1) * size, size


_FILTERS = ("deviceId", "deviceName", "serialNumber", "quarantined", "groups")


def newest_first(query: Mapping[str, str]) -> bool:
    """Whether the list is asked for in its own order: last connection, newest first, without a filter."""
    plain = not any(query.get(name) for name in _FILTERS)
    by_connection = query.get("sortAttr", "lastConnection") == "lastConnection"
    return plain and by_connection and query.get("sortDir", "desc").lower() != "asc"


def _in_groups(query: Mapping[str, str]) -> Callable[[SimDevice], bool]:
    wanted = {name for name in query.get("groups", "").split(",") if name}
    return lambda device: not wanted or bool(wanted.intersection(device.groups))


def select(devices: Sequence[SimDevice], query: Mapping[str, str]) -> Sequence[SimDevice]:
    """Filter and sort a product's list (given sorted by ID) as the query says; default: last connection, newest first.

    A device that was never online comes last in the default order, and first in the ascending one.
    """
    device_id, name = query.get("deviceId", "").lower(), query.get("deviceName", "").lower()
    serial, quarantined = query.get("serialNumber", "").lower(), query.get("quarantined", "").lower()
    if device_id or name or serial or quarantined or query.get("groups"):
        in_groups = _in_groups(query)
        devices = [
            device
            for device in devices
            if device_id in device.id
            and name in (device.name or "").lower()
            and serial in device.serial.lower()
            and (not quarantined or (device.quarantined_in is not None) == (quarantined in ("true", "1")))
            and in_groups(device)
        ]
    descending = query.get("sortDir", "desc").lower() != "asc"
    if query.get("sortAttr") == "deviceId":
        return devices[::-1] if descending else devices
    if query.get("sortAttr") == "firmwareVersion":
        return devices  # every simulated device runs version 1
    return sorted(devices, key=_connected_at, reverse=descending)


def _connected_at(device: SimDevice) -> float:
    return device.last_handshake_at.timestamp() if device.last_handshake_at else 0.0
