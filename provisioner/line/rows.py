"""The parts of a record that every stage writes alike: which device, and why not. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from provisioner.errors import Blame, ProvisionerError
from provisioner.model import DeviceID, ListedDevice


class Row(TypedDict, total=False):
    """Which device a record is about; empty while nobody knows."""

    tray: str
    slot: int
    device: DeviceID


class Why(TypedDict, total=False):
    """Why something did not come off, in the words of the error tree; empty if it did."""

    code: str
    blame: Blame
    remedy: str
    detail: str


def row_of(device: ListedDevice | None) -> Row:
    """The device's place in the manifest."""
    return {} if device is None else {"tray": device.tray, "slot": device.slot, "device": device.id}


def why_of(failure: ProvisionerError | None) -> Why:
    """What happened, whose fault it is, what to do."""
    if failure is None:
        return {}
    return {"code": failure.code, "blame": failure.blame, "remedy": failure.remedy, "detail": failure.detail}


def time_text(at: datetime | None) -> str | None:
    """A time of the cloud's clock as evidence is written: UTC, milliseconds, `Z`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at is not None else None
