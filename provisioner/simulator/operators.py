"""The people of the simulated factory: they put boards on the bench near the stations and take them away.

Rule 1: at most `boards_max` boards that still wait for a station are on the bench, so that the air stays usable.
Rule 2: a board that has left listening mode makes room for the next; it stays powered on the rack, where it comes
online. A board that nobody works for `patience_s` is set aside, without power.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice
from provisioner.simulator.photon.sim_photon import SimPhoton


class Bench(Protocol):
    """Where boards are powered."""

    clock: SimClock
    dice: Dice

    def present(self, photon: SimPhoton) -> None:
        """Power a board, in listening mode."""
        ...

    def remove(self, photon: SimPhoton) -> None:
        """Take its power away."""
        ...


@dataclass(frozen=True, slots=True)
class Habits:
    """How the operators work; in simulated seconds."""

    boards_max: int = 12
    handling_s: tuple[float, float] = (1.0, 4.0)
    patience_s: float = 900.0


class Operators:
    """`set_aside` is what they gave up on."""

    def __init__(self, bench: Bench, habits: Habits) -> None:
        self.set_aside: list[SimPhoton] = []
        self._bench = bench
        self._habits = habits

    async def work(self, boards: Iterable[SimPhoton]) -> None:
        """Bring every board once, in order; returns when none of them is waiting on the bench any more."""
        room = trio.Semaphore(self._habits.boards_max)
        dice = self._bench.dice.of("operators")
        async with trio.open_nursery() as nursery:
            for board in boards:
                await room.acquire()
                await self._bench.clock.sleep(dice.uniform(*self._habits.handling_s))
                self._bench.present(board)
                nursery.start_soon(self._watch, board, room)

    async def _watch(self, board: SimPhoton, room: trio.Semaphore) -> None:
        with trio.move_on_after(self._habits.patience_s / self._bench.clock.speed):
            await board.left_listening.wait()
        if not board.left_listening.is_set():
            self.set_aside.append(board)
            self._bench.remove(board)
        room.release()
