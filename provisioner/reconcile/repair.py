"""The two repairs that can do no harm: import a listed device that is missing, and write down a proof.

Rule 1: planned first, then each written as intention and result; nothing is done that is not in the plan.
Rule 2: no owner is ever changed and nothing is ever taken away. A repair that does not come off leaves what the
journals said of the device as it was.
Rule 3: a proof is read again, and judged, at the moment it is written down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import trio

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import NotInCloud
from provisioner.journal.writer import Journal
from provisioner.line.importer import Importer
from provisioner.line.membership import Membership
from provisioner.line.proof import Verdict, judge
from provisioner.line.rows import row_of, time_text, why_of
from provisioner.line.tray import Manifest
from provisioner.model import ListedDevice, Outcome
from provisioner.reconcile.classes import Class, Night, device_of, expectation_of
from provisioner.reconcile.facts import Facts, Listed
from provisioner.reconcile.reconciler import Found, Product

IMPORTS = frozenset({Class.NOT_IN_PRODUCT, Class.LEFT_PRODUCT})
PROOFS = frozenset({Class.UNKNOWN_PROVEN})
PLAN_MAX = 20_000  # repairs a night; what is left over is found again the next
BATCH = 1_000  # devices looked at together
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """One repair: the device, and what is to be done with it."""

    listed: Listed
    facts: Facts
    kind: Class


def planned(found: Found) -> Planned | None:
    """The repair of a device, if there is one."""
    if found.listed is None or found.kind not in IMPORTS | PROOFS:
        return None
    return Planned(found.listed, found.facts or Facts(), found.kind)


class Repairs:
    """Carries a plan out for one product; `done` counts what came of it."""

    def __init__(self, cloud: CloudClient, product: Product, journal: Journal, *, night: Night, chunk_max: int) -> None:
        self._cloud = cloud
        self._product = product
        self._journal = journal
        self._night = night
        self._chunk_max = chunk_max
        self.done: Counter[str] = Counter()

    async def carry_out(self, plan: Sequence[Planned]) -> None:
        """Do it, imports first. Raises CloudError; what was not reached is planned again another night."""
        if self._product.info is not None:
            missing = iter([device_of(one.listed) for one in plan if one.kind in IMPORTS])
            while batch := list(islice(missing, BATCH)):
                await self._import(self._product.info, batch)
        for one in plan:
            if one.kind in PROOFS:
                await self._prove(one)

    async def _import(self, product: ProductInfo, devices: list[ListedDevice]) -> None:
        membership = Membership(self._cloud, product, _any_manifest(), chunk_max=self._chunk_max)
        importer = Importer(self._cloud, product, membership, self._journal, chunk_max=self._chunk_max)
        await importer.look(devices)
        for round_ in range(1, ROUNDS + 1):
            for chunk in importer.chunks(round_):
                await importer.send(chunk)
            await importer.look_again(trio.Event())  # a night has the time
        for device, result in importer.classify():
            if isinstance(result, str):
                self.done["imported"] += result == "added"
                self._journal.append("device.imported", **row_of(device), code=result)
            else:
                self.done["not imported"] += 1
                self._journal.append("repair.refused", **row_of(device), **why_of(result))

    async def _prove(self, one: Planned) -> None:
        device, wanted = device_of(one.listed), expectation_of(one.listed, one.facts, self._night)
        self._journal.append("repair.intended", **row_of(device), code=one.kind.value)
        try:
            if self._product.info is None:
                seen = await self._cloud.account_device(device.id)
            else:
                seen = await self._cloud.device(self._product.info, device.id)
        except NotInCloud as gone:
            self._journal.append("repair.refused", **row_of(device), **why_of(gone))
            return
        if judge(seen, wanted) is not Verdict.PROVEN:
            self.done["not proven"] += 1
            self._journal.append("repair.refused", **row_of(device), detail="the cloud does not prove it any more")
            return
        evidence = {
            **seen.evidence(),
            "handshake_before": time_text(one.facts.handshake_before),
            "cloud_from": time_text(one.facts.cloud_from),
        }
        self._journal.append("device.confirmed", **row_of(device), outcome=Outcome.PASS, evidence=evidence)
        self.done["proven"] += 1


def _any_manifest() -> Manifest:
    """The importer plans by manifest; these devices come from several, and it needs none of their trays."""
    return Manifest(Path("reconcile"), "", None, None, ())
