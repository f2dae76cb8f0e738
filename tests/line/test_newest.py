"""What pages of the newest connections tell about devices that are on none of them."""

from dataclasses import replace

import pytest
import trio
from stages import cloud_time, id_of, in_cloud

from provisioner.line.newest import PAGE_DEVICES_MAX, PAGE_DEVICES_MIN, NewestConnections, RecentPage


def row(number, at_s):
    return in_cloud(id_of(number), online=True, last_handshake_at=cloud_time(at_s))


def page(*at_s, whole=False):
    return RecentPage.of([row(number, at) for number, at in enumerate(at_s)], whole=whole)


@pytest.fixture
def reading():
    """A reader over pages that are given one by one; `sizes` are those it asked for."""

    class Reading:
        def __init__(self):
            self.sizes = []
            self.connections = NewestConnections(self._read)

        async def _read(self, count):
            self.sizes.append(count)
            await trio.lowlevel.checkpoint()
            return self.next

        async def of(self, page, online=()):
            self.next = page
            await self.connections.read(online)

        def would_have_seen(self, at_s):
            return self.connections.would_have_seen(cloud_time(at_s))

    return Reading()


async def test_before_any_page_nothing_is_known(reading):
    assert not reading.would_have_seen(1e9)


async def test_one_page_tells_of_what_came_after_its_oldest_row(reading):
    await reading.of(page(100, 90, 80))

    assert reading.would_have_seen(81)
    assert not reading.would_have_seen(80)


async def test_pages_that_reach_each_other_tell_from_the_first_one_on(reading):
    await reading.of(page(100, 90, 80))
    await reading.of(page(120, 110, 99))

    assert reading.would_have_seen(81)


@pytest.mark.parametrize("oldest", [100, 105])
async def test_a_gap_between_two_pages_tells_from_the_second_one_on(reading, oldest):
    """Also where they only touch: two may have connected in the same millisecond."""
    await reading.of(page(100, 90, 80))
    await reading.of(page(120, 110, oldest))

    assert not reading.would_have_seen(90)
    assert reading.would_have_seen(oldest + 1)


async def test_the_only_page_there_is_tells_everything(reading):
    await reading.of(page(100, 90, whole=True))

    assert reading.would_have_seen(-1e6)


async def test_a_page_that_ends_with_a_device_that_was_never_online_tells_everything(reading):
    never = in_cloud(id_of(9))
    await reading.of(RecentPage.of([row(1, 100), never], whole=False))

    assert reading.would_have_seen(-1e6)


async def test_the_later_of_both_times_counts_because_nobody_says_which_one_the_order_is_by(reading):
    oldest = replace(row(2, 80), last_heard=cloud_time(95))
    await reading.of(RecentPage.of([row(1, 100), oldest], whole=False))

    assert not reading.would_have_seen(90)


async def test_pages_grow_until_the_known_are_found_again_and_shrink_slowly_after(reading):
    for _ in range(10):
        await reading.of(page(100, 90), online=[id_of(77)])
    for _ in range(100):
        await reading.of(page(100, 90), online=[id_of(0)])

    assert reading.sizes[:3] == [PAGE_DEVICES_MIN, 38, 56]
    assert max(reading.sizes) == PAGE_DEVICES_MAX
    assert reading.sizes[-1] == PAGE_DEVICES_MIN
