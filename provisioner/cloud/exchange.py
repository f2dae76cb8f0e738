"""One call to the cloud, from waiting for a turn to an answer that says something: who may repeat it, and how often.

Rule 1: every request of the site goes through `Exchange.carry_out`: governor first, then the transport, then the
clock and the pauses learn from the answer.
Rule 2: a call is repeated when it was certainly not carried out (no connection, 429, 529), or when it was perhaps
carried out and doing it twice is once (`repeatable`). Two limits: tries and seconds (`RETRY`).
Rule 3: an answer with a status of 2xx or 4xx is returned, for the caller to read; all others are raised.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import trio

from provisioner.cloud.clock import CloudClock
from provisioner.cloud.governor import Governor, Kind
from provisioner.cloud.refusals import BUSY, Refusal, classify, parse_error
from provisioner.cloud.transport import Reply, Request, Transport
from provisioner.errors import CloudAnswerLost, CloudBusy, CloudUnreachable
from provisioner.pacing import Retry, delays
from provisioner.secrets import Secret

# A cloud that comes back within the minute is not noticed; one that does not is the line's to wait for (site hold).
RETRY: Final = Retry(attempts=4, total_s=120.0, first_s=0.5, longest_s=10.0)
ONCE: Final = Retry(attempts=1, total_s=0.0)


@dataclass(frozen=True, slots=True)
class Call:
    """A request with what we know about it. `what` completes "the cloud would not ..." (already printable)."""

    request: Request
    what: str
    kind: Kind = Kind.LINE
    repeatable: bool = False
    claim: bool = False


class Exchange:
    """The way to one cloud that all stations share."""

    def __init__(
        self, transport: Transport, governor: Governor, clock: CloudClock, *, dice: random.Random, request_s: float
    ) -> None:
        self.governor = governor
        self.clock = clock
        self._transport = transport
        self._dice = dice
        self._request_s = request_s

    async def carry_out(self, call: Call, authorization: Secret | None, *, retry: Retry = RETRY) -> Reply:
        """Return an answer of 2xx or 4xx. Raises CloudUnreachable, CloudBusy, CloudAnswerLost, CloudReplyUnreadable."""
        began_s = trio.current_time()
        waits = delays(retry, self._dice)
        while True:
            try:
                return await self._once(call, authorization)
            except (CloudUnreachable, CloudBusy, CloudAnswerLost) as error:
                again = call.repeatable or not isinstance(error, CloudAnswerLost)
                wait_s = next(waits, None) if again else None
                if wait_s is None or trio.current_time() + wait_s - began_s > retry.total_s:
                    raise
            await trio.sleep(wait_s)

    async def _once(self, call: Call, authorization: Secret | None) -> Reply:
        await self.governor.turn(call.kind)
        reply = await self._transport.send(call.request, authorization=authorization, budget_s=self._request_s)
        if reply.is_json or reply.status == 204:  # a captive portal's clock is not the cloud's
            self.clock.observe(reply.date, reply.heard_s)
        if reply.status in BUSY:
            retry_after_s = seconds_of(reply.retry_after)
            self.governor.cool_down(retry_after_s)
            raise classify(reply.status, Refusal(""), what=call.what, retry_after_s=retry_after_s)
        self.governor.answered()
        timed_out = reply.status == 408 and not call.claim
        if reply.status >= 500 or reply.status < 200 or 300 <= reply.status < 400 or timed_out:
            raise classify(reply.status, refusal_of(reply, authorization), what=call.what, claim=call.claim)
        return reply


def refusal_of(reply: Reply, *hide: Secret | None) -> Refusal:
    """Why the cloud said no, without the secrets that were sent."""
    texts = []
    for secret in hide:
        if secret is not None:
            texts += [secret, Secret(secret.reveal().partition(" ")[2])]  # `Bearer x`, and x alone
    return parse_error(reply.status, reply.body, reply.content_type, hide=texts)


def seconds_of(retry_after: str | None) -> float | None:
    """Read a Retry-After in seconds; one that is a date needs a clock we do not trust, and is skipped."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
