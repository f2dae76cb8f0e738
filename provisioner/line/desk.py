"""The cloud in the words of the stages: which route reads, codes and claims a device, by its policy.

Rule 1: nothing is retried or held here; CloudError goes to whoever asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provisioner.cloud.client import CloudClient
from provisioner.cloud.payloads import ProductInfo
from provisioner.errors import NotInCloud
from provisioner.journal.writer import Journal
from provisioner.line.claim_codes import Owner
from provisioner.line.membership import Membership
from provisioner.line.newest import RecentPage
from provisioner.line.proof import Expectation
from provisioner.model import CloudDevice, DeviceID, ListedDevice
from provisioner.secrets import ClaimCode


@dataclass
class CloudDesk:
    """One run's way to the cloud. `membership` is None for developer devices outside any product."""

    cloud: CloudClient
    product: ProductInfo | None
    membership: Membership | None
    journal: Journal
    account: str | None
    tolerance_s: float
    _customers: set[str] = field(default_factory=set, init=False)

    async def read_device(self, device: ListedDevice) -> CloudDevice:
        """Read one device by the route its policy proves it on. Raises CloudError, NotInCloud among them."""
        if self.product is None:
            return await self.cloud.account_device(device.id)
        return await self.cloud.device(self.product, device.id)

    async def read_many(self, devices: Collection[ListedDevice]) -> dict[DeviceID, CloudDevice]:
        """Read these devices in as few calls as it takes; who is not there is left out. Raises CloudError."""
        if self.membership is not None:
            return await self.membership.read({device.id for device in devices})
        found: dict[DeviceID, CloudDevice] = {}
        for device in devices:
            try:
                found[device.id] = await self.read_device(device)
            except NotInCloud:
                continue
        return found

    async def read_recent(self, count: int) -> RecentPage:
        """The devices of the product that connected last. Raises CloudError."""
        if self.product is None:
            raise AssertionError("there is no list of connections without a product")
        page = await self.cloud.recent_devices(self.product, count)
        return RecentPage.of(page.devices, whole=page.total_pages <= 1)

    async def make_code(self, owner: Owner) -> ClaimCode:
        """Make one claim code; the first for a customer creates or finds that customer. Raises CloudError."""
        if self.product is None or owner is None or owner == (self.account or "").lower():
            return await self.cloud.account_claim_code()
        if owner not in self._customers:
            self.journal.append("customer.intended", customer=owner)
            await self.cloud.ensure_customer(self.product, owner)
            self.journal.append("customer.ready", customer=owner)
            self._customers.add(owner)
        return await self.cloud.customer_claim_code(self.product, owner)

    async def claim_online(self, device: ListedDevice) -> None:
        """Claim an online device by its ID for the owner its policy names. Raises CloudError."""
        customer = (self.product, device.owner) if self.product is not None and device.owner else None
        await self.cloud.claim_online(device.id, customer=customer)

    def expect(
        self,
        device: ListedDevice,
        *,
        visited: bool = False,
        before: datetime | None = None,
        since: datetime | None = None,
    ) -> Expectation:
        """What the cloud must show of this device to prove it."""
        return Expectation(
            device,
            self.account,
            membership=self.product is not None,
            visited=visited,
            handshake_before=before,
            cloud_from=since,
            tolerance=timedelta(seconds=self.tolerance_s),
        )
