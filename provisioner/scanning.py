"""What a run in scanner mode is built of: who reads the scanners, and the desk that their scans are put to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from provisioner.errors import InputRefused
from provisioner.job import Prepared, serial_scanners_of
from provisioner.journal.writer import Journal
from provisioner.line.air import Suffixes
from provisioner.line.labels import Labels
from provisioner.line.ledger import Ledger
from provisioner.line.orders import Orders
from provisioner.line.scan_desk import ScanDesk
from provisioner.line.scan_text import Framing
from provisioner.portable import WINDOWS
from provisioner.scanner.device import scans_from_device
from provisioner.scanner.terminal import scans_from_terminal


def scanners_of(prepared: Prepared, *, page: bool = False) -> list[Callable[[ScanDesk], Awaitable[None]]]:
    """What reads the scanners of a job in scanner mode: the serial ones, and this terminal; `page`: so does a page."""
    if not prepared.job.scanner:
        return []
    if WINDOWS:
        return _scanners_on_windows(page=page)
    serial = [
        partial(scans_from_device, path=one.path, station=one.station, baud=one.baud)
        for one in serial_scanners_of(prepared)
    ]
    return [*serial, partial(scans_from_terminal, alone=not serial and not page)]


def _scanners_on_windows(*, page: bool) -> list[Callable[[ScanDesk], Awaitable[None]]]:
    """There only the page takes scans; a person's own network switching reads what a scanner types, without this."""
    if not page:
        raise InputRefused(
            "--scanner reads no terminal and no serial port on Windows",
            remedy="Scan into the page (--console); `switcher: manual` takes the scanned name without --scanner.",
        )
    return []


def scan_desk_of(prepared: Prepared, journal: Journal, ledger: Ledger, orders: Orders) -> ScanDesk:
    """Where this run's scans are put."""
    settings, scanner = prepared.settings, prepared.settings.scanner
    framing = Framing(scanner.prefix, scanner.suffix, scanner.command_prefix)
    order = [station.name for station in settings.stations]
    own = {one.station for one in serial_scanners_of(prepared) if one.station is not None}
    labels = Labels(
        prepared.manifest,
        Suffixes(prepared.manifest),
        framing,
        setup_prefix=settings.softap.prefix,
        name_networks=scanner.labels_name_networks,
    )

    return ScanDesk(journal, ledger, labels, orders=orders.give, order=order, own=own, operator=settings.operator)
