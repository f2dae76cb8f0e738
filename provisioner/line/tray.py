"""A manifest in memory: trays whose rows are kept small and become `ListedDevice` when they are looked at.

Rule 1: nothing here reads a file or finds a mistake; `line.manifest` does, and builds these.
Rule 2: a row costs 18 bytes for its ID and those of its serial and odd slot (`packed`); everything that a tray decides
for its rows stands here once a tray.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import overload

from provisioner.model import ClaimPolicy, ClaimTo, DeviceID, ListedDevice, TrayLayout, printable

CUSTOMER_FIELDS = ("tray", "lot", "slot", "device", "serial")
CUSTOMER_CHARACTERS = (3, 128)


@dataclass(frozen=True, slots=True)
class CustomerName:
    """A template of customer names: text with `{tray} {lot} {slot} {device} {serial}` in it."""

    template: str
    fields: frozenset[str]

    @classmethod
    def parse(cls, template: str) -> CustomerName:
        """Read a template, or raise ValueError with `what; remedy`."""
        allowed = " ".join(f"{{{name}}}" for name in CUSTOMER_FIELDS)
        fields = re.findall(r"\{([^{}]*)\}", template)
        for name in fields:
            if name not in CUSTOMER_FIELDS:
                raise ValueError(f"'customer': unknown field '{{{printable(name)}}}'; use {allowed}")
        if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", template)):
            raise ValueError(f"'customer': a brace that belongs to no field; use {allowed}")
        return cls(template, frozenset(fields))

    @property
    def differs_by_row(self) -> bool:
        """Whether the devices of one tray get different names."""
        return not self.fields <= {"tray", "lot"}

    def resolve(self, *, tray: str, lot: str | None, slot: int, device: str, serial: str | None) -> str:
        """The customer's name, in lower case because the cloud makes it so (facts: particle-cloud 6)."""
        return self.template.format(tray=tray, lot=lot, slot=slot, device=device, serial=serial).lower()


def customer_template(claim: ClaimPolicy, *, has_lot: bool) -> CustomerName | None:
    """The template a policy resolves to names, or None where it has none; ValueError with `what; remedy`."""
    if claim.customer is None:
        if claim.to is ClaimTo.CUSTOMER:
            example = '{to: customer, customer: "line3+{tray}@example.com"}'
            raise ValueError(f"claim to a customer without 'customer', the template of the name; write e.g. {example}")
        return None
    if claim.to in (ClaimTo.NONE, ClaimTo.ACCOUNT):
        raise ValueError(f"'customer' does not go with 'to: {claim.to}'; remove it, or write 'to: customer'")
    customer = CustomerName.parse(claim.customer)
    if "lot" in customer.fields and not has_lot:
        raise ValueError("'customer' has {lot}, and the manifest has no lot; add 'lot', or remove {lot}")
    return customer


def customer_trouble(name: str) -> str | None:
    """What keeps a resolved text from being a customer's name, or None. It need not be an e-mail address."""
    shortest, longest = CUSTOMER_CHARACTERS
    if not shortest <= len(name) <= longest:
        return f"'{printable(name)}' has {len(name)} characters, a customer's name has {shortest} to {longest}"
    if " " in name or not name.isprintable():
        return f"'{printable(name)}' has spaces or control characters, a customer's name has none"
    return None


@dataclass(frozen=True, slots=True)
class TrayDevices(Sequence[ListedDevice]):
    """The rows of one tray in the order written. `slots` is None where every slot is the row's position from 1."""

    tray: str
    claim: ClaimPolicy
    wifi: str | None
    ids: Sequence[str] = field(repr=False)
    slots: Sequence[int] | None = field(default=None, repr=False)
    serials: Sequence[str | None] | None = field(default=None, repr=False)
    lot: str | None = None
    customer: CustomerName | None = None
    takeover: frozenset[str] = field(default=frozenset(), repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> ListedDevice: ...
    @overload
    def __getitem__(self, index: slice) -> list[ListedDevice]: ...
    def __getitem__(self, index: int | slice) -> ListedDevice | list[ListedDevice]:
        if isinstance(index, slice):
            return [self._row(position) for position in range(len(self))[index]]
        return self._row(range(len(self))[index])

    def _row(self, position: int) -> ListedDevice:
        device = DeviceID(self.ids[position])
        slot = position + 1 if self.slots is None else self.slots[position]
        serial = None if self.serials is None else self.serials[position]
        owner = None
        if self.customer is not None:
            owner = self.customer.resolve(tray=self.tray, lot=self.lot, slot=slot, device=device, serial=serial)
        return ListedDevice(device, self.tray, slot, serial, self.claim, owner, self.wifi, device in self.takeover)


class Rows(Sequence[ListedDevice]):
    """Some rows of a longer list, four bytes each: `row_of` makes one of its number when it is looked at."""

    __slots__ = ("_numbers", "_row_of")

    def __init__(self, row_of: Callable[[int], ListedDevice], numbers: Sequence[int]) -> None:
        self._row_of, self._numbers = row_of, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> ListedDevice: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> ListedDevice | Rows:
        if isinstance(index, slice):
            return Rows(self._row_of, self._numbers[index])
        return self._row_of(self._numbers[index])


@dataclass(frozen=True, slots=True)
class Tray:
    """One tray. `file` is the list it was read from, as written in the manifest; None where the rows stand inline.

    `layout` is how it lies on the bench, None where the manifest does not say.
    """

    id: str
    claim: ClaimPolicy
    wifi: str | None
    devices: Sequence[ListedDevice]
    file: str | None = None
    layout: TrayLayout | None = None

    @property
    def odd_slots(self) -> Sequence[int] | None:
        """The slots in use, where they are not simply 1, 2, 3 to the end."""
        if isinstance(self.devices, TrayDevices) and self.devices.slots is None:
            return None
        slots = [device.slot for device in self.devices]
        return None if slots == list(range(1, len(slots) + 1)) else slots


@dataclass(frozen=True)
class Manifest:
    """All trays of one manifest. Iterating gives every row, in the order written.

    `sha256` covers the manifest and every list it names: the SHA-256 over their SHA-256s in hex, one a line,
    the manifest first, then the lists in the order of the trays.
    `rows` leads from a device ID to its row number over all trays; it is built here unless the loader has it. A look
    into it takes a microsecond or two: once for each record or question, not once for each field.
    """

    path: Path
    sha256: str
    product: str | None
    lot: str | None
    trays: tuple[Tray, ...]
    rows: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    _ends: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(len(tray.devices) for tray in self.trays)))
        if not self.rows:
            object.__setattr__(self, "rows", {device.id: row for row, device in enumerate(self)})

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[ListedDevice]:
        for tray in self.trays:
            yield from tray.devices

    def __contains__(self, device: object) -> bool:
        """Whether a tray lists this device ID."""
        return device in self.rows

    def find(self, device: DeviceID) -> ListedDevice | None:
        """The row of a device, or None where no tray lists it (a stranger)."""
        row = self.rows.get(device)
        return None if row is None else self.row(row)

    def row(self, row: int) -> ListedDevice:
        """The device of that row, counted over all trays from 0."""
        tray = bisect_right(self._ends, row)
        start = self._ends[tray - 1] if tray else 0
        return self.trays[tray].devices[row - start]
