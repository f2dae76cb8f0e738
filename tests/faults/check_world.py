"""What must never happen to a device, whatever was injected: the journals' words against the world's own histories.

Each checker is a generator of sentences that begin with the invariant they break; none means that it holds. They read
`Words` (the journals), the Photons' history and the cloud's, and of the plan only what the devices are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from journal_words import Words
from seed_plan import Nature
from seed_world import Played

from provisioner.model import Outcome
from provisioner.simulator.cloud.state import What
from provisioner.simulator.photon.history import WRITES, Event, Experience

CODE_AGE_MAX_S = 2700.0
_TAKES_S = 10.0  # from taking a code to the board having it: a join is over by then, one command is left
_RACE_S = 130.0  # an owner that was read so long ago may have changed since: nobody can know
_INTENDS = {
    Event.CLAIM_CODE_SET: "claim_code.intended",
    Event.CONFIGURED: "wifi.intended",
    Event.CONNECT: "connect.intended",
}


class History:
    """The world's histories by device, folded once for all checkers."""

    def __init__(self, played: Played) -> None:
        self.writes: defaultdict[str, list[Experience]] = defaultdict(list)
        self.joins: defaultdict[str, list[Experience]] = defaultdict(list)
        self.online: defaultdict[str, list[float]] = defaultdict(list)
        for entry in played.world.history:
            if entry.event in WRITES:
                self.writes[entry.device_id].append(entry)
            elif entry.event in (Event.JOINED, Event.LEFT, Event.SILENT):
                self.joins[entry.device_id].append(entry)
        self.owners: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        self.minted: dict[str, float] = {}
        self.spent: dict[str, str] = {}
        self.taken: list[tuple[str, float, str]] = []
        self.imported: defaultdict[str, int] = defaultdict(int)
        self.customers: defaultdict[str, int] = defaultdict(int)
        for happening in played.cloud.history:
            self._fold(happening)
        for row in played.listed:
            if row.nature in (Nature.OTHERS, Nature.ALLOWED, Nature.OUTSIDE):
                self.owners[row.device].insert(0, (-1.0, "somebody else"))
        for device, at_s in played.stolen_s.items():
            self.owners[device].append((at_s, "somebody else"))
            self.owners[device].sort()

    def _fold(self, happening) -> None:
        match happening.what:
            case What.CODE_MINTED:
                self.minted[happening.code] = happening.at_s
            case What.CODE_SPENT:
                self.spent[happening.code] = happening.device
            case What.ONLINE:
                self.online[happening.device].append(happening.at_s)
            case What.CLAIMED | What.TAKEN_OVER:
                self.owners[happening.device].append((happening.at_s, happening.account))
                if happening.what is What.TAKEN_OVER:
                    self.taken.append((happening.device, happening.at_s, happening.before))
            case What.IMPORTED:
                self.imported[happening.device] += 1
            case What.CUSTOMER_CREATED:
                self.customers[happening.account] += 1

    def owner_at(self, device: str, at_s: float) -> str | None:
        """Who owned the device at that time."""
        owner = None
        for since_s, name in self.owners.get(device, ()):
            if since_s <= at_s:
                owner = name
        return owner


def no_false_pass(played: Played, words: Words, history: History) -> Iterator[str]:
    """I1: PASS names a handshake that the cloud really saw, after every write to the device until then, and at the
    moment it was said the device was in the product and owned as wanted, or had just ceased to be."""
    wanted = {row.device: row.tray.owner for row in played.listed}
    for device, told in words.by_device.items():
        for word in told:
            if word.event != "device.confirmed":
                continue
            evidence, said_s = word.extra.get("evidence") or {}, played.world_s(word.run, word.mono_ms)
            if not evidence.get("in_product"):
                yield f"I1: {device} passed outside the product"
            owner = wanted.get(device)
            if owner is not None:
                # What a read showed may be up to one poll, and an owner field's lag, behind.
                owners = {history.owner_at(device, said_s - back_s) for back_s in (0.0, 1.0, 6.0, 20.0, 40.0)}
                if owner not in owners:
                    yield f"I1: {device} passed for {owner}, and belonged to {owners} (run {word.run})"
            if "handshake_before" in evidence:
                yield from _handshake_is_real(played, device, evidence, history)


def _handshake_is_real(played: Played, device: str, evidence: dict, history: History) -> Iterator[str]:
    shaken = evidence.get("last_handshake_at")
    if shaken is None:
        yield f"I1: {device} passed without a handshake"
        return
    at_s = (datetime.fromisoformat(shaken) - played.world.clock.epoch).total_seconds()
    if not any(abs(at_s - real_s) < 1.1 for real_s in history.online[device]):
        yield f"I1: {device} passed by a handshake at {at_s:.1f} s, which never was"
    writes = [write.at_s for write in history.writes[device]]
    before = bisect_right(writes, at_s + 1.1)
    if not before:
        yield f"I1: {device} passed, and was never written to"
    if before < len(writes):
        yield f"I6: {device} was written to at {writes[before]:.1f} s, proven by a handshake at {at_s:.1f} s"


def codes_go_one_way(played: Played, words: Words, history: History) -> Iterator[str]:
    """I2: a code that reached a device never reaches another. I3: a device spends only the last code it got, and no
    code was too old when it was handed over (F13)."""
    holders: dict[str, str] = {}
    for device, writes in history.writes.items():
        for write in writes:
            if write.event is not Event.CLAIM_CODE_SET:
                continue
            if holders.setdefault(write.detail, device) != device:
                yield f"I2: code {write.detail} went to {holders[write.detail]} and to {device}"
            made_s = history.minted.get(write.detail)
            if made_s is None:
                yield f"I2: {device} got a code that the cloud never made"
            elif write.at_s - made_s > CODE_AGE_MAX_S + _TAKES_S and not _slept(played, made_s, write.at_s):
                yield f"I3: {device} got a code that was {write.at_s - made_s:.0f} s old"
    for code, device in history.spent.items():
        if holders.get(code) != device:
            yield f"I3: {device} spent code {code}, which it did not get"


def _slept(played: Played, from_s: float, to_s: float) -> bool:
    """Whether the computer slept between looking at the code's age and the board having it: nobody can know."""
    return any(note.what == "the computer sleeps" and to_s - _TAKES_S <= note.at_s <= to_s for note in played.notes)


def nobody_elses_device_is_touched(played: Played, words: Words, history: History) -> Iterator[str]:
    """I7: a device of somebody else gets no write and is never taken over, unless the manifest names it."""
    allowed = {row.device for row in played.listed if row.nature is Nature.ALLOWED}
    nobodys = {row.device for row in played.listed if row.tray.owner is None}
    for device, writes in history.writes.items():
        if device in allowed:
            continue
        for write in writes:
            then = history.owner_at(device, write.at_s - _RACE_S)
            if "somebody else" == then == history.owner_at(device, write.at_s):
                yield f"I7: {device} is somebody else's and was written to ({write.event}) at {write.at_s:.0f} s"
    for device, at_s, before in history.taken:
        codes = [write.at_s for write in history.writes[device] if write.event is Event.CLAIM_CODE_SET]
        codes = [set_s for set_s in codes if set_s <= at_s]  # the one it came online with
        stolen_s = played.stolen_s.get(device)
        handed_first = stolen_s is not None and codes and codes[-1] < stolen_s + _RACE_S
        if device not in allowed and device not in nobodys and not handed_first:
            yield f"I7: {device} was taken over from {before} at {at_s:.0f} s"


def strangers_are_left_alone(played: Played, words: Words, history: History) -> Iterator[str]:
    """I7, F16: what is in no tray, and what the import refused, is never written to."""
    refused = (Nature.OUTSIDE, Nature.UNHEARD, Nature.PROTECTED)
    strangers = [photon.device_id for photon in played.strangers]
    for device in (*strangers, *(row.device for row in played.listed if row.nature in refused)):
        if history.writes.get(device):
            yield f"I7: {device} is none of ours and was written to"


def every_write_was_intended(played: Played, words: Words, history: History) -> Iterator[str]:
    """I5: what a device experienced stood in a journal before, on a disk that may have lost power since."""
    for device, writes in history.writes.items():
        for act, event in _INTENDS.items():
            done = sum(write.event is act for write in writes)
            intended = sum(word.event == event for word in words.by_device.get(device, ()))
            if done > intended:
                yield f"I5: {device} was {act} {done} times, and {intended} times intended"


def one_adapter_one_device(played: Played, words: Words, history: History) -> Iterator[str]:
    """I11: a device has one adapter at a time, and an adapter one device."""
    busy: dict[str, str] = {}
    entries = sorted((entry for all_ in history.joins.values() for entry in all_), key=lambda entry: entry.at_s)
    client: dict[str, str] = {}
    for entry in entries:
        if entry.event is Event.JOINED:
            if entry.device_id in client:
                yield f"I11: {entry.device_id} was joined by {entry.via} while {client[entry.device_id]} was on it"
            if entry.via in busy:
                yield f"I11: {entry.via} joined {entry.device_id} while it was on {busy[entry.via]}"
            client[entry.device_id], busy[entry.via] = entry.via, entry.device_id
        elif entry.device_id in client:  # left, or the network under it is gone
            busy.pop(client.pop(entry.device_id), None)


def doubt_is_not_done(played: Played, words: Words, history: History) -> Iterator[str]:
    """I13: whoever is called PASS has a proof of its own: a confirmation in this or in an earlier run."""
    for device, told in words.by_device.items():
        proven = False
        for word in told:
            proven = proven or word.event == "device.confirmed"
            if word.outcome is Outcome.PASS and word.event.startswith("device.") and not proven:
                yield f"I13: {device} is carried over as PASS and was never confirmed"
