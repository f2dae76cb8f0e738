"""The manifests of tonight, row by row, in the index: so that a million rows are walked without being held.

Rule 1: a manifest is read again only when it, or a list it names, has changed (size or time of change).
Rule 2: tonight's universe is the manifests that were named; others stay in the file and are left out of the questions.
Rule 3: each run leaves its journal and manifest here (`keep_up`): even the first night reads only the cloud.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provisioner.errors import ProvisionerError
from provisioner.line.manifest import Manifest, load_manifest
from provisioner.line.proof import wanted_owner
from provisioner.model import DeviceID
from provisioner.reconcile.facts import Listed
from provisioner.reconcile.index import open_index
from provisioner.settings import Settings

_LISTED = (
    "l.device, min(l.manifest), l.tray, l.slot, l.serial, l.claim, l.owner, max(l.needs_visit), min(l.takeover),"
    " (SELECT count(*) FROM listed o JOIN tonight USING (manifest) WHERE o.device = l.device)"
)


@dataclass(frozen=True, slots=True)
class Lists:
    """Tonight's manifests in the index's database."""

    database: sqlite3.Connection

    def take_in(self, manifests: Sequence[Path], settings: Settings) -> None:
        """Bring the file up to date with these manifests, and make them tonight's. Raises FileRefused."""
        self.database.execute("CREATE TEMP TABLE IF NOT EXISTS tonight (manifest TEXT PRIMARY KEY)")
        self.database.execute("DELETE FROM tonight")
        for path in manifests:
            name = str(path.resolve())
            self.database.execute("INSERT OR IGNORE INTO tonight VALUES (?)", (name,))
            row = self.database.execute("SELECT state FROM files WHERE manifest = ?", (name,)).fetchone()
            if row is None or row[0] != _state_of([*json.loads(row[0])]):
                self._read(name, load_manifest(path, settings), settings.cloud.account)
        self.database.commit()

    def _read(self, name: str, manifest: Manifest, account: str | None) -> None:
        files = {name, *(str((manifest.path.parent / tray.file).resolve()) for tray in manifest.trays if tray.file)}
        self.database.execute("DELETE FROM listed WHERE manifest = ?", (name,))
        self.database.executemany(
            "INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    manifest.product or "",
                    device.id,
                    name,
                    device.tray,
                    device.slot,
                    device.serial,
                    device.claim.to,
                    wanted_owner(device, account),
                    device.needs_visit,
                    device.takeover_allowed,
                )
                for device in manifest
            ),
        )
        self.database.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
            (name, manifest.sha256, manifest.product or "", _state_of(sorted(files))),
        )

    def products(self) -> list[str]:
        """The products that tonight's manifests name, as they name them; "" for devices outside any."""
        rows = self.database.execute("SELECT DISTINCT product FROM files JOIN tonight USING (manifest) ORDER BY 1")
        return [product for (product,) in rows]

    def names(self) -> list[str]:
        """Tonight's manifests, as absolute paths."""
        return [name for (name,) in self.database.execute("SELECT manifest FROM tonight ORDER BY 1")]

    def count(self) -> int:
        """How many devices they list, each once."""
        query = "SELECT count(DISTINCT device) FROM listed JOIN tonight USING (manifest)"
        return int(self.database.execute(query).fetchone()[0])

    def rows(self, products: Sequence[str]) -> Iterator[Listed]:
        """The listed devices of one product (by all its names), in ascending order of ID, each once.

        A device that manifests of two products list belongs to the first of them by name.
        """
        marks = ",".join("?" * len(products))
        query = (
            f"SELECT {_LISTED} FROM listed l JOIN tonight USING (manifest) WHERE l.product IN ({marks})"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM listed o JOIN tonight USING (manifest)"
            f" WHERE o.device = l.device AND o.product < l.product AND o.product NOT IN ({marks}))"
            " GROUP BY l.device ORDER BY l.device"
        )
        for row in self.database.execute(query, (*products, *products)):
            yield _listed(row)

    def is_listed(self, device: DeviceID) -> bool:
        """Whether any of tonight's manifests lists it, for whatever product."""
        query = "SELECT 1 FROM listed JOIN tonight USING (manifest) WHERE device = ? LIMIT 1"
        return self.database.execute(query, (device,)).fetchone() is not None


def keep_up(runs_dir: Path, manifest: Path, settings: Settings) -> None:
    """After a run: take its journal and its manifest in. What goes wrong here is the night's to say."""
    with suppress(ProvisionerError, OSError, sqlite3.Error), open_index(runs_dir) as index:
        index.refresh()
        Lists(index.database).take_in([manifest], settings)


def _listed(row: tuple[str, str, str, int, str | None, str, str | None, int, int, int]) -> Listed:
    device, manifest, tray, slot, serial, claim, owner, needs_visit, takeover, lists = row
    return Listed(device, manifest, tray, slot, serial, claim, owner, bool(needs_visit), bool(takeover), lists)


def _state_of(files: Sequence[str]) -> str:
    """Size and time of change of each file; a missing one changes the state."""
    state: dict[str, list[int]] = {}
    for file in files:
        try:
            stat = Path(file).stat()
        except OSError:
            state[file] = []
        else:
            state[file] = [stat.st_size, stat.st_mtime_ns]
    return json.dumps(state)
