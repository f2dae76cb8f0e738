"""The page over a run of another process, or one that has ended: the screen is folded from its journal's file.

Rule 1: it reads and never writes; orders are refused with where to give them.
Rule 2: without a named run it shows the newest, and goes over to a newer one by itself: a wall screen needs no hands.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

import trio

from provisioner.console.board import clock_of
from provisioner.console.view import Screen
from provisioner.console.web.feed import Feed
from provisioner.console.web.life import LifeDesk
from provisioner.console.web.pages import Desk, page_app
from provisioner.console.web.server import Address, served
from provisioner.journal.reader import Mark, RunFolder, newest_shift, replay, runs

LOOK_S: Final = 0.25
NEWER_S: Final = 1.0
_AT_ONCE: Final = 500  # records between two chances for the page


class Follower:
    """Folds one run's journal as it grows. `run_id` None: the newest shift, whichever that is."""

    def __init__(self, runs_dir: Path, run_id: str | None, wall: Callable[[], datetime]) -> None:
        self.screen = Screen()
        self.feed = Feed(self.screen, lambda: clock_of(self.screen, wall()))
        self._runs_dir = runs_dir
        self._run_id = run_id
        self._folder: RunFolder | None = None
        self._mark = Mark()

    def journal(self) -> Path | None:
        """The journal that is shown now."""
        return self._folder.journal if self._folder is not None else None

    async def follow(self) -> None:
        """Until cancelled. Raises JournalError for a journal that does not verify."""
        looked_s = float("-inf")
        while True:
            if trio.current_time() - looked_s >= NEWER_S:
                looked_s = trio.current_time()
                self._choose()
            if self._folder is not None:
                await self._read(self._folder)
            await trio.sleep(LOOK_S)

    def _choose(self) -> None:
        if self._run_id is not None and self._folder is not None:
            return
        if self._run_id is None:
            wanted = newest_shift(self._runs_dir)
        else:
            wanted = next((run for run in runs(self._runs_dir) if run.id == self._run_id), None)
        if wanted is not None and (self._folder is None or wanted.id != self._folder.id):
            self._folder, self._mark = wanted, Mark()

    async def _read(self, folder: RunFolder) -> None:
        if folder.journal.stat().st_size <= self._mark.bytes:
            return
        with closing(replay(folder.journal, self._mark)) as records:
            for number, record in enumerate(records, 1):
                self.screen.see(record)
                if number % _AT_ONCE == 0:
                    self.feed.notice()
                    await trio.lowlevel.checkpoint()
            self._mark = records.mark
        self.feed.notice()


async def watch(
    address: Address, runs_dir: Path, run_id: str | None, *, wall: Callable[[], datetime], stop: trio.Event
) -> None:
    """Serve the page over a run until `stop`. Raises JournalError."""
    follower = Follower(runs_dir, run_id, wall)
    life = LifeDesk(runs_dir, follower.journal, lambda _: None)
    app = page_app(follower.feed, address.guard, Desk(life=life.life), run=lambda: follower.screen.run)
    async with served(app, follower.feed, address), trio.open_nursery() as nursery:
        nursery.start_soon(follower.follow)
        await stop.wait()
        nursery.cancel_scope.cancel()
