"""The simulated network switcher: the seam of `network/switcher.py` over the simulated air.

Rule 1: keeps the seam's promises to the letter, because every other back end is measured against the same contract
tests: own adapter only, by BSSID, dead after leaving, leaving shielded and never masking the body's error.
Rule 2: bytes go through `Dial`, which the world gives: a loopback socket or a stream in memory.
Rule 3: as on a real adapter, an association is gone for good once the setup network vanished, even if it comes back.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from provisioner.errors import (
    AdapterUnavailable,
    AssociationFailed,
    JoinTimeout,
    LeaveFailed,
    NetworkNotFound,
    NoAddress,
    SwitchError,
    UplinkNotRestored,
)
from provisioner.model import SetupNetwork, printable
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Traits, Uplink
from provisioner.simulator.photon import takes
from provisioner.simulator.photon.ap import ApSession, hang_up
from provisioner.simulator.photon.history import Event
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.radio import Act, SimRadio

PHOTON_ADDRESS = "192.168.0.1"
PORTS = (80, 5609)
_SUBNET = ipaddress.ip_network("192.168.0.0/24")
_DHCP_GIVES_UP_S = 12.0
_SICK_JOIN_S = 12.0

Dial = Callable[[SimPhoton, int, str], Awaitable[trio.abc.Stream]]


class SimSwitcherFactory:
    """Opens switchers over one air. Any adapter name will do; each can be open once."""

    def __init__(self, radio: SimRadio, dial: Dial) -> None:
        self._radio = radio
        self._dial = dial
        self._open: set[str] = set()

    @asynccontextmanager
    async def session(self, *, adapter: str, uplink: Uplink) -> AsyncIterator[NetworkSwitcher]:
        """Yield a switcher for `adapter`; on exit its uplink is back. Raises SwitchError."""
        self._radio.raise_scripted(adapter, Act.OPEN)
        if adapter in self._open:
            raise AdapterUnavailable(f"another station uses adapter {printable(adapter)}", backend_code="sim:in-use")
        self._open.add(adapter)
        try:
            yield SimSwitcher(self._radio, self._dial, adapter, uplink)
        finally:
            self._open.discard(adapter)
            self._radio.set_uplink_away(adapter, away=False)


class SimSwitcher:
    """One adapter in the simulated air."""

    def __init__(self, radio: SimRadio, dial: Dial, adapter: str, uplink: Uplink) -> None:
        self._radio = radio
        self._dial = dial
        self._adapter = adapter
        self._uplink = uplink
        self._busy = False

    @property
    def traits(self) -> Traits:
        """What this back end can do."""
        return Traits(
            name="simulated",
            adapter=self._adapter,
            uplink=self._uplink,
            restores_on_crash=True,
            static_addresses=True,
        )

    async def scan(self, *, prefix: str, timeout: float) -> Sequence[SetupNetwork]:
        """Listen afresh and return the setup networks heard. Raises SwitchError."""
        self._radio.raise_scripted(self._adapter, Act.SCAN)
        self._radio.check_there(self._adapter)
        with trio.move_on_after(timeout):
            await self._sleep(self._radio.scan_s(self._adapter))
            if self._radio.strikes("scan_fails", self._radio.faults.scan_fails, self._adapter):
                raise AdapterUnavailable(f"adapter {self._adapter} would not listen", backend_code="sim:scan-failed")
            return [one for one in self._radio.heard(self._adapter) if one.ssid.startswith(prefix)]
        raise AdapterUnavailable(
            f"adapter {self._adapter} did not finish listening within {timeout:g} s", backend_code="sim:scan-timeout"
        )

    @asynccontextmanager
    async def joined(self, network: SetupNetwork, policy: JoinPolicy) -> AsyncIterator[SimLink]:
        """Join that BSSID; yields when there is an address. Raises SwitchError. On exit the link is dead."""
        if self._busy:
            raise trio.BusyResourceError("one adapter joins one network at a time")
        self._busy = True
        try:
            if self._uplink is Uplink.SHARED:
                self._radio.set_uplink_away(self._adapter, away=True)
            photon, session = await self._join(network, policy)
            link = SimLink(self._adapter, network, photon, session, self._dial)
            self._radio.joined[self._adapter] = link
            photon.note(Event.JOINED, via=self._adapter)
            clean = False
            try:
                yield link
                clean = True
            finally:
                self._radio.joined.pop(self._adapter, None)
                left = await self._leave(link, policy)
                if clean and left is not None:
                    raise left
        finally:
            self._busy = False

    async def restore(self, *, timeout: float) -> None:
        """Bring the adapter back to its uplink. Idempotent."""
        self._radio.raise_scripted(self._adapter, Act.RESTORE)
        if not self._radio.uplink_away(self._adapter):
            return
        with trio.move_on_after(timeout):
            await self._sleep(takes.uniform(self._radio.roll("restore", self._adapter), 0.5, 1.5))
            self._radio.set_uplink_away(self._adapter, away=False)
            return
        raise UplinkNotRestored(f"adapter {self._adapter} is not back on its uplink after {timeout:g} s")

    async def _join(self, network: SetupNetwork, policy: JoinPolicy) -> tuple[SimPhoton, ApSession]:
        """Associate and get an address, within the budget; nothing is held on the Photon if this fails."""
        self._radio.raise_scripted(self._adapter, Act.JOIN)
        self._radio.check_there(self._adapter, joins=True)
        found: tuple[SimPhoton, ApSession] | None = None
        with trio.move_on_after(policy.budget_s), self._radio.joining(self._adapter) as (associate_s, dhcp_s):
            if self._radio.is_sick(self._adapter):
                await self._sleep(_SICK_JOIN_S)
                raise AssociationFailed(f"adapter {self._adapter} joins nothing", backend_code="sim:sick")
            await self._sleep(associate_s)
            found = photon, session = self._associate(network)
            try:
                await self._get_address(photon, session, dhcp_s, policy.static_address)
            except BaseException:  # also cancelled: the Photon is free again either way
                session.client = None
                raise
            return photon, session
        name = printable(network.ssid)
        if found is not None:
            raise NoAddress(f"{name} gave no address within {policy.budget_s:g} s", backend_code="sim:dhcp-timeout")
        raise JoinTimeout(f"joining {name} took longer than {policy.budget_s:g} s", backend_code="sim:timeout")

    def _associate(self, network: SetupNetwork) -> tuple[SimPhoton, ApSession]:
        """Decide at one moment, without waiting, whether the Photon lets us in."""
        photon = self._radio.find(network.bssid, self._adapter)
        name = printable(network.ssid)
        if photon is None or photon.ssid != network.ssid:
            raise NetworkNotFound(f"{name} is gone", backend_code="sim:not-found")
        if photon.session is None:
            raise AssociationFailed(f"{name} only beacons", backend_code="sim:beacon-only")
        if photon.session.client is not None:
            raise AssociationFailed(f"{name} has another client", backend_code="sim:full")
        if self._radio.refuses_join(self._adapter, photon):
            raise AssociationFailed(f"{name} did not let the adapter in", backend_code="sim:refused")
        photon.session.client = self._adapter
        return photon, photon.session

    async def _get_address(
        self, photon: SimPhoton, session: ApSession, dhcp_s: float, static_address: str | None
    ) -> None:
        name = printable(photon.ssid)
        if static_address is not None:
            await self._sleep(0.1)
            address = ipaddress.ip_address(static_address)
            if address not in _SUBNET or static_address == PHOTON_ADDRESS:
                raise NoAddress(f"{static_address} is no address beside {PHOTON_ADDRESS}", backend_code="sim:static")
        elif photon.dhcp_dead:
            await self._sleep(_DHCP_GIVES_UP_S)
            raise NoAddress(f"{name} gave no address", backend_code="sim:dhcp")
        else:
            await self._sleep(dhcp_s)
        if session.gone.is_set():
            raise AssociationFailed(f"{name} vanished while joining", backend_code="sim:vanished")

    async def _leave(self, link: SimLink, policy: JoinPolicy) -> SwitchError | None:
        """Leave, whatever happens around; what went wrong is returned, because the body's error comes first."""
        try:
            with trio.move_on_after(policy.leave_budget_s, shield=True) as leaving:
                await link.die()
                await self._sleep(takes.uniform(self._radio.roll("leave", self._adapter), 0.1, 0.5))
                self._radio.raise_scripted(self._adapter, Act.LEAVE)
        except SwitchError as failure:
            return failure
        if leaving.cancelled_caught:
            return LeaveFailed(f"adapter {self._adapter} did not leave within {policy.leave_budget_s:g} s")
        return None

    async def _sleep(self, seconds: float) -> None:
        await self._radio.clock.sleep(seconds)


class SimLink:
    """The open way to one Photon; dead when its setup network vanishes, and for good once its block is left."""

    def __init__(self, adapter: str, network: SetupNetwork, photon: SimPhoton, session: ApSession, dial: Dial) -> None:
        self._adapter = adapter
        self._network = network
        self.photon = photon
        self.session = session
        self._dial = dial
        self._left = False
        self._streams: set[trio.abc.Stream] = set()

    @property
    def network(self) -> SetupNetwork:
        """The network this link is on."""
        return self._network

    @property
    def alive(self) -> bool:
        """Whether the adapter is still associated."""
        return not self._left and not self.session.gone.is_set()

    async def healthy(self) -> bool:
        """Whether the adapter is still joined."""
        await trio.lowlevel.checkpoint()
        return self.alive

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a stream to the Photon. Raises OSError: ENETUNREACH on a dead link, ECONNREFUSED, EHOSTUNREACH."""
        if (refusal := self._refusal(host, port)) is not None:
            await trio.lowlevel.checkpoint()
            raise _os_error(refusal)
        dialled = await self._dial(self.photon, port, self._adapter)
        # A socket is closed under its user when the link dies, as `network/bound.py` does it on a real adapter.
        stream = dialled if isinstance(dialled, trio.SocketStream) else LinkStream(dialled, self)
        self._streams.add(stream)
        if not self.alive:  # it died while we were dialling
            await hang_up(stream)
            raise _os_error(errno.ENETUNREACH)
        return stream

    def _refusal(self, host: str, port: int) -> int | None:
        if not self.alive:
            return errno.ENETUNREACH
        if host != PHOTON_ADDRESS:
            return errno.EHOSTUNREACH
        return errno.ECONNREFUSED if port not in PORTS or not self.session.serving else None

    def forget(self, stream: LinkStream) -> None:
        """A stream was closed by its user."""
        self._streams.discard(stream)

    async def die(self) -> None:
        """Leave: every stream breaks and the Photon is free for the next adapter."""
        self._left = True
        if self.session.client == self._adapter:
            self.session.client = None
        if not self.session.gone.is_set():
            self.photon.note(Event.LEFT, via=self._adapter)
        for stream in list(self._streams):
            await hang_up(stream)


class LinkStream(trio.abc.Stream):
    """A stream that breaks with its link: BrokenResourceError, or the end of the stream."""

    def __init__(self, stream: trio.abc.Stream, link: SimLink) -> None:
        self._stream = stream
        self._link = link
        self._closed_by_user = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or raise BrokenResourceError if the link is dead."""
        try:
            await self._stream.send_all(data)
        except trio.ClosedResourceError as closed:
            raise self._broken(closed) from closed

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below; BrokenResourceError if the link is dead."""
        try:
            await self._stream.wait_send_all_might_not_block()
        except trio.ClosedResourceError as closed:
            raise self._broken(closed) from closed

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive; empty at the end, which may be the link's end; or BrokenResourceError."""
        try:
            return await self._stream.receive_some(max_bytes)
        except trio.ClosedResourceError as closed:
            raise self._broken(closed) from closed

    async def aclose(self) -> None:
        """Close."""
        if self._link.alive:
            self._closed_by_user = True
        self._link.forget(self)
        await self._stream.aclose()

    def _broken(self, closed: trio.ClosedResourceError) -> Exception:
        return closed if self._closed_by_user else trio.BrokenResourceError("the setup network was left")


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
