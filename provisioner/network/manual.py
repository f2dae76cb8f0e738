"""A person is a back end: tells the operator which network to join, and looks whether it happened.

Rule 1: works on day one, on every system and any adapter, and is the fallback when a real back end misbehaves.
Rule 2: the person names the network, because a person sees no BSSID. So a network from here has the BSSID "" and
signal 0 (not measured), `pins_bssid` is False, and who it really is shows only in the answer to `device-id`.
Rule 3: what the person says is checked: after the key, this computer must have an address in the Photon's subnet.
Rule 4: every wait for a person ends, by cancellation or after `person_budget_s`; a budget made for machines
(`JoinPolicy.budget_s`) would only annoy.
"""

from __future__ import annotations

import errno
import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio

from provisioner.errors import (
    AdapterUnavailable,
    JoinTimeout,
    NoAddress,
    OperatorDeclined,
    SwitchError,
    SwitchingNotAllowed,
    UplinkNotRestored,
    WrongNetwork,
)
from provisioner.model import SetupNetwork, printable
from provisioner.network.adapter_lock import Hold, held
from provisioner.network.bound import PHOTON_HOST, PHOTON_SUBNET, BoundLink, bound_socket, own_address
from provisioner.network.switcher import JoinPolicy, Link, NetworkSwitcher, Traits, Uplink
from provisioner.network.terminal_ask import TerminalAsk

ASKS_MAX = 3
PERSON_BUDGET_S = 180.0
_SUFFIX = re.compile(r"[2-9A-HJ-NP-Z]{4,6}")  # the device code's alphabet has no 0, 1, I and O (facts: softap 5.1)
_SCANNER_NOISE = re.compile(r"^\][A-Za-z][0-9A-Za-z]")  # the AIM symbology identifier many scanners send first
_ENDS = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$")  # STX, ETX, TAB, CR: scanners frame what they read
_NO_LEASE = ipaddress.IPv4Network("169.254.0.0/16")


class Ask(Protocol):
    """How this program speaks with the operator. Raises OperatorDeclined where nobody can answer."""

    async def tell(self, text: str) -> None:
        """Show one line."""
        ...

    async def confirm(self, text: str) -> bool:
        """Show the line and wait for the key: True for done, False for no."""
        ...

    async def line(self, text: str) -> str:
        """Show the line and wait for one typed or scanned line."""
        ...


def setup_ssid(text: str, prefix: str) -> str | None:
    """Return the setup network that a person typed or scanned, or None if it can be none.

    Takes the whole name or its suffix alone, in any case, with a scanner's noise around it (never inside). Only the
    prefix and 4 to 6 symbols of the device code's alphabet pass: nothing else is ever acted on.
    """
    seen = _SCANNER_NOISE.sub("", _ENDS.sub("", text)).strip()
    suffix = seen[len(prefix) :] if seen.lower().startswith(prefix.lower()) else seen
    return prefix + suffix.upper() if suffix.isascii() and _SUFFIX.fullmatch(suffix.upper()) else None


class ManualFactory:
    """Makes switchers that ask `ask`, or the person at this terminal. `host` and `subnet` are the Photon's."""

    uses_terminal = True  # whoever shows the run must leave room for a dialogue

    def __init__(
        self,
        ask: Ask | None = None,
        *,
        person_budget_s: float = PERSON_BUDGET_S,
        host: str = PHOTON_HOST,
        subnet: ipaddress.IPv4Network = PHOTON_SUBNET,
        hold: Hold = held,
    ) -> None:
        self._ask: Ask = ask or TerminalAsk.of_this_process()
        self._person_budget_s = person_budget_s
        self._host = host
        self._subnet = subnet
        self._hold = hold

    def session(self, *, adapter: str, uplink: Uplink) -> AbstractAsyncContextManager[NetworkSwitcher]:
        """Yield a switcher for `adapter` ("" for the only one). Raises AdapterUnavailable, SwitchingNotAllowed."""
        return self._session(adapter, uplink)

    @asynccontextmanager
    async def _session(self, adapter: str, uplink: Uplink) -> AsyncIterator[NetworkSwitcher]:
        _try_binding(adapter)
        switcher = ManualSwitcher(
            self._ask,
            adapter=adapter,
            uplink=uplink,
            person_budget_s=self._person_budget_s,
            host=self._host,
            subnet=self._subnet,
        )
        with self._hold(adapter):
            try:
                yield switcher
            finally:
                await switcher.say_goodbye()


class ManualSwitcher:
    """One adapter in the hands of one person."""

    def __init__(
        self,
        ask: Ask,
        *,
        adapter: str,
        uplink: Uplink,
        person_budget_s: float,
        host: str,
        subnet: ipaddress.IPv4Network,
    ) -> None:
        self._ask = ask
        self._adapter = adapter
        self._person_budget_s = person_budget_s
        self._host = host
        self._subnet = subnet
        self._away = False  # the shared adapter has been asked off its uplink
        self._traits = Traits(
            name="manual", adapter=adapter, uplink=uplink, scans=False, pins_bssid=False, unattended=False
        )

    @property
    def traits(self) -> Traits:
        """What a person can do."""
        return self._traits

    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Ask which setup network to work next; none if the person names none within `timeout` seconds."""
        question = f"Station {self._here}: which network blinks? Type or scan {prefix}XXXX, or only the XXXX:"
        with trio.move_on_after(timeout):
            for _ in range(ASKS_MAX):
                text = await self._ask.line(question)
                if not text.strip():
                    break
                ssid = setup_ssid(text, prefix)
                if ssid:
                    return [SetupNetwork(ssid, "", 0, trio.current_time())]
                await self._ask.tell(f"{printable(text)!r} is no setup network: {prefix} and 4 to 6 letters or digits.")
        return []

    def joined(self, network: SetupNetwork, policy: JoinPolicy) -> AbstractAsyncContextManager[Link]:
        """Ask the person to join, and yield once an address in the Photon's subnet is there.

        Raises OperatorDeclined, JoinTimeout, NoAddress, WrongNetwork, AdapterUnavailable. Leaving is the person's
        act: on exit the link is dead and the person is told.
        """
        return self._joined(network, policy)

    @asynccontextmanager
    async def _joined(self, network: SetupNetwork, policy: JoinPolicy) -> AsyncIterator[Link]:
        self._away = self._traits.uplink is Uplink.SHARED
        with trio.move_on_after(self._person_budget_s) as waiting:
            await self._wait_until_joined(network)
        if waiting.cancelled_caught:
            detail = f"nobody joined {printable(network.ssid)} on {self._here} within {self._person_budget_s:g} s"
            raise JoinTimeout(detail)
        link = BoundLink(network, self._adapter, host=self._host, subnet=self._subnet)
        try:
            yield link
        finally:
            link.close()
            await self._tell_at_most(
                f"{self._here}: {printable(network.ssid)} is finished; leave its network.", policy.leave_budget_s
            )

    async def _wait_until_joined(self, network: SetupNetwork) -> None:
        ssid, problem = printable(network.ssid), ""
        for _ in range(ASKS_MAX):
            if not await self._ask.confirm(
                f"{problem}Join the network {ssid} on {self._here}, then press Enter (n to leave it out):"
            ):
                raise OperatorDeclined(f"the operator left out {ssid}")
            address = await self._address()
            if address is not None and address in self._subnet:
                return
            problem = f"{self._here} is not on {ssid} yet. "
        if address is None or address in _NO_LEASE:
            raise NoAddress(f"{self._here} got no address from {ssid}")
        raise WrongNetwork(f"{self._here} is on another network than {ssid}: its address is {address}")

    async def restore(self, *, timeout: float) -> None:
        """Ask the person to bring a shared adapter back to the uplink. Raises UplinkNotRestored.

        `timeout` is a machine's; the person gets `person_budget_s` if that is longer.
        """
        if not self._away:
            return
        with trio.move_on_after(max(timeout, self._person_budget_s)):
            for _ in range(ASKS_MAX):
                if not await self._ask.confirm(f"Join the uplink network again on {self._here}, then press Enter:"):
                    break
                address = await self._address()
                if address is not None and address not in self._subnet and address not in _NO_LEASE:
                    self._away = False
                    return
        raise UplinkNotRestored(f"{self._here} is not back on the uplink network")

    async def say_goodbye(self) -> None:
        """Remind the person of the uplink when the session ends; does not wait for the person."""
        if self._away:
            await self._tell_at_most(f"Join the uplink network again on {self._here}.", 1.0)

    async def _tell_at_most(self, text: str, budget_s: float) -> None:
        """Tell on the way out: shielded, bounded, and never in the place of the error that may be under way."""
        try:
            with trio.move_on_after(budget_s, shield=True):
                await self._ask.tell(text)
        except (SwitchError, OSError):
            pass  # nobody is there to be told

    async def _address(self) -> ipaddress.IPv4Address | None:
        try:
            return await own_address(self._adapter, self._host)
        except OSError as error:
            raise _adapter_error(self._adapter, error) from error

    @property
    def _here(self) -> str:
        return f"adapter {self._adapter}" if self._adapter else "this computer"


def _try_binding(adapter: str) -> None:
    try:
        bound_socket(adapter).close()
    except OSError as error:
        raise _adapter_error(adapter, error) from error


def _adapter_error(adapter: str, error: OSError) -> SwitchError:
    code = errno.errorcode.get(error.errno or 0, "")
    if error.errno in (errno.EPERM, errno.EACCES):
        return SwitchingNotAllowed(f"this account may not use adapter {printable(adapter)}", backend_code=code)
    return AdapterUnavailable(f"adapter {printable(adapter)} cannot be used: {error.strerror}", backend_code=code)
