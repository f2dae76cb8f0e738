"""What happens to a fleet while the factory sleeps: owners change, devices leave, strays come, units are quarantined.

Rule 1: every act goes through the fleet, so that the cloud's own indexes and history stay true.
Rule 2: drawn from the world's dice: one seed, one drift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import SimDevice


class Drift:
    """Somebody else's hands on the product, in the console or on another line."""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud = cloud
        self._dice = cloud.dice.of("drift")
        self._strays = 0

    def _device(self, device_id: str) -> SimDevice:
        found = self._cloud.fleet.find(device_id)
        if found is None:
            raise KeyError(device_id)
        return found

    def disown(self, device_id: str) -> None:
        """Its owner lets go of it."""
        self._cloud.fleet.unclaim(self._device(device_id), how="drift")

    def give_away(self, device_id: str, to: str = "somebody-else@example.com") -> None:
        """It belongs to another customer now."""
        self._cloud.fleet.own(self._device(device_id), self._cloud.add_customer(to))

    def take_out(self, device_id: str) -> None:
        """It is removed from its product."""
        self._cloud.fleet.leave(self._device(device_id))

    def quarantine(self, device_id: str) -> None:
        """It is in the product's quarantine."""
        self._cloud.fleet.quarantine(self._device(device_id), self._cloud.product.id)

    def stray(self) -> str:
        """A device that no tray lists is added to the product; returns its ID."""
        self._strays += 1
        device_id = f"{self._dice.getrandbits(32):08x}5772617900{self._strays:06x}"
        self._cloud.know_device(device_id, serial=f"STRAY{self._strays:010}")
        self._cloud.put_in_product(device_id)
        return device_id

    def night(self, device_ids: Sequence[str], acts: int) -> None:
        """So many acts on devices of this list that are still in the product, and now and then a stray."""
        ways: list[Callable[[str], None]] = [self.disown, self.give_away, self.take_out, self.quarantine]
        for _ in range(acts):
            device_id = self._dice.choice(device_ids)
            if self._device(device_id).product_id is not None:
                self._dice.choice(ways)(device_id)
            if self._dice.random() < 0.3:
                self.stray()
