"""Every device the simulated cloud knows, which product it is in, and who owns it.

Rule 1: membership and ownership change only through this module, so that the indexes stay true.
Rule 2: importing is not atomic and never fails as a whole: each identifier ends in one list (facts, particle-cloud 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from provisioner.simulator.cloud.accounts import Accounts
from provisioner.simulator.cloud.rules import CloudRules
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


class Fleet:
    """All devices by ID and serial, and each product's list (members and quarantined ones)."""

    def __init__(self, accounts: Accounts, history: History, rules: CloudRules, dice: Dice) -> None:
        self._accounts = accounts
        self._history = history
        self._rules = rules
        self._dice = dice
        self._devices: dict[str, SimDevice] = {}
        self._by_serial: dict[str, SimDevice] = {}
        self._listed: dict[int, dict[str, SimDevice]] = {}
        self._sorted: dict[int, list[SimDevice]] = {}
        self._owned: dict[str, dict[str, SimDevice]] = {}  # by the owner's account ID
        self._connected: dict[str, SimDevice] = {}  # in the order of their last connection
        self._import_calls = 0

    # --- looking ---

    def add(self, device: SimDevice) -> None:
        """A device that exists at Particle from now on."""
        self._devices[device.id] = device
        self._by_serial[device.serial.upper()] = device

    def find(self, device_id: str) -> SimDevice | None:
        """The device of that ID (any case), or None."""
        return self._devices.get(device_id.strip().lower())

    def find_serial(self, serial: str) -> SimDevice | None:
        """The device of that serial number (any case), or None."""
        return self._by_serial.get(serial.strip().upper())

    def listed(self, product_id: int) -> Sequence[SimDevice]:
        """The product's devices, quarantined ones included, sorted by device ID."""
        found = self._sorted.get(product_id)
        if found is None:
            found = sorted(self._listed.get(product_id, {}).values(), key=lambda device: device.id)
            self._sorted[product_id] = found
        return found

    def newest(self, product_id: int) -> Iterator[SimDevice]:
        """The product's devices, last connection first; those that never connected last, by ID."""
        listed = self._listed.get(product_id, {})
        yield from (device for device in reversed(self._connected.values()) if device.id in listed)
        yield from (device for device in self.listed(product_id) if device.last_handshake_at is None)

    def heard(self, device: SimDevice) -> None:
        """The device has just connected: it is the newest now."""
        self._connected.pop(device.id, None)
        self._connected[device.id] = device

    def owned_by(self, account: SimAccount, now_s: float) -> Iterator[SimDevice]:
        """The devices whose owner *field* shows this account, in order of ownership."""
        return (d for d in self._owned.get(account.id, {}).values() if d.shown_owner(now_s) == account)

    # --- membership ---

    def join(self, device: SimDevice, product_id: int) -> None:
        """Make the device a member; out of quarantine, and no longer denied."""
        self._unlist(device)
        device.product_id, device.quarantined_in, device.denied = product_id, None, False
        self._list(device, product_id)

    def quarantine(self, device: SimDevice, product_id: int) -> None:
        """List the device in quarantine: its firmware names the product, but it is no member."""
        self._unlist(device)
        device.product_id, device.quarantined_in, device.firmware_product_id = None, product_id, product_id
        self._list(device, product_id)

    def leave(self, device: SimDevice) -> None:
        """Take the device off its product's list."""
        self._unlist(device)
        device.product_id = device.quarantined_in = None
        device.development, device.groups = False, ()

    def _list(self, device: SimDevice, product_id: int) -> None:
        self._listed.setdefault(product_id, {})[device.id] = device
        self._sorted.pop(product_id, None)

    def _unlist(self, device: SimDevice) -> None:
        for product_id in (device.product_id, device.quarantined_in):
            if product_id is not None:
                self._listed.get(product_id, {}).pop(device.id, None)
                self._sorted.pop(product_id, None)

    # --- ownership ---

    def own(self, device: SimDevice, owner: SimAccount | None, *, now_s: float = 0.0, lag_s: float = 0.0) -> None:
        """Change the owner at once; the field that answers show follows `lag_s` later."""
        if device.owner is not None:
            self._owned.get(device.owner.id, {}).pop(device.id, None)
        device.own(owner, now_s=now_s, lag_s=lag_s)
        if owner is not None:
            self._owned.setdefault(owner.id, {})[device.id] = device

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
        for device in list(self._owned.get(account.id, {}).values()):
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
