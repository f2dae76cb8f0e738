"""Reading owners ahead: what is reused, what is forgotten, and what is never asked."""

import pytest
import trio
from stages import ScriptedCloud, in_cloud, listed

from provisioner.errors import CloudUnreachable
from provisioner.line.lookups import FRESH_S, QUEUE_MAX, Lookups
from provisioner.line.uplink import Uplink


class Desk:
    def __init__(self, nursery, count=1):
        self.nursery = nursery
        self.devices = [listed(n) for n in range(1, count + 1)]
        self.cloud, self.uplink, self.reported = ScriptedCloud(*self.devices), Uplink(), []
        self.lookups = Lookups(self.cloud.read, self.uplink, report=self.reported.append)

    def work(self):
        self.nursery.start_soon(self.lookups.work)
        return self

    def asked(self):
        return [device for device, _ in self.cloud.reads]


@pytest.fixture
def desk(nursery):
    return lambda count=1: Desk(nursery, count)


async def test_what_was_read_ahead_is_there_at_once_and_not_read_again(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    desk.lookups.ahead(device)
    desk.lookups.ahead(device)
    await trio.sleep(10)
    before_s = trio.current_time()

    assert (await desk.lookups.get(device)).id == device.id
    assert trio.current_time() == before_s
    assert desk.asked() == [device.id]


async def test_a_read_that_is_no_longer_fresh_is_made_again(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    desk.lookups.ahead(device)
    await trio.sleep(FRESH_S)
    await desk.lookups.get(device)

    assert desk.asked() == [device.id] * 2


async def test_after_a_visit_nothing_read_before_holds(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    await desk.lookups.get(device)
    desk.cloud.change(device, owner="somebody@example.com")
    desk.lookups.forget(device.id)

    assert (await desk.lookups.get(device)).owner == "somebody@example.com"


async def test_a_device_the_cloud_does_not_have_is_none(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    del desk.cloud.devices[device.id]

    assert await desk.lookups.get(device) is None
    assert desk.reported == []


async def test_a_fault_is_reported_and_raised_once_and_then_asked_again(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    fault = CloudUnreachable("no route")
    desk.cloud.faults["read"] = [fault]
    with pytest.raises(CloudUnreachable):
        await desk.lookups.get(device)

    assert desk.reported == [fault]
    assert (await desk.lookups.get(device)).id == device.id


async def test_a_guess_that_failed_is_asked_again_by_who_needs_it(desk, autojump_clock):
    desk = desk().work()
    (device,) = desk.devices
    desk.cloud.faults["read"] = [CloudUnreachable("no route")]
    desk.lookups.ahead(device)
    await trio.sleep(1)

    assert (await desk.lookups.get(device)).id == device.id


async def test_a_full_queue_drops_guesses_and_keeps_demands(desk, autojump_clock):
    desk = desk(QUEUE_MAX + 5)
    for device in desk.devices:
        desk.lookups.ahead(device)
    last = desk.devices[-1]
    with trio.move_on_after(1):  # nobody reads yet: the demand waits for its place
        await desk.lookups.get(last)
    desk.lookups.forget(last.id)
    desk.work()

    assert (await desk.lookups.get(last)).id == last.id
    await trio.sleep(100)
    assert len(desk.asked()) == QUEUE_MAX + 1


async def test_a_window_uses_what_one_bulk_read_found_and_asks_nothing(desk, autojump_clock):
    desk = desk(3).work()
    found, missing, other = desk.devices
    desk.lookups.preload({found.id: in_cloud(found, owner="a@example.com")}, [found.id, missing.id])
    async with desk.uplink.away():
        await trio.sleep(FRESH_S * 5)
        assert (await desk.lookups.get(found)).owner == "a@example.com"
        assert await desk.lookups.get(missing) is None
        with pytest.raises(CloudUnreachable):
            await desk.lookups.get(other)
        desk.lookups.ahead(other)
        await trio.sleep(10)

    await trio.sleep(10)
    assert desk.asked() == []


async def test_a_preload_serves_also_who_was_guessed_and_not_yet_read(desk, autojump_clock):
    desk = desk()
    (device,) = desk.devices
    desk.lookups.ahead(device)  # nobody reads it
    desk.lookups.preload({device.id: in_cloud(device)}, [device.id])
    with trio.fail_after(1):
        assert (await desk.lookups.get(device)).id == device.id
