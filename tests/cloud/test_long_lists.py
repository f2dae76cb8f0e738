"""F28 and F30: more devices than anybody has, answers longer than anybody sends: memory is bounded all the same."""

import contextlib
import tracemalloc

import httpx
import pytest
import trio

from provisioner.cloud.listing import Pages
from provisioner.cloud.payloads import DevicePage
from provisioner.cloud.transport import LONG_REPLY_BYTES_MAX
from provisioner.errors import Blame, CloudReplyUnreadable
from provisioner.model import CloudDevice, DeviceID

MIB = 1024 * 1024
LISTS = {
    "a page of the list": lambda client, product, id_: anext(client.devices(product)),
    "the newest connections": lambda client, product, id_: client.recent_devices(product, 100),
    "what became of an import": lambda client, product, id_: client.import_devices(product, [id_]),
}


@contextlib.contextmanager
def peak():
    """How many bytes at most were held at once in the block, of those that were made in it: `peak()[0]` afterwards."""
    held = []
    tracemalloc.start()
    try:
        yield held
        held.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


class Flood(httpx.AsyncByteStream):
    """50 MB of a list: whole, good JSON."""

    rows = 250_000
    sent = 0

    async def __aiter__(self):
        yield b'{"meta":{"total_pages":1},"customers":[],"devices":['
        for start in range(0, self.rows, 500):
            await trio.lowlevel.checkpoint()
            numbers = range(start, start + 500)
            part = b",".join(b'{"id":"%024x","product_id":1319,"online":false,"n":"%0150d"}' % (n, n) for n in numbers)
            self.sent += len(part)
            yield part + b","
        yield b"]}"


@pytest.mark.parametrize("wish", LISTS)
async def test_f28_an_answer_of_50_mb_is_cut_at_the_limit_and_says_so(cloud, product, device_id, wish):
    """F28 and F30: for lists the limit is larger than for all else, and is one all the same."""
    flood = Flood()

    async def handler(request):
        if request.url.path == "/oauth/token":
            return await cloud.answer(request)
        return httpx.Response(200, headers={"Content-Type": "application/json"}, stream=flood)

    async with cloud.open(handler=handler) as client:
        with peak() as held, pytest.raises(CloudReplyUnreadable, match=f"longer than {LONG_REPLY_BYTES_MAX}") as caught:
            await LISTS[wish](client, product, device_id)

    assert caught.value.blame is Blame.SITE
    assert flood.sent < LONG_REPLY_BYTES_MAX + MIB
    assert held[0] < 3 * LONG_REPLY_BYTES_MAX  # a buffer that grows is copied once


async def test_f28_a_product_of_fifty_thousand_devices_is_walked_in_the_memory_of_a_few_pages():
    """F28: nothing of a page that was read is kept, nor of the walk but its place."""
    size, count = 100, 50_000

    async def fetch(page):
        await trio.lowlevel.checkpoint()
        numbers = range((page - 1) * size, page * size)
        rows = (
            CloudDevice(DeviceID(f"{n:024x}"), False, None, in_product=True, quarantined=False, denied=False,
                        last_handshake_at=None)
            for n in numbers
        )  # fmt: skip
        return DevicePage(tuple(rows), count // size)

    seen = 0
    with peak() as held:
        async for page in Pages(fetch):
            seen += len(page.devices)

    assert seen == count
    assert held[0] < MIB
