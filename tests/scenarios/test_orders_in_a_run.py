"""People order things of a running line: hold over lunch, another try for a failed board, the end."""

from dataclasses import replace

import trio

from provisioner.errors import ExitCode
from provisioner.line.orders import Act, Order
from provisioner.simulator.faults import PROFILES


async def test_a_line_held_over_lunch_begins_no_board_and_does_not_end_by_itself(factory, autojump_clock):
    line = factory(budgets={"idle_stop_s": 300})
    line.boards(3)
    lunch = []

    async def lunch_break(line):
        while not (line.orders and line.history_so_far("device.imported")):
            await trio.sleep(1)
        line.orders.give(Order(Act.HOLD, "Mira"))
        await trio.sleep(600)
        lunch.append(line.history_so_far("visit.started"))
        line.orders.give(Order(Act.RESUME, "Mira"))

    end = await line.work(during=lunch_break)

    assert lunch == [[]]
    end.good(**{"pass": 3})


async def test_a_line_held_before_the_cloud_has_answered_its_first_question_begins_no_board(factory, autojump_clock):
    """The page is there from the first record on, and so are its buttons."""
    line = factory()
    line.boards(3)
    line.cloud.faults = replace(PROFILES["none"], cloud_latency_s=(20.0, 20.0))
    seen = []

    async def early_hold(line):
        while not line.history_so_far("run.started"):
            await trio.sleep(0.1)
        asked = len(line.requests)
        line.orders.give(Order(Act.HOLD, "Mira"))
        line.cloud.faults = PROFILES["none"]
        seen.append((asked, line.history_so_far("import.intended")))
        await trio.sleep(600)
        seen.append(line.history_so_far("visit.started"))
        line.orders.give(Order(Act.RESUME, "Mira"))

    end = await line.work(during=early_hold)

    assert seen == [(seen[0][0], []), []]
    assert seen[0][0] <= 1
    end.good(**{"pass": 3})


async def test_a_stop_before_the_cloud_has_answered_its_first_question_is_a_stop_at_once(factory, autojump_clock):
    line = factory()
    line.boards(3)
    line.cloud.faults = replace(PROFILES["none"], cloud_latency_s=(900.0, 900.0))

    async def early_stop(line):
        while not line.history_so_far("run.started"):
            await trio.sleep(0.1)
        line.orders.give(Order(Act.STOP, "Mira"))

    end = await line.work(during=early_stop)

    assert end.exit == ExitCode.INTERRUPTED
    assert end.events("run.stopping")[0].operator == "Mira"
    assert trio.current_time() - line.began_s < 5
    assert end.wrong == []


async def test_a_stop_from_the_page_is_a_stop_by_a_person(factory, autojump_clock):
    line = factory()
    line.boards(8)

    async def operator_stops(line):
        while not line.history_so_far("device.confirmed"):
            await trio.sleep(1)
        line.orders.give(Order(Act.STOP, "Mira"))

    end = await line.work(during=operator_stops)

    assert end.exit == ExitCode.INTERRUPTED
    assert end.events("run.stopping")[0].operator == "Mira"
    assert end.wrong == []


async def test_a_board_set_aside_and_taken_back_still_passes(factory, autojump_clock):
    line = factory(stations=1)
    boards = line.boards(6)
    last = boards[-1]

    async def second_thoughts(line):
        while not line.history_so_far("device.imported"):
            await trio.sleep(0.1)
        line.orders.give(Order(Act.SET_ASIDE, "Mira", last.device_id))
        await trio.sleep(20)
        line.orders.give(Order(Act.RERUN, "Jo", last.device_id))

    end = await line.work(during=second_thoughts)

    end.good(**{"pass": 6})
    assert [record.event for record in end.records if record.device == last.device_id and record.operator] == [
        "device.failed",
        "device.reopened",
    ]


async def test_todays_figures_go_on_over_runs(factory, autojump_clock):
    line = factory(stations=1)
    line.boards(3)
    async with line.alive():
        first = await line.run()
        line.boards(2)
        line.world.start_operators(line.listed[3:], line.habits)
        second = await line.run()

    assert first.records[-1].extra["today"] == {"S1": [3, 0, 0]}
    assert second.records[0].extra["today"] == {"S1": [3, 0, 0]}
    assert second.records[-1].extra["today"] == {"S1": [5, 0, 0]}
