"""`provisioner scanner try`: what a scanner really sends, and what a line would make of it. Nothing is worked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from provisioner.errors import ScanRefused
from provisioner.line.labels import Labels
from provisioner.line.scan_desk import Scan
from provisioner.line.scan_text import Framing
from provisioner.model import printable
from provisioner.scanner.device import scans_from_device
from provisioner.scanner.terminal import is_ours, scans_from_terminal

ROWS_KEPT_MAX = 1000


@dataclass
class Tryout:
    """Takes scans as a desk does, and only says what they are. `labels` is None without a manifest."""

    framing: Framing
    labels: Labels | None
    say: Callable[[str], None]
    rows: list[dict[str, str]] = field(default_factory=list)

    def put(self, scan: Scan) -> None:
        """Say what came and what it means."""
        code, meaning = self._meaning(scan.text)
        sent = printable(scan.text.strip("\r\n"), 160)
        if len(self.rows) < ROWS_KEPT_MAX:
            self.rows.append({"sent": sent, "code": code, "meaning": meaning})
        self.say(f"'{sent}', {len(scan.text)} characters: {meaning}")

    def _meaning(self, scan: str) -> tuple[str, str]:
        try:
            text = self.framing.text_of(scan)
            command = self.framing.command_of(text)
            if command is not None:
                return "command", f"the command {command.command.name} {command.operator}".rstrip()
            if self.labels is None:
                return "text", f"the label says {printable(text)}"
            wanted = self.labels.resolve(text)
        except ScanRefused as refused:
            return refused.code, f"{refused.code}: {refused.detail}. {refused.remedy}"
        device = self.labels.find(wanted.device) if wanted.device is not None else None
        who = f"{device.tray}/{device.slot}, device {device.id}" if device is not None else "any listed board"
        network = f", first looked for as {self.labels.setup_prefix}{wanted.code}" if wanted.code else ""
        return "label", f"{who}{network}"

    def when_scanned_again(self, act: Callable[[], bool]) -> None:
        """Nobody waits for that here."""

    def knows(self, scan: str) -> bool:
        """No question ever stands here."""
        return True

    async def wait_free(self) -> None:
        """There is always room."""
        await trio.lowlevel.checkpoint()

    def no_more(self) -> None:
        """The pipe has ended; so will the command."""

    def scanner_lost(self, source: str, station: str | None, why: str) -> None:
        """Say it."""
        self.say(f"{source} is not there: {why}")

    def scanner_found(self, source: str, station: str | None) -> None:
        """Say it."""
        self.say(f"{source} is there")


async def try_out(tryout: Tryout, *, device: str | None, baud: int) -> None:
    """Until Ctrl-C, or the end of a pipe."""
    with trio.CancelScope() as scope:
        if device is not None:
            tryout.say(f"Reading {device}. Ctrl-C ends this.")
            await scans_from_device(tryout, device, station=None, baud=baud)
        if is_ours(0):
            tryout.say("Scan something. Ctrl-C ends this.")
        await scans_from_terminal(tryout, interrupt=scope.cancel)
