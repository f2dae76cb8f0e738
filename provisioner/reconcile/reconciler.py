"""Manifests x journals x cloud: one pass over all three in order of device ID, every device into exactly one class.

Rule 1: three sorted streams are merged; nothing is held but the page in hand and what was found wrong.
Rule 2: a device that should be in the product and is not on the list is asked for by itself: a row can slip past a
page border while the list changes.
Rule 3: the sum of all classes is the listed devices plus the others that were met; else our own bug stops the program.
Rule 4: a walk that cannot be finished (cloud, budget, deadline) tells how far it came, and never says that all adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import trio

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import Again, CloudError, NotInCloud, OutOfBudget
from provisioner.model import CloudDevice, DeviceID
from provisioner.reconcile.classes import Class, Night, Standing, classify
from provisioner.reconcile.facts import Facts, Listed
from provisioner.reconcile.index import Index
from provisioner.reconcile.lists import Lists

T = TypeVar("T")
TRIES = 8  # of one page, each with the client's own repeats in it
PAUSE_S = 15.0
_BREATH = 500  # devices between two checkpoints
KEPT_MAX = 200  # devices shown of each class; the file beside the journals has all of them


@dataclass(frozen=True, slots=True)
class Found:
    """One device and where it stands."""

    device: DeviceID
    kind: Class
    listed: Listed | None
    facts: Facts | None
    seen: CloudDevice | None


@dataclass
class Tally:
    """What a pass has found so far. `pages` of `pages_total`, over all products walked so far."""

    classes: Counter[Class] = field(default_factory=Counter)
    outside: int = 0
    pages: int = 0
    pages_total: int = 0
    kept: dict[Class, list[Found]] = field(default_factory=dict)

    def add(self, found: Found) -> None:
        """Count one device."""
        self.classes[found.kind] += 1
        self.outside += found.listed is None
        kept = self.kept.setdefault(found.kind, [])
        if found.kind.meaning.standing is not Standing.GOOD and len(kept) < KEPT_MAX:
            kept.append(found)

    def standing(self, standing: Standing) -> int:
        """How many devices have that standing."""
        return sum(count for kind, count in self.classes.items() if kind.meaning.standing is standing)


@dataclass(frozen=True)
class Product:
    """A product to walk: its info and all the names that manifests call it by. `info` None: devices outside any."""

    info: ProductInfo | None
    names: tuple[str, ...]


class Reconciler:
    """One pass at a time. `progress` is called after each page."""

    def __init__(
        self,
        index: Index,
        lists: Lists,
        cloud: CloudClient,
        *,
        budget: int | None = None,
        progress: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._index = index
        self._lists = lists
        self._cloud = cloud
        self._budget = budget
        self._note: Callable[[Product, Found], None] = lambda *_: None
        self._progress = progress
        self.tally = Tally()

    async def run(
        self,
        products: Sequence[Product],
        night_of: Callable[[Product], Night],
        *,
        note: Callable[[Product, Found], None] = lambda *_: None,
    ) -> Tally:
        """Walk every product once; `note` sees every device as it is classified.

        Raises CloudError, OutOfBudget among them; `tally` then tells how far it came.
        """
        self.tally, self._note = Tally(), note
        for product in products:
            await self._walk(product, night_of(product))
        self._rest(products, night_of(Product(None, ())))
        listed = self._lists.count()
        if self.tally.classes.total() != listed + self.tally.outside:
            raise RuntimeError(
                f"the classes sum to {self.tally.classes.total()}, but {listed} devices are listed and"
                f" {self.tally.outside} others were met"
            )
        return self.tally

    async def _walk(self, product: Product, night: Night) -> None:
        listed = _Stream((row.device, row) for row in self._lists.rows(product.names))
        facts = _Stream(self._index.all_facts(product.names))
        pages = self._cloud.devices(product.info) if product.info is not None else None
        while pages is not None and (page := await self._patiently(lambda: anext(pages, None))) is not None:
            self._check_budget()
            self.tally.pages += 1
            self.tally.pages_total = max(self.tally.pages_total, self.tally.pages - 1 + page.total_pages)
            last = page.devices[-1].id if page.devices else ""
            seen = {device.id: device for device in page.devices}
            await self._classify_up_to(last, seen, (listed, facts), product, night)
            self._progress(self.tally)
        await self._classify_up_to(None, {}, (listed, facts), product, night)

    async def _classify_up_to(
        self,
        last: str | None,
        seen: dict[DeviceID, CloudDevice],
        streams: tuple[_Stream[Listed], _Stream[Facts]],
        product: Product,
        night: Night,
    ) -> None:
        """Classify every device with an ID up to `last` (None: all that are left), one after the other."""
        there = _Stream(sorted(seen.items()))
        for device in _in_order(last, there, *streams):
            id_, row, told = DeviceID(device), streams[0].take(device), streams[1].take(device)
            await self._classify(id_, row, told, there.take(device), product=product, night=night)
            if self.tally.classes.total() % _BREATH == 0:
                await trio.lowlevel.checkpoint()  # a deadline must come through a million rows, too

    async def _classify(
        self,
        device: DeviceID,
        row: Listed | None,
        told: Facts | None,
        seen: CloudDevice | None,
        *,
        product: Product,
        night: Night,
    ) -> None:
        if row is None and self._lists.is_listed(device):
            return  # a manifest of another product lists it: it is classified there
        if row is not None and told is None:
            told = self._index.facts_of([device]).get(device)  # worked for a product of another name
        if seen is None and (product.info is None or _should_be_there(told)):
            seen = await self._read(product, device)
        if row is None and seen is None and told is not None and told.restored:
            return  # gone on purpose, and in no manifest any more: nobody asks for it
        self._take(product, Found(device, classify(row, told, seen, night), row, told, seen))

    def _rest(self, products: Sequence[Product], night: Night) -> None:
        """What only journals know, of products that no manifest of tonight names: nobody may forget them."""
        walked = {name for product in products for name in product.names}
        for name in self._index.products():
            for device, told in self._index.all_facts([name]) if name not in walked else ():
                if not self._lists.is_listed(DeviceID(device)) and not told.restored:
                    found = Found(DeviceID(device), classify(None, told, None, night), None, told, None)
                    self._take(Product(None, (name,)), found)

    def _take(self, product: Product, found: Found) -> None:
        self.tally.add(found)
        self._note(product, found)

    async def _read(self, product: Product, device: DeviceID) -> CloudDevice | None:
        self._check_budget()
        cloud, info = self._cloud, product.info
        try:
            return await self._patiently(
                lambda: cloud.account_device(device) if info is None else cloud.device(info, device)
            )
        except NotInCloud:
            return None

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again for a while after a fault that may pass: at night nobody waits, and one page must not cost all."""
        for left in reversed(range(TRIES)):
            try:
                return await ask()
            except CloudError as fault:
                if fault.again is not Again.THIS_RUN or not left:
                    raise
            await trio.sleep(PAUSE_S)
        raise AssertionError("the last try either answers or raises")

    def _check_budget(self) -> None:
        traffic = self._cloud.governor.traffic
        sent = traffic.line + traffic.bulk + traffic.token
        if self._budget is not None and sent >= self._budget:
            raise OutOfBudget(f"{sent} requests were sent, as many as --budget allows")


def _should_be_there(facts: Facts | None) -> bool:
    return facts is not None and not facts.restored and (facts.proven or facts.open or facts.imported)


class _Stream(Generic[T]):
    """A sorted stream of (device, value), one ahead; nothing else of it is held."""

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    @property
    def device(self) -> str | None:
        """The next device, None at the end."""
        return self._next[0] if self._next is not None else None

    def take(self, device: str) -> T | None:
        """The value of this device, if it is the next one."""
        if self._next is None or self._next[0] != device:
            return None
        value = self._next[1]
        self._next = next(self._rows, None)
        return value


def _in_order(last: str | None, *streams: _Stream[Any]) -> Iterator[str]:
    """The devices of all streams up to `last`, each once, in ascending order; whoever asks takes them."""
    while True:
        ahead = [stream.device for stream in streams if stream.device is not None]
        device = min(ahead, default=None)
        if device is None or (last is not None and device > last):
            return
        yield device
