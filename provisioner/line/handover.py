"""What a station does with one device it has joined: identify, claim, configure, connect.

Rule 1: identity is known only after joining, so `device-id` is read first and again before every later write; a
device that is not ours to work gets no write at all.
Rule 2: every write is preceded by its intention and followed by its result; no answer is not a failure.
Rule 3: the owner is read before any write. The read was asked for ahead; waiting for it is short and bounded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import trio

from provisioner.errors import (
    CloudSlow,
    CommandRefused,
    DeviceChanged,
    ImportQuarantined,
    NotInProduct,
    NotTheScannedDevice,
    NotVisitable,
    SoftAPBusy,
    SoftAPCutShort,
    SoftAPEmptyReply,
    SoftAPError,
    SoftAPNotFound,
    SoftAPSilent,
    SoftAPUnreachable,
    StrangerDevice,
    TakeoverRefused,
)
from provisioner.journal.writer import Scribe
from provisioner.line.claim_codes import Claimant
from provisioner.line.proof import other_owner, takeover, wanted_owner
from provisioner.line.rows import row_of, time_text, why_of
from provisioner.line.steps import Step
from provisioner.line.visit import CodeName, HandedOver, Shared, Visit, Wanted
from provisioner.model import (
    CloudDevice,
    DeviceID,
    ListedDevice,
    WifiProfile,
    printable,
)
from provisioner.network.switcher import Link
from provisioner.secrets import Secret
from provisioner.softap.channel import SetupChannel

_UNANSWERED = (SoftAPSilent, SoftAPCutShort, SoftAPEmptyReply)
_CERTAINLY_NOT = (SoftAPUnreachable, SoftAPBusy, SoftAPNotFound, CommandRefused)
_CONNECTS_MAX = 3
T = TypeVar("T")


@dataclass
class HandOver:
    """The acts of one station on whatever device answers at the other end of a link."""

    station: str
    shared: Shared
    scribe: Scribe

    async def work(self, visit: Visit, wanted: Wanted, channel: SetupChannel, link: Link) -> None:
        """From the first answer to connect-ap. Raises ProvisionerError; `visit` says how far it came."""
        visit.step = Step.IDENTIFYING
        device = self._accept(visit, await _repeat_once(channel.identify), wanted)
        self.shared.lookups.ahead(device)
        profile = self.shared.wifi[device.wifi] if device.wifi is not None else None
        with self._code_expected(device) as claimant:
            if profile is not None and profile[1] is not None:
                await _repeat_once(channel.prepare)  # the owner is read, and a code made, meanwhile
            seen = await self._owner(device)
            self.scribe.append(
                "device.identified",
                **row_of(device),
                ssid=printable(visit.network.ssid),
                bssid=visit.network.bssid,
                evidence=seen.evidence(),
            )
            self._refuse_takeover(device, seen)
            if claimant is not None:
                await self._claim(visit, claimant, channel)
            if profile is not None:
                await self._configure(visit, channel, *profile)
            await self._connect(visit, device, channel, link, seen)

    def _code_expected(self, device: ListedDevice) -> AbstractContextManager[Claimant | None]:
        if not device.claim.needs_claim_code:
            return nullcontext()
        return self.shared.codes.expected(wanted_owner(device, self.shared.account))

    def _accept(self, visit: Visit, answered: DeviceID, wanted: Wanted) -> ListedDevice:
        """Decide, without waiting, whether this device is ours to work now; take it if so."""
        shared = self.shared
        shared.air.learn(visit.network, answered)
        device = shared.ledger.manifest.find(answered)
        if device is None:
            visit.stranger = answered
            raise StrangerDevice(f"{answered} answers on {printable(visit.network.ssid)} and is in no tray")
        if wanted.device is not None and wanted.device != answered:
            raise NotTheScannedDevice(f"{wanted.device} was scanned, {answered} answers")
        if not device.needs_visit:
            raise NotVisitable(f"{answered} is listed for import only")
        if not shared.ledger.may_visit(answered):
            raise NotVisitable(f"{answered} is {shared.ledger[answered].state} already, or with another station")
        visit.device = device
        shared.ledger.take(answered, self.station)
        return device

    async def _owner(self, device: ListedDevice) -> CloudDevice:
        """The cloud's view before any write; most often read ahead. Bounded, because the adapter is held."""
        with trio.move_on_after(self.shared.budgets.owner_read_s):
            seen = await self.shared.lookups.get(device)
            if seen is None and self.shared.membership:
                raise NotInProduct(f"{device.id} is not in the product")
            if seen is None:
                return _not_ours_yet(device)
            if seen.quarantined or seen.denied:
                raise ImportQuarantined(f"{device.id} is quarantined or denied")
            return seen
        slow = CloudSlow(f"the cloud did not say in time who owns {device.id}; nothing was written to it")
        self.shared.hold.report(slow)  # the next visit would fare no better: first see that the cloud answers
        raise slow

    def _refuse_takeover(self, device: ListedDevice, seen: CloudDevice) -> None:
        owner = other_owner(device, seen, self.shared.account)
        if owner is None:
            return
        if takeover(device, seen, self.shared.account) is not None:
            detail = f"{device.id} belongs to {printable(owner)}"
            if self.shared.ledger[
                device.id
            ].may_hold_code:  # from a visit before it was theirs; taking it off is a write
                detail += " by now, but may still hold our claim code: leave it without power for an hour"
            raise TakeoverRefused(detail)
        self.scribe.append(
            "takeover.allowed",
            **row_of(device),
            detail=f"it belongs to {printable(owner)}, and the manifest allows taking it",
            evidence={"owner_before": owner},
        )

    # --- the three writes ---

    async def _claim(self, visit: Visit, claimant: Claimant, channel: SetupChannel) -> None:
        visit.step = Step.CLAIMING
        code = await claimant.take(wait_s=self.shared.budgets.claim_code_wait_s)
        named = CodeName(claim_code=code.fingerprint)
        await self._write("claim_code", visit, channel, lambda: channel.set_claim_code(code), named)

    async def _configure(self, visit: Visit, channel: SetupChannel, wifi: WifiProfile, password: Secret | None) -> None:
        visit.step = Step.CONFIGURING
        await self._write("wifi", visit, channel, lambda: channel.set_wifi(wifi, password))

    async def _write(
        self,
        event: str,
        visit: Visit,
        channel: SetupChannel,
        act: Callable[[], Awaitable[None]],
        fields: CodeName | None = None,
    ) -> None:
        """Intention, act, result of a write that is safe to repeat: once more after a lost answer, not oftener."""
        device, named = visit.device, fields or CodeName()
        for last in (False, True):
            await self._still(visit, channel)
            await self._from_here_on(visit)
            self.scribe.append(f"{event}.intended", **row_of(device), step=visit.step, **named)
            try:
                await act()
            except SoftAPError as failure:
                result = "unanswered" if isinstance(failure, _UNANSWERED) else "refused"
                self.scribe.append(f"{event}.{result}", **row_of(device), step=visit.step, **why_of(failure))
                if last or not isinstance(failure, (*_UNANSWERED, SoftAPBusy)):
                    raise
            else:
                self.scribe.append(f"{event}.accepted", **row_of(device), step=visit.step, **named)
                return

    async def _connect(
        self, visit: Visit, device: ListedDevice, channel: SetupChannel, link: Link, seen: CloudDevice
    ) -> None:
        """Tell the device to go. From the intention on it is unknown whether it went; only the cloud can tell."""
        visit.step = Step.CONNECTING
        shared = self.shared
        await trio.sleep(shared.budgets.configure_to_connect_s)
        for attempt in range(1, _CONNECTS_MAX + 1):
            await self._still(visit, channel)
            await self._from_here_on(visit)
            now_s = trio.current_time()
            cloud_from = shared.cloud_time(now_s)
            evidence = {"handshake_before": time_text(seen.last_handshake_at), "cloud_from": time_text(cloud_from)}
            self.scribe.append(
                "connect.intended", **row_of(device), step=visit.step, attempt=attempt, evidence=evidence
            )
            shared.air.told_to_connect(visit.network, now_s=now_s)
            visit.handed_over = HandedOver(device, self.station, visit.network, seen.last_handshake_at, cloud_from)
            try:
                await channel.connect()
            except SoftAPError as failure:
                if isinstance(failure, _CERTAINLY_NOT) and attempt == 1:
                    visit.handed_over = None
                    self.scribe.append("connect.refused", **row_of(device), step=visit.step, **why_of(failure))
                    raise
                # Unreachable after an unanswered try is no refusal: that try may be why it does not answer now.
                self.scribe.append("connect.unanswered", **row_of(device), step=visit.step, **why_of(failure))
                if attempt < _CONNECTS_MAX and await self._still_there(device, channel, link):
                    continue
            else:
                self.scribe.append("connect.accepted", **row_of(device), step=visit.step)
            return

    async def _still(self, visit: Visit, channel: SetupChannel) -> None:
        """The same device must answer before every write: boards are swapped, and all have one address."""
        answered = await _repeat_once(channel.identify)
        if visit.device is None or answered != visit.device.id:
            raise DeviceChanged(f"the visit began with another device than {answered}, which answers now")

    @staticmethod
    async def _from_here_on(visit: Visit) -> None:
        """The last moment to be let go. A stop that came with the answer we just got takes effect here, before the
        intention is written; one that comes later finishes the board."""
        await trio.lowlevel.checkpoint_if_cancelled()
        visit.touched = True

    async def _still_there(self, device: ListedDevice, channel: SetupChannel, link: Link) -> bool:
        """After a lost answer to connect-ap: resend only while the device is still listening."""
        try:
            return await link.healthy() and await channel.identify() == device.id
        except SoftAPError:
            return False


def _not_ours_yet(device: ListedDevice) -> CloudDevice:
    """A developer device before its claim: the cloud shows it to its owner only, so there is nothing to compare."""
    return CloudDevice(
        device.id,
        online=False,
        owner=None,
        in_product=False,
        quarantined=False,
        denied=False,
        last_handshake_at=None,
    )


async def _repeat_once(act: Callable[[], Awaitable[T]]) -> T:
    """A read that got no whole answer is asked once more; nothing is changed by asking."""
    try:
        return await act()
    except (*_UNANSWERED, SoftAPBusy):
        return await act()
