"""F31 in whole runs: an answer that drips, or stalls in the middle, is a lost answer. Nothing is proven by it."""

import pytest
import trio
from false_air import Drips

from provisioner.simulator.cloud.http import cloud_app
from provisioner.simulator.cloud.sim_cloud import What
from provisioner.simulator.photon.history import WRITE_ATTEMPTS, Event

WRITES = {"set": "claim_code", "configure-ap": "wifi", "connect-ap": "connect"}
KINDS = ["drips", "stalls"]


def read_before_every_write(line):
    """Each write to a board comes after it was asked who it is: one question for each."""
    asked = set()
    for entry in line.world.history:
        if entry.event == Event.ASKED and entry.detail == "device-id":
            asked.add(entry.device_id)
        elif entry.event in WRITE_ATTEMPTS:
            assert entry.device_id in asked, entry
            asked.discard(entry.device_id)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", WRITES)
async def test_f31_a_board_that_drips_once_is_silent_once_and_done_all_the_same(factory, autojump_clock, command, kind):
    """The write was carried out; it is in doubt until the board or the cloud is asked."""
    line = factory(stations=1)
    slow, _ = line.boards(2)
    air = Drips(line, command, [slow], stalls=kind == "stalls", times=1)

    end = await line.work()

    end.good(**{"pass": 2})
    assert air.dripped == 1
    (unanswered,) = end.events(f"{WRITES[command]}.unanswered", slow.device_id)
    assert unanswered.code in {"softap_silent", "softap_cut_short"}  # it may leave before our time is up
    assert len(end.events(f"{WRITES[command]}.accepted", slow.device_id)) == (command != "connect-ap")
    read_before_every_write(line)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["set", "configure-ap"])
async def test_f31_a_board_that_always_drips_fails_by_name_and_holds_up_nobody(factory, autojump_clock, command, kind):
    """Every visit to it ends, and its station goes on with the others."""
    line = factory(stations=1)
    slow, *_ = line.boards(3)
    air = Drips(line, command, [slow], stalls=kind == "stalls")

    end = await line.work()

    end.good(**{"pass": 2, "fail": 1})
    assert end.outcome(slow) == ("failed", "softap_silent")
    assert air.dripped >= 2
    assert not end.events(f"{WRITES[command]}.accepted", slow.device_id)
    assert not end.events("connect.intended", slow.device_id)
    assert not end.events("line.held")
    assert not end.events("station.drained")
    read_before_every_write(line)


@pytest.mark.parametrize("kind", KINDS)
async def test_f31_a_board_that_drips_at_connect_ap_and_stays_is_in_doubt_and_never_a_pass(
    factory, autojump_clock, kind
):
    """It did not carry it out: the cloud never hears of it, so nothing is proven however often it is told."""
    line = factory(stations=1)
    slow, *_ = line.boards(2)
    Drips(line, "connect-ap", [slow], does_it=False, stalls=kind == "stalls")

    end = await line.work()

    assert end.wrong == []
    assert end.outcomes()["pass"] == 1
    assert end.outcome(slow)[0] in {"unknown", "failed"}
    assert {r.code for r in end.events("connect.unanswered", slow.device_id)} == {"softap_silent"}
    assert not end.events("connect.accepted", slow.device_id)
    read_before_every_write(line)


@pytest.mark.parametrize("does_it", [True, False])
async def test_f31_a_cloud_that_drips_is_an_answer_lost_and_what_it_did_is_not_done_twice(
    factory, autojump_clock, does_it
):
    """Its answers to everything begin and never end, for two minutes from each point of a run on."""
    line = factory(stations=2)
    boards = line.boards(4)
    inner = cloud_app(line.cloud)

    async def drips(scope, receive, send):
        async def nowhere(message):
            await trio.lowlevel.checkpoint()

        if does_it:
            await inner(scope, receive, nowhere)
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        while True:
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await trio.sleep(0.2)

    async def during(line):
        for at in ("import.intended", "claim_code.accepted", "connect.accepted"):
            while not line.history_so_far(at):
                await trio.sleep(0.02)
            line.front = drips
            await trio.sleep(120)
            line.front = None

    end = await line.work(during=during)

    end.good(**{"pass": 4})
    held = {record.code for record in end.events("line.held")}
    assert held
    assert held <= {"cloud_answer_lost", "cloud_slow"}
    for board in boards:
        assert len(list(line.cloud.history.of(What.IMPORTED, board.device_id))) == 1
        assert len(list(line.cloud.history.of(What.CODE_SPENT, board.device_id))) == 1
