"""`provisioner restore`: takes devices back to how they came, unclaim first, then out of the product.

Rule 1: that order and no other: a device removed first keeps an owner nobody can see (facts: particle-cloud 8).
Rule 2: read before every write, so that doing it twice does nothing; intention, act, result stand in the journal.
Rule 3: one device that does not come off is said and does not keep the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from provisioner.app import BREAKER_FILE, Outside
from provisioner.cloud.client import CloudClient, open_cloud
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import (
    CloudAnswerLost,
    CloudError,
    CloudRefused,
    CloudReplyUnreadable,
    ExitCode,
    InputRefused,
    NotInCloud,
    ProvisionerError,
)
from provisioner.journal.writer import Journal, Scribe, open_journal
from provisioner.line.rows import why_of
from provisioner.model import CloudDevice, DeviceID
from provisioner.settings import LoadedSettings, SecretSource, load_settings


@dataclass(frozen=True)
class UndoJob:
    """What the person asked for. `product` None: the one product of the settings."""

    config: Path
    runs_dir: Path
    devices: Sequence[DeviceID]
    remove: bool
    product: str | None = None


@dataclass
class Undone:
    """What came of it, device by device."""

    run_id: str = ""
    done: dict[DeviceID, str] = field(default_factory=dict)
    failed: dict[DeviceID, ProvisionerError] = field(default_factory=dict)
    held: CloudError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What it means to a script."""
        if self.held is not None:
            return ExitCode.HELD_BY_SITE
        return ExitCode.SOME_FAILED if self.failed else ExitCode.ALL_GOOD


async def restore(job: UndoJob, outside: Outside) -> Undone:
    """Undo these devices. Raises InputRefused, JournalError before the cloud is asked."""
    loaded = load_settings(job.config)
    settings, source = loaded.settings, SecretSource(outside.environment, job.config.parent)
    ref = job.product or settings.product
    if ref is None:
        raise InputRefused("no product is named", remedy="Name it with --product, or `product:` in the settings.")
    secret = source.client_secret(settings.cloud)
    undone = Undone(outside.name_run(outside.wall(), outside.dice))
    with open_journal(
        job.runs_dir, undone.run_id, wall=outside.wall, mono=trio.current_time, disk=outside.disk
    ) as journal:
        undone.run_id = journal.run_id
        _say_started(job, loaded, journal, ref)
        async with open_cloud(
            settings.cloud,
            client_secret=secret,
            user_token=None,
            dice=outside.dice,
            wall=outside.wall,
            breaker_file=job.runs_dir / BREAKER_FILE,
            http_transport=outside.http_transport,
        ) as cloud:
            try:
                product = await cloud.product(ref)
                for device in job.devices:
                    await _one(_Undo(cloud, product, journal.bound(device=device), device), job, undone)
            except CloudError as fault:
                undone.held = fault
                journal.append("line.held", **why_of(fault))
        counts = Counter(undone.done.values())
        counts["failed"] = len(undone.failed)
        journal.append("run.finished", counts=counts, code=undone.exit_code.name.lower())
    return undone


def _say_started(job: UndoJob, loaded: LoadedSettings, journal: Journal, product: str) -> None:
    journal.append(
        "run.started",
        operator=loaded.settings.operator,
        tool="provisioner restore",
        command="restore",
        cloud=loaded.settings.cloud.base_url,
        product=product,
        settings=str(loaded.file.resolve()),
        settings_sha256=loaded.sha256,
        devices=len(job.devices),
        reason="remove" if job.remove else "unclaim",
    )


async def _one(undo: _Undo, job: UndoJob, undone: Undone) -> None:
    try:
        released = await undo.release()
        removed = await undo.remove() if job.remove else False
    except (CloudRefused, NotInCloud) as refused:
        undone.failed[undo.device] = refused
        undo.scribe.append("restore.refused", **why_of(refused))
        return
    undo.scribe.append("device.restored", code="removed" if job.remove else "unclaimed")
    undone.done[undo.device] = "removed" if removed else "unclaimed" if released else "nothing to do"


@dataclass(frozen=True)
class _Undo:
    """One device under way."""

    cloud: CloudClient
    product: ProductInfo
    scribe: Scribe
    device: DeviceID

    async def release(self) -> bool:
        """Unclaim it if anybody owns it."""
        seen = await self._seen()
        if seen is None or seen.owner is None:
            return False
        self.scribe.append("owner.intended", owner=seen.owner, evidence=seen.evidence())
        await self._write(
            lambda: self.cloud.release_owner(self.product, self.device), lambda now: now is None or now.owner is None
        )
        self.scribe.append("owner.released", owner=seen.owner)
        return True

    async def remove(self) -> bool:
        """Take it out of the product if it is in there, also out of its quarantine."""
        if await self._seen() is None:
            return False
        self.scribe.append("removal.intended")
        await self._write(lambda: self.cloud.remove_device(self.product, self.device), lambda now: now is None)
        self.scribe.append("removal.accepted")
        return True

    async def _seen(self) -> CloudDevice | None:
        try:
            return await self.cloud.device(self.product, self.device)
        except NotInCloud:
            return None

    async def _write(self, act: Callable[[], Awaitable[None]], is_done: Callable[[CloudDevice | None], bool]) -> None:
        """Act; after a lost answer read before acting again. Raises CloudError."""
        for last in (False, True):
            try:
                await act()
            except (CloudAnswerLost, CloudReplyUnreadable) as lost:
                self.scribe.append("restore.unanswered", code=lost.code, detail=lost.detail)
                if is_done(await self._seen()):
                    return
                if last:
                    raise
            except NotInCloud:
                if not is_done(await self._seen()):
                    raise
                return
            else:
                return
