"""What earlier runs of the same manifest left in the runs folder.

Rule 1: only while the folder's lock is held: a record that a crash tore is cut off here, and said.
Rule 2: a run counts once, in the order in which runs began: a copy of a journal is left out, and said. Its older news
would stand after the newer, and what a person has taken back since would be proven again.
Rule 3: what was proven in one cloud says nothing about another: staging is not production.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from provisioner.errors import JournalError
from provisioner.job import Prepared
from provisioner.journal.disk import Disk
from provisioner.journal.fields import Record
from provisioner.journal.reader import RunFolder, Verification, began_in, replay, runs, settle
from provisioner.journal.writer import Journal
from provisioner.line.ledger import History


@dataclass(frozen=True)
class EarlierRuns:
    """What earlier runs of this manifest (same file, or same content) left.

    `torn` tails were cut; of the journals in `cut` the end is in doubt, as told there; the folders in `copies` hold the
    journal of a run that has a folder of its own.
    """

    history: History
    resumes: tuple[str, ...]
    torn: Mapping[str, int]
    cut: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[str, ...] = ()

    @classmethod
    def read(cls, prepared: Prepared, run_id: str, disk: Disk) -> EarlierRuns:
        """Fold the journals in the runs folder; the lock is held, so a torn tail is cut. Raises JournalCorrupt."""
        history, resumes = History(), []
        earlier = [folder for folder in runs(prepared.job.runs_dir) if folder.id != run_id]
        wanted, copies = _each_once(earlier)
        found: dict[str, Verification] = {}
        for folder, first in wanted:
            if _same_cloud(first, prepared) and (_same_manifest(first, prepared) or _of_any_manifest(first)):
                resumes.append(first.run)
                found[folder.id] = settle(folder.journal, disk, see=history.see)
        for folder in earlier:
            if folder.id not in found:  # of other manifests, or copies: each must verify all the same
                found[folder.id] = settle(folder.journal, disk)
        torn = {run: journal.torn_bytes for run, journal in found.items() if journal.torn_bytes}
        # No reason to stop: all of it is asked of the cloud first, as after any crash.
        cut = {run: journal.doubt for run, journal in found.items() if journal.doubt}
        return cls(history, tuple(resumes), torn, cut, copies)


def read_earlier_runs(prepared: Prepared, journal: Journal, disk: Disk) -> EarlierRuns:
    """Read what earlier runs left; a run that cannot begin because of them leaves no folder behind."""
    try:
        return EarlierRuns.read(prepared, journal.run_id, disk)
    except JournalError:
        shutil.rmtree(journal.path.parent)
        raise


def _each_once(folders: Iterable[RunFolder]) -> tuple[list[tuple[RunFolder, Record]], tuple[str, ...]]:
    """Each run with its first record, in the order in which they began, and the folders that hold copies."""
    found: dict[str, tuple[RunFolder, Record]] = {}
    copies: list[str] = []
    for folder in folders:
        with closing(replay(folder.journal)) as records:
            first = next(records, None)
        if first is None:
            continue
        own = folder.id == first.run
        if first.run in found:
            copies.append(found[first.run][0].id if own else folder.id)
        if own or first.run not in found:
            found[first.run] = (folder, first)
    # `folders` are in order by their names; only one that was renamed stands elsewhere.
    return sorted(found.values(), key=lambda run: began_in(run[1].run)), tuple(copies)


def _same_cloud(started: Record, prepared: Prepared) -> bool:
    """Journals older than this question do not say; there was one cloud then."""
    cloud = prepared.settings.cloud.base_url
    return started.extra.get("cloud", cloud) == cloud


def _same_manifest(started: Record, prepared: Prepared) -> bool:
    same_product = started.extra.get("product", "") == (prepared.manifest.product or "")
    same_file = started.extra.get("manifest") == str(prepared.job.manifest.resolve())
    return same_product and (same_file or started.extra.get("manifest_sha256") == prepared.manifest.sha256)


def _of_any_manifest(started: Record) -> bool:
    """A night's repairs and a person's undoing concern devices, whichever manifest lists them."""
    return started.extra.get("command") in ("reconcile", "restore")
