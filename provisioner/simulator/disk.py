"""Disks for simulated factories: real files, but not the real disk's time, nor its mercy.

Rule 1: each is a `journal.disk.Disk` and comes in where the real one would (`Outside.disk`).
"""

from __future__ import annotations

from pathlib import Path

from provisioner.journal.disk import Disk


class UnsyncedDisk(Disk):
    """Real files that nobody waits for: virtual time has no power cuts of its own, and a sync takes real time."""

    def sync_folder(self, path: Path) -> None:
        """Done."""

    def sync(self, descriptor: int) -> None:
        """Done."""

    def sync_data(self, descriptor: int) -> None:
        """Done."""
