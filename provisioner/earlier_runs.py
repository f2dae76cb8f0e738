"""What earlier runs of the same manifest left in the runs folder.

Rule 1: only while the folder's lock is held: a record that a crash tore is cut off here, and said.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from provisioner.errors import (
    JournalError,
)
from provisioner.job import Prepared
from provisioner.journal.disk import Disk
from provisioner.journal.reader import cut_torn_tail, replay, runs
from provisioner.journal.records import Record
from provisioner.journal.writer import Journal
from provisioner.line.ledger import History


@dataclass(frozen=True)
class EarlierRuns:
    """What earlier runs of this manifest (same file, or same content) left, and torn tails that were cut."""

    history: History
    resumes: tuple[str, ...]
    torn: Mapping[str, int]

    @classmethod
    def read(cls, prepared: Prepared, run_id: str, disk: Disk) -> EarlierRuns:
        """Fold the journals in the runs folder; the lock is held, so a torn tail is cut. Raises JournalCorrupt."""
        history, resumes, torn = History(), [], {}
        for folder in runs(prepared.job.runs_dir):
            if folder.id == run_id:
                continue
            if cut := cut_torn_tail(folder.journal, disk):
                torn[folder.id] = cut
            records = replay(folder.journal)
            first = next(records, None)
            if first is not None and (_same_manifest(first, prepared) or _of_any_manifest(first)):
                resumes.append(folder.id)
                for record in records:
                    history.see(record)
            records.close()
        return cls(history, tuple(resumes), torn)


def read_earlier_runs(prepared: Prepared, journal: Journal, disk: Disk) -> EarlierRuns:
    """Read what earlier runs left; a run that cannot begin because of them leaves no folder behind."""
    try:
        return EarlierRuns.read(prepared, journal.run_id, disk)
    except JournalError:
        shutil.rmtree(journal.path.parent)
        raise


def _same_manifest(started: Record, prepared: Prepared) -> bool:
    same_product = started.extra.get("product", "") == (prepared.manifest.product or "")
    same_file = started.extra.get("manifest") == str(prepared.job.manifest.resolve())
    return same_product and (same_file or started.extra.get("manifest_sha256") == prepared.manifest.sha256)


def _of_any_manifest(started: Record) -> bool:
    """A night's repairs and a person's undoing concern devices, whichever manifest lists them."""
    return started.extra.get("command") in ("reconcile", "restore")
