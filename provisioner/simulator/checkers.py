"""What must never happen, checked after a run from the journal and the world's own history, and from nothing else.

Rule 1: a checker knows nothing of the line's code or memory; it returns sentences about what is wrong, none if all
is well.
Rule 2: the journal is what the line said; the two histories (the Photons', the cloud's) are what was so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provisioner.journal.records import Record
from provisioner.model import Outcome
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.cloud.state import What
from provisioner.simulator.photon.history import WRITES, Event, PhotonHistory

_FINALS = ("device.confirmed", "device.failed", "device.unknown", "device.skipped", "device.refused", "device.carried")


@dataclass(frozen=True)
class Truth:
    """A run and the world it ran in. `owners` is what the manifest wants; None: nobody in particular."""

    records: Sequence[Record]
    photons: PhotonHistory
    cloud: SimCloud
    listed: Mapping[str, str | None]
    takeover_allowed: Collection[str] = ()
    visited: Collection[str] = field(default_factory=frozenset)


def check_all(truth: Truth) -> list[str]:
    """Every invariant; an empty list means that all of them hold."""
    checks = (
        no_false_confirmed,
        no_write_to_a_stranger,
        one_device_per_claim_code,
        no_takeover_without_leave,
        one_outcome_each,
        every_write_was_intended,
        requests_within_limits,
    )
    return [sentence for check in checks for sentence in check(truth)]


def no_false_confirmed(truth: Truth) -> Iterator[str]:
    """PASS only for a device that the cloud really has: in the product, owned as wanted, online after connect-ap."""
    for record in truth.records:
        if record.event != "device.confirmed" or record.device is None:
            continue
        device = truth.cloud.find_device(record.device)
        wanted = truth.listed.get(record.device)
        if device is None or device.product_id != truth.cloud.product.id:
            yield f"{record.device} is confirmed and not in the product"
        elif wanted is not None and (device.owner is None or device.owner.username != wanted):
            yield f"{record.device} is confirmed for {wanted} and owned by {device.owner}"
        elif record.device in truth.visited and not _online_after_connect(truth, record.device):
            yield f"{record.device} is confirmed and was never online after being told to connect"


def _online_after_connect(truth: Truth, device: str) -> bool:
    connects = [entry.at_s for entry in truth.photons.of(device, Event.CONNECT)]
    return bool(connects) and any(entry.at_s > connects[0] for entry in truth.photons.of(device, Event.ONLINE))


def no_write_to_a_stranger(truth: Truth) -> Iterator[str]:
    """A device that is in no tray is never changed."""
    for entry in truth.photons:
        if entry.event in WRITES and entry.device_id not in truth.listed:
            yield f"stranger {entry.device_id} was written to: {entry.event}"


def one_device_per_claim_code(truth: Truth) -> Iterator[str]:
    """A claim code reaches one device only; whatever the journal says about it."""
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for entry in truth.photons:
        if entry.event is Event.CLAIM_CODE_SET:
            holders[entry.detail].add(entry.device_id)
    for code, devices in holders.items():
        if len(devices) > 1:
            yield f"claim code {code} was given to {sorted(devices)}"


def no_takeover_without_leave(truth: Truth) -> Iterator[str]:
    """No device changes from one owner to another unless the manifest names it."""
    for happening in truth.cloud.history.of(What.TAKEN_OVER):
        if happening.device not in truth.takeover_allowed:
            yield f"{happening.device} was taken from {happening.before}"


def one_outcome_each(truth: Truth) -> Iterator[str]:
    """Every listed device ends with exactly one outcome, and the sums in the last record are right."""
    outcomes: dict[str, Outcome] = {}
    for record in truth.records:
        if record.event in _FINALS and record.device is not None and record.outcome is not None:
            outcomes[record.device] = record.outcome
    for device in truth.listed:
        if device not in outcomes:
            yield f"{device} has no outcome"
    counts = Counter(outcome.value for device, outcome in outcomes.items() if device in truth.listed)
    last = truth.records[-1]
    said = last.extra.get("counts")
    if last.event != "run.finished" or not isinstance(said, Mapping):
        yield "the journal does not end with run.finished"
    elif {key: value for key, value in said.items() if value} != dict(counts):
        yield f"run.finished says {dict(said)}, the records give {dict(counts)}"


def every_write_was_intended(truth: Truth) -> Iterator[str]:
    """What a device experienced was written down before: never more acts than intentions."""
    for event, act in (
        ("claim_code.intended", Event.CLAIM_CODE_SET),
        ("wifi.intended", Event.CONFIGURED),
        ("connect.intended", Event.CONNECT),
    ):
        intended = _count(record.device for record in truth.records if record.event == event)
        done = _count(entry.device_id for entry in truth.photons if entry.event is act)
        for device, times in done.items():
            if times > intended[device]:
                yield f"{device}: {act} {times} times, intended {intended[device]} times"


def _count(devices: Iterable[str | None]) -> Counter[str]:
    return Counter(device for device in devices if device is not None)


def requests_within_limits(truth: Truth) -> Iterator[str]:
    """The site stays below the cloud's limits and is never locked out."""
    limits = truth.cloud.limits
    for name, count in (("requests", limits.requests), ("token calls", limits.token_calls)):
        if count.peak >= count.limit:
            yield f"{count.peak} {name} in five minutes: the limit was reached"
    if any(truth.cloud.history.of(What.LOCKED_OUT)):
        yield "the site was locked out"
