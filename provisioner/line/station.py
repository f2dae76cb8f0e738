"""One station's worker: find, join, identify, hand over, connect, leave.

Rule 1: identity is known only after joining, so `device-id` is read first and again before every later write; a
device that is not ours to work gets no write at all.
Rule 2: a device's failure is a value (`Visit`): it ends in the journal, never in an exception that leaves here.
Anything that is not a ProvisionerError is our bug and stops the run.
Rule 3: every write is preceded by its intention and followed by its result; no answer is not a failure.
Rule 4: the adapter is held from join to leave; what waits for the cloud happens before or after.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict, TypeVar

import trio

from provisioner.errors import (
    AdapterUnavailable,
    Again,
    Blame,
    ClaimCodeUnavailable,
    CloudError,
    CloudSlow,
    CommandRefused,
    DeviceChanged,
    ImportQuarantined,
    LeaveFailed,
    LinkLost,
    NotInProduct,
    NotTheScannedDevice,
    NotVisitable,
    ProvisionerError,
    SoftAPBusy,
    SoftAPCutShort,
    SoftAPEmptyReply,
    SoftAPError,
    SoftAPSilent,
    SoftAPUnreachable,
    StrangerDevice,
    SwitchError,
    TakeoverRefused,
)
from provisioner.journal.writer import Journal, Scribe
from provisioner.line.air import Air, CameBack, Suffixes, suffix_of
from provisioner.line.claim_codes import ClaimCodes
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.lookups import Lookups
from provisioner.line.proof import takeover, wanted_owner
from provisioner.line.rows import row_of, time_text, why_of
from provisioner.line.steps import Step
from provisioner.model import (
    CloudDevice,
    DeviceID,
    ListedDevice,
    Outcome,
    SetupNetwork,
    WifiProfile,
    printable,
)
from provisioner.network.switcher import JoinPolicy, Link, NetworkSwitcher
from provisioner.secrets import Secret
from provisioner.settings import Budgets, Limits
from provisioner.softap.channel import SetupChannel

_UNANSWERED = (SoftAPSilent, SoftAPCutShort, SoftAPEmptyReply)
_CONNECTS_MAX = 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A device that was told to connect: what the confirmer needs to prove it."""

    device: ListedDevice
    station: str
    network: SetupNetwork
    handshake_before: datetime | None
    cloud_from: datetime | None


@dataclass(slots=True)
class Visit:
    """One join and what came of it. `handed_over` and `failure` may both be set: a failed leave harms no device."""

    network: SetupNetwork
    began_s: float
    step: Step = Step.JOINING
    joined: bool = False
    device: ListedDevice | None = None
    stranger: DeviceID | None = None
    handed_over: HandedOver | None = None
    failure: ProvisionerError | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the scanner asked for. Nothing set means: any listed device.

    `code` is the device code its label names (`KLJZ`): a setup network of four symbols must carry it, one of six
    cannot be told by the label.
    """

    device: DeviceID | None = None
    code: str | None = None


class CodeName(TypedDict, total=False):
    """How a record names the claim code it is about."""

    claim_code: str


@dataclass(frozen=True)
class Shared:
    """What all stations of a run share."""

    journal: Journal
    ledger: Ledger
    air: Air
    hold: LineHold
    lookups: Lookups
    codes: ClaimCodes
    suffixes: Suffixes
    budgets: Budgets
    limits: Limits
    prefix: str
    wifi: Mapping[str, tuple[WifiProfile, Secret | None]]
    account: str | None
    membership: bool  # False: developer devices of the account, outside any product
    cloud_time: Callable[[float], datetime | None]
    hand_over: Callable[[HandedOver], Awaitable[None]]
    came_back: Callable[[CameBack], None]


@dataclass
class Station:
    """One adapter at work. `open_channel` speaks to the device at the other end of a link."""

    name: str
    switcher: NetworkSwitcher
    shared: Shared
    open_channel: Callable[[Link], SetupChannel]
    faults_in_row: list[str] = field(default_factory=list)
    drained: ProvisionerError | None = None

    def __post_init__(self) -> None:
        self.scribe: Scribe = self.shared.journal.bound(station=self.name)

    # --- finding ---

    async def find(self, wanted: Wanted | None = None) -> SetupNetwork | None:
        """Listen once and lease a network to visit, or None. Raises SwitchError."""
        shared = self.shared
        heard = await self.switcher.scan(prefix=shared.prefix, timeout=shared.budgets.scan_s)
        networks = [network for network in heard if is_setup_name(network.ssid, shared.prefix)]
        for back in shared.air.hear(networks):
            shared.came_back(back)
        for network in networks:
            for device in self._guesses(network):
                if shared.ledger.may_visit(device.id):
                    shared.lookups.ahead(device)
        wanted = wanted or Wanted()
        return shared.air.choose(
            networks,
            station=self.name,
            now_s=trio.current_time(),
            fits=lambda network, device: self._fits(network, device, wanted),
        )

    def _guesses(self, network: SetupNetwork) -> list[ListedDevice]:
        known = self.shared.air.device_of(network.key)
        if known is not None:
            device = self.shared.ledger.manifest.find(known)
            return [device] if device is not None else []
        return list(self.shared.suffixes.candidates(network.ssid))[:2]

    def _fits(self, network: SetupNetwork, device: DeviceID | None, wanted: Wanted) -> bool:
        heard = suffix_of(network.ssid)
        if wanted.code is not None and heard != wanted.code and len(heard) == len(wanted.code):
            return False
        if device is None:
            return True
        if wanted.device is not None and device != wanted.device:
            return False
        return self.shared.ledger.manifest.find(device) is None or self.shared.ledger.may_visit(device)

    # --- visiting ---

    async def visit(self, network: SetupNetwork, wanted: Wanted | None = None) -> Visit:
        """Work one device from join to leave; the result is a value. Only our own bugs and cancellation raise."""
        visit = Visit(network, trio.current_time())
        self.scribe.append(
            "visit.started", ssid=printable(network.ssid), bssid=network.bssid, signal_dbm=network.signal_dbm
        )
        try:
            await self._join_and_work(visit, wanted or Wanted())
        except ProvisionerError as failure:
            visit.failure = failure
        except trio.Cancelled:
            self._end(visit, Outcome.ABORTED, None)
            raise
        self._end(visit, Outcome.PASS if visit.handed_over else Outcome.FAIL, visit.failure)
        return visit

    def _end(self, visit: Visit, outcome: Outcome, failure: ProvisionerError | None) -> None:
        """Write the end of the visit and free what it held."""
        shared, network = self.shared, visit.network
        self.scribe.append(
            "visit.ended",
            **row_of(visit.device),
            ssid=printable(network.ssid),
            bssid=network.bssid,
            step=visit.step,
            outcome=outcome,
            seconds=round(trio.current_time() - visit.began_s, 3),
            **why_of(failure),
        )
        shared.air.give_back(network)
        if visit.device is not None:
            shared.ledger[visit.device.id].with_station = None
            shared.lookups.forget(visit.device.id)

    async def _join_and_work(self, visit: Visit, wanted: Wanted) -> None:
        budgets = self.shared.budgets
        policy = JoinPolicy(budget_s=budgets.join_s, leave_budget_s=budgets.leave_s)
        async with self.switcher.joined(visit.network, policy) as link:
            visit.joined = True
            self.scribe.append(
                "network.joined",
                ssid=printable(visit.network.ssid),
                bssid=visit.network.bssid,
                seconds=round(trio.current_time() - visit.began_s, 3),
            )
            try:
                await self._work(visit, wanted, link)
            except SoftAPError as failure:
                # Tell a lost link from a sick device while the adapter can still say.
                if isinstance(failure, CommandRefused) or await link.healthy():
                    raise
                raise LinkLost(
                    f"the setup network vanished during {visit.step}", backend_code=failure.code
                ) from failure

    async def _work(self, visit: Visit, wanted: Wanted, link: Link) -> None:
        channel = self.open_channel(link)
        visit.step = Step.IDENTIFYING
        device = self._accept(visit, await _repeat_once(channel.identify), wanted)
        self.shared.lookups.ahead(device)
        profile = self.shared.wifi[device.wifi] if device.wifi is not None else None
        if profile is not None and profile[1] is not None:
            await _repeat_once(channel.prepare)  # the owner is read meanwhile
        seen = await self._owner(device)
        self.scribe.append(
            "device.identified",
            **row_of(device),
            ssid=printable(visit.network.ssid),
            bssid=visit.network.bssid,
            evidence=seen.evidence(),
        )
        self._refuse_takeover(device, seen)
        if device.claim.needs_claim_code:
            await self._claim(visit, device, channel)
        if profile is not None:
            await self._configure(visit, channel, *profile)
        await self._connect(visit, device, channel, link, seen)

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
        shared.ledger[answered].with_station = self.name
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
        owner = takeover(device, seen, self.shared.account)
        if owner is not None:
            raise TakeoverRefused(f"{device.id} belongs to {printable(owner)}")

    # --- the three writes ---

    async def _claim(self, visit: Visit, device: ListedDevice, channel: SetupChannel) -> None:
        visit.step = Step.CLAIMING
        owner = wanted_owner(device, self.shared.account)
        code = await self.shared.codes.take(owner, wait_s=self.shared.budgets.claim_code_wait_s)
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
            now_s = trio.current_time()
            cloud_from = shared.cloud_time(now_s)
            evidence = {"handshake_before": time_text(seen.last_handshake_at), "cloud_from": time_text(cloud_from)}
            self.scribe.append(
                "connect.intended", **row_of(device), step=visit.step, attempt=attempt, evidence=evidence
            )
            shared.air.told_to_connect(visit.network, now_s=now_s)
            visit.handed_over = HandedOver(device, self.name, visit.network, seen.last_handshake_at, cloud_from)
            try:
                await channel.connect()
            except SoftAPError as failure:
                if isinstance(failure, SoftAPUnreachable) and attempt == 1:
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

    async def _still_there(self, device: ListedDevice, channel: SetupChannel, link: Link) -> bool:
        """After a lost answer to connect-ap: resend only while the device is still listening."""
        try:
            return await link.healthy() and await channel.identify() == device.id
        except SoftAPError:
            return False

    # --- what a visit means for this station and for the line ---

    def learn_from(self, visit: Visit) -> None:
        """Decide what comes of a visit: the device's next chance or end, the station's health, the line's."""
        failure = visit.failure
        if visit.joined and not isinstance(failure, SwitchError):
            self.faults_in_row.clear()  # the adapter works
        if failure is None or visit.handed_over is not None:
            if isinstance(failure, LeaveFailed):
                self.drain(failure)
            return
        self._judge_network(visit, failure)
        self._judge_device(visit, failure)
        self._judge_station(visit, failure)

    def _judge_network(self, visit: Visit, failure: ProvisionerError) -> None:
        air, now_s = self.shared.air, trio.current_time()
        if visit.stranger is not None:
            self.scribe.append(
                "stranger.seen",
                device=visit.stranger,
                ssid=printable(visit.network.ssid),
                bssid=visit.network.bssid,
                **why_of(failure),
            )
        tries = air.misses(visit.network) + 1
        for_good = failure.again is Again.NEVER or (
            visit.device is None and tries >= self.shared.limits.device_attempts_max
        )
        air.leave_alone(visit.network, until_s=math.inf if for_good else now_s + 2.0 * tries)

    def _judge_device(self, visit: Visit, failure: ProvisionerError) -> None:
        device = visit.device
        if device is None or isinstance(failure, CloudError | ClaimCodeUnavailable):
            return  # the site's fault, and reported: the device is untouched and comes round again
        shared = self.shared
        if failure.blame is Blame.SITE:
            shared.hold.device_met(failure, device.id)
        exhausted = shared.ledger[device.id].visits >= shared.limits.device_attempts_max
        if failure.again is not Again.THIS_RUN or exhausted:
            self.scribe.append(
                "device.failed",
                **row_of(device),
                outcome=Outcome.FAIL,
                step=visit.step,
                **why_of(failure),
            )

    def _judge_station(self, visit: Visit, failure: ProvisionerError) -> None:
        if failure.blame is Blame.STATION and failure.again is Again.NEXT_RUN:
            self.drain(failure)
        elif isinstance(failure, SwitchError) and failure.blame in (Blame.DEVICE, Blame.STATION):
            # Different units failing one after the other on one adapter: it is the adapter.
            if visit.network.key not in self.faults_in_row:
                self.faults_in_row.append(visit.network.key)
            if len(self.faults_in_row) >= self.shared.limits.station_faults_drain_at:
                self.drain(AdapterUnavailable(
                    f"{len(self.faults_in_row)} boards in a row failed on this adapter, last: {failure.detail}"
                ))  # fmt: skip

    def drain(self, failure: ProvisionerError) -> None:
        """Take no more boards on this station."""
        self.drained = failure
        self.scribe.append(
            "station.drained",
            **why_of(failure),
        )


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


def is_setup_name(ssid: str, prefix: str) -> bool:
    """Whether a name in the air is one that a Photon gives itself: the rest is never joined, whatever it spells."""
    code = ssid.removeprefix(prefix)
    return ssid.startswith(prefix) and 4 <= len(code) <= 6 and code.isascii() and code.isalnum()


async def _repeat_once(act: Callable[[], Awaitable[T]]) -> T:
    """A read that got no whole answer is asked once more; nothing is changed by asking."""
    try:
        return await act()
    except (*_UNANSWERED, SoftAPBusy):
        return await act()
