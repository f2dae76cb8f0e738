"""What must hold call by call, beside `checkers`: the order of reads, intentions and effects, and nothing twice.

Rule 1: as there: only the journal and the world's own history are read, and sentences about what is wrong returned.
Rule 2: times are compared in the cloud's clock, which the journal's `at` must come from (virtual time does that).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioner.journal.fields import Record
from provisioner.simulator.checkers import ACTS
from provisioner.simulator.cloud.state import Happening, What
from provisioner.simulator.photon.history import WRITES, Event, Experience

_ONCE = (What.IMPORTED, What.CUSTOMER_CREATED, What.CLAIMED)
_BY_ID = "claim by ID"
WRITE_TAKES_S = 12.0  # from the answer before it to the end of the slowest, configure-ap with its two scans


@dataclass(frozen=True)
class Calls:
    """What was said and what was so. `epoch` is the time of the world's second 0; `codes_max` bounds claim codes."""

    records: Sequence[Record]
    photons: Sequence[Experience]
    cloud: Sequence[Happening]
    epoch: datetime
    codes_max: int | None = None


def check_calls(calls: Calls) -> list[str]:
    """Every checker of this module; an empty list means that all of them hold."""
    return [
        *identity_before_each_write(calls.photons),
        *intended_first(calls),
        *nothing_twice(calls),
        *every_network_left(calls.photons),
    ]


def identity_before_each_write(photons: Iterable[Experience]) -> Iterator[str]:
    """Each write through an adapter comes right after it read this very device's ID, and each read is for one write.

    A write is noted when it is done: a Photon may still be storing what it was sent when the adapter has left, and has
    read the ID of another.
    """
    read_s: dict[tuple[str, str], float] = {}
    for entry in photons:
        adapter_and_device = entry.via, entry.device_id
        if entry.event is Event.ASKED and entry.detail == "device-id":
            read_s[adapter_and_device] = entry.at_s
        elif entry.event in WRITES and entry.at_s - read_s.pop(adapter_and_device, -math.inf) > WRITE_TAKES_S:
            yield f"{entry.device_id}: {entry.event} at {entry.at_s:.3f} s without its ID having been read just before"


def intended_first(calls: Calls) -> Iterator[str]:
    """No effect on a device or in the cloud whose intention was not in the journal by then."""
    intended: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for record in calls.records:
        if record.event.endswith(".intended"):
            about = record.device or str(record.extra.get("customer", ""))
            intended[record.event, about].append((record.at - calls.epoch).total_seconds())
    done: Counter[tuple[str, str]] = Counter()
    for what, event, about, at_s in _effects(calls):
        done[event, about] += 1
        by_then = sum(1 for said_s in intended[event, about] if said_s <= at_s)
        if done[event, about] > by_then:
            yield f"{what} of {about or 'a tray'} at {at_s:.3f} s came before its intention was written"


def _effects(calls: Calls) -> Iterator[tuple[str, str, str, float]]:
    for entry in calls.photons:
        if entry.event in WRITES:
            yield entry.event, ACTS[entry.event], entry.device_id, entry.at_s
    seen_imports: set[float] = set()
    for happening in calls.cloud:
        if happening.what is What.IMPORTED and happening.at_s not in seen_imports:
            seen_imports.add(happening.at_s)  # one call takes many rows
            yield happening.what, "import.intended", "", happening.at_s
        elif happening.what is What.CUSTOMER_CREATED:
            yield happening.what, "customer.intended", happening.account, happening.at_s
        elif happening.what is What.CLAIMED and happening.detail == _BY_ID:
            yield happening.what, "claim.intended", happening.device, happening.at_s


def nothing_twice(calls: Calls) -> Iterator[str]:
    """No effect in the cloud is had twice; claim codes, which cost nothing, not more often than allowed."""
    times = Counter((one.what, one.device or one.account) for one in calls.cloud if one.what in _ONCE)
    yield from (f"{about}: {what} {count} times" for (what, about), count in times.items() if count > 1)
    codes = sum(1 for one in calls.cloud if one.what is What.CODE_MINTED)
    if calls.codes_max is not None and codes > calls.codes_max:
        yield f"{codes} claim codes were made, {calls.codes_max} are the most"


def every_network_left(photons: Iterable[Experience]) -> Iterator[str]:
    """An adapter that joined a setup network left it, or the network went away under it."""
    on: dict[str, str] = {}
    for entry in photons:
        if entry.event is Event.JOINED:
            if entry.via in on:
                yield f"{entry.via} joined {entry.device_id} while it was on {on[entry.via]}"
            on[entry.via] = entry.device_id
        elif entry.event is Event.LEFT:
            on.pop(entry.via, None)
        elif entry.event is Event.SILENT:
            on = {adapter: device for adapter, device in on.items() if device != entry.device_id}
    yield from (f"{adapter} is still on the setup network of {device}" for adapter, device in on.items())


def no_effect_after(at_s: float, changes: Iterable[tuple[str, float]]) -> Iterator[str]:
    """After this moment nothing that changes a device or the cloud was asked for.

    `changes` are requests as they came in at the door of a device or the cloud: what was asked, and when. What was
    on its way before may still be carried out.
    """
    for asked, when_s in changes:
        if when_s > at_s:
            yield f"{asked} at {when_s:.3f} s, after the journal failed at {at_s:.3f} s"
