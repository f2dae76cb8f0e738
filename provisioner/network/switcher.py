"""The seam between the line and a Wi-Fi adapter: what every back end promises (facts: network 7).

Rule 1: one `NetworkSwitcher` moves one adapter and is used by one task at a time.
Rule 2: it joins only its own adapter, by BSSID after a fresh scan, with a profile of its own that is never
auto-connected, never the default route, never the resolver; leaving is shielded, bounded, and never hides the
body's error.
Rule 3: every Photon is 192.168.0.1, so bytes leave only through `Link.dial`, which cannot use another adapter,
and a link is dead once its `joined` block is left.
Rule 4: failures are the `SwitchError` classes of `errors`; the back end's own words go into `backend_code`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import trio

from provisioner.model import SetupNetwork


class Uplink(enum.StrEnum):
    """Whether this adapter also carries the way to the cloud."""

    SEPARATE = "separate"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a back end can do; the scheduler asks these, never the back end's name."""

    name: str
    adapter: str
    uplink: Uplink = Uplink.SEPARATE
    scans: bool = True  # False: the operator names the network
    pins_bssid: bool = True
    unattended: bool = True  # False: every join needs a person
    restores_on_crash: bool = False
    static_addresses: bool = False  # can take an address of its own where DHCP gives none


@dataclass(frozen=True, slots=True)
class JoinPolicy:
    """How to join: the whole budget in seconds, and an address of our own if DHCP shall not be used."""

    budget_s: float = 25.0
    leave_budget_s: float = 5.0
    static_address: str | None = None


class Link(Protocol):
    """The open way to one Photon; dead once its block is left."""

    @property
    def network(self) -> SetupNetwork:
        """The network this link is on."""
        ...

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a TCP stream that can only leave by this adapter. Raises OSError; the caller sets the deadline."""
        ...

    async def healthy(self) -> bool:
        """Whether the adapter is still joined: asked after a failed exchange, to tell link loss from a sick device.

        Raises AdapterUnavailable if the adapter itself is gone: that is no device's fault.
        """
        ...


@runtime_checkable
class NetworkSwitcher(Protocol):
    """Moves one adapter onto a Photon's network and back."""

    @property
    def traits(self) -> Traits:
        """What this back end can do."""
        ...

    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Listen afresh and return the setup networks heard. Raises SwitchError."""
        ...

    def joined(self, network: SetupNetwork, policy: JoinPolicy) -> AbstractAsyncContextManager[Link]:
        """Join that BSSID; yields only when an address in the Photon's subnet is there. Raises SwitchError.

        On exit the adapter has left the network, whatever happened inside; it need not be back on the uplink.
        """
        ...

    async def restore(self, *, timeout: float) -> None:
        """Bring the adapter back to what it carried at the start. Idempotent; nothing to do for its own radio."""
        ...


class SwitcherFactory(Protocol):
    """Opens the switcher of one adapter: checks the rights, sweeps leftovers, remembers and restores the uplink."""

    def session(self, *, adapter: str, uplink: Uplink) -> AbstractAsyncContextManager[NetworkSwitcher]:
        """Yield a switcher for `adapter`; on exit the adapter is as it was. Raises SwitchError."""
        ...
