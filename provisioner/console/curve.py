"""Yield and takt over a shift, in a bounded number of steps. Pure.

Rule 1: at most `STEPS_MAX` steps: when a shift outgrows them, two neighbours become one and a step is twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

STEPS_MAX: Final = 96
FIRST_STEP_MS: Final = 15_000


@dataclass(slots=True)
class Step:
    """Devices that ended in one step of time."""

    passes: int = 0
    fails: int = 0
    unproven: int = 0

    def add(self, other: Step) -> None:
        """Take another step in."""
        self.passes += other.passes
        self.fails += other.fails
        self.unproven += other.unproven


@dataclass(slots=True)
class Curve:
    """Steps of equal length from the beginning of the journal on."""

    step_ms: int = FIRST_STEP_MS
    steps: list[Step] = field(default_factory=list)

    def add(self, mono_ms: int, ended: Step) -> None:
        """Count one device's end, at `mono_ms` of the journal's clock."""
        while mono_ms // self.step_ms >= STEPS_MAX:
            self._halve()
        number = max(0, mono_ms // self.step_ms)
        while len(self.steps) <= number:
            self.steps.append(Step())
        self.steps[number].add(ended)

    def _halve(self) -> None:
        self.step_ms *= 2
        halved = self.steps[::2]
        for left, right in zip(halved, self.steps[1::2], strict=False):
            left.add(right)
        self.steps = halved
