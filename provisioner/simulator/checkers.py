"""What must never happen, checked after a run from the journal and the world's own history, and from nothing else.

Rule 1: a checker knows nothing of the line's code or memory; it returns sentences about what is wrong, none if all
is well.
Rule 2: the journal is what the line said; the two histories (the Photons', the cloud's) are what was so. Each is read
once, whole, and folded into a few words a device, so that a hundred thousand devices can be checked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from provisioner.journal.fields import Record
from provisioner.model import Outcome
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import What
from provisioner.simulator.photon.history import WRITES, Event, Experience

_FINALS = ("device.confirmed", "device.failed", "device.unknown", "device.skipped", "device.refused", "device.carried")
ACTS = {
    Event.CLAIM_CODE_SET: "claim_code.intended",
    Event.CONFIGURED: "wifi.intended",
    Event.CONNECT: "connect.intended",
}


@dataclass(frozen=True)
class Truth:
    """A run and the world it ran in. `owners` is what the manifest wants; None: nobody in particular."""

    records: Iterable[Record]
    photons: Iterable[Experience]
    cloud: SimCloud
    listed: Mapping[str, str | None]
    takeover_allowed: Collection[str] = ()
    visited: Collection[str] = field(default_factory=frozenset)


@dataclass
class Said:
    """What the journal says. `passed`: devices called confirmed, in this run or carried over from an earlier one."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    passed: dict[str, None] = field(default_factory=dict)
    intended: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: Record | None = None

    @classmethod
    def of(cls, records: Iterable[Record]) -> Said:
        """Fold a journal."""
        said, acts = cls(), frozenset(ACTS.values())
        for record in records:
            said.last = record
            if record.device is None:
                continue
            if record.event in acts:
                said.intended[record.event, record.device] += 1
            elif record.event in _FINALS and record.outcome is not None:
                said.outcomes[record.device] = record.outcome
                if record.outcome is Outcome.PASS:
                    said.passed[record.device] = None
        return said


@dataclass
class Lived:
    """What the Photons experienced: how often each was written to, who got which code, when told to connect."""

    done: Counter[tuple[Event, str]] = field(default_factory=Counter)
    strangers: dict[str, Event] = field(default_factory=dict)
    code_holders: dict[str, str] = field(default_factory=dict)
    shared_codes: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    first_connect_s: dict[str, float] = field(default_factory=dict)
    online_after: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, experiences: Iterable[Experience], listed: Collection[str]) -> Lived:
        """Fold a history."""
        lived = cls()
        for entry in experiences:
            if entry.event in WRITES:
                lived._write(entry, listed)
            elif entry.event is Event.ONLINE and entry.device_id in lived.first_connect_s:
                lived.online_after.add(entry.device_id)
        return lived

    def _write(self, entry: Experience, listed: Collection[str]) -> None:
        device = entry.device_id
        self.done[entry.event, device] += 1
        if device not in listed:
            self.strangers.setdefault(device, entry.event)
        if entry.event is Event.CONNECT:
            self.first_connect_s.setdefault(device, entry.at_s)
        if (
            entry.event is Event.CLAIM_CODE_SET
            and (holder := self.code_holders.setdefault(entry.detail, device)) != device
        ):
            self.shared_codes[entry.detail] |= {holder, device}


def check_all(truth: Truth) -> list[str]:
    """Every invariant; an empty list means that all of them hold."""
    said, lived = Said.of(truth.records), Lived.of(truth.photons, truth.listed)
    return [
        *no_false_confirmed(said, lived, truth),
        *no_write_to_a_stranger(lived),
        *one_device_per_claim_code(lived),
        *no_takeover_without_leave(truth),
        *one_outcome_each(said, truth),
        *every_write_was_intended(said, lived),
        *requests_within_limits(truth),
    ]


def no_false_confirmed(said: Said, lived: Lived, truth: Truth) -> Iterator[str]:
    """PASS only for a device that the cloud really has: in the product, owned as wanted, online after connect-ap."""
    for passed in said.passed:
        device = truth.cloud.find_device(passed)
        wanted = truth.listed.get(passed)
        if device is None or device.product_id != truth.cloud.product.id:
            yield f"{passed} is confirmed and not in the product"
        elif wanted is not None and (device.owner is None or device.owner.username != wanted):
            yield f"{passed} is confirmed for {wanted} and owned by {device.owner}"
        elif passed in truth.visited and passed not in lived.online_after:
            yield f"{passed} is confirmed and was never online after being told to connect"


def no_write_to_a_stranger(lived: Lived) -> Iterator[str]:
    """A device that is in no tray is never changed."""
    for device, act in lived.strangers.items():
        yield f"stranger {device} was written to: {act}"


def one_device_per_claim_code(lived: Lived) -> Iterator[str]:
    """A claim code reaches one device only; whatever the journal says about it."""
    for code, devices in lived.shared_codes.items():
        yield f"claim code {code} was given to {sorted(devices)}"


def no_takeover_without_leave(truth: Truth) -> Iterator[str]:
    """No device changes from one owner to another unless the manifest names it."""
    for happening in truth.cloud.history.of(What.TAKEN_OVER):
        if happening.device not in truth.takeover_allowed:
            yield f"{happening.device} was taken from {happening.before}"


def one_outcome_each(said: Said, truth: Truth) -> Iterator[str]:
    """Every listed device ends with exactly one outcome, and the sums in the last record are right."""
    for device in truth.listed:
        if device not in said.outcomes:
            yield f"{device} has no outcome"
    counts = Counter(outcome.value for device, outcome in said.outcomes.items() if device in truth.listed)
    told = said.last.extra.get("counts") if said.last is not None else None
    if said.last is None or said.last.event != "run.finished" or not isinstance(told, Mapping):
        yield "the journal does not end with run.finished"
    elif {key: value for key, value in told.items() if value} != dict(counts):
        yield f"run.finished says {dict(told)}, the records give {dict(counts)}"


def every_write_was_intended(said: Said, lived: Lived) -> Iterator[str]:
    """What a device experienced was written down before: never more acts than intentions."""
    for (act, device), times in lived.done.items():
        intended = said.intended[ACTS[act], device]
        if times > intended:
            yield f"{device}: {act} {times} times, intended {intended} times"


def requests_within_limits(truth: Truth) -> Iterator[str]:
    """The site stays below the cloud's limits and is never locked out."""
    limits = truth.cloud.limits
    for name, count in (("requests", limits.requests), ("token calls", limits.token_calls)):
        if count.peak >= count.limit:
            yield f"{count.peak} {name} in five minutes: the limit was reached"
    if any(truth.cloud.history.of(What.LOCKED_OUT)):
        yield "the site was locked out"
