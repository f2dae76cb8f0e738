"""A run that is asked to end: what it has written to is finished, the rest waits, and it does not take long."""

import signal
from dataclasses import replace

import pytest
import trio
from factory import GOOD

from provisioner.errors import ExitCode
from provisioner.line.orders import Act, Order
from provisioner.simulator.faults import PROFILES

NONE = PROFILES["none"]


def stop_at(event, nth=1, after_s=0.0):
    """Whoever stops the process when its journal has the n-th record of that event."""

    async def somebody(line):
        while len(line.history_so_far(event)) < nth:
            await trio.sleep(0.05)
        await trio.sleep(after_s)
        line.asked_s = trio.current_time()
        signal.raise_signal(signal.SIGTERM)

    return somebody


def cut_after_a_write(end):
    """The stations whose visit was cut off although something had been written, or was about to be."""
    written = {}
    for record in end.records:
        if record.event == "visit.started":
            written[record.station] = False
        elif record.event.endswith(".intended") and record.station:
            written[record.station] = True
        elif record.event == "visit.ended" and record.outcome == "aborted" and written[record.station]:
            yield record.station


@pytest.mark.parametrize(
    "event", ["station.started", "visit.started", "network.joined", "device.identified", "claim_code.accepted",
              "wifi.intended", "connect.intended", "connect.accepted", "device.confirmed"],
)  # fmt: skip
async def test_a_stop_at_any_step_ends_soon_and_the_next_run_ends_as_if_nothing_had_been(
    factory, autojump_clock, event
):
    """F3: within `stop_s` and the time to leave; whatever was written to was finished."""
    line = factory(stations=2)
    line.boards(5)
    async with line.alive():
        first = await line.run(during=stop_at(event))
        took_s = trio.current_time() - line.asked_s
        second = await line.run()

    assert first.exit == ExitCode.INTERRUPTED
    assert first.wrong == []
    assert took_s <= 10 + 5
    assert took_s >= 10 or not list(cut_after_a_write(first))
    assert second.exit == GOOD, second.screen
    assert second.wrong == []


@pytest.mark.parametrize("command", ["run", "import"])
@pytest.mark.parametrize("again_at", ["run.started", "import.intended"])
async def test_what_an_earlier_run_left_in_doubt_stays_in_doubt_when_the_next_ends_before_it_came_to_it(
    factory, autojump_clock, command, again_at
):
    """F3 and F6: told to connect is not "skipped", also where this run has done nothing with it."""
    line = factory(stations=1)
    boards = line.boards(3)
    line.world.online_delay_s = 3600.0
    async with line.alive():
        first = await line.run(during=stop_at("connect.accepted"))
        line.boards(1)  # the next run has something to import
        line.cloud.faults = replace(NONE, cloud_latency_s=(5.0, 5.0))
        second = await line.run(command, during=stop_at(again_at))
        line.cloud.faults = NONE

    assert first.exit == second.exit == ExitCode.INTERRUPTED
    doubted = {board.device_id for board in boards if first.outcome(board)[0] == "unknown"}
    assert doubted
    assert {r.device for r in second.events("device.unknown")} >= doubted - {
        r.device for r in second.events("device.imported")
    }
    assert not doubted & {r.device for r in second.events("device.skipped")}
    assert second.wrong == []


async def test_a_stop_does_not_wait_for_a_board_that_takes_too_long(factory, autojump_clock):
    """F3: it is cut off, not told to connect, and worked again by the next run."""
    line = factory(stations=1, budgets={"stop_s": 1})
    (board,) = line.boards(1)
    async with line.alive():
        first = await line.run(during=stop_at("wifi.intended"))
        took_s = trio.current_time() - line.asked_s
        second = await line.run()

    assert took_s < 2
    assert (first.exit, first.wrong) == (ExitCode.INTERRUPTED, [])
    assert first.outcome(board)[0] == "unknown", "it may have stored the Wi-Fi: powered anew it comes online by itself"
    assert not first.events("connect.intended")
    second.good(**{"pass": 1})


async def test_a_stop_does_not_wait_for_proofs_also_when_the_run_was_ending_anyway(factory, autojump_clock):
    """F3: the bench is empty, the run gives a board its last time to come online, and a person has had enough."""
    line = factory(stations=1, faults=replace(NONE, never_online=1.0), budgets={"idle_stop_s": 5, "confirm_s": 80})
    (board, _never_comes) = line.boards(2)
    async with line.alive(bring=False):
        line.world.start_operators([board])
        await trio.sleep(20)
        end = await line.run(during=stop_at("station.stopped", after_s=5))
        took_s = trio.current_time() - line.asked_s

    assert end.exit == ExitCode.INTERRUPTED
    assert end.outcome(board)[0] == "unknown"
    assert took_s < 1


async def test_a_stop_while_the_cloud_is_away_does_not_wait_for_it(factory, autojump_clock):
    """F3 and F6: in the import, and in the stations' time."""
    for outage_at in ("import.intended", "visit.started"):
        line = factory(stations=1)
        line.runs_dir = line.folder / outage_at
        line.boards(3)

        async def outage_and_stop(line, at=outage_at):
            while not line.history_so_far(at):
                await trio.sleep(0.01)
            line.cloud.faults = replace(NONE, cloud_fault=1.0)
            await stop_at("line.held", after_s=5)(line)

        end = await line.work(during=outage_and_stop)

        assert end.exit == ExitCode.INTERRUPTED
        assert trio.current_time() - line.asked_s <= 10 + 5
        assert end.wrong == []


async def test_a_stop_that_a_person_orders_finishes_every_board_that_a_station_has(factory, autojump_clock):
    """F3: they have it in their hands; also one that is only being joined."""
    line = factory(stations=2, budgets={"stop_s": 0.1})
    line.boards(4)

    async def person(line):
        while not line.history_so_far("visit.started"):
            await trio.sleep(0.05)
        line.orders.give(Order(Act.STOP, "Mira"))

    end = await line.work(during=person)

    assert end.exit == ExitCode.INTERRUPTED
    assert len(end.events("connect.accepted")) == len(end.events("visit.started")) >= 1
