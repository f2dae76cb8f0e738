"""Asks the cloud whether it is back while the line is held for it; says when only a person can end that.

Rule 1: one probe at a time, each with a deadline; what the line does meanwhile is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from provisioner.cloud.client import CloudClient
from provisioner.line.hold import LineHold
from provisioner.line.uplink import Uplink


@dataclass(frozen=True)
class SiteWatch:
    """`probe_s`: between two questions, and at most for one. `hold_max_s`: after that a person is needed."""

    hold: LineHold
    cloud: CloudClient
    uplink: Uplink
    probe_s: float
    hold_max_s: float

    async def until_held_for_good(self, released: Callable[[], None]) -> None:
        """Release the line each time the cloud is back, and say so; return when nothing but a person can."""
        while not self.hold.for_good:
            await self.hold.wait_held()
            held_s = trio.current_time()
            while self.hold.reason is not None and not self.hold.for_good:
                if await self._cloud_answers():
                    self.hold.release()
                    released()
                    continue
                self.hold.announce()
                if trio.current_time() - held_s > self.hold_max_s:
                    self.hold.give_up()
                else:
                    await trio.sleep(self.probe_s)

    async def _cloud_answers(self) -> bool:
        """Ask the first question. A pause that the cloud asked for (429) can outlast it: people must hear of that."""
        answers = False
        with trio.move_on_after(self.probe_s):
            async with self.uplink.present():
                answers = await self.cloud.reachable()
        return answers
