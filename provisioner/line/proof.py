"""What proves a device: one pure function over two cloud facts. The only place that can say PROVEN.

Rule 1: SoftAP's `r:0` and `c` prove nothing (an expired code and a wrong password answer 0 too). Proof is a cloud
read, made after `connect-ap`, of: in the product, not quarantined or denied, owner as the claim policy says, and
a `last_handshake_at` that changed since the read before the visit.
Rule 2: the cloud is compared with the cloud: its handshake time with its own `Date`, never with our clock.
Rule 3: in doubt it is not proven.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from provisioner.model import ClaimTo, CloudDevice, ListedDevice


class Verdict(enum.Enum):
    """What one cloud read says about one device."""

    PROVEN = "proven"
    NOT_YET = "not yet"
    CLAIM_NOW = "claim now"  # policy `online`: the device is there, and not yet owned as wanted
    NOT_CLAIMED = "not claimed"  # it came online after the visit, but nobody owns it
    WRONG_OWNER = "wrong owner"  # it came online after the visit, but somebody else owns it
    QUARANTINED = "quarantined"
    NOT_IN_PRODUCT = "not in product"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the cloud must show for one device.

    `visited` False means import only: membership is the whole proof. `handshake_before` is what the cloud showed
    before the visit; `cloud_from` is the cloud's own time when `connect-ap` was sent, as far as it is known.
    """

    device: ListedDevice
    account: str | None
    membership: bool  # False for account devices outside any product
    visited: bool
    handshake_before: datetime | None = None
    cloud_from: datetime | None = None
    tolerance: timedelta = timedelta(seconds=2)

    @property
    def owner(self) -> str | None:
        """The owner's name the cloud must show, lower case; None when the policy asks for none."""
        return wanted_owner(self.device, self.account)


def wanted_owner(device: ListedDevice, account: str | None) -> str | None:
    """Who shall own the device in the end: a customer, the account, or nobody in particular (None)."""
    if device.owner is not None:
        return device.owner
    if device.claim.to in (ClaimTo.ACCOUNT, ClaimTo.ONLINE):
        return account.lower() if account else None
    return None


def takeover(device: ListedDevice, seen: CloudDevice, account: str | None) -> str | None:
    """The present owner if working this device would take it from somebody without leave, else None.

    Also with claim policy `none`: a board that somebody owns gets no new Wi-Fi from us without leave.
    """
    return None if device.takeover_allowed else other_owner(device, seen, account)


def other_owner(device: ListedDevice, seen: CloudDevice, account: str | None) -> str | None:
    """Who owns the device now, if it is neither nobody nor whom we work for."""
    owner = seen.owner.lower() if seen.owner else None
    ours = {wanted_owner(device, account), account.lower() if account else None}
    return None if owner is None or owner in ours else owner


def judge(seen: CloudDevice, wanted: Expectation) -> Verdict:
    """Say what this cloud read proves."""
    if seen.quarantined or seen.denied:
        return Verdict.QUARANTINED
    fresh = not wanted.visited or _shook_hands_since(seen, wanted)
    if wanted.membership and not seen.in_product:
        return Verdict.NOT_IN_PRODUCT if fresh else Verdict.NOT_YET
    if not fresh:
        return Verdict.NOT_YET
    owner = seen.owner.lower() if seen.owner else None
    if wanted.owner is None:
        return Verdict.PROVEN if wanted.device.claim.to is ClaimTo.NONE else Verdict.NOT_YET
    if owner == wanted.owner:
        return Verdict.PROVEN
    if wanted.device.claim.to is ClaimTo.ONLINE and owner is None:
        return Verdict.CLAIM_NOW if seen.online else Verdict.NOT_YET
    return Verdict.NOT_CLAIMED if owner is None else Verdict.WRONG_OWNER


def is_older(seen: CloudDevice, known: CloudDevice | None) -> bool:
    """Whether this read shows an older state than one before: a handshake time never goes back.

    An answer may come from a cache or a copy of the data that is behind; then it says nothing.
    """
    if known is None or known.last_handshake_at is None:
        return False
    return seen.last_handshake_at is None or seen.last_handshake_at < known.last_handshake_at


def _shook_hands_since(seen: CloudDevice, wanted: Expectation) -> bool:
    """Whether the device reached the cloud after this visit's connect-ap.

    Two conditions, because a board may have been online between the read before the visit and the visit itself.
    """
    at = seen.last_handshake_at
    if at is None or at == wanted.handshake_before:
        return False
    return wanted.cloud_from is None or at >= wanted.cloud_from - wanted.tolerance
