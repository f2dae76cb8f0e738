"""What asks a process to end: heard in time, forgotten when it is too late, and not heard where `nohup` says so."""

import signal
import threading

import pytest
import trio

from provisioner import signals


@pytest.fixture(autouse=True)
def handlers_kept():
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for one, handler in kept.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("one", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_each_of_them_is_heard(one, autojump_clock):
    """F3."""
    async with signals.heard() as arrivals:
        signal.raise_signal(one)

        assert await anext(arrivals) == one


async def test_what_comes_when_nobody_asks_any_more_does_nothing(autojump_clock):
    """F3: a second Ctrl-C while a run says its last words."""
    async with signals.heard():
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(one)
    await trio.sleep(1)


async def test_nohup_is_obeyed(autojump_clock):
    """F3."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    async with signals.heard():
        signal.raise_signal(signal.SIGHUP)

        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_in_another_thread_none_is_heard_and_nothing_breaks():
    ended = []

    async def work():
        async with signals.heard() as arrivals:
            with trio.move_on_after(0.01) as waiting:
                await anext(arrivals)
            ended.append(waiting.cancelled_caught)

    thread = threading.Thread(target=trio.run, args=(work,))
    thread.start()
    thread.join(10)

    assert ended == [True]
