"""What pages of the product's newest connections tell together: who connected, and who surely has not.

Rule 1: a device that connects comes to the top of the list. So as long as each page reaches back to where the one
before began, nobody who connected in between was missed, and who was on no page has not connected.
Rule 2: nobody says whether "last connection" is the last handshake or the last time a device was heard (facts:
particle-cloud 3); a mark is the later of the two, which is right for both.
Rule 3: the page is as long as it must be to find those again that are known to be online, and no longer: a hundred
rows cost as much as many requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from provisioner.model import CloudDevice, DeviceID

PAGE_DEVICES_MIN, PAGE_DEVICES_MAX = 25, 100  # 100 is the largest page in any official example
_GROWS, _SHRINKS = 1.5, 0.95
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class RecentPage:
    """One page, newest connections first. `whole`: the product has no more devices than these."""

    devices: Mapping[DeviceID, CloudDevice]
    newest: datetime | None
    oldest: datetime | None
    whole: bool

    @classmethod
    def of(cls, rows: Collection[CloudDevice], *, whole: bool) -> RecentPage:
        """A page from its rows, in their order."""
        marks = [_mark(row) for row in rows]
        first, last = (marks[0], marks[-1]) if marks else (None, None)
        return cls({row.id: row for row in rows}, first, last, whole)


def _mark(row: CloudDevice) -> datetime | None:
    times = [at for at in (row.last_handshake_at, row.last_heard) if at is not None]
    return max(times, default=None)


class NewestConnections:
    """Reads pages and remembers since when they have been unbroken. One reader at a time, or none misses anything."""

    def __init__(self, read: Callable[[int], Awaitable[RecentPage]]) -> None:
        self._read = read
        self._size = float(PAGE_DEVICES_MIN)
        self._newest: datetime | None = None
        self._unbroken_since: datetime | None = None

    async def read(self, online: Collection[DeviceID]) -> RecentPage:
        """The newest page. `online`: devices known to be there, to be found again. Raises CloudError."""
        page = await self._read(round(self._size))
        begins = _EVER if page.whole or page.oldest is None else page.oldest
        reaches = self._newest is not None and begins < self._newest
        self._unbroken_since = min(begins, self._unbroken_since) if reaches and self._unbroken_since else begins
        self._newest = page.newest or _EVER
        missed = any(device not in page.devices for device in online)
        wished = self._size * (_GROWS if missed else _SHRINKS)
        self._size = max(PAGE_DEVICES_MIN, min(PAGE_DEVICES_MAX, wished))
        return page

    def would_have_seen(self, since: datetime) -> bool:
        """Whether every device that connected after `since` (cloud time) was on one of the pages read so far."""
        return self._unbroken_since is not None and self._unbroken_since < since
