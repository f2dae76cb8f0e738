"""One for the whole site: who may ask the cloud next. The limits are counted per public address, not per station.

Rule 1: in any five minutes no more than the limit goes out, and a line that always has work gets at least nine tenths
of it (facts: particle-cloud 11: 10,000 requests and 100 token calls).
Rule 2: two queues, each first come, first served. The line (reads, claim codes, tokens) goes before bulk (import
chunks, list pages), but when bulk waits it gets every fifth turn, so neither starves.
Rule 3: a 429 or 529 stops everybody: asking again at once does not help. The pause doubles while it repeats; after
`_CALM_ANSWERS` answers or a calm minute the next is a short one again, or a cloud that says 429 now and then would
stand still for most of a shift.
Rule 4: no task of its own. One of those who wait keeps the door; if it is cancelled, the next one does.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

import trio

from provisioner.pacing import TokenBucket

WINDOW_S = 300.0
COOL_DOWN_FIRST_S = 5.0
COOL_DOWN_LONGEST_S = 120.0
_LONGEST = COOL_DOWN_LONGEST_S / COOL_DOWN_FIRST_S  # pauses grow to so many times the first
_CALM = 12.0  # so many first pauses without a 429, and the next pause is a short one again
_CALM_ANSWERS = 20  # so many answers without a 429 also make the next pause a short one
_BULK_EVERY = 5


class Kind(enum.StrEnum):
    """What a turn is for."""

    LINE = "line"
    BULK = "bulk"
    TOKEN = "token"  # noqa: S105 - not a password; counts against both limits


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters for the view. `cooling_s` is what is left of a pause, in seconds; `left` of the `most` requests that
    may go out in five minutes are still to be had."""

    line: int
    bulk: int
    token: int
    cool_downs: int
    waiting: int
    cooling_s: float
    left: int
    most: int


def bucket_of(limit: int, *, burst_share: float) -> TokenBucket:
    """A bucket that lets at most `limit` through in any closed window of five minutes.

    burst + 300 * rate is kept just under limit + 1, which whole requests round down.
    """
    burst = max(1, int(limit * burst_share))
    return TokenBucket(per_second=(limit - burst + 0.9) / (WINDOW_S + 1), burst=burst)


class _Ticket:
    """One who waits. `nudged` means: called, or come and keep the door."""

    __slots__ = ("called", "nudged")

    def __init__(self) -> None:
        self.called = False
        self.nudged = trio.Event()


class Governor:
    """Hands out turns. `turn` returns when one request of that kind may go out."""

    def __init__(
        self, *, requests_per_5min: int, token_calls_per_5min: int, first_pause_s: float = COOL_DOWN_FIRST_S
    ) -> None:
        self._first_pause_s = first_pause_s
        self._requests = bucket_of(requests_per_5min, burst_share=1 / 20)
        self._token_calls = bucket_of(token_calls_per_5min, burst_share=1 / 10)
        self._line: deque[_Ticket] = deque()
        self._bulk: deque[_Ticket] = deque()
        self._token_door = trio.StrictFIFOLock()
        self._door_kept = False
        self._line_in_a_row = 0
        self._cooling_until_s = float("-inf")
        self._cool_downs_in_a_row = 0
        self._cool_downs = 0
        self._answers_in_a_row = 0
        self._turns = dict.fromkeys(Kind, 0)
        self._most = requests_per_5min
        self._lately: deque[tuple[int, int]] = deque()  # (a tenth of the window, turns in it)

    @property
    def traffic(self) -> Traffic:
        """What went through so far."""
        return Traffic(
            line=self._turns[Kind.LINE],
            bulk=self._turns[Kind.BULK],
            token=self._turns[Kind.TOKEN],
            cool_downs=self._cool_downs,
            waiting=len(self._line) + len(self._bulk),
            cooling_s=max(0.0, self._cooling_until_s - trio.current_time()),
            left=max(0, self._most - sum(turns for tenth, turns in self._lately if tenth > self._tenth() - 10)),
            most=self._most,
        )

    @staticmethod
    def _tenth() -> int:
        return int(trio.current_time() // (WINDOW_S / 10))

    def _count(self, kind: Kind) -> None:
        self._turns[kind] += 1
        tenth = self._tenth()
        if self._lately and self._lately[-1][0] == tenth:
            self._lately[-1] = (tenth, self._lately[-1][1] + 1)
        else:
            self._lately.append((tenth, 1))
            while self._lately[0][0] <= tenth - 10:
                self._lately.popleft()

    async def turn(self, kind: Kind) -> None:
        """Wait until one request of that kind may go out. A cancelled wait costs the others nothing."""
        if kind is Kind.TOKEN:
            # The lock is held until the turn comes: a pause must not let token calls gather and go out together.
            async with self._token_door:
                await trio.sleep(self._token_calls.wait_s(trio.current_time()))
                await self._wait_in(self._line)
                self._token_calls.take(trio.current_time())
        else:
            await self._wait_in(self._bulk if kind is Kind.BULK else self._line)
        self._count(kind)

    async def _wait_in(self, queue: deque[_Ticket]) -> None:
        ticket = _Ticket()
        queue.append(ticket)
        try:
            while not ticket.called:
                if self._door_kept:
                    await ticket.nudged.wait()
                    ticket.nudged = trio.Event()
                else:
                    await self._keep_door()
        finally:
            if not ticket.called:
                queue.remove(ticket)
            self._nudge_next()

    def answered(self) -> None:
        """The cloud took a request: it was not too many. One that was under way when a pause began says nothing."""
        if trio.current_time() >= self._cooling_until_s:
            self._answers_in_a_row += 1

    def cool_down(self, retry_after_s: float | None = None) -> None:
        """Pause everybody after a 429 or 529. Those that were under way together count as one."""
        now_s = trio.current_time()
        asked_s = min(retry_after_s or 0.0, self._first_pause_s * _LONGEST)
        if now_s >= self._cooling_until_s:
            calm = (
                self._answers_in_a_row >= _CALM_ANSWERS or now_s - self._cooling_until_s > self._first_pause_s * _CALM
            )
            self._cool_downs_in_a_row = 1 if calm else self._cool_downs_in_a_row + 1
            self._cool_downs += 1
            own_s = self._first_pause_s * 2.0 ** min(self._cool_downs_in_a_row - 1, 16)
            asked_s = max(asked_s, min(own_s, self._first_pause_s * _LONGEST))
        self._answers_in_a_row = 0
        self._cooling_until_s = max(self._cooling_until_s, now_s + asked_s)

    async def _keep_door(self) -> None:
        """Sleep until a request may go out, then decide whose it is: who came meanwhile counts too."""
        self._door_kept = True
        try:
            await trio.lowlevel.checkpoint()
            while (opens_s := self._opens_s()) > trio.current_time():  # noqa: ASYNC110 - a pause may begin meanwhile
                await trio.sleep_until(opens_s)
            self._requests.take(trio.current_time())
            self._call_next()
        finally:
            self._door_kept = False

    def _opens_s(self) -> float:
        now_s = trio.current_time()
        return max(self._cooling_until_s, now_s + self._requests.wait_s(now_s))

    def _call_next(self) -> None:
        bulks_turn = bool(self._bulk) and (not self._line or self._line_in_a_row >= _BULK_EVERY - 1)
        self._line_in_a_row = 0 if bulks_turn or not self._bulk else self._line_in_a_row + 1
        ticket = (self._bulk if bulks_turn else self._line).popleft()
        ticket.called = True
        ticket.nudged.set()

    def _nudge_next(self) -> None:
        """Somebody left: if nobody keeps the door, wake one who can."""
        if not self._door_kept and (waiting := self._line or self._bulk):
            waiting[0].nudged.set()
