"""The one radio that is also the way to the cloud."""

import trio

from provisioner.line.uplink import Uplink


async def test_no_cloud_call_begins_while_the_adapter_is_away(autojump_clock):
    uplink, log = Uplink(), []

    async def call():
        async with uplink.present():
            log.append(("call", trio.current_time()))

    async with trio.open_nursery() as nursery, uplink.away():
        nursery.start_soon(call)
        await trio.sleep(30)
        log.append(("back", trio.current_time()))

    assert [name for name, _ in log] == ["back", "call"]


async def test_the_adapter_leaves_only_when_the_calls_under_way_have_ended(autojump_clock):
    uplink, log = Uplink(), []

    async def call():
        async with uplink.present():
            await trio.sleep(5)
            log.append("call ended")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        async with uplink.away():
            log.append("away")

    assert log == ["call ended", "away"]


async def test_a_cancelled_wait_to_leave_lets_the_calls_go_on(autojump_clock):
    uplink = Uplink()
    async with uplink.present():
        with trio.move_on_after(1):
            async with uplink.away():
                raise AssertionError("must not get here")

    assert not uplink.is_away
    async with uplink.present():
        pass
