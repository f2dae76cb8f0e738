"""What the simulated cloud remembers: products, accounts, tokens, claim codes, devices, and its history.

Rule 1: accounts, products, tokens and codes never change once made; only a device and a code's use do.
Rule 2: the history is written for checkers. A claim code stands in it by its fingerprint (as in a run's journal),
a token not at all.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from provisioner.simulator.clock import SimClock
from provisioner.simulator.spool import Spool

PHOTON = 6
VARIABLES: Mapping[str, int] = MappingProxyType({"temp": 1083})  # what the simulated firmware offers


@dataclass(frozen=True, slots=True)
class SimProduct:
    """A product: devices of one platform. `id` or `slug` names it in a path."""

    id: int
    slug: str
    name: str
    platform_id: int = PHOTON


@dataclass(frozen=True, slots=True)
class SimAccount:
    """Who can own a device: a user (`product_id` None) or a customer of one product. `id` is 24 hex digits."""

    id: str
    username: str
    product_id: int | None = None

    @property
    def is_customer(self) -> bool:
        """Whether this is a customer of a product rather than a user of the console."""
        return self.product_id is not None


@dataclass(frozen=True, slots=True)
class SimClient:
    """An OAuth client of a product, or of an account (`owner_id`); of neither: the public ones of user logins."""

    id: str
    secret: str = field(repr=False)
    name: str
    type: str
    product_id: int | None
    owner_id: str | None = None


class TokenKind(enum.Enum):
    """On whose behalf a token speaks."""

    USER = "user"
    PRODUCT = "product"
    CUSTOMER = "customer"
    API_USER = "api user"  # a program on a product's team; may do what its scopes say


@dataclass(frozen=True, slots=True)
class SimToken:
    """An access token with its refresh token. Times are the clock's seconds; None never ends. `scopes`: API users'."""

    kind: TokenKind
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    client_id: str
    account: SimAccount | None
    product_id: int | None
    expires_s: float | None
    refresh_until_s: float | None
    scopes: frozenset[str] = frozenset()


@dataclass(slots=True, weakref_slot=True)
class SimCode:
    """A claim code: one hour, one device. `product_id` is the customer's product, None for a user's code."""

    text: str = field(repr=False)
    fingerprint: str
    account: SimAccount
    product_id: int | None
    made_s: float
    used_by: str | None = None


@dataclass(slots=True, weakref_slot=True)
class SimDevice:
    """One device as the cloud knows it, from manufacture on. (`packing` knows its fields, too.)

    `product_id` is membership; `quarantined_in` is the product its firmware claims to be of, without membership.
    The owner *field* lags: until `owner_shown_s` the answers show `owner_before`.
    """

    id: str
    serial: str
    platform_id: int = PHOTON
    protected: bool = False
    product_id: int | None = None
    quarantined_in: int | None = None
    firmware_product_id: int | None = None
    denied: bool = False
    owner: SimAccount | None = None
    owner_before: SimAccount | None = None
    owner_shown_s: float = 0.0
    online: bool = False
    last_handshake_at: datetime | None = None
    last_heard: datetime | None = None
    name: str | None = None
    notes: str | None = None
    development: bool = False
    groups: tuple[str, ...] = ()
    desired_firmware_version: int | None = None
    public_key: str | None = None
    handshakes: int = 0

    def shown_owner(self, now_s: float) -> SimAccount | None:
        """The owner as answers show it at this moment."""
        return self.owner if now_s >= self.owner_shown_s else self.owner_before

    def own(self, owner: SimAccount | None, *, now_s: float = 0.0, lag_s: float = 0.0) -> None:
        """Change the owner now; the field follows `lag_s` later."""
        self.owner_before = self.shown_owner(now_s)
        self.owner = owner
        self.owner_shown_s = now_s + lag_s if lag_s else 0.0

    def listed_in(self, product_id: int) -> bool:
        """Whether the product's list shows the device, as a member or in quarantine."""
        return product_id in (self.product_id, self.quarantined_in)

    def listed_by(self) -> int | None:
        """The product whose list shows the device, if any does."""
        return self.product_id if self.product_id is not None else self.quarantined_in


class What(enum.StrEnum):
    """What can happen in the cloud."""

    IMPORTED = "imported"
    REMOVED = "removed from product"
    QUARANTINED = "quarantined"
    DENIED = "denied"
    ONLINE = "online"
    OFFLINE = "offline"
    HANDSHAKE_REFUSED = "handshake refused"
    CODE_MINTED = "claim code minted"
    CODE_SPENT = "claim code spent"
    CODE_IGNORED = "claim code ignored"
    CODE_REVOKED = "claim code revoked"
    CLAIMED = "claimed"
    TAKEN_OVER = "taken over"
    UNCLAIMED = "unclaimed"
    CUSTOMER_CREATED = "customer created"
    CUSTOMER_DELETED = "customer deleted"
    TOKEN_ISSUED = "token issued"  # noqa: S105 - not a password
    TOKEN_REFUSED = "token refused"  # noqa: S105 - not a password
    LOCKED_OUT = "locked out"
    BUSY = "answered 429"
    FAULT = "answered 503"
    ANSWER_LOST = "answer lost"
    ROW_SWALLOWED = "import row swallowed"


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry: `at_s` in the clock's seconds; `account` is the new owner, `before` the one it replaced."""

    at_s: float
    what: What
    device: str = ""
    account: str = ""
    before: str = ""
    code: str = ""
    detail: str = ""


class History(list[Happening]):
    """Everything that happened, oldest first. With `spool` it is kept on disk."""

    def __init__(self, clock: SimClock, spool: Spool | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._spool = spool

    def note(
        self, what: What, *, device: str = "", account: str = "", before: str = "", code: str = "", detail: str = ""
    ) -> None:
        """Write one entry with the time of now."""
        entry = Happening(self._clock.seconds(), what, device, account, before, code, detail)
        if self._spool is None:
            self.append(entry)
        else:
            self._spool.write([entry.at_s, what, device, account, before, code, detail])

    def __iter__(self) -> Iterator[Happening]:
        if self._spool is None:
            yield from super().__iter__()
            return
        for at_s, what, *rest in self._spool.rows():
            yield Happening(float(at_s), What(what), *rest)

    def of(self, what: What, device: str = "") -> Iterator[Happening]:
        """The entries of one kind; of one device, if given."""
        return (entry for entry in self if entry.what is what and device in ("", entry.device))
