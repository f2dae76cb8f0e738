"""What readers get: everything once, then what changed, the newest state however late they come, and goodbye."""

import json
from contextlib import aclosing

import page_server
import trio

from provisioner.console.view import Screen
from provisioner.console.web.feed import BEAT_S, Feed


def heard(text):
    """Events of one message, as (name, data)."""
    blocks = [block for block in text.split("\n\n") if block]
    return [(block.split("\n")[0][7:], json.loads(block.split("\n")[1][6:])) for block in blocks]


class Line:
    """A screen, its feed, and a writer of records."""

    def __init__(self):
        self.screen = Screen()
        self.feed = Feed(self.screen, lambda: self.screen.last.mono_ms if self.screen.last else 0)
        self.write = page_server.Writer(self.see)
        page_server.begin(self.write, ["S1", "S2"])

    def see(self, record):
        self.screen.see(record)
        self.feed.notice(record)

    def visit(self, at_s=10, station="S1", slot=1):
        page_server.visit(self.write, at_s, station, slot)


async def test_a_reader_gets_everything_then_only_what_changed(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    async with aclosing(line.feed.messages()) as messages:
        ((name, first),) = heard(await anext(messages))
        assert (name, first["whole"]) == ("parts", True)
        assert {"run", "head", "totals", "station/S1", "station/S2", "tray/T-0001", "tray/T-0002"} <= set(
            first["parts"]
        )

        line.visit()
        ((_, second),) = heard(await anext(messages))

    assert not second["whole"]
    assert "station/S1" in second["parts"]
    assert not {"station/S2", "tray/T-0002", "run"} & set(second["parts"])


async def test_what_happens_at_once_is_one_message(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    got = []

    async def read():
        async with aclosing(line.feed.messages()) as messages:
            async for text in messages:
                got.append(text)  # noqa: PERF401 - one by one, as they come

    nursery.start_soon(read)
    await trio.sleep(1)
    before = len(got)
    for number in range(200):
        line.visit(10 + number, slot=1 + number % 20)
    await trio.sleep(1)

    assert len(got) - before <= 2


async def test_a_reader_that_lags_gets_the_newest_state_and_is_not_queued_for(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    async with aclosing(line.feed.messages()) as messages:
        await anext(messages)
        for number in range(20):
            line.visit(10 + 10 * number, slot=number + 1)
            await trio.sleep(10)  # the reader takes nothing meanwhile

        ((_, message),) = heard(await anext(messages))

    assert message["parts"]["station/S1"]["visits"] == 20, "one message, and it is the newest state"


async def test_a_silent_line_still_beats(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    line.write(50, "run.finished", outcome="pass", code="all_good", counts={})
    async with aclosing(line.feed.messages()) as messages:
        await anext(messages)
        began_s = trio.current_time()
        ((name, _),) = heard(await anext(messages))

    assert name == "beat"
    assert trio.current_time() - began_s == BEAT_S


async def test_another_run_is_another_page(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    async with aclosing(line.feed.messages()) as messages:
        await anext(messages)
        later = page_server.Writer(line.see, run="20261120T070000Z-0001")
        page_server.begin(later, ["S9"], {"T-0009": 5})
        ((_, message),) = heard(await anext(messages))

    assert (message["whole"], message["run"]) == (True, "20261120T070000Z-0001")
    assert "station/S9" in message["parts"]
    assert "station/S1" not in message["parts"]


async def test_at_the_end_every_reader_gets_the_last_state_and_goodbye(nursery, autojump_clock):
    line = Line()
    nursery.start_soon(line.feed.pump)
    ends = []

    async def read():
        state, last = {}, ""
        async with aclosing(line.feed.messages()) as messages:
            async for text in messages:
                for last, data in heard(text):  # noqa: B007 - the last one is looked at
                    state |= data.get("parts", {})
        ends.append((state["run"]["finished"], last))

    async with trio.open_nursery() as readers:
        for _ in range(3):
            readers.start_soon(read)
        await trio.sleep(0.1)
        line.write(60, "run.finished", outcome="pass", code="all_good", counts={})
        await line.feed.close(within_s=1)

    assert ends == [("pass", "bye")] * 3
    assert line.feed.readers == 0


async def test_a_reader_that_takes_nothing_does_not_hold_up_the_goodbye(nursery, autojump_clock):
    line = Line()
    async with aclosing(line.feed.messages()) as messages:
        await anext(messages)
        began_s = trio.current_time()
        await line.feed.close(within_s=0.1)

    assert trio.current_time() - began_s <= 0.1


async def test_nobody_reads_and_nothing_is_made(nursery, autojump_clock, monkeypatch):
    line = Line()
    made = []
    monkeypatch.setattr(line.feed, "refresh", lambda: made.append(1))
    nursery.start_soon(line.feed.pump)

    line.visit()
    await trio.sleep(100)

    assert made == []


async def test_a_tray_that_others_take_the_place_of_is_gone_from_the_page(nursery, autojump_clock, monkeypatch):
    monkeypatch.setattr("provisioner.console.board.TRAYS_MAX", 1)
    line = Line()
    nursery.start_soon(line.feed.pump)
    async with aclosing(line.feed.messages()) as messages:
        ((_, first),) = heard(await anext(messages))
        (shown,) = [name for name in first["parts"] if name.startswith("tray/")]
        page_server.visit(line.write, 10, "S1", 1, tray="T-0002" if shown.endswith("1") else "T-0001")
        ((_, second),) = heard(await anext(messages))

    assert second["parts"][shown] is None
