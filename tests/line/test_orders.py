"""What a person may order of a running line: what is carried out is journalled with their name, the rest refused."""

import pytest
import trio
from stages import Photon, listed, one_visit

from provisioner.errors import (
    AlreadySo,
    CloudUnreachable,
    DeviceBusy,
    HeldBySite,
    NotInManifest,
    NotRunning,
    NotVisitable,
    OrderRefused,
    SoftAPSilent,
    TakeoverRefused,
)
from provisioner.line.orders import Act, LineOrders, Order, Orders
from provisioner.line.steps import State
from provisioner.model import Outcome


def orders_of(line, stops=None):
    stops = [] if stops is None else stops
    return LineOrders(line.ledger, line.hold, line.air, line.journal, stops.append)


def ask(orders, act, device=None, operator="Mira", station="S1"):
    orders.carry_out(Order(Act(act), operator, device.id if device else None, station))


def fail(line, device, error=SoftAPSilent):
    line.write("device.failed", device, outcome=Outcome.FAIL, code=error.code)


async def test_a_person_holds_the_line_and_only_a_person_lets_it_go(bench, autojump_clock):
    line = bench([listed(1)]).start()
    orders = orders_of(line)

    ask(orders, "hold")

    with trio.move_on_after(3600) as waiting:
        await line.hold.wait_open()
    assert waiting.cancelled_caught
    with pytest.raises(AlreadySo):
        ask(orders, "hold")
    ask(orders, "resume", operator="Jo")
    await line.hold.wait_open()
    held, released = line.named("line.held")[0], line.named("line.released")[0]
    assert (held.code, held.operator, held.blame) == ("held_by_operator", "Mira", "operator")
    assert (released.code, released.operator) == ("held_by_operator", "Jo")
    with pytest.raises(AlreadySo):
        ask(orders, "resume")


async def test_the_sites_hold_and_a_persons_are_two(bench, autojump_clock):
    line = bench([listed(1)]).start()
    orders = orders_of(line)
    line.hold.report(CloudUnreachable("no route"))
    with pytest.raises(HeldBySite):
        ask(orders, "resume")
    ask(orders, "hold")

    line.hold.release()

    with trio.move_on_after(10) as waiting:
        await line.hold.wait_open()
    assert waiting.cancelled_caught, "the person still holds it"
    ask(orders, "resume")
    await line.hold.wait_open()


async def test_a_failed_board_gets_another_try_by_rerun(bench, autojump_clock):
    device, photon = listed(1, owner=None), Photon(1)
    line = bench([device]).start()
    station = line.station(photon)
    line.cloud.change(device, owner="somebody@example.com")
    visit = await one_visit(station)
    assert isinstance(visit.failure, TakeoverRefused)
    assert await station.find() is None, "it is left alone for good"

    line.cloud.change(device, owner=None)
    ask(orders_of(line), "rerun", device)
    await trio.sleep(line.budgets.scan_reuse_s)
    visit = await one_visit(station)

    assert visit.handed_over is not None
    assert line.named("device.reopened")[0].operator == "Mira"


async def test_rerun_counts_the_tries_from_the_beginning(bench, autojump_clock):
    device = listed(1)
    line = bench([device]).start()
    for _ in range(line.limits.device_attempts_max):
        line.write("device.identified", device)
        line.write("visit.ended", device, outcome=Outcome.FAIL, code="softap_silent")
    fail(line, device)
    assert not line.ledger.may_visit(device.id)
    assert line.ledger.open == 0

    ask(orders_of(line), "rerun", device)

    assert line.ledger.may_visit(device.id)
    assert line.ledger.open == 1, "the run waits for it again"


async def test_a_failed_board_is_taken_away_and_keeps_its_outcome(bench, autojump_clock):
    device = listed(1)
    line = bench([device]).start()
    fail(line, device)

    ask(orders_of(line), "set_aside", device)

    assert line.state(device) is State.FAILED
    assert line.named("device.set_aside")[0].operator == "Mira"


async def test_a_board_that_had_no_turn_fails_when_it_is_set_aside_and_rerun_takes_it_back(bench, autojump_clock):
    device = listed(1)
    line = bench([device]).start()
    orders = orders_of(line)

    ask(orders, "set_aside", device)

    failed = line.named("device.failed")[0]
    assert (failed.code, failed.operator, failed.outcome) == ("set_aside", "Mira", Outcome.FAIL)
    assert not line.ledger.may_visit(device.id)
    ask(orders, "rerun", device)
    assert line.ledger.may_visit(device.id)


@pytest.mark.parametrize("act", ["rerun", "set_aside"])
@pytest.mark.parametrize("how", ["with a station", "waits for its proof"])
async def test_nothing_is_changed_under_a_board_at_work(bench, autojump_clock, act, how):
    device = listed(1)
    line = bench([device]).start()
    if how == "with a station":
        line.ledger.take(device.id, "S2")
    else:
        for event in ("device.identified", "claim_code.accepted", "connect.intended"):
            line.write(event, device)
    before = len(line.records)

    with pytest.raises(DeviceBusy):
        ask(orders_of(line), act, device)

    assert len(line.records) == before


async def test_what_cannot_be_done_is_refused_with_what_to_do(bench, autojump_clock):
    device, member = listed(1), listed(2, to="none", wifi=None)
    line = bench([device, member]).start()
    orders = orders_of(line)
    fail(line, member)

    for act, which, error in (
        ("rerun", device, AlreadySo),
        ("rerun", member, NotVisitable),
        ("rerun", listed(9), NotInManifest),
        ("set_aside", None, NotInManifest),
    ):
        with pytest.raises(error) as refused:
            ask(orders, act, which)
        assert refused.value.remedy
    line.write("device.confirmed", device, outcome=Outcome.PASS)
    with pytest.raises(AlreadySo):
        ask(orders, "set_aside", device)


@pytest.mark.parametrize("name", ["", "  "])
async def test_an_order_needs_a_name(bench, autojump_clock, name):
    line = bench([listed(1)]).start()

    with pytest.raises(OrderRefused):
        ask(orders_of(line), "hold", operator=name)

    assert not line.hold.by_person


async def test_a_name_is_escaped_and_cut(bench, autojump_clock):
    line = bench([listed(1)]).start()

    ask(orders_of(line), "hold", operator="M\x1b[2J" + "i" * 200)

    name = line.named("line.held")[0].operator
    assert "\x1b" not in name
    assert len(name) == 64


async def test_stop_is_the_first_ctrl_c_with_a_name(bench, autojump_clock):
    stops = []
    line = bench([listed(1)]).start()

    ask(orders_of(line, stops), "stop")

    assert stops == ["Mira"]


async def test_orders_are_taken_only_while_a_line_works(bench, autojump_clock):
    line = bench([listed(1)]).start()
    orders = Orders()
    order = Order(Act.HOLD, "Mira")
    with pytest.raises(NotRunning):
        orders.give(order)

    with orders.taken_by(orders_of(line)):
        orders.give(order)

    assert line.hold.by_person
    with pytest.raises(NotRunning):
        orders.give(order)


async def test_a_run_whose_work_is_over_refuses_orders_and_changes_nothing(bench, autojump_clock):
    line = bench([listed(1)]).start()
    answers = orders_of(line)

    with answers.until_over():
        ask(answers, "hold")
        ask(answers, "resume")
    with pytest.raises(NotRunning):
        ask(answers, "hold")

    assert not line.hold.by_person
