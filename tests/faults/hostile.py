"""Hostile inputs to every parser and every output, and hostile servers: `python tests/faults --hostile N`.

N cases for each target; what a target must hold stands beside it in `hostile_parsers`, `hostile_sinks` and
`hostile_servers`. The seed is drawn anew each time and told, so that nights add up.
"""

from __future__ import annotations

import random
import traceback
from collections import Counter

import hostile_parsers
import hostile_sinks
import hypothesis
from hypothesis import HealthCheck, given, settings
from report import Part, Row

TARGETS = [*hostile_parsers.TARGETS, *hostile_sinks.TARGETS]
_WORDS_MAX = 400


def attack(target, cases, seed=None):
    """Run so many cases against one target; what became of them. Raises what the target may never do."""
    became = Counter()

    # Hypothesis keeps no database: a failing case is written into a test of its own.
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=seed is None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(target.inputs)
    def each(case):
        became[target.attack(case)] += 1

    if seed is not None:
        each = hypothesis.seed(seed)(each)
    each()
    return became


def run(wishes):
    """All targets; a target that fails is told, and the others go on."""
    seed = random.SystemRandom().randrange(1_000_000)
    part = Part("hostile bytes", told=f"{wishes.hostile:,} cases for each of {len(TARGETS)} targets, seed {seed}")
    for target in TARGETS:
        row = Row(target.fault, target.what)
        part.rows.append(row)
        try:
            row.became = attack(target, wishes.hostile, seed)
        except Exception:  # noqa: BLE001 - whatever it is: it is told, and the next one has its turn
            why = " ".join(traceback.format_exc(limit=-3).split())[-_WORDS_MAX:]
            part.violations.append(
                f"{target.what}: {why} (seed {seed}; python tests/faults --hostile {wishes.hostile})"
            )
        row.times = row.became.total()
        row.runs = row.times
        part.checked[target.holds] += row.times
    return part
