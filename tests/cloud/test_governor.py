"""Who may ask next, how often, and after which pause. All in virtual time."""

import math
from bisect import bisect_right

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from provisioner.cloud.governor import COOL_DOWN_LONGEST_S, WINDOW_S, Governor, Kind, bucket_of


def most_in_a_window(times_s):
    """The largest number of requests in any closed five minutes."""
    return max(bisect_right(times_s, at + WINDOW_S) - i for i, at in enumerate(times_s))


async def collect(governor, kind, *, until_s, askers=5):
    """The times at which a crowd that always wants a turn got one."""
    times_s = []

    async def ask():
        while True:
            await governor.turn(kind)
            times_s.append(trio.current_time())

    with trio.move_on_at(trio.current_time() + until_s):
        async with trio.open_nursery() as nursery:
            for _ in range(askers):
                nursery.start_soon(ask)
    return times_s


@settings(max_examples=15, deadline=None)
@given(limit=st.integers(1, 400), kind=st.sampled_from(Kind))
def test_no_five_minutes_see_more_than_the_limit_and_none_is_wasted(limit, kind):
    async def main():
        governor = Governor(requests_per_5min=10_000, token_calls_per_5min=limit)
        if kind is not Kind.TOKEN:
            governor = Governor(requests_per_5min=limit, token_calls_per_5min=1)
        return await collect(governor, kind, until_s=4 * WINDOW_S)

    times_s = trio.run(main, clock=MockClock(autojump_threshold=0))

    assert most_in_a_window(times_s) <= limit
    steady = sum(at > times_s[0] + WINDOW_S for at in times_s) / 3
    assert steady >= math.floor(0.9 * limit * WINDOW_S / (WINDOW_S + 1))


async def test_a_pause_does_not_let_requests_gather(autojump_clock):
    """F5."""
    governor = Governor(requests_per_5min=60, token_calls_per_5min=20)
    times_s = []

    async def ask(kind):
        while True:
            await governor.turn(kind)
            times_s.append((trio.current_time(), kind))

    with trio.move_on_after(3 * WINDOW_S):
        async with trio.open_nursery() as nursery:
            for kind in (Kind.LINE, Kind.TOKEN, Kind.TOKEN, Kind.BULK):
                nursery.start_soon(ask, kind)
            for _ in range(6):
                await trio.sleep(100)
                governor.cool_down(60.0)

    assert most_in_a_window([at for at, _ in times_s]) <= 60
    assert most_in_a_window([at for at, kind in times_s if kind is Kind.TOKEN]) <= 20


def test_the_default_limit_is_used_to_nine_tenths():
    bucket = bucket_of(9000, burst_share=1 / 20)

    assert bucket.burst + WINDOW_S * bucket.per_second < 9001
    assert WINDOW_S * bucket.per_second > 0.9 * 9000


async def order_of(governor, kinds):
    """Queue these up while nobody may go, then see in which order they go."""
    order = []

    async def ask(kind):
        await governor.turn(kind)
        order.append(kind)

    governor.cool_down(10.0)
    async with trio.open_nursery() as nursery:
        for kind in kinds:
            nursery.start_soon(ask, kind)
            await wait_all_tasks_blocked()
    return order


async def test_the_line_goes_before_bulk_but_bulk_gets_every_fifth_turn(autojump_clock):
    governor = Governor(requests_per_5min=30, token_calls_per_5min=10)  # one at a time
    order = await order_of(governor, [Kind.BULK] * 3 + [Kind.LINE] * 10)

    assert order == [*[Kind.LINE] * 4, Kind.BULK, *[Kind.LINE] * 4, Kind.BULK, *[Kind.LINE] * 2, Kind.BULK]


async def test_each_queue_is_first_come_first_served(autojump_clock):
    governor = Governor(requests_per_5min=30, token_calls_per_5min=10)  # one at a time
    order = []

    async def ask(name):
        await governor.turn(Kind.LINE)
        order.append(name)

    async with trio.open_nursery() as nursery:
        for name in range(20):
            nursery.start_soon(ask, name)
            await wait_all_tasks_blocked()

    assert order == sorted(order)


async def test_who_comes_while_all_wait_for_the_next_turn_is_counted(autojump_clock):
    """The doorkeeper is bulk and asleep; a station that comes meanwhile goes first."""
    governor = Governor(requests_per_5min=30, token_calls_per_5min=10)  # one at a time
    order = []

    async def ask(kind):
        await governor.turn(kind)
        order.append(kind)

    governor.cool_down(10.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, Kind.BULK)
        await trio.sleep(9.0)
        nursery.start_soon(ask, Kind.LINE)

    assert order == [Kind.LINE, Kind.BULK]


async def test_a_cancelled_wait_costs_the_others_nothing(autojump_clock):
    governor = Governor(requests_per_5min=3, token_calls_per_5min=3)
    while True:
        with trio.move_on_after(1.0) as scope:
            await governor.turn(Kind.LINE)
        if scope.cancelled_caught:
            break
    began_s = trio.current_time()
    per_turn_s = 1 / bucket_of(3, burst_share=1 / 20).per_second

    async def give_up():
        with trio.move_on_after(2.0):
            await governor.turn(Kind.LINE)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        await governor.turn(Kind.LINE)

    assert trio.current_time() - began_s <= per_turn_s
    assert governor.traffic.waiting == 0


async def test_a_429_stops_everybody(autojump_clock):
    """F5."""
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=60)
    began_s = trio.current_time()
    governor.cool_down(7.0)

    assert governor.traffic.cooling_s == pytest.approx(7.0)
    async with trio.open_nursery() as nursery:
        for kind in Kind:
            nursery.start_soon(governor.turn, kind)

    assert trio.current_time() - began_s == pytest.approx(7.0)
    assert governor.traffic.cooling_s == 0


async def pause_after_429(governor, retry_after_s=None):
    began_s = trio.current_time()
    governor.cool_down(retry_after_s)
    await governor.turn(Kind.LINE)
    return round(trio.current_time() - began_s)


async def test_the_pause_doubles_while_it_repeats_and_is_capped(autojump_clock):
    """F5."""
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=60)

    assert [await pause_after_429(governor) for _ in range(7)] == [5, 10, 20, 40, 80, 120, 120]
    await trio.sleep(61)
    assert await pause_after_429(governor) == 5


async def test_retry_after_is_honoured_up_to_the_cap(autojump_clock):
    """F5."""
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=60)

    assert await pause_after_429(governor, 33.0) == 33
    assert await pause_after_429(governor, 1800.0) == COOL_DOWN_LONGEST_S


async def test_answers_that_were_under_way_together_are_one_pause(autojump_clock):
    """F5."""
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=60)
    for _ in range(8):
        governor.cool_down()

    assert governor.traffic.cool_downs == 1
    assert governor.traffic.cooling_s == pytest.approx(5.0)


async def test_the_counters_tell_what_went_through(autojump_clock):
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=60)
    for kind in (Kind.LINE, Kind.LINE, Kind.BULK, Kind.TOKEN):
        await governor.turn(kind)

    traffic = governor.traffic
    assert (traffic.line, traffic.bulk, traffic.token) == (2, 1, 1)


@pytest.mark.parametrize(("answers", "second_pause_s"), [(19, 10.0), (20, 5.0)])
async def test_after_enough_answers_a_429_is_a_first_one_again(autojump_clock, answers, second_pause_s):
    """F5. Else a cloud that says 429 now and then would stand still for most of a shift."""
    governor = Governor(requests_per_5min=9000, token_calls_per_5min=90)
    governor.cool_down()
    governor.answered()  # it was under way
    await trio.sleep(6.0)
    for _ in range(answers):
        governor.answered()
    governor.cool_down()

    assert governor.traffic.cooling_s == second_pause_s


async def test_what_is_left_of_the_limit_is_what_went_out_in_the_last_five_minutes(autojump_clock):
    governor = Governor(requests_per_5min=1000, token_calls_per_5min=10)
    for _ in range(40):
        await governor.turn(Kind.LINE)
    assert (governor.traffic.left, governor.traffic.most) == (960, 1000)

    await trio.sleep(WINDOW_S / 2)
    for _ in range(10):
        await governor.turn(Kind.BULK)
    assert governor.traffic.left == 950
    await trio.sleep(WINDOW_S / 2 + WINDOW_S / 10)

    assert governor.traffic.left == 990, "the first forty are out of the window"
    await trio.sleep(WINDOW_S)
    assert governor.traffic.left == 1000
