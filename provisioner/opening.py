"""What a run opens before its line works: its books, people's way in, the product, one adapter for each station.

Rule 1: a person can hold or stop the run from its first record on, also while the cloud or an adapter is awaited.
Rule 2: a cloud that is away holds the line here as it does later, if people look on: the run goes on by itself when
it is back. Without them it ends as held, at once.
Rule 3: a run that ends here still leaves every device with an outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TypeVar

import trio

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import CloudError, SwitchError, WrongPlatform
from provisioner.job import Prepared, stations_of
from provisioner.journal.writer import Journal
from provisioner.line.air import Air
from provisioner.line.books import Books
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.orders import LineOrders
from provisioner.line.rows import why_of
from provisioner.line.scheduler import Stop
from provisioner.line.site_watch import SiteWatch
from provisioner.line.uplink import Uplink
from provisioner.model import ListedDevice
from provisioner.network.switcher import NetworkSwitcher, SwitcherFactory
from provisioner.network.switcher import Uplink as UplinkKind

PHOTONS = (6, 8)  # platform IDs: Photon, P1 (facts: particle-cloud 3)
_T = TypeVar("_T")


def open_orders(prepared: Prepared, journal: Journal, ledger: Ledger, stop: Stop) -> LineOrders:
    """What people may ask of this run, and the hold and the air that they ask it of."""
    budgets, limits = prepared.settings.budgets, prepared.settings.limits
    hold = LineHold(journal, same_fault_holds_at=limits.same_site_fault_holds_at)
    air = Air(
        back_after_s=budgets.setup_network_back_s,
        refused_after_s=budgets.wifi_refused_after_s,
        signal_floor_dbm=limits.signal_floor_dbm,
    )
    return LineOrders(ledger, hold, air, journal, partial(stop.ask, journal))


@contextmanager
def opened_books(
    books: Books, orders: LineOrders, stop: Stop, *, import_only: bool
) -> Iterator[Sequence[ListedDevice]]:
    """Carry over what earlier runs have proven, and give what is to do; the line closes the books if it begins."""
    why = "the run could not begin"
    try:
        with orders.until_over():
            yield books.carry_over()
    finally:
        if not stop.line_started:
            why = stop.why if stop.by_person else "the line is held" if orders.hold.for_good else why
            books.close(why, import_only=import_only)


def watch_of(prepared: Prepared, cloud: CloudClient, hold: LineHold) -> SiteWatch:
    """What asks whether the cloud is back, for the length of the run."""
    budgets = prepared.settings.budgets
    return SiteWatch(hold, cloud, Uplink(), probe_s=budgets.site_probe_s, hold_max_s=budgets.site_hold_max_s)


async def ask_first(site: SiteWatch, question: Callable[[], Awaitable[_T]], *, patiently: bool) -> _T:
    """A run's first question to the cloud. Raises the CloudError that holds the line for good, and what it raises.

    Not `patiently`: any CloudError does. Nothing has begun, so a script may as well hear of it, and start again.
    """
    if not patiently:
        try:
            return await question()
        except CloudError as fault:
            site.hold.report(fault)
            site.hold.give_up()
            raise
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await site.until_held_for_good()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        answer = await site.hold.patiently(question)
        nursery.cancel_scope.cancel()
        return answer
    if site.hold.reason is None:
        raise AssertionError("the line is held for good without a reason")
    raise site.hold.reason


async def read_product(prepared: Prepared, cloud: CloudClient) -> ProductInfo | None:
    """The manifest's product; refused before anything is written if it is not made of Photons. Raises CloudError."""
    if prepared.manifest.product is None:
        return None
    product = await cloud.product(prepared.manifest.product)
    if product.platform_id not in PHOTONS:
        raise WrongPlatform(f"product {product.slug} is of platform {product.platform_id}, Photons are 6 (P1: 8)")
    return product


async def open_stations(
    prepared: Prepared, switchers: Mapping[str, SwitcherFactory], journal: Journal, stack: AsyncExitStack
) -> list[tuple[str, NetworkSwitcher]]:
    """Open one adapter for each station; each is as it was when the stack closes.

    A station whose adapter is not there is said and left out; SwitchError if none is left.
    """
    opened: list[tuple[str, NetworkSwitcher]] = []
    last: SwitchError | None = None
    for station in stations_of(prepared) if switchers else ():
        session = switchers[station.switcher].session(adapter=station.adapter, uplink=UplinkKind(station.uplink))
        try:
            opened.append((station.name, await stack.enter_async_context(session)))
        except SwitchError as failure:
            last = failure
            journal.append("station.drained", station=station.name, **why_of(failure))
    if last is not None and not opened:
        raise last
    return opened
