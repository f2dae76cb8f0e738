"""Every fault of the simulated world that struck, in order of time: the truth behind "what was injected".

Rule 1: whoever rolls a fault notes it here in the same step; what is not here was not injected.
Rule 2: a fault has the name of its number in `Faults` (or of its firmware's field), and the device or the adapter it
struck. What the cloud does to requests stands in the cloud's own history: a request has no device.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.simulator.clock import SimClock


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: `at_s` in the world clock's seconds; `device` and `adapter` are empty where it concerned none."""

    at_s: float
    fault: str
    device: str = ""
    adapter: str = ""


class Strikes(list[Strike]):
    """All of them, oldest first."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    def note(self, fault: str, *, device: str = "", adapter: str = "") -> None:
        """A fault struck just now."""
        self.append(Strike(self._clock.seconds(), fault, device, adapter))
