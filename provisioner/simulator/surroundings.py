"""What a simulated Photon needs of the world around it, as Protocols: the world implements them.

Rule 1: everything a Photon learns of the rest of the factory comes through here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from provisioner.simulator.clock import SimClock
from provisioner.simulator.factory_wifi import FactoryNetwork, HeardNetwork
from provisioner.simulator.faults import Dice
from provisioner.simulator.photon.ap import ApSession
from provisioner.simulator.photon.history import PhotonHistory

if TYPE_CHECKING:
    from provisioner.simulator.photon.sim_photon import SimPhoton


class CloudLike(Protocol):
    """The part of the simulated cloud that a Photon and its world need."""

    def device_online(self, device_id: str, claim_code: str | None) -> bool:
        """A full handshake with the stored claim code; True if the cloud acknowledges the code."""
        ...

    def device_offline(self, device_id: str) -> None:
        """The device's connection is gone."""
        ...

    def know_device(self, device_id: str, *, serial: str, platform_id: int = 6) -> None:
        """Such a device was made."""
        ...


class Surroundings(Protocol):
    """What a Photon needs of the world around it."""

    clock: SimClock
    dice: Dice
    history: PhotonHistory
    factory_networks: list[FactoryNetwork]
    online_delay_s: float | None
    boot_delay_s: float | None

    @property
    def cloud(self) -> CloudLike:
        """Where devices come online."""
        ...

    def heard_by(self, photon: SimPhoton) -> Iterable[HeardNetwork]:
        """Every network this Photon's radio would find now, in no order that means anything."""
        ...

    def strike(self, fault: str, photon: SimPhoton) -> None:
        """A fault of this Photon struck."""
        ...

    def ap_up(self, photon: SimPhoton) -> None:
        """The setup network sends its first beacon."""
        ...

    def servers_up(self, photon: SimPhoton, session: ApSession) -> None:
        """Ports 80 and 5609 listen."""
        ...

    def ap_down(self, photon: SimPhoton) -> None:
        """The setup network has sent its last beacon."""
        ...

    def went_dark(self, photon: SimPhoton) -> None:
        """An online device lost power or Wi-Fi; the cloud will notice in its own time."""
        ...
