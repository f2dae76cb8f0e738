"""Where readers of scanners put what they read: the line's desk, or `provisioner scanner try`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provisioner.line.scan_desk import Scan


class TakesScans(Protocol):
    """`line.scan_desk.ScanDesk`, as far as a reader needs it."""

    def when_scanned_again(self, act: Callable[[], bool]) -> None:
        """What to do when the board under work is scanned once more, or JOINED is; True if somebody waited."""
        ...

    def put(self, scan: Scan) -> object:
        """Take a scan, or refuse it; never waits, never raises for it."""
        ...

    def knows(self, scan: str) -> bool:
        """Whether a text is a board's label or a command, not a setup network's name."""
        ...

    async def wait_free(self) -> None:
        """Wait until a scan can be taken."""
        ...

    def no_more(self) -> None:
        """Nothing will come any more."""
        ...

    def scanner_lost(self, source: str, station: str | None, why: str) -> None:
        """A serial scanner is not there."""
        ...

    def scanner_found(self, source: str, station: str | None) -> None:
        """It is there again."""
        ...
