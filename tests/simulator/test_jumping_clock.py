"""Virtual time: who sleeps wakes in order of time, a cancelled sleeper never, and what comes from outside is heard."""

import signal

import trio

from provisioner.simulator.jumping_clock import sleep
from provisioner.simulator.virtual.run import run_virtually


def test_sleepers_and_deadlines_share_one_time():
    woken = []

    async def note(name, seconds, how):
        await how(seconds)
        woken.append((name, trio.current_time()))

    async def main():
        async with trio.open_nursery() as nursery:
            for name, seconds, how in (("c", 3, sleep), ("a", 1, trio.sleep), ("d", 4, trio.sleep), ("b", 2, sleep)):
                nursery.start_soon(note, name, seconds, how)

    run_virtually(main)

    assert woken == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


def test_a_cancelled_sleeper_is_forgotten_and_its_time_is_not_waited_for():
    async def main():
        with trio.move_on_after(5) as scope:
            await sleep(1_000)
        cut_s = trio.current_time()
        await sleep(10)
        return scope.cancelled_caught, cut_s, trio.current_time()

    assert run_virtually(main) == (True, 5, 15)


def test_no_time_is_a_checkpoint():
    async def main():
        with trio.CancelScope() as scope:
            scope.cancel()
            await sleep(0)
        return scope.cancelled_caught

    assert run_virtually(main)


async def test_under_another_clock_it_is_trios_own(autojump_clock):
    await sleep(7)

    assert trio.current_time() == 7


def test_a_signal_is_heard_while_others_have_something_to_do():
    async def busy(seen):
        for _ in range(10_000):
            if not seen:
                await trio.lowlevel.checkpoint()

    async def main():
        seen = []
        with trio.open_signal_receiver(signal.SIGUSR1) as signals, trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(busy, seen)
                signal.raise_signal(signal.SIGUSR1)
                async for number in signals:
                    seen.append(number)
                    break
        return seen

    assert run_virtually(main) == [signal.SIGUSR1]
