"""What the journals, and the cloud's own counts, must add up to, whatever was injected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from check_world import History
from journal_words import FINALS, Run, Words
from seed_world import Played

from provisioner.simulator.cloud.state import What
from provisioner.simulator.photon.history import Event


def one_outcome_each(played: Played, words: Words, history: History) -> Iterator[str]:
    """I4: a run that closed its books has exactly one outcome for each device, and its sums match.

    One that the site kept from beginning (it has not read its product) leaves all of them pending.
    """
    listed = {row.device for row in played.listed}
    for run in words.runs:
        begun = any(word.device is not None for word in run.words)
        if run.whole and begun and run.words[0].extra.get("command") == "run":
            yield from _run_adds_up(run, listed)


def _run_adds_up(run: Run, listed: set[str]) -> Iterator[str]:
    ends: dict[str, str] = {}
    for word in run.words:
        if word.device is not None and word.event in FINALS and word.outcome is not None:
            ends[word.device] = word.outcome.value
    if missing := listed - ends.keys():
        yield f"I4: run {run.name} gives {len(missing)} devices no outcome, {min(missing)} among them"
    told = {key: value for key, value in run.words[-1].extra["counts"].items() if value}
    if told != dict(Counter(ends.values())):
        yield f"I4: run {run.name} says {told}, its records give {dict(Counter(ends.values()))}"


def journals_verify(played: Played, words: Words, history: History) -> Iterator[str]:
    """I12: every journal is a chain; only one whose program died may end in a torn line, and the next run cuts it."""
    yield from words.broken
    for run in words.runs[:-1]:
        if run.torn:
            yield f"I12: run {run.name} still ends in a torn line although a later one has begun"


def no_head_accuses(played: Played, words: Words, history: History) -> Iterator[str]:
    """I12: no crash makes a journal look as if somebody had cut it: the head beside it is at most as far."""
    for run in words.runs:
        if not run.words:
            continue  # the power failed before its first record
        if run.head is None:
            yield f"I12: run {run.name} has no head that can be read"
        elif run.head[0] > len(run.words):
            yield f"I12: run {run.name} has {len(run.words)} records, its head says {run.head[0]}"
        elif run.head[0] and run.words[run.head[0] - 1].extra["hash"] != run.head[1]:
            yield f"I12: the head of run {run.name} is of another chain"


def proofs_last(played: Played, words: Words, history: History) -> Iterator[str]:
    """I6: what one run has shown as proven, every later one shows as proven."""
    passed: set[str] = set()
    for run in words.runs:
        if not run.words or run.words[0].extra.get("command") != "run":
            continue
        ends = {w.device: w.outcome.value for w in run.words if w.event in FINALS and w.outcome is not None}
        for device in sorted(passed & ends.keys()):
            if ends[device] != "pass":
                yield f"I6: {device} was proven, and ends as {ends[device]} in run {run.name}"
        passed |= {device for device, end in ends.items() if end == "pass"}


def effects_are_not_doubled(played: Played, words: Words, history: History) -> Iterator[str]:
    """I5: no device is imported twice and no customer made twice; codes go to a device once a visit, not oftener."""
    for device, times in history.imported.items():
        if times > 1:
            yield f"I5: {device} was imported {times} times"
    for customer, times in history.customers.items():
        if times > 1:
            yield f"I5: customer {customer} was made {times} times"
    visits: Counter[str] = Counter()
    for word in words:
        if word.event == "device.identified":
            visits[word.device] += 1
    given: Counter[str] = Counter()
    for device, writes in history.writes.items():
        given[device] = len({write.detail for write in writes if write.event is Event.CLAIM_CODE_SET})
        if given[device] > visits[device]:
            yield f"I5: {device} got {given[device]} codes in {visits[device]} visits"
    yield from _codes_wasted(played, words, given)


def _codes_wasted(played: Played, words: Words, given: Counter[str]) -> Iterator[str]:
    """What lies ready when a run ends is lost: at most one for each station and each owner; and every lost answer."""
    minted = sum(1 for _ in played.cloud.history.of(What.CODE_MINTED))
    lost = sum("claim_codes" in one.detail for one in played.cloud.history.of(What.ANSWER_LOST))
    asleep = sum(note.what == "the computer sleeps" for note in played.notes)
    hung = sum(note.what in _SWALLOWS for note in played.notes)
    owners = len({tray.owner for tray in played.plan.trays if tray.owner is not None})
    starts = sum(not life.night for life in played.lives)
    ready = played.plan.stations * owners + 2 * played.plan.stations
    if (wasted := minted - given.total() - lost - hung) > ready * (starts + asleep):
        yield f"I5: {minted} codes made, {given.total()} given: {wasted} wasted in {starts} starts"


_SWALLOWS = ("answers drip",)


def limits_are_kept(played: Played, words: Words, history: History) -> Iterator[str]:
    """I8: the site stays below the cloud's limits and is never locked out."""
    limits = played.cloud.limits
    for name, count in (("requests", limits.requests), ("token calls", limits.token_calls)):
        if count.peak >= count.limit:
            yield f"I8: {count.peak} {name} in five minutes"
    if any(played.cloud.history.of(What.LOCKED_OUT)):
        yield "I8: the site was locked out"


def nothing_follows_a_dead_disk(played: Played, words: Words, history: History) -> Iterator[str]:
    """I13, F4: after the first record that did not get onto the disk, no device is written to and nothing is made in
    the cloud, but for what was under way already."""
    for life in played.lives:
        if life.failed_s is None:
            continue
        until_s, from_s = life.ended_world_s, life.failed_s + _UNDER_WAY_S
        for device, writes in history.writes.items():
            late = [write for write in writes if from_s < write.at_s < until_s]
            if late:
                after_s = late[0].at_s - life.failed_s
                yield f"I13: {device} was {late[0].event} {after_s:.1f} s after the disk had failed"
        for happening in played.cloud.history:
            if happening.what in _MADE and from_s < happening.at_s < until_s:
                yield f"I13: {happening.what} {happening.at_s - life.failed_s:.1f} s after the disk had failed"


_UNDER_WAY_S = 8.0  # a command or a request that had left before
_MADE = (What.CODE_MINTED, What.IMPORTED, What.CUSTOMER_CREATED)
