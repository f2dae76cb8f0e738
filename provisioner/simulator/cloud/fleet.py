"""Every device the simulated cloud knows, which product it is in, and who owns it.

Rule 1: membership and ownership change only through this module, so that the indexes stay true.
Rule 2: importing is not atomic and never fails as a whole: each identifier ends in one list (facts, particle-cloud 4).
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import overload

from provisioner.simulator.cloud.accounts import Accounts
from provisioner.simulator.cloud.packing import pack_device, unpack_device
from provisioner.simulator.cloud.rules import CloudRules
from provisioner.simulator.cloud.shelf import Shelf, first_row
from provisioner.simulator.cloud.state import History, SimAccount, SimDevice, SimProduct, What
from provisioner.simulator.faults import Dice


@dataclass(slots=True)
class ImportLists:
    """Where each identifier of one import call ended. Device IDs echo in lower case, serials as passed."""

    updated: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    nonmember: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    protected: list[str] = field(default_factory=list)


_TABLE = (
    "CREATE TABLE device (key TEXT PRIMARY KEY, serial TEXT, product INTEGER, connected INTEGER, owner TEXT,"
    " owned INTEGER, state BLOB) WITHOUT ROWID",
    "CREATE INDEX by_serial ON device (serial)",
    "CREATE INDEX by_connection ON device (product, connected DESC, key)",
    "CREATE INDEX by_owner ON device (owner, owned) WHERE owner IS NOT NULL",
)
_BY_ID = "SELECT key FROM device WHERE +product = ? AND key > ? ORDER BY key LIMIT ? OFFSET ?"
_NEWEST = "SELECT key FROM device WHERE product = ? ORDER BY connected DESC, key LIMIT ? OFFSET ?"
_PAGE = 100


class _Listing(Sequence[SimDevice]):
    """A product's list in one order, of which only what is looked at is fetched. For one step: it is not kept."""

    def __init__(self, length: int, fetch: Callable[[int, int], Sequence[SimDevice]]) -> None:
        self._length = length
        self._fetch = fetch  # from this place, so many

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[SimDevice]:
        for first in range(0, self._length, _PAGE):
            yield from self._fetch(first, _PAGE)

    @overload
    def __getitem__(self, place: int) -> SimDevice: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[SimDevice]: ...

    def __getitem__(self, place: int | slice) -> SimDevice | Sequence[SimDevice]:
        if isinstance(place, int):
            return self._fetch(range(self._length)[place], 1)[0]
        first, end, step = place.indices(self._length)
        return self._fetch(first, max(0, end - first)) if step == 1 else list(self)[place]


class Fleet:
    """All devices by ID and serial, and each product's list (members and quarantined ones).

    What lists are made by is in columns, written at once: serial, the product that lists the device, its place among
    the connections, its owner, and its place among what is owned. The rest is written when the shelf lets go of it.
    """

    def __init__(
        self,
        accounts: Accounts,
        history: History,
        rules: CloudRules,
        dice: Dice,
        db: sqlite3.Connection,
    ) -> None:
        self._accounts = accounts
        self._history = history
        self._rules = rules
        self._dice = dice
        self._db = db
        for statement in _TABLE:
            db.execute(statement)
        self._devices = Shelf(db, "device", pack=pack_device, unpack=unpack_device)
        self._listed: Counter[int | None] = Counter()  # how many each product's list shows
        self._read_up_to: dict[int, tuple[int, str]] = {}  # how far a product's list by ID was read: place and ID
        self._connections = itertools.count()
        self._ownerships = itertools.count()
        self._import_calls = 0

    # --- looking ---

    def add(self, device: SimDevice) -> None:
        """A device that exists at Particle from now on."""
        self._db.execute("INSERT INTO device (key, serial) VALUES (?, ?)", (device.id, device.serial.upper()))
        self._devices.put(device.id, device)

    def remove(self, device_id: str) -> SimDevice:
        """Particle has never heard of it."""
        device = self.find(device_id)
        if device is None:
            raise KeyError(device_id)
        self._list(device, None)
        self._devices.drop(device.id)
        return device

    def find(self, device_id: str) -> SimDevice | None:
        """The device of that ID (any case), or None."""
        return self._devices.get(device_id.strip().lower())

    def find_serial(self, serial: str) -> SimDevice | None:
        """The device of that serial number (any case), or None."""
        row = first_row(self._db, "SELECT key FROM device WHERE serial = ?", serial.strip().upper())
        return self._devices.get(row[0]) if row else None

    def listed(self, product_id: int) -> Sequence[SimDevice]:
        """The product's devices, quarantined ones included, sorted by device ID."""
        return _Listing(self._listed[product_id], partial(self._by_id, product_id))

    def newest(self, product_id: int) -> Sequence[SimDevice]:
        """The product's devices, last connection first; those that never connected last, by ID."""
        return _Listing(self._listed[product_id], partial(self._by_connection, product_id))

    def _by_id(self, product_id: int, first: int, count: int) -> Sequence[SimDevice]:
        """Whoever reads page by page goes on where he was: to skip fifty thousand rows takes milliseconds."""
        place, key = self._read_up_to.get(product_id, (0, ""))
        if place != first:
            place, key = 0, ""
        found = list(self._asked(_BY_ID, product_id, key, count, first - place))
        if found:
            self._read_up_to[product_id] = (first + len(found), found[-1].id)
        return found

    def _by_connection(self, product_id: int, first: int, count: int) -> Sequence[SimDevice]:
        return list(self._asked(_NEWEST, product_id, count, first))

    def heard(self, device: SimDevice) -> None:
        """The device has just connected: it is the newest now."""
        self._db.execute("UPDATE device SET connected = ? WHERE key = ?", (next(self._connections), device.id))

    def owned_by(self, account: SimAccount, now_s: float) -> Iterator[SimDevice]:
        """The devices whose owner *field* shows this account, in order of ownership."""
        return (device for device in self._owned_by(account) if device.shown_owner(now_s) == account)

    def _owned_by(self, account: SimAccount) -> Iterator[SimDevice]:
        return self._asked("SELECT key FROM device WHERE owner = ? ORDER BY owned", account.id)

    def _asked(self, question: str, *about: str | int) -> Iterator[SimDevice]:
        """The devices that answer a question, one by one."""
        for (key,) in self._db.execute(question, about):
            device = self._devices.get(key)
            if device is not None:
                yield device

    # --- membership ---

    def join(self, device: SimDevice, product_id: int) -> None:
        """Make the device a member; out of quarantine, and no longer denied."""
        self._list(device, product_id)
        device.product_id, device.quarantined_in, device.denied = product_id, None, False

    def quarantine(self, device: SimDevice, product_id: int) -> None:
        """List the device in quarantine: its firmware names the product, but it is no member."""
        self._list(device, product_id)
        device.product_id, device.quarantined_in, device.firmware_product_id = None, product_id, product_id

    def leave(self, device: SimDevice) -> None:
        """Take the device off its product's list."""
        self._list(device, None)
        device.product_id = device.quarantined_in = None
        device.development, device.groups = False, ()

    def _list(self, device: SimDevice, product_id: int | None) -> None:
        before = device.listed_by()
        if before == product_id:
            return
        self._read_up_to.clear()
        self._listed[before] -= 1
        self._listed[product_id] += 1
        self._db.execute("UPDATE device SET product = ? WHERE key = ?", (product_id, device.id))

    # --- ownership ---

    def own(self, device: SimDevice, owner: SimAccount | None, *, now_s: float = 0.0, lag_s: float = 0.0) -> None:
        """Change the owner at once; the field that answers show follows `lag_s` later."""
        device.own(owner, now_s=now_s, lag_s=lag_s)
        place = (None, None) if owner is None else (owner.id, next(self._ownerships))
        self._db.execute("UPDATE device SET owner = ?, owned = ? WHERE key = ?", (*place, device.id))

    def claim(self, device: SimDevice, owner: SimAccount, *, now_s: float, lag_s: float = 0.0, how: str) -> None:
        """Give the device to `owner`, and write down from whom it was taken."""
        before = device.owner
        if before == owner:
            return
        self.own(device, owner, now_s=now_s, lag_s=lag_s)
        what = What.CLAIMED if before is None else What.TAKEN_OVER
        was = before.username if before else ""
        self._history.note(what, device=device.id, account=owner.username, before=was, detail=how)

    def unclaim(self, device: SimDevice, *, how: str) -> None:
        """Free the device; the field follows at once."""
        if device.owner is not None:
            self._history.note(What.UNCLAIMED, device=device.id, before=device.owner.username, detail=how)
        self.own(device, None)

    def free_all_of(self, account: SimAccount) -> None:
        """Unclaim every device of an account that is about to go."""
        for device in list(self._owned_by(account)):
            self.unclaim(device, how="customer deleted")

    # --- import ---

    def add_to_product(
        self,
        product: SimProduct,
        identifiers: Iterable[str],
        *,
        claim_user: SimAccount | None,
        now_s: float,
        row_missing: float,
    ) -> ImportLists:
        """Import device IDs or serial numbers into a product; `claim_user` then owns what is or was in it.

        `row_missing` is the probability that a good row is swallowed: in no list, and not added.
        """
        lists = ImportLists()
        seen: set[str] = set()
        self._import_calls += 1
        for passed in identifiers:
            by_serial = self.find_serial(passed)
            device = self.find(passed) or by_serial
            echo = passed if by_serial or self._rules.import_echo == "verbatim" else passed.lower()
            key = device.id if device else passed.lower()
            if key in seen:
                continue
            seen.add(key)
            row = lists.invalid if device is None else self._import_one(product, device, lists, row_missing)
            if row is None:
                continue
            row.append(echo)
            if device and claim_user and row in (lists.updated, lists.existing):
                self.claim(device, claim_user, now_s=now_s, how="claim_user at import")
        return lists

    def _import_one(
        self, product: SimProduct, device: SimDevice, lists: ImportLists, row_missing: float
    ) -> list[str] | None:
        """Try one device: the list it ends in, or None if the fault swallows it."""
        if device.product_id == product.id:
            return lists.existing
        if device.platform_id != product.platform_id or device.product_id is not None:
            return lists.invalid
        if device.protected:
            return lists.protected
        owner = device.owner
        if owner and owner.product_id != product.id and not self._accounts.on_team(owner, product.id):
            return lists.nonmember
        if row_missing > 0 and self._dice.fraction("cloud", "import row", device.id, self._import_calls) < row_missing:
            self._history.note(What.ROW_SWALLOWED, device=device.id)
            return None
        self.join(device, product.id)
        self._history.note(What.IMPORTED, device=device.id, detail=product.slug)
        return lists.updated
