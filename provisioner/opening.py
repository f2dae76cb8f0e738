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
from provisioner.console.stopped import leaves_of
from provisioner.errors import CloudError, ProvisionerError, SwitchError, WrongPlatform
from provisioner.job import Prepared, stations_of
from provisioner.journal.writer import Journal
from provisioner.line.air import Air
from provisioner.line.books import Books
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.orders import LineOrders
from provisioner.line.rows import why_of
from provisioner.line.scheduler import Stop
from provisioner.model import ListedDevice
from provisioner.network.switcher import NetworkSwitcher, SwitcherFactory, Uplink

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
def opened_books(books: Books, stop: Stop, *, import_only: bool) -> Iterator[Sequence[ListedDevice]]:
    """Carry over what earlier runs have proven, and give what is to do; the line closes the books if it begins."""
    cause: ProvisionerError | None = None
    try:
        yield books.carry_over()
    except BaseException as error:
        cause = next((leaf for leaf in leaves_of(error) if isinstance(leaf, ProvisionerError)), None)
        raise
    finally:
        if not stop.line_started:
            books.close(stop.why if stop.by_person else "the run could not begin", import_only=import_only, cause=cause)


async def ask_first(
    hold: LineHold, question: Callable[[], Awaitable[_T]], *, patiently: bool, pause_s: float, hold_max_s: float
) -> _T:
    """A run's first question to the cloud, again and again while the cloud is away. Raises CloudError for good.

    Not `patiently`: at once. Nothing has begun, so a script may as well hear of it, and start again.
    """
    began_s = trio.current_time()
    while True:
        try:
            answer = await question()
        except CloudError as fault:
            hold.report(fault)
            if not patiently or trio.current_time() - began_s > hold_max_s:
                hold.give_up()
            if hold.for_good:
                raise
            hold.announce()  # it is no single lost answer: the client has repeated the question by itself
            await trio.sleep(pause_s)
        else:
            hold.release()
            return answer


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
        session = switchers[station.switcher].session(adapter=station.adapter, uplink=Uplink(station.uplink))
        try:
            opened.append((station.name, await stack.enter_async_context(session)))
        except SwitchError as failure:
            last = failure
            journal.append("station.drained", station=station.name, **why_of(failure))
    if last is not None and not opened:
        raise last
    return opened
