"""What every back end that moves an adapter by itself does alike: join within a budget, leave always, go back.

Rule 1: the join has one deadline over everything; leaving is shielded, bounded, and never hides the body's error.
Rule 2: what was begun is taken down even if the join did not come to its end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import trio

from provisioner.errors import JoinTimeout, LeaveFailed, SwitchError, UplinkNotRestored
from provisioner.model import SetupNetwork, printable
from provisioner.network.bound import BoundLink
from provisioner.network.switcher import JoinPolicy, Link, Traits, Uplink

GOODBYE_S = 3.0


class AutomaticSwitcher(ABC):
    """One adapter. A back end adds how it listens, joins, takes down and goes back."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._adapter = traits.adapter
        self._moved = False  # off what it carried at the start

    @property
    def traits(self) -> Traits:
        """What this back end can do."""
        return self._traits

    @abstractmethod
    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Listen afresh and return the setup networks heard. Raises SwitchError."""

    @abstractmethod
    def _link_of(self, network: SetupNetwork) -> BoundLink:
        """The link of that network, not open yet."""

    @abstractmethod
    async def _join(self, network: SetupNetwork, policy: JoinPolicy, begun: list[str]) -> None:
        """Join, until an address in the Photon's subnet is there; names in `begun` what has to be taken down."""

    @abstractmethod
    async def _take_down(self, begun: str) -> None:
        """Leave what `_join` began, and wait until it is left."""

    @abstractmethod
    async def _go_back(self) -> None:
        """Back to what the adapter carried at the start; only called if that was something."""

    @property
    @abstractmethod
    def _carried_something(self) -> bool:
        """Whether there is anything to go back to."""

    # --- joining and leaving ---

    def joined(self, network: SetupNetwork, policy: JoinPolicy) -> AbstractAsyncContextManager[Link]:
        """Join that BSSID, and yield once an address in the Photon's subnet is there. Raises SwitchError classes."""
        return self._joined(network, policy)

    @asynccontextmanager
    async def _joined(self, network: SetupNetwork, policy: JoinPolicy) -> AsyncIterator[Link]:
        begun: list[str] = []
        link = self._link_of(network)
        failed = True
        try:
            with trio.move_on_after(policy.budget_s) as budget:
                await self._join(network, policy, begun)
            if budget.cancelled_caught:
                raise JoinTimeout(f"{printable(network.ssid)} was not joined within {policy.budget_s:g} s")
            yield link
            failed = False
        finally:
            link.close()
            if begun:
                await self._leave(begun[0], policy.leave_budget_s, quiet=failed)

    async def _leave(self, begun: str, budget_s: float, *, quiet: bool) -> None:
        failure: SwitchError | None = None
        with trio.move_on_after(budget_s, shield=True) as budget:
            try:
                await self._take_down(begun)
            except SwitchError as error:
                failure = error
        if budget.cancelled_caught:
            failure = LeaveFailed(f"{self._adapter} did not leave the setup network within {budget_s:g} s")
        if failure is not None and not quiet:
            raise failure if isinstance(failure, LeaveFailed) else LeaveFailed(failure.detail) from failure

    # --- the network from before ---

    async def restore(self, *, timeout: float) -> None:
        """Bring a shared adapter back to its uplink. Raises UplinkNotRestored."""
        if self._traits.uplink is not Uplink.SHARED or not self._moved:
            return
        try:
            with trio.fail_after(timeout):
                if not self._carried_something:
                    raise UplinkNotRestored(f"{self._adapter} was on no network when the run began")
                await self._back()
        except (trio.TooSlowError, SwitchError) as error:
            detail = error.detail if isinstance(error, SwitchError) else f"not within {timeout:g} s"
            raise UplinkNotRestored(f"{self._adapter} is not back on its uplink: {detail}") from error

    async def say_goodbye(self) -> None:
        """Put the adapter back where it was; shielded and bounded, and never in the place of another error."""
        if self._moved and self._carried_something:
            with trio.move_on_after(GOODBYE_S, shield=True), suppress(SwitchError):
                await self._back()

    async def _back(self) -> None:
        await self._go_back()
        self._moved = False
