"""All checkers, each with the invariants it judges: `judged` runs them on one seed's outcome."""

from __future__ import annotations

from collections import Counter

import check_books
import check_bytes
import check_ends
import check_world
import journal_words
from seed_world import Played

CHECKERS = {
    check_world.no_false_pass: ("I1", "I6"),
    check_world.codes_go_one_way: ("I2", "I3"),
    check_books.one_outcome_each: ("I4",),
    check_ends.the_night_counts_them: ("I4",),
    check_ends.every_device_ends_as_it_must: ("I5",),
    check_world.every_write_was_intended: ("I5",),
    check_books.effects_are_not_doubled: ("I5",),
    check_books.proofs_last: ("I6",),
    check_world.nobody_elses_device_is_touched: ("I7",),
    check_world.strangers_are_left_alone: ("I7",),
    check_books.limits_are_kept: ("I8",),
    check_bytes.no_secret_is_written: ("I9",),
    check_bytes.no_raw_control_bytes: ("I10",),
    check_world.one_adapter_one_device: ("I11",),
    check_books.journals_verify: ("I12",),
    check_books.no_head_accuses: ("I12",),
    check_world.doubt_is_not_done: ("I13",),
    check_books.nothing_follows_a_dead_disk: ("I13",),
}


def judged(played: Played) -> tuple[list[str], Counter[str]]:
    """What is wrong, and how often each invariant was judged (once a device for those that concern devices)."""
    words, history = journal_words.read(played.runs_dir), check_world.History(played)
    wrong, counts = list(played.violations), Counter()
    for checker, invariants in CHECKERS.items():
        wrong += checker(played, words, history)
        for invariant in invariants:
            counts[invariant] += len(played.listed)
    counts["I8"] += len(played.lives)
    return wrong, counts
