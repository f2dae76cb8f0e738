"""What befalls the site of one seed while the line works: the troubles of its plan, each begun, ended and noted.

Rule 1: a trouble acts on the world (cloud, network, Wi-Fi, clock), never on the line.
Rule 2: whoever injects notes it in `notes` in the same step; what is not there was not injected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime

import trio
from seed_plan import Event, Trouble

from provisioner.demo.virtual import VirtualFactory
from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.state import TokenKind

EVIL = "collector.example"
_ANSWERS = {
    Trouble.ERRORS: (503, b"<html><title>503 Service Temporarily Unavailable</title></html>", "text/html"),
    Trouble.BUSY: (429, b'{"ok":false,"error":"Too many requests"}', "application/json"),
    Trouble.PORTAL: (200, b"<html><body>Please <b>log in</b> to the guest network.</body></html>", "text/html"),
    Trouble.SCHEMA: (200, b'{"v":2,"data":{"items":[],"next":null}}', "application/json"),
    Trouble.REDIRECTS: (302, b"", "text/plain"),
}
_HELD = (*_ANSWERS, Trouble.HANGS, Trouble.RESETS, Trouble.CABLE, Trouble.DRIPS)  # befall single requests


@dataclass(frozen=True)
class Note:
    """One injury: when (the world's seconds), what, and the device it befell, if it was one."""

    at_s: float
    what: str
    device: str = ""


class Site:
    """The world around the line, and what is wrong with it now."""

    def __init__(self, virtual: VirtualFactory, *, clock_off_s: float, retry_after_s: int | None) -> None:
        self.virtual = virtual
        self.notes: list[Note] = []
        self.slept: list[tuple[float, float]] = []  # when (trio's seconds) and how long the computer slept
        self.clock_off_s = clock_off_s
        self.leaked: list[str] = []  # requests that came to another host than the cloud
        self.second_start: Callable[[], Awaitable[None]] | None = None
        self._retry_after_s = retry_after_s
        self._now: list[Trouble] = []
        self._networks = list(virtual.world.factory_networks)
        self._inner = cloud_app(virtual.cloud)
        virtual.serve(self._disturbed)
        uplink_is_up = virtual.network.uplink_is_up
        virtual.network.uplink_is_up = lambda: uplink_is_up() and Trouble.CABLE not in self._now

    def note(self, what: str, device: str = "") -> None:
        """Something was injected just now."""
        self.notes.append(Note(self.virtual.clock.seconds(), what, device))

    def wall(self) -> datetime:
        """What this computer believes the time is."""
        return self.virtual.clock.now() + timedelta(seconds=self.clock_off_s)

    async def befall(self, event: Event) -> None:
        """Wait for the event's time, let it be, end it."""
        await trio.sleep(event.at_s)
        await _ACTS.get(event.trouble, Site._disturb)(self, event)

    def calm(self) -> None:
        """The next day: nothing is wrong any more."""
        self._now.clear()
        self.virtual.world.factory_networks = list(self._networks)

    # --- what befalls requests ---

    async def _disturb(self, event: Event) -> None:
        self._now.append(event.trouble)
        await trio.sleep(event.for_s)
        if event.trouble in self._now:
            self._now.remove(event.trouble)

    async def _disturbed(self, scope, receive, send):
        """The cloud, or what stands in its way now."""
        trouble = self._now[-1] if self._now else None
        if trouble is None:
            await self._inner(scope, receive, send)
            return
        self.note(trouble)
        if trouble in (Trouble.RESETS, Trouble.CABLE):
            raise ConnectionResetError("the way to the cloud is gone")
        if trouble is Trouble.HANGS:
            while (await receive())["type"] != "http.disconnect":
                pass
        elif trouble is Trouble.DRIPS:
            await self._inner(scope, receive, _dripping(send))
        else:
            await self._answer(trouble, receive, send)

    async def _answer(self, trouble, receive, send):
        while (await receive()).get("more_body"):
            pass
        status, body, kind = _ANSWERS[trouble]
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers.append((b"date", format_datetime(self.virtual.clock.now(), usegmt=True).encode()))
        if trouble is Trouble.BUSY and self._retry_after_s is not None:
            headers.append((b"retry-after", str(self._retry_after_s).encode()))
        if trouble is Trouble.REDIRECTS:
            headers.append((b"location", f"https://{EVIL}/v1/products".encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    # --- what befalls the rest ---

    async def _revoke(self, _: Event) -> None:
        accounts = self.virtual.cloud.accounts
        gone = accounts.revoke_kind(TokenKind.PRODUCT) + accounts.revoke_kind(TokenKind.CUSTOMER)
        if gone:
            self.note(Trouble.TOKENS)

    async def _rotate(self, event: Event) -> None:
        cloud = self.virtual.cloud
        cloud.client_secret = cloud.accounts.rotate_secret(cloud.client_id)  # the next start of the program has it
        self.note(Trouble.SECRET)
        if event.amount < 0.5:
            await self._revoke(event)

    async def _wifi(self, event: Event) -> None:
        world, networks = self.virtual.world, list(self._networks)
        off = event.trouble is Trouble.WIFI_OFF
        world.factory_networks = [] if off else [replace(one, password="changed by somebody") for one in networks]
        self.note(event.trouble)
        await trio.sleep(event.for_s)
        world.factory_networks = networks

    async def _step(self, event: Event) -> None:
        self.clock_off_s += (1 if event.amount < 0.5 else -1) * (86_400 if event.amount % 0.5 < 0.25 else 3_600)
        self.note(Trouble.CLOCK)

    async def _sleep(self, event: Event) -> None:
        long_s = 600 + 7_200 * event.amount
        self.slept.append((trio.current_time(), long_s))
        self.virtual.clock.jump(long_s)
        self.note(Trouble.ASLEEP)

    async def _second(self, _: Event) -> None:
        if self.second_start is not None:
            self.note(Trouble.SECOND)
            await self.second_start()


_ACTS = {
    Trouble.TOKENS: Site._revoke,
    Trouble.SECRET: Site._rotate,
    Trouble.WIFI_PASSWORD: Site._wifi,
    Trouble.WIFI_OFF: Site._wifi,
    Trouble.CLOCK: Site._step,
    Trouble.ASLEEP: Site._sleep,
    Trouble.SECOND: Site._second,
}


def _dripping(send):
    """A byte a second, as long as somebody listens."""

    async def drip(message):
        if message["type"] != "http.response.body" or not message.get("body"):
            await send(message)
            return
        body = message["body"]
        for index in range(len(body)):
            await send({"type": "http.response.body", "body": body[index : index + 1], "more_body": True})
            await trio.sleep(1)
        await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})

    return drip
