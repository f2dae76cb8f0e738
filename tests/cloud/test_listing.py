"""The walk over a product's list while the list changes."""

from contextlib import aclosing
from dataclasses import dataclass

import pytest
import trio

from provisioner.cloud.listing import Pages
from provisioner.cloud.payloads import DevicePage
from provisioner.errors import CloudReplyUnreadable
from provisioner.model import CloudDevice, DeviceID


def device(number):
    return CloudDevice(
        DeviceID(f"{number:024x}"),
        False,
        None,
        in_product=True,
        quarantined=False,
        denied=False,
        last_handshake_at=None,
    )


@dataclass
class Product:
    """A sorted list with pages of `size`; `between` may change it before each page but the first."""

    numbers: list
    size: int = 3
    between: object = None
    asked: int = 0

    async def fetch(self, page):
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.between is not None and page > 1:
            self.between(self, page)
        rows = sorted(self.numbers)[(page - 1) * self.size : page * self.size]
        return DevicePage(tuple(map(device, rows)), -(-len(self.numbers) // self.size))


async def walk(fetch):
    pages = [page async for page in Pages(fetch)]
    return [int(found.id, 16) for page in pages for found in page.devices]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
async def test_each_device_comes_once_in_order(count):
    product = Product(list(range(count)))

    assert await walk(product.fetch) == list(range(count))
    assert product.asked == max(1, -(-count // 3))


async def test_devices_imported_meanwhile_do_not_repeat_others():
    product = Product([10, 20, 30, 40, 50], between=lambda self, page: self.numbers.append(page))

    assert await walk(product.fetch) == [10, 20, 30, 40, 50]


async def test_a_whole_page_of_repeats_is_passed_over():
    """F9."""
    product = Product([10, 20, 30, 40], between=lambda self, page: self.numbers.extend([1, 2, 3] if page == 2 else []))

    assert await walk(product.fetch) == [10, 20, 30, 40]


async def test_a_list_that_shrinks_ends_early():
    product = Product(list(range(9)), between=lambda self, page: self.numbers.__delitem__(slice(4, None)))

    assert await walk(product.fetch) == [0, 1, 2, 3]
    assert product.asked == 2


async def test_a_row_twice_on_one_page_comes_once():
    """F9."""

    async def fetch(page):
        return DevicePage((device(1), device(1), device(2)), 1)

    assert await walk(fetch) == [1, 2]


async def test_a_server_that_ignores_the_page_number_is_found_out():
    async def fetch(page):
        return DevicePage((device(1), device(2)), 1000)

    with pytest.raises(CloudReplyUnreadable, match="nothing new"):
        await walk(fetch)


async def test_an_empty_page_in_the_middle_is_no_end():
    async def fetch(page):
        return DevicePage((device(page),) if page != 2 else (), 3)

    with pytest.raises(CloudReplyUnreadable, match="page 2 of 3"):
        await walk(fetch)


async def test_a_server_that_does_not_sort_is_found_out():
    """F9: pages that come in another order are refused, not guessed at."""

    async def fetch(page):
        return DevicePage((device(2), device(1)), 1)

    with pytest.raises(CloudReplyUnreadable, match="order"):
        await walk(fetch)


async def test_a_walk_may_be_dropped_half_way():
    product = Product(list(range(9)))
    async with aclosing(Pages(product.fetch)) as pages:
        async for _ in pages:
            break

    assert product.asked == 1
