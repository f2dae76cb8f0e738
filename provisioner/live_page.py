"""The page of a run that works in this process: its screen, its people's orders, its devices' lives.

Rule 1: whatever the page does, the line does not wait for it; what it asks of the line goes in by `Orders` and scans.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from provisioner.cloud.client import CloudClient
from provisioner.console.board import Gauges
from provisioner.console.view import Screen
from provisioner.errors import NoStationForScan, ScanRefused
from provisioner.job import Prepared
from provisioner.journal.writer import Journal
from provisioner.line.air import Suffixes
from provisioner.line.labels import Labels
from provisioner.line.orders import Act, Order, Orders
from provisioner.line.scan_desk import Answer, Scan, Scans
from provisioner.line.scan_text import Command, Framing, Ordered
from provisioner.model import DeviceID
from provisioner.scanner.sheet import command_sheet, page

if TYPE_CHECKING:
    from provisioner.console.web.server import Address


@dataclass
class Ways:
    """What leads from the page into the run. `cloud` is set when the run has opened it."""

    orders: Orders
    scans: Scans
    cloud: CloudClient | None = None

    def gauges(self) -> Gauges | None:
        """What may still be asked of the cloud: only this process can read it."""
        if self.cloud is None:
            return None
        traffic = self.cloud.governor.traffic
        return Gauges(traffic.left, traffic.most, traffic.waiting, traffic.cooling_s)


@asynccontextmanager
async def live_page(
    address: Address | None, screen: Screen, journal: Journal, prepared: Prepared, ways: Ways
) -> AsyncIterator[None]:
    """Serve the page for the length of the block; without an address there is none."""
    if address is None:
        yield
        return
    from provisioner.console.web.feed import Feed  # a run without a page need not load a web server
    from provisioner.console.web.life import LifeDesk
    from provisioner.console.web.pages import Desk, page_app
    from provisioner.console.web.server import served

    people = _People(prepared, ways)
    feed = Feed(screen, journal.mono_ms, ways.gauges)
    journal.subscribe(feed.notice)
    life = LifeDesk(journal.path.parent.parent, lambda: journal.path, people.find)
    desk = Desk(order=ways.orders.give, scan=people.scan, find=people.find, life=life.life, sheet=people.sheet)
    async with served(page_app(feed, address.guard, desk, run=lambda: journal.run_id), feed, address):
        yield


_ACTS = {Command.STOP: Act.STOP, Command.HOLD: Act.HOLD, Command.RESUME: Act.RESUME}


class _People:
    """What people at the page scan and look for."""

    def __init__(self, prepared: Prepared, ways: Ways) -> None:
        scanner = prepared.settings.scanner
        self._prepared = prepared
        self._framing = Framing(scanner.prefix, scanner.suffix, scanner.command_prefix)
        self._ways = ways

    @cached_property
    def _labels(self) -> Labels:
        """Made at the first scan: the index of a large manifest takes a moment."""
        if self._ways.scans.desk is not None:
            return self._ways.scans.desk.labels
        manifest = self._prepared.manifest
        return Labels(manifest, Suffixes(manifest), self._framing, setup_prefix=self._prepared.settings.softap.prefix)

    def sheet(self, names: Sequence[str]) -> str:
        """The command barcodes of this site. Raises ValueError for a name a barcode cannot say."""
        return page(command_sheet(prefix=self._framing.command_prefix, operators=names))

    def find(self, text: str) -> DeviceID | None:
        """The device that a label names, if this manifest lists it."""
        try:
            return self._labels.resolve(self._framing.text_of(text)).device
        except ScanRefused:
            return None

    def scan(self, text: str, station: str | None, operator: str | None) -> dict[str, object]:
        """A scan at the page. Where the line works by itself a label is looked up; badges, STOP, HOLD and RESUME work.

        Raises ScanRefused, OrderRefused.
        """
        ordered = self._command(text)
        if self._ways.scans.desk is not None:
            answer = _answered(self._ways.scans.put(Scan(text, "page", station, operator)))
        elif ordered is None:
            return {"done": True, "look": True}
        elif ordered.command is Command.BADGE:
            answer = {"done": True, "code": "badge_taken", "word": "", "detail": "", "remedy": ""}
        elif ordered.command in _ACTS:
            act = _ACTS[ordered.command]
            self._ways.orders.give(Order(act, operator or "", None, station))
            answer = {"done": True, "code": f"{act}_taken", "word": "", "detail": "", "remedy": ""}
        else:
            raise NoStationForScan("the line works by itself: it takes whatever board is heard")
        return answer | ({"operator": ordered.operator} if ordered is not None and ordered.operator else {})

    def _command(self, text: str) -> Ordered | None:
        try:
            return self._framing.command_of(self._framing.text_of(text))
        except ScanRefused:
            return None


def _answered(answer: Answer) -> dict[str, object]:
    """An answer for a page; texts in it have been made printable by the desk."""
    row = answer.device
    return {
        "done": answer.taken,
        "code": answer.code,
        "word": answer.word,
        "detail": answer.detail,
        "remedy": answer.todo,
        "scanned": answer.scanned,
        "station": answer.station or "",
        "device": row.id if row is not None else "",
        "tray": row.tray if row is not None else "",
        "slot": row.slot if row is not None else None,
    }
