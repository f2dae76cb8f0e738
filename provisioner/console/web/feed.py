"""The screen for browsers: parts with versions, and to each reader what it has not seen yet.

Rule 1: a reader never slows the line. Nothing is queued for it: when it is ready it gets the newest state of what has
changed since its last message, so a reader that lags for an hour is one message behind, like every other.
Rule 2: what happens within a fifth of a second goes out as one message.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final

import trio

from provisioner.console.board import Gauges, parts_of
from provisioner.console.view import Screen
from provisioner.journal.fields import JSON, Record

TICK_S: Final = 0.2
BEAT_S: Final = 3.0  # a page that hears nothing for three beats says so: an old screen must not look alive
READERS_MAX: Final = 32
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Feed:
    """One screen's parts. `now_ms` is the journal's clock; `notice` is called, or subscribed, for every change."""

    def __init__(
        self, screen: Screen, now_ms: Callable[[], int], gauges: Callable[[], Gauges | None] = lambda: None
    ) -> None:
        self.readers = 0
        self._screen = screen
        self._now_ms = now_ms
        self._gauges = gauges
        self._run = ""
        self._epoch = 0  # another run, another epoch: nothing of the old one is left on a page
        self._version = 0
        self._parts: dict[str, tuple[int, str]] = {}
        self._noticed = trio.Event()
        self._changed = trio.Event()
        self._came = trio.Event()
        self._left = trio.Event()
        self.closed = False

    # --- from the line ---

    def notice(self, record: Record | None = None) -> None:
        """Something has changed. Cheap: it is called for every record."""
        if not self._noticed.is_set():
            self._noticed.set()

    async def pump(self) -> None:
        """Keep the parts up to date while anybody reads; until cancelled."""
        while True:
            await self._came.wait()
            with trio.move_on_after(1.0):  # rates and what is left of the cloud's limit change without a record
                await self._noticed.wait()
            self.refresh()
            await trio.sleep(TICK_S)

    def refresh(self) -> None:
        """Bring the parts up to date now."""
        self._noticed = trio.Event()
        if self._screen.run != self._run:
            self._run, self._parts = self._screen.run, {}
            self._epoch += 1
        version = self._version + 1
        gone = set(self._parts)
        for name, value in self._all():
            gone.discard(name)
            text = _COMPACT.encode(value)
            known = self._parts.get(name)
            if known is None or known[1] != text:
                self._parts[name] = version, text
                self._version = version
        for name in gone:
            if self._parts[name][1] != "null":
                self._parts[name] = version, "null"
                self._version = version
        if self._version == version:
            self._changed.set()
            self._changed = trio.Event()

    def _all(self) -> Iterable[tuple[str, JSON]]:
        return parts_of(self._screen, self._now_ms(), self._gauges())

    # --- to the readers ---

    def snapshot(self) -> str:
        """Everything, as one JSON object."""
        self.refresh()
        return self._message(0, whole=True)

    async def messages(self) -> AsyncGenerator[str, None]:
        """What one reader gets: everything, then what changes, and at the end goodbye. Server-sent events."""
        self.readers += 1
        self._came.set()
        try:
            whole_of_it = self.snapshot()
            seen, epoch = self._version, self._epoch  # before it is given out: the reader may take its time
            yield _event("parts", whole_of_it)
            while not self.closed:
                if seen == self._version and epoch == self._epoch:
                    with trio.move_on_after(BEAT_S) as beat:
                        await self._changed.wait()
                    if beat.cancelled_caught:
                        yield _event("beat", f'{{"now":{self._now_ms()}}}')
                        continue
                whole, since = epoch != self._epoch, seen
                seen, epoch = self._version, self._epoch
                yield _event("parts", self._message(since, whole=whole))
            self.refresh()
            yield _event("parts", self._message(seen, whole=epoch != self._epoch)) + _event("bye", "{}")
        finally:
            self.readers -= 1
            if not self.readers:
                self._came = trio.Event()
                self._left.set()
                self._left = trio.Event()

    def _message(self, since: int, *, whole: bool) -> str:
        since = 0 if whole else since
        parts = ",".join(
            f"{_COMPACT.encode(name)}:{text}"
            for name, (version, text) in self._parts.items()
            if version > since and not (whole and text == "null")
        )
        run = _COMPACT.encode(self._run)
        return f'{{"run":{run},"now":{self._now_ms()},"whole":{"true" if whole else "false"},"parts":{{{parts}}}}}'

    async def close(self, *, within_s: float) -> None:
        """Say goodbye to every reader; who has not taken it within that time is left behind."""
        self.closed = True
        self._changed.set()
        with trio.move_on_after(within_s):
            while self.readers:
                await self._left.wait()


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
