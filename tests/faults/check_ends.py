"""How every device must end, by what it is: what befell the line on the way must not show in the end.

Reads the manifest's rows and their natures from the plan, the journals' last word on each device, and the night's.
"""

from __future__ import annotations

from collections.abc import Iterator

from check_world import History
from journal_words import Words
from seed_plan import Nature, Policy
from seed_world import Listed, Played, twins_of

_PROVEN = {"confirmed"}
# What it is -> the outcomes it may end with, and the classes of the night.
ENDS = {
    Nature.GOOD: ({"pass"}, {"confirmed"}),
    Nature.ALLOWED: ({"pass"}, {"confirmed"}),
    Nature.BAD_KEY: ({"fail"}, {"failed"}),
    Nature.OTHERS: ({"fail"}, {"failed"}),
    Nature.OUTSIDE: ({"fail"}, {"failed"}),
    Nature.UNHEARD: ({"fail"}, {"failed"}),
    Nature.PROTECTED: ({"fail"}, {"failed"}),
    Nature.QUARANTINED: ({"pass"}, {"confirmed"}),  # the import approves it: it stands in the manifest
    Nature.DENIED: ({"pass"}, {"confirmed"}),
}
# Stolen before its turn it is refused; after it, proven for an owner it no longer has; in between, the cloud says so.
STOLEN = {("fail", "failed"), ("pass", "owner_changed")}
STOLEN_OF_NOBODY = {("fail", "failed"), ("pass", "confirmed")}  # nobody in particular shall own it
# Behind a stronger unit with its BSSID nobody finds it (again): with the Wi-Fi stored it may go online by itself.
UNSEEN = ("not_visited", "claimed_elsewhere", "failed", "unknown_open", "good")


def every_device_ends_as_it_must(played: Played, words: Words, history: History) -> Iterator[str]:
    """I5: after a calm day and a night each device is what an uninterrupted line would have made of it."""
    twins = twins_of(played.listed, played.strangers)
    for row in played.listed:
        said, found = words.last_outcome.get(row.device, "nothing"), played.classes.get(row.device, "good")
        unseen = row.device in twins and said in ("skipped", "fail", "unknown") and found in UNSEEN
        if not unseen and not _fits(played, row, said, found, history):
            told = words.last_code.get(row.device, "")
            yield f"I5: {row.device} ({row.nature}, {row.tray.policy.name}) ends as {said} {told}, class {found}"


def _fits(played: Played, row: Listed, said: str, found: str, history: History) -> bool:
    nature = row.nature
    if nature is Nature.STOLEN and row.device not in played.stolen_s:
        nature = Nature.GOOD  # the shift was over before anybody came for it
    if nature is Nature.STOLEN:
        good = "confirmed" if found == "good" else found
        ours_again = any(device == row.device for device, *_ in history.taken)  # its code was under way already
        return ours_again or (said, good) in (STOLEN_OF_NOBODY if row.tray.owner is None else STOLEN)
    outcomes, classes = ENDS[nature]
    good_classes = {"member"} if row.tray.policy is Policy.IMPORT_ONLY else {"confirmed"}
    return said in outcomes and (found in classes or (found == "good" and bool(classes & (good_classes | _PROVEN))))


def the_night_counts_them(played: Played, words: Words, history: History) -> Iterator[str]:
    """I4: the night's classes sum to the manifest, and its good ones are the devices that passed."""
    if played.morning is None or played.morning.partial is not None:
        yield "I4: the last night did not come to its end"
        return
    tally = played.morning.tally
    classes = {kind.value: count for kind, count in tally.classes.items()}
    if tally.classes.total() != len(played.listed) + tally.outside:
        yield f"I4: the night counts {tally.classes.total()} devices, listed are {len(played.listed)}"
    good = len(played.listed) - sum(row.device in played.classes for row in played.listed)
    told = sum(classes.get(kind, 0) for kind in ("confirmed", "member", "silent", "restored"))
    if good != told:
        yield f"I4: {good} listed devices are in no finding, and the night counts {told} good ones"
