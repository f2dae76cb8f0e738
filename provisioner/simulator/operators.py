"""The people of the simulated factory: they put boards on the benches near the stations and take them away.

Rule 1: at most `boards_max` boards that still wait for a station are on the benches, so that the air stays usable.
Rule 2: a board that has left listening mode makes room for the next; it stays powered on the rack, where it comes
online. A board that nobody works for `patience_s` is set aside, without power.
Rule 3: with `pack_after_s`, a board that breathes cyan for so long is packed: switched off and forgotten, so that a
factory of a hundred thousand boards holds no more of them than lie on its benches and racks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from provisioner.simulator.clock import SimClock
from provisioner.simulator.faults import Dice
from provisioner.simulator.photon.sim_photon import SimPhoton
from provisioner.simulator.radio import BENCH


class Factory(Protocol):
    """Where boards are powered."""

    clock: SimClock
    dice: Dice

    def present(self, photon: SimPhoton, bench: str) -> None:
        """Power a board on a bench, in listening mode."""
        ...

    def remove(self, photon: SimPhoton) -> None:
        """Take its power away."""
        ...

    def forget(self, photon: SimPhoton) -> None:
        """It has left the factory."""
        ...


@dataclass(frozen=True, slots=True)
class Habits:
    """How the operators work; in simulated seconds. `hands`: how many boards are carried at once."""

    boards_max: int = 12
    handling_s: tuple[float, float] = (1.0, 4.0)
    patience_s: float = 900.0
    hands: int = 1
    benches: Sequence[str] = (BENCH,)
    pack_after_s: float | None = None


class Operators:
    """`set_aside` is what they gave up on; `packed` how many boards went out."""

    def __init__(self, factory: Factory, habits: Habits) -> None:
        self.set_aside: list[SimPhoton] = []
        self.packed = 0
        self._factory = factory
        self._habits = habits

    async def work(self, boards: Iterable[SimPhoton]) -> None:
        """Bring every board once, in order; returns when none of them is waiting on a bench or rack any more."""
        habits = self._habits
        share = max(1, habits.boards_max // len(habits.benches))
        rooms = {bench: trio.Semaphore(share) for bench in habits.benches}
        waiting = iter(boards)
        async with trio.open_nursery() as nursery:
            for hand in range(max(habits.hands, len(habits.benches))):
                bench = habits.benches[hand % len(habits.benches)]
                nursery.start_soon(self._carry, hand, waiting, bench, rooms[bench], nursery)

    async def _carry(
        self, hand: int, boards: Iterator[SimPhoton], bench: str, room: trio.Semaphore, nursery: trio.Nursery
    ) -> None:
        """One pair of hands: the next board to its bench, as soon as there is room."""
        dice = self._factory.dice.of("operators", hand)
        while True:
            await room.acquire()
            board = next(boards, None)
            if board is None:
                return
            await self._factory.clock.sleep(dice.uniform(*self._habits.handling_s))
            self._factory.present(board, bench)
            nursery.start_soon(self._watch, board, room)

    async def _watch(self, board: SimPhoton, room: trio.Semaphore) -> None:
        with trio.move_on_after(self._habits.patience_s / self._factory.clock.speed):
            await board.left_listening.wait()
        if board.left_listening.is_set():
            room.release()
            await self._pack(board)
            return
        self.set_aside.append(board)
        self._factory.remove(board)
        room.release()

    async def _pack(self, board: SimPhoton) -> None:
        """Look at the rack from time to time; what breathes cyan goes out, what does not for too long is set aside."""
        pause_s = self._habits.pack_after_s
        if pause_s is None:
            return
        began_s = self._factory.clock.seconds()
        while not board.online and self._factory.clock.seconds() < began_s + self._habits.patience_s:
            await self._factory.clock.sleep(pause_s)
        await self._factory.clock.sleep(pause_s)
        if board.online:
            self.packed += 1
        else:
            self.set_aside.append(board)
        self._factory.remove(board)
        self._factory.forget(board)
