"""The adapters of the virtual network: a bound socket reaches the one Photon that its adapter is joined to.

Rule 1: every Photon is 192.168.0.1; which one answers is decided by the join alone (facts: photon-softap 5.2).
Rule 2: what is served is what the loopback ports serve: the Photon's own two protocols.
"""

from __future__ import annotations

import errno
from functools import partial

from provisioner.simulator.radio import SimRadio
from provisioner.simulator.radio_switcher import PHOTON_ADDRESS
from provisioner.simulator.virtual.network import Way
from provisioner.simulator.virtual.pipe import os_error
from provisioner.simulator.virtual.sockets import Address
from provisioner.simulator.world import SERVE, World

_LEASE = "192.168.0.2"  # the first client of every listening session


class PhotonAir:
    """The air of a world, as a virtual network sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._radio: SimRadio = world.radio

    def has_adapter(self, adapter: str) -> bool:
        """Any name is an adapter of this world."""
        return bool(adapter)

    def own_address(self, adapter: str) -> str | None:
        """The lease of the network it is joined to."""
        return _LEASE if adapter in self._radio.joined else None

    def way(self, adapter: str, address: Address) -> Way:
        """To the joined Photon. Raises OSError: ENETUNREACH, EHOSTUNREACH, ECONNREFUSED."""
        link = self._radio.joined.get(adapter)
        if link is None or not link.alive:
            raise os_error(errno.ENETUNREACH)
        if address[0] != PHOTON_ADDRESS:
            raise os_error(errno.EHOSTUNREACH)
        serve = SERVE.get(address[1])
        if serve is None or not link.session.serving:
            raise os_error(errno.ECONNREFUSED)
        return Way(partial(serve, link.photon, via=adapter), partial(self._delay_s, adapter), _LEASE)

    def _delay_s(self, adapter: str) -> float:
        return self._world.connect_s(adapter) / self._world.clock.speed
