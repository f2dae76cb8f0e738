"""The first question of a run: asked with pauses, for a bounded time, and what the line's hold is afterwards."""

import pytest
import trio

from provisioner.errors import CloudUnreachable
from provisioner.line.hold import LineHold
from provisioner.opening import ask_first


class Records:
    """A journal that keeps the names of events."""

    def __init__(self):
        self.events = []

    def append(self, event, **_):
        self.events.append(event)


class Cloud:
    """Away for the first questions."""

    def __init__(self, away):
        self.away, self.asked_s = away, []

    async def question(self):
        self.asked_s.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if len(self.asked_s) <= self.away:
            raise CloudUnreachable("no connection")
        return "product"


@pytest.fixture
def records():
    return Records()


async def asked(cloud, hold, *, patiently=True):
    began_s = trio.current_time()
    try:
        with trio.fail_after(3600):
            return await ask_first(hold, cloud.question, patiently=patiently, pause_s=5.0, hold_max_s=60.0)
    finally:
        cloud.asked_s = [round(at_s - began_s) for at_s in cloud.asked_s]


async def test_it_is_asked_after_a_pause_each_time_and_the_line_is_open_when_it_is_answered(records, autojump_clock):
    cloud, hold = Cloud(away=2), LineHold(records, same_fault_holds_at=3)

    assert await asked(cloud, hold) == "product"

    assert cloud.asked_s == [0, 5, 10]
    assert records.events == ["line.held", "line.released"]
    assert hold.is_open
    assert hold.cloud_is_open


@pytest.mark.parametrize(("patiently", "times"), [(True, 14), (False, 1)])
async def test_it_is_not_asked_for_ever(records, autojump_clock, patiently, times):
    cloud, hold = Cloud(away=1000), LineHold(records, same_fault_holds_at=3)

    with pytest.raises(CloudUnreachable):
        await asked(cloud, hold, patiently=patiently)

    assert len(cloud.asked_s) == times
    assert records.events == ["line.held"]
    assert hold.for_good
