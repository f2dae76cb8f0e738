"""Where every listed device stands, folded from the journal's records and from nothing else.

Rule 1: the ledger is told by the journal, never by a stage: what is not written has not happened.
Rule 2: every transition goes through the table in `steps.py`.
Rule 3: the sums always match: every listed device is in exactly one state.
Rule 4: a device costs a byte; only one that is under work, or did not pass, has a `Standing`. So memory grows with
the open work, not with the manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import trio

from provisioner.errors import Again, Blame, ProvisionerError
from provisioner.journal.fields import JSON, Record
from provisioner.line.manifest import Manifest
from provisioner.line.proof import wanted_owner
from provisioner.line.steps import MOVING_EVENTS, OUTCOME, State, after
from provisioner.model import DeviceID, ListedDevice, Outcome

_WANTS_CODE = frozenset({State.LISTED, State.IMPORTED, State.IDENTIFIED})
_ENDED = frozenset(OUTCOME)


_STATES = tuple(State)
_NUMBER = {state: number for number, state in enumerate(_STATES)}


@dataclass(slots=True)
class Standing:
    """One device in this run. `handshake_before` and `cloud_from` are the evidence kept at `connect.intended`."""

    state: State = State.LISTED
    visits: int = 0
    may_come_again: bool = True
    with_station: str | None = None
    may_hold_code: bool = False  # a claim code was sent to it in this run
    told_to_connect: bool = False  # in this run, and not surely refused
    has_wifi: bool = False  # it may have stored the factory Wi-Fi in this run: with power it goes online by itself
    handshake_before: datetime | None = None
    cloud_from: datetime | None = None


def again_of(code: str) -> Again:
    """Whether a failure of that code may be tried again, from the error tree; unknown codes: next run."""
    return _AGAIN.get(code, Again.NEXT_RUN)


def _tree(cls: type[ProvisionerError]) -> Iterator[type[ProvisionerError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


_AGAIN = {cls.code: cls.again for cls in _tree(ProvisionerError)}
_SENT = frozenset({"claim_code.intended", "wifi.intended"})
_SEEN = MOVING_EVENTS | _SENT


class Ledger:
    """The standing of every device of one manifest, and what is still open."""

    def __init__(self, manifest: Manifest, *, account: str | None, visits_max: int) -> None:
        self.manifest = manifest
        self._account = account
        self._visits_max = visits_max
        self._state_of = bytearray(len(manifest))  # by row, as a number of `_STATES`
        self._standing: dict[DeviceID, Standing] = {}
        self.states: Counter[State] = Counter()
        self._codes_wanted: Counter[str | None] = Counter()
        self._changed = trio.Event()
        self.open = 0
        self.states[State.LISTED] = self.open = len(manifest)
        for device in manifest:
            self._count_code(device, +1)

    # --- telling ---

    def see(self, record: Record) -> None:
        """Fold one record in. Records about other devices, or that move nothing, change nothing."""
        if record.device is None or record.event not in _SEEN:
            return
        row = self.manifest.rows.get(record.device)
        if row is None:
            return
        standing = self._standing.get(record.device)
        if standing is None:
            standing = self._standing[record.device] = Standing(_STATES[self._state_of[row]])
        if record.event in _SENT:
            standing.may_hold_code |= record.event == "claim_code.intended"
            standing.has_wifi |= record.event == "wifi.intended"
            return
        self._move(row, standing, after(standing.state, record.event))
        if record.event == "visit.ended":
            # A visit that the site cut short (no claim code, slow cloud) is no try: the device comes round again.
            standing.visits += record.blame != Blame.SITE
        elif record.event == "connect.intended":
            standing.told_to_connect = True
            self._keep_evidence(standing, record)
        elif record.event == "connect.refused":
            standing.told_to_connect = False
        elif record.event in ("device.failed", "device.refused"):
            standing.may_come_again = again_of(record.code or "") is Again.THIS_RUN
        elif record.event == "device.reopened":
            standing.visits, standing.may_come_again = 0, True
        self._close(record.device, standing)

    def _open(self, device: DeviceID) -> Standing:
        """The device's standing, kept from now on."""
        standing = self._standing.get(device)
        if standing is None:
            standing = self._standing[device] = self[device]
        return standing

    def _close(self, device: DeviceID, standing: Standing) -> None:
        """Keep no more than the state of a device that nothing is known of but that."""
        if standing == Standing(standing.state) or standing.state is State.CONFIRMED:
            del self._standing[device]

    def _move(self, row: int, standing: Standing, state: State) -> None:
        before = standing.state
        if state is before:
            return
        standing.state = state
        self._state_of[row] = _NUMBER[state]
        self.states[before] -= 1
        self.states[state] += 1
        self.open += (before in _ENDED) - (state in _ENDED)
        if (before in _WANTS_CODE) is not (state in _WANTS_CODE):
            self._count_code(self.manifest.row(row), -1 if before in _WANTS_CODE else +1)
        self._changed.set()
        self._changed = trio.Event()

    def _count_code(self, device: ListedDevice, change: int) -> None:
        if device.claim.needs_claim_code:
            owner = wanted_owner(device, self._account)
            self._codes_wanted[owner] += change
            if not self._codes_wanted[owner]:
                del self._codes_wanted[owner]

    @staticmethod
    def _keep_evidence(standing: Standing, record: Record) -> None:
        evidence = record.evidence or {}
        standing.handshake_before = _time(evidence.get("handshake_before"))
        standing.cloud_from = _time(evidence.get("cloud_from"))

    # --- asking ---

    def __getitem__(self, device: DeviceID) -> Standing:
        """Where a device stands: to look at. Raises KeyError for a device that no tray lists."""
        return self._standing.get(device) or Standing(self._state(device))

    def _state(self, device: DeviceID) -> State:
        return _STATES[self._state_of[self.manifest.rows[device]]]

    def take(self, device: DeviceID, station: str) -> None:
        """A station works this device from now on; until `let_go` no other may."""
        self._open(device).with_station = station

    def let_go(self, device: DeviceID) -> None:
        """The station has left this device."""
        standing = self._open(device)
        standing.with_station = None
        self._close(device, standing)

    def codes_wanted(self) -> Iterator[tuple[str | None, int]]:
        """How many devices may still need a claim code, by owner (None: nobody's name, i.e. the account)."""
        return ((owner, count) for owner, count in self._codes_wanted.items() if count > 0)

    def may_visit(self, device: DeviceID) -> bool:
        """Whether a station may begin a visit to this device now."""
        standing = self[device]
        if standing.with_station is not None or standing.visits >= self._visits_max:
            return False
        if standing.state is State.FAILED:
            return standing.may_come_again
        return standing.state in (State.IMPORTED, State.UNKNOWN, State.SKIPPED)

    def devices_in(self, states: Iterable[State]) -> Iterator[ListedDevice]:
        """The listed devices in any of these states, in the manifest's order; each is looked at when its turn comes, so
        what happens to one meanwhile counts, and does no harm."""
        numbers = {_NUMBER[state] for state in states}
        return (self.manifest.row(row) for row, number in enumerate(self._state_of) if number in numbers)

    def outcomes(self) -> Counter[Outcome]:
        """Devices by outcome; devices without one are not counted."""
        return Counter(
            {outcome: sum(self.states[s] for s, o in OUTCOME.items() if o is outcome) for outcome in Outcome}
        )

    async def wait_all_ended(self) -> None:
        """Wait until every device has an outcome."""
        while self.open:
            await self._changed.wait()


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


# --- what earlier runs of the same manifest left ---


@dataclass(slots=True)
class Earlier:
    """One device as earlier runs left it: the last final record, and an intention to connect without a final.

    `has_wifi`: it may have stored the factory Wi-Fi, with which it goes online by itself as soon as it is powered anew.

    `network` is the key of the setup network where it last answered, empty if it never did.
    """

    outcome: Outcome | None = None
    code: str = ""
    blame: Blame | None = None
    owner: str | None = None
    connecting: bool = False
    has_wifi: bool = False
    handshake_before: datetime | None = None
    cloud_from: datetime | None = None
    evidence: Mapping[str, JSON] | None = None
    network: str = ""


class History:
    """Folds the journals of earlier runs; holds one small entry for each device that appears in them."""

    def __init__(self) -> None:
        self._devices: dict[DeviceID, Earlier] = {}

    def see(self, record: Record) -> None:
        """Fold one record of an earlier run in, oldest run first."""
        if record.device is None:
            return
        if record.event == "connect.intended":
            entry = self._entry(record.device)
            evidence = record.evidence or {}
            entry.connecting, entry.outcome = True, None
            entry.handshake_before = _time(evidence.get("handshake_before"))
            entry.cloud_from = _time(evidence.get("cloud_from"))
        elif record.event == "connect.refused":
            self._entry(record.device).connecting = False
        elif record.event == "wifi.intended":
            self._entry(record.device).has_wifi = True
        elif record.event == "device.identified":
            self._entry(record.device).network = record.bssid or record.ssid or ""
        elif record.event == "device.restored":
            self._devices.pop(DeviceID(record.device), None)  # taken back on purpose: it begins from the beginning
        elif record.outcome is not None and record.event.startswith("device."):
            entry = self._entry(record.device)
            outcome = Outcome(record.outcome)
            if outcome is Outcome.SKIPPED and (entry.connecting or entry.outcome in (Outcome.PASS, Outcome.UNKNOWN)):
                return  # it had no turn in that run: that takes no proof away, and no doubt
            entry.outcome, entry.code = outcome, record.code or ""
            entry.blame = Blame(record.blame) if record.blame else None
            entry.evidence = record.evidence
            # Unknown keeps its evidence: the cloud may still prove it.
            entry.connecting = entry.connecting and entry.outcome is Outcome.UNKNOWN

    def of(self, device: DeviceID) -> Earlier | None:
        """What earlier runs know of this device."""
        return self._devices.get(device)

    def networks(self) -> Iterator[tuple[str, DeviceID]]:
        """The setup networks on which devices answered, by key, each with the device that did last."""
        return ((earlier.network, device) for device, earlier in self._devices.items() if earlier.network)

    def _entry(self, device: str) -> Earlier:
        return self._devices.setdefault(DeviceID(device), Earlier())
