"""The closed set of classes a device can be in at night, and which one it is in. Pure.

Rule 1: `classify` gives every device exactly one class, whatever the three sides say; the order of its questions is
the order in which people want to know.
Rule 2: each class has a sentence, its likely cause, and what to do now: the README and all reports print this table.
Rule 3: in doubt a device is open, never confirmed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from provisioner.line.proof import Expectation, Verdict, judge
from provisioner.model import ClaimPolicy, ClaimTo, CloudDevice, DeviceID, ListedDevice, Outcome
from provisioner.reconcile.facts import Facts, Listed


class Standing(enum.StrEnum):
    """What a class means for the night: it adds up, somebody has still to do something, or something is wrong."""

    GOOD = "good"
    OPEN = "open"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a class says to a person. `aged` classes are shown with the time since the journal's last word."""

    standing: Standing
    sentence: str
    cause: str
    action: str
    aged: bool = False


class Class(enum.StrEnum):
    """Where a device stands tonight."""

    CONFIRMED = "confirmed"
    MEMBER = "member"
    SILENT = "silent"
    RESTORED = "restored"
    UNKNOWN_PROVEN = "unknown_proven"
    UNKNOWN_OPEN = "unknown_open"
    IN_DOUBT = "in_doubt"
    NOT_VISITED = "not_visited"
    FAILED = "failed"
    NOT_IN_PRODUCT = "not_in_product"
    OWNER_CHANGED = "owner_changed"
    LEFT_PRODUCT = "left_product"
    RESTRICTED = "restricted"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    LISTED_TWICE = "listed_twice"
    UNLISTED = "unlisted"
    STRAY = "stray"

    @property
    def meaning(self) -> Meaning:
        """Its row of the table."""
        return MEANINGS[self]


_GOOD, _OPEN, _WRONG = Standing.GOOD, Standing.OPEN, Standing.WRONG
MEANINGS = {
    Class.CONFIRMED: Meaning(
        _GOOD, "Proven in the journal, and the cloud still says so", "The line did its work.", "Nothing."
    ),
    Class.MEMBER: Meaning(
        _GOOD, "Listed for import only, and in the product", "The import did its work.", "Nothing."
    ),
    Class.SILENT: Meaning(
        _GOOD,
        "Proven and still so, but never heard of again",
        "Packed without power, as most boards are; or dead since.",
        "If it should be in use, power it and look at it in the console.",
        aged=True,
    ),
    Class.RESTORED: Meaning(
        _GOOD, "Taken back on purpose with `provisioner restore`", "A person did it; the journal says who.",
        "Take it off the manifest, or run the manifest to provision it again.",
    ),
    Class.UNKNOWN_PROVEN: Meaning(
        _OPEN,
        "Was unknown; the cloud proves it now",
        "It came online after the run had stopped asking.",
        "`provisioner reconcile --repair` writes the proof into the journal.",
        aged=True,
    ),
    Class.UNKNOWN_OPEN: Meaning(
        _OPEN,
        "Told to connect, or able to by itself, and not proven yet",
        "The factory Wi-Fi, the cloud, or the board; a crash in mid-visit; or it lies without power.",
        "Power it near the factory Wi-Fi and run its manifest again.",
        aged=True,
    ),
    Class.IN_DOUBT: Meaning(
        _OPEN,
        "Its journal does not verify, so its proof does not count",
        "Somebody changed a journal, or a disk did.",
        "Compare that journal with a backup; else run the manifest again: what the cloud proves is proven again.",
    ),
    Class.NOT_VISITED: Meaning(
        _OPEN,
        "In the product, and not finished at any station",
        "Its tray has not been worked, or not to its end.",
        "Bring it to a station and run its manifest again.",
        aged=True,
    ),
    Class.FAILED: Meaning(
        _WRONG,
        "Failed, and not tried again since",
        "The journal says why: `provisioner show DEVICE`.",
        "Do what its failure says, then run its manifest again, or take it off the manifest.",
        aged=True,
    ),
    Class.NOT_IN_PRODUCT: Meaning(
        _WRONG,
        "Listed, and not in the product",
        "It was never imported, or an import lost it.",
        "`provisioner import` its manifest, or `provisioner reconcile --repair`.",
    ),
    Class.OWNER_CHANGED: Meaning(
        _WRONG,
        "Proven, but its owner is another one now, or nobody",
        "Somebody unclaimed or claimed it after the factory.",
        "Ask whoever owns it now. Nothing here ever changes an owner.",
    ),
    Class.LEFT_PRODUCT: Meaning(
        _WRONG,
        "Proven, but no longer in the product",
        "Somebody removed it in the console, or moved it to another product.",
        "If that was a mistake, `provisioner reconcile --repair` imports it again.",
    ),
    Class.RESTRICTED: Meaning(
        _WRONG,
        "Quarantined or denied in its product",
        "Its firmware named the product before it was a member; or a person denied it.",
        "Approve or remove it in the console (Devices, quarantined).",
    ),
    Class.CLAIMED_ELSEWHERE: Meaning(
        _WRONG,
        "Owned by somebody, and no journal of ours says that we did it",
        "Claimed by hand or by another line; or journals are missing.",
        "Ask whoever owns it; or bring the missing journals back into the runs folder.",
    ),
    Class.LISTED_TWICE: Meaning(
        _WRONG,
        "Listed in two manifests",
        "A tray was copied, or a vendor sent a list twice.",
        "Take it out of one of them; `provisioner show DEVICE` names its tray.",
    ),
    Class.UNLISTED: Meaning(
        _WRONG,
        "In our journals, and in no manifest any more",
        "Its manifest was moved, renamed or edited after the run.",
        "Bring the manifest back, or name its folder on the command line.",
    ),
    Class.STRAY: Meaning(
        _WRONG,
        "In the product, and in no manifest and no journal",
        "Added by hand or by another line.",
        "Add it to a manifest, or take it out of the product in the console.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Night:
    """What the questions need beside the three sides. `now` is the cloud's own time."""

    account: str | None
    now: datetime
    silent_after: timedelta
    tolerance: timedelta
    membership: bool = True  # False: devices outside any product, which no list shows


def classify(listed: Listed | None, facts: Facts | None, seen: CloudDevice | None, night: Night) -> Class:
    """The one class of a device that at least one side knows."""
    if listed is None:
        return _unlisted(facts, seen)
    facts = facts or Facts()
    if listed.lists > 1:
        return Class.LISTED_TWICE
    if facts.in_doubt:
        return Class.IN_DOUBT
    if _is_restored(facts, seen):
        return Class.RESTORED
    if seen is not None and (seen.quarantined or seen.denied):
        return Class.RESTRICTED
    return _by_journal(listed, facts, seen, night)


def _by_journal(listed: Listed, facts: Facts, seen: CloudDevice | None, night: Night) -> Class:
    """What the journals' last word is, and whether the cloud agrees."""
    member = seen if seen is not None and (seen.in_product or not night.membership) else None
    if facts.proven:
        return _proven(listed, facts, member, night) if member else Class.LEFT_PRODUCT
    if facts.open:
        return _open(listed, facts, seen, night)
    if member and not listed.needs_visit:
        return Class.MEMBER
    if facts.outcome is Outcome.FAIL:
        return Class.FAILED
    if not member:
        return Class.NOT_IN_PRODUCT
    return Class.CLAIMED_ELSEWHERE if _is_strangely_owned(listed, member, night) else Class.NOT_VISITED


def _is_restored(facts: Facts, seen: CloudDevice | None) -> bool:
    return facts.restored and (seen is None or not seen.in_product or seen.owner is None)


def _unlisted(facts: Facts | None, seen: CloudDevice | None) -> Class:
    if facts is None:
        return Class.STRAY
    return Class.RESTORED if _is_restored(facts, seen) else Class.UNLISTED


def _proven(listed: Listed, facts: Facts, seen: CloudDevice, night: Night) -> Class:
    owner = seen.owner.lower() if seen.owner else None
    if listed.owner is not None and owner != listed.owner:
        return Class.OWNER_CHANGED
    if not listed.needs_visit:
        return Class.MEMBER
    heard = max((at for at in (seen.last_heard, seen.last_handshake_at) if at is not None), default=None)
    since = facts.handshake_at or heard
    if heard is not None and since is not None and heard <= since + night.tolerance:
        return Class.SILENT if night.now - since > night.silent_after else Class.CONFIRMED
    return Class.CONFIRMED


def _open(listed: Listed, facts: Facts, seen: CloudDevice | None, night: Night) -> Class:
    if seen is None or not facts.connecting:  # it was not told to connect, so no connection proves our work
        return Class.UNKNOWN_OPEN
    proven = judge(seen, expectation_of(listed, facts, night)) is Verdict.PROVEN
    return Class.UNKNOWN_PROVEN if proven else Class.UNKNOWN_OPEN


def _is_strangely_owned(listed: Listed, seen: CloudDevice, night: Night) -> bool:
    """A board somebody owns, which the line has not claimed: also if that owner is the one the manifest wants."""
    account = night.account.lower() if night.account else None
    return seen.owner is not None and (seen.owner.lower() != account or listed.owner == account)


def expectation_of(listed: Listed, facts: Facts, night: Night) -> Expectation:
    """What the cloud must show of an open device to prove it."""
    return Expectation(
        device_of(listed),
        night.account,
        membership=night.membership,
        visited=True,
        handshake_before=facts.handshake_before,
        cloud_from=facts.cloud_from,
        tolerance=night.tolerance,
    )


def device_of(listed: Listed) -> ListedDevice:
    """The manifest's row again, as the stages of the line take it."""
    claim = ClaimPolicy(ClaimTo(listed.claim))
    owner = listed.owner if claim.to in (ClaimTo.CUSTOMER, ClaimTo.ONLINE) else None
    return ListedDevice(
        DeviceID(listed.device),
        listed.tray,
        listed.slot,
        listed.serial,
        claim,
        owner,
        "listed" if listed.needs_visit else None,
        listed.takeover,
    )
