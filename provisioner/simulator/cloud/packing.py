"""Devices and claim codes as bytes, for the shelf: every field, and equal when they come back.

Rule 1: only for this program, in a file without a name: what is packed here is never read by another.
"""

from __future__ import annotations

import marshal
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

from provisioner.simulator.cloud.state import SimAccount, SimCode, SimDevice

_Account: TypeAlias = tuple[str, str, int | None]
_NOT_PLAIN = ("owner", "owner_before", "last_handshake_at", "last_heard")
_PLAIN = tuple(field.name for field in fields(SimDevice) if field.name not in _NOT_PLAIN)
_plain_of = attrgetter(*_PLAIN)


def pack_device(device: SimDevice) -> bytes:
    """A device as it is now."""
    special = (
        _from_account(device.owner),
        _from_account(device.owner_before),
        _from_time(device.last_handshake_at),
        _from_time(device.last_heard),
    )
    return marshal.dumps((special, _plain_of(device)))


def unpack_device(state: bytes) -> SimDevice:
    """The device that was packed."""
    (owner, before, handshake, heard), plain = marshal.loads(state)  # noqa: S302 - written above
    return SimDevice(
        **dict(zip(_PLAIN, plain, strict=True)),
        owner=_to_account(owner),
        owner_before=_to_account(before),
        last_handshake_at=_to_time(handshake),
        last_heard=_to_time(heard),
    )


def pack_code(code: SimCode) -> bytes:
    """A claim code as it is now."""
    return marshal.dumps((code.text, code.fingerprint, _from_account(code.account), code.made_s, code.used_by))


def unpack_code(state: bytes) -> SimCode:
    """The claim code that was packed."""
    text, fingerprint, (account_id, username, product_id), made_s, used_by = marshal.loads(state)  # noqa: S302
    return SimCode(text, fingerprint, SimAccount(account_id, username, product_id), product_id, made_s, used_by)


def _from_account(account: SimAccount | None) -> _Account | None:
    return None if account is None else (account.id, account.username, account.product_id)


def _to_account(packed: Any) -> SimAccount | None:
    return None if packed is None else SimAccount(*packed)


def _from_time(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _to_time(packed: float | None) -> datetime | None:
    """To the microsecond: a double is finer than that until long after 2100."""
    return None if packed is None else datetime.fromtimestamp(packed, UTC)
