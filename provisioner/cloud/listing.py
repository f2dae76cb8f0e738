"""A product's whole device list, page by page, in bounded memory.

Rule 1: devices come in strictly ascending order of ID, each once. The list is asked for in that order because the
default order (last connection) changes under a live fleet; a page that breaks it is refused, not guessed at.
Rule 2: devices imported while we walk push known ones onto the next page: what is not above the last ID was there
already and is dropped. Devices removed while we walk can pull one past the page border, so a device that is missing
here is asked for by itself before anybody acts on it.
Rule 3: the server's number of pages rules, since it may cap the page size; a walk that gets nowhere ends in an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Self

from provisioner.cloud.payloads import DevicePage
from provisioner.errors import CloudReplyUnreadable

_STALE_PAGES_MAX = 3  # an import of a few chunks may shift a whole page; a server that ignores `page` does it for ever


class Pages:
    """An async iterator over the pages; a class and not a generator, so it may be dropped half-way."""

    def __init__(self, fetch: Callable[[int], Awaitable[DevicePage]]) -> None:
        self._fetch = fetch
        self._next_page = 1
        self._total_pages = 1
        self._last_id = ""
        self._stale_pages = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DevicePage:
        """The next page; pages of nothing but repeated devices come out empty. Raises CloudReplyUnreadable."""
        if self._next_page > self._total_pages:
            raise StopAsyncIteration
        page = await self._fetch(self._next_page)
        ids = [device.id for device in page.devices]
        place = f"page {self._next_page} of {page.total_pages} of the product's device list"
        if any(earlier > later for earlier, later in pairwise(ids)):
            raise CloudReplyUnreadable(f"The cloud sent {place} in another order than by device ID")
        fresh = []
        for device in page.devices:
            if device.id > self._last_id:
                fresh.append(device)
                self._last_id = device.id
        self._stale_pages = 0 if fresh else self._stale_pages + 1
        empty_in_the_middle = not ids and self._next_page < page.total_pages
        if empty_in_the_middle or self._stale_pages > _STALE_PAGES_MAX:
            raise CloudReplyUnreadable(f"The cloud sent {place} with nothing new in it")
        self._total_pages = page.total_pages
        self._next_page += 1
        return replace(page, devices=tuple(fresh))

    async def aclose(self) -> None:
        """Nothing is held open between two pages; here for `contextlib.aclosing`."""
