"""One seed, one order: what runs in virtual time runs the same way every time, and sleeping costs nothing."""

import time

import trio
from httpcore._async import http11
from trio._core import _run as scheduler

from provisioner.simulator.virtual.run import run_virtually


async def order_of(tasks):
    seen = []

    async def note(name):
        await trio.sleep(1)
        seen.append(name)

    async with trio.open_nursery() as nursery:
        for name in range(tasks):
            nursery.start_soon(note, name)
    return seen


def test_the_same_seed_gives_the_same_order_and_others_give_others():
    first = run_virtually(order_of, 30, seed=7)

    assert run_virtually(order_of, 30, seed=7) == first
    assert len({tuple(run_virtually(order_of, 30, seed=seed)) for seed in range(10)}) > 1


def test_a_day_passes_at_once():
    began = time.monotonic()
    run_virtually(trio.sleep, 86_400)

    assert time.monotonic() - began < 60  # not a matter of speed: it would be a day


def test_the_switches_of_the_scheduler_are_put_back():
    before = (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r, http11.time)
    run_virtually(trio.sleep, 1)

    assert (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r, http11.time) == before
