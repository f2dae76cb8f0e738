"""What it takes until a device is proven, and what it is called when it is not."""

from dataclasses import replace
from itertools import pairwise

import pytest
import trio
from stages import ACCOUNT, OWNER, cloud_time, id_of, in_cloud

from provisioner.errors import CloudAnswerLost, CloudUnreachable, DeviceNotOnline, OwnedBySomeoneElse
from provisioner.line.air import CameBack
from provisioner.line.steps import State
from provisioner.model import Outcome, SetupNetwork
from provisioner.settings import Budgets


async def settled(desk):
    await desk.confirmer.wait_empty()


async def test_only_a_handshake_after_the_visit_proves(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await trio.sleep(100)
    desk.line.cloud.change(device, online=True, owner=OWNER, last_handshake_at=cloud_time(50))
    await desk.add(device)
    await trio.sleep(20)
    assert desk.line.state(device) is State.CONNECTING

    desk.online(device)
    await settled(desk)

    assert desk.end(device) == ("confirmed", None)
    (confirmed,) = desk.line.named("device.confirmed")
    assert confirmed.evidence["owner"] == OWNER
    assert "handshake_before" not in confirmed.evidence or confirmed.evidence["handshake_before"] is None


async def test_polls_grow_to_the_longest_and_the_last_is_at_the_deadline(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    await settled(desk)

    asked = desk.asked(device)
    gaps = [round(b - a, 1) for a, b in pairwise(asked)]
    assert asked[0] == pytest.approx(1.0)
    assert gaps[:-1] == sorted(gaps[:-1])
    assert max(gaps) == 5.1  # with the read's own 0.1
    assert asked[-1] == pytest.approx(90.0)
    assert desk.end(device) == ("unknown", "not_proven")


async def test_ten_dead_boards_do_not_keep_a_live_one_waiting(desk, autojump_clock):
    desk = desk(11)
    *dead, live = desk.line.devices
    for device in dead:
        await desk.add(device)
    await trio.sleep(20)
    await desk.add(live)
    desk.online(live)
    await trio.sleep(3)

    assert desk.line.state(live) is State.CONFIRMED
    assert desk.confirmer.waiting == 10


async def test_no_more_devices_wait_than_the_limit(desk, autojump_clock):
    desk = desk(3, waiting_max=2)
    first, second, third = desk.line.devices
    await desk.add(first)
    await desk.add(second)
    with trio.move_on_after(30) as scope:
        await desk.add(third)
    assert scope.cancelled_caught
    assert desk.confirmer.waiting == 2

    desk.online(first)
    with trio.fail_after(10):
        await desk.confirmer.add(desk.wanted(third), station="S1")
    await settled(desk)


@pytest.mark.parametrize("how", ["held", "away"])
async def test_time_in_which_nothing_can_be_asked_is_not_counted(desk, autojump_clock, how):
    """Also for the devices that no worker had taken up yet: all of them get their whole budget."""
    desk = desk(12)
    for device in desk.line.devices:
        await desk.add(device)
    await trio.sleep(10)
    if how == "held":
        desk.line.hold.report(CloudUnreachable("no route"))
        await trio.sleep(500)
        desk.line.hold.release()
    else:
        async with desk.line.uplink.away():
            await trio.sleep(500)
    await trio.sleep(60)
    assert desk.confirmer.waiting == 12
    for device in desk.line.devices:
        desk.online(device)
    await settled(desk)

    assert desk.line.ledger.outcomes()[Outcome.PASS] == 12


async def test_nothing_is_asked_while_the_line_is_held_by_the_cloud(desk, autojump_clock):
    desk = desk(3)
    desk.line.hold.report(CloudUnreachable("no route"))
    for device in desk.line.devices:
        await desk.add(device)
    await trio.sleep(300)

    assert desk.line.cloud.reads == []


# --- the setup network came back ---


async def test_a_board_that_left_and_is_back_could_not_join_the_factory_network(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    await trio.sleep(20)
    desk.confirmer.setup_network_back(CameBack(device.id, left_first=True))
    with trio.fail_after(1):
        await settled(desk)

    assert desk.end(device) == ("failed", "wifi_credentials_rejected")


@pytest.mark.parametrize(("again", "end"), [(True, "returned"), (False, "failed")])
async def test_a_board_that_never_left_goes_back_to_the_stations_while_it_has_visits(desk, autojump_clock, again, end):
    desk = desk()
    desk.again = again
    (device,) = desk.line.devices
    await desk.add(device)
    await trio.sleep(20)
    desk.confirmer.setup_network_back(CameBack(device.id, left_first=False))
    await settled(desk)

    assert desk.end(device) == (end, "connect_ignored")


async def test_a_board_that_is_proven_is_proven_also_when_its_network_is_heard(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    desk.online(device)
    desk.confirmer.setup_network_back(CameBack(device.id, left_first=True))
    await settled(desk)

    assert desk.end(device) == ("confirmed", None)


async def test_news_during_a_read_asks_once_more_and_nobody_asks_twice_at_once(desk, autojump_clock):
    """Two workers on one device would confirm it twice."""
    desk = desk()
    (device,) = desk.line.devices
    desk.line.cloud.read_s = 3
    await desk.add(device)
    desk.online(device)
    await trio.sleep(2)  # one worker is reading
    desk.confirmer.setup_network_back(CameBack(device.id, left_first=True))
    await trio.sleep(20)

    assert len(desk.asked(device)) == 1
    assert len(desk.line.named("device.confirmed")) == 1
    assert desk.confirmer.waiting == 0


async def test_news_during_a_read_that_proves_nothing_is_acted_on_at_once(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    desk.line.cloud.read_s = 3
    await desk.add(device)
    await trio.sleep(2)
    desk.confirmer.setup_network_back(CameBack(device.id, left_first=True))
    await trio.sleep(5.1)

    assert desk.end(device) == ("failed", "wifi_credentials_rejected")
    assert len(desk.asked(device)) == 2


async def test_news_that_came_before_the_device_is_not_lost(desk, autojump_clock):
    """A single radio hears a board come back within its window, before it is handed to the confirmer."""
    desk = desk()
    (device,) = desk.line.devices
    air = desk.line.air
    network = SetupNetwork("Photon-AAAA", "02:00:00:00:00:01", -50, 0.0)
    air.hear([network])
    air.learn(network, device.id)
    air.told_to_connect(network, now_s=0.0)
    air.hear([])
    (back,) = air.hear([replace(network, heard_s=40.0)])
    desk.confirmer.setup_network_back(back)
    await desk.add(device)
    with trio.fail_after(1):
        await settled(desk)

    assert desk.end(device) == ("failed", "wifi_credentials_rejected")
    assert air.back_since_connect(device.id) is None


async def test_three_rejected_in_a_row_hold_the_line_and_a_proven_one_breaks_the_row(desk, autojump_clock):
    desk = desk(6)
    for n, device in enumerate(desk.line.devices):
        await desk.add(device)
        if n == 2:
            desk.online(device)
        else:
            desk.confirmer.setup_network_back(CameBack(device.id, left_first=True))
        await settled(desk)
        assert desk.line.hold.for_good == (n == 5)


# --- owners and membership ---


async def test_an_owner_that_comes_late_is_waited_for(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    await trio.sleep(5)
    desk.online(device, owner=None)
    await trio.sleep(10)
    assert desk.line.state(device) is State.CONNECTING
    desk.line.cloud.change(device, owner=OWNER.upper())
    await settled(desk)

    assert desk.end(device) == ("confirmed", None)


async def test_a_board_that_comes_at_the_very_end_of_its_time_has_time_to_show_its_owner(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    await trio.sleep(88)
    desk.online(device, owner=None)
    await trio.sleep(9)
    assert desk.line.state(device) is State.CONNECTING
    desk.line.cloud.change(device, owner=OWNER)
    await settled(desk)

    assert desk.end(device) == ("confirmed", None)


async def test_and_not_for_ever(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    await trio.sleep(88)
    desk.online(device, owner=None)
    await settled(desk)

    assert desk.end(device) == ("failed", "not_claimed")
    assert 100 < trio.current_time() < 107


@pytest.mark.parametrize(
    ("changes", "end", "at_s"),
    [
        ({"owner": None}, ("failed", "not_claimed"), 90),
        ({"owner": "other@example.com"}, ("failed", "wrong_owner"), 90),
        ({"in_product": False}, ("failed", "not_in_product"), 90),
        ({"quarantined": True}, ("failed", "import_quarantined"), 1),
        ({"denied": True}, ("failed", "import_quarantined"), 1),
    ],
)
async def test_each_way_of_not_being_proven_has_its_name_and_its_time(desk, autojump_clock, changes, end, at_s):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    desk.online(device, **changes)
    await settled(desk)

    assert desk.end(device) == end
    assert trio.current_time() == pytest.approx(at_s, abs=0.2)


async def test_a_device_the_cloud_does_not_have_is_not_in_the_product_at_the_deadline(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    del desk.line.cloud.devices[device.id]
    await desk.add(device)
    await settled(desk)

    assert desk.end(device) == ("failed", "not_in_product")
    assert trio.current_time() == pytest.approx(90, abs=0.2)


async def test_a_developer_device_that_is_not_shown_is_not_proven(desk, autojump_clock):
    """The account sees only what it owns; not there means not claimed yet, not lost from a product."""
    desk = desk(to="account")
    (device,) = desk.line.devices
    del desk.line.cloud.devices[device.id]
    await desk.add(device, membership=False)
    await settled(desk)

    assert desk.end(device) == ("unknown", "not_proven")


# --- policy online ---


async def test_an_online_device_is_claimed_once_and_then_proven(desk, autojump_clock):
    desk = desk(to="online")
    (device,) = desk.line.devices
    await desk.confirmer.add(desk.wanted(device, visited=False), station=None)
    desk.online(device, owner=None)
    await trio.sleep(12)
    assert desk.line.cloud.claims == [device.id]
    desk.line.cloud.change(device, owner=ACCOUNT)
    await settled(desk)

    assert desk.line.events(of=device) == ["device.imported", "claim.intended", "claim.accepted", "device.confirmed"]


async def test_a_device_that_somebody_else_owns_is_never_claimed(desk, autojump_clock):
    desk = desk(to="online")
    (device,) = desk.line.devices
    desk.online(device, owner="other@example.com")
    await desk.confirmer.add(desk.wanted(device, visited=False), station=None)
    await settled(desk)

    assert desk.line.cloud.claims == []
    assert desk.end(device) == ("failed", "wrong_owner")


async def test_a_claim_that_meets_another_owner_is_not_asked_for_twice(desk, autojump_clock):
    desk = desk(to="online")
    (device,) = desk.line.devices
    desk.online(device, owner=None)
    desk.line.cloud.faults["claim"] = [OwnedBySomeoneElse("no", status=403, reason="no")]
    await desk.confirmer.add(desk.wanted(device, visited=False), station=None)
    await settled(desk)

    claims = [event for event in desk.line.events() if event.startswith("claim.")]
    assert claims == ["claim.intended", "claim.refused"]
    assert desk.end(device) == ("failed", "owned_by_someone_else")


async def test_a_refused_claim_is_written_and_tried_again_later(desk, autojump_clock):
    desk = desk(to="online")
    (device,) = desk.line.devices
    desk.online(device, owner=None)
    desk.line.cloud.faults["claim"] = [DeviceNotOnline("no", status=404, reason="no")]
    await desk.confirmer.add(desk.wanted(device, visited=False), station=None)
    await trio.sleep(5)
    desk.line.cloud.change(device, owner=ACCOUNT)
    await settled(desk)

    claims = [event for event in desk.line.events() if event.startswith("claim.")]
    assert claims == ["claim.intended", "claim.refused", "claim.intended", "claim.accepted"]
    assert desk.end(device) == ("confirmed", None)


async def test_a_claim_without_an_answer_is_settled_by_the_next_read(desk, autojump_clock):
    desk = desk(to="online")
    (device,) = desk.line.devices
    desk.online(device, owner=None)
    desk.line.cloud.faults["claim"] = [CloudAnswerLost("lost")]
    await desk.confirmer.add(desk.wanted(device, visited=False), station=None)
    await trio.sleep(0.5)
    desk.line.cloud.change(device, owner=ACCOUNT)
    desk.line.hold.release()
    await settled(desk)

    assert desk.line.cloud.claims == [device.id]
    assert desk.end(device) == ("confirmed", None)


# --- faults, ends, earlier runs ---


async def test_a_device_whose_reads_alone_fail_ends_as_unknown(desk, autojump_clock):
    """The cloud answers everything else, so the hold ends at once each time."""
    desk = desk()
    (device,) = desk.line.devices
    desk.line.cloud.faults["read"] = [CloudUnreachable("no") for _ in range(1000)]
    await desk.add(device)
    with trio.fail_after(300):
        while desk.confirmer.waiting:
            await trio.sleep(0.5)
            desk.line.hold.release()

    assert desk.end(device) == ("unknown", "not_proven")


async def test_giving_up_makes_everybody_unknown_once(desk, autojump_clock):
    desk = desk(3)
    for device in desk.line.devices:
        await desk.add(device)
    desk.confirmer.give_up_all("the run was stopped")
    await trio.sleep(200)

    assert [desk.end(device) for device in desk.line.devices] == [("unknown", "run_ended")] * 3
    assert len(desk.line.named("device.unknown")) == 3


@pytest.mark.parametrize("proven", [True, False])
async def test_what_an_earlier_run_left_open_is_proven_soon_or_goes_to_a_station(desk, autojump_clock, proven):
    desk = desk()
    (device,) = desk.line.devices
    if proven:
        desk.online(device)
    await desk.confirmer.settle(desk.wanted(device, since=0), budget_s=10, returns=True)
    with trio.fail_after(11):
        await settled(desk)

    assert desk.end(device)[0] == ("confirmed" if proven else "returned")
    assert desk.line.ledger.may_visit(device.id) is not proven


@pytest.mark.parametrize(
    ("owner", "end"),
    [
        ("somebody@example.com", ("failed", "wrong_owner")),
        (None, ("failed", "not_claimed")),
        ("", ("unknown", "not_proven")),
    ],
)
async def test_at_the_end_of_a_run_it_ends_as_the_cloud_shows_it(desk, autojump_clock, owner, end):
    """F20: in doubt since an earlier run, and by now somebody else's: that is its end, not another doubt."""
    desk = desk()
    (device,) = desk.line.devices
    if owner != "":
        desk.online(device, owner=owner)
    await desk.confirmer.settle(desk.wanted(device, since=0), budget_s=10, returns=False)
    with trio.fail_after(11):
        await settled(desk)

    assert desk.end(device) == end


async def test_an_imported_device_is_judged_from_the_list_without_another_read(desk, autojump_clock):
    desk = desk(to="none")
    (device,) = desk.line.devices
    desk.confirmer.judge_read(desk.wanted(device, visited=False), in_cloud(device))

    assert desk.end(device) == ("confirmed", None)
    assert desk.line.cloud.reads == []


async def test_places_are_free_again_after_every_kind_of_end(desk, autojump_clock):
    desk = desk(4, waiting_max=1, budgets=Budgets(confirm_s=5))
    for n, device in enumerate(desk.line.devices):
        with trio.fail_after(10):
            await desk.add(device)
        if n == 0:
            desk.online(device)
        elif n == 1:
            desk.confirmer.setup_network_back(CameBack(device.id, left_first=False))
    await settled(desk)

    assert [desk.end(device)[0] for device in desk.line.devices] == ["confirmed", "returned", "unknown", "unknown"]


# --- asked together ---


async def test_devices_whose_turns_are_close_share_one_request(desk, autojump_clock):
    desk = desk(8)
    for device in desk.line.devices:
        await desk.add(device)
    for device in desk.line.devices:
        desk.online(device)
    await settled(desk)

    assert {desk.end(device) for device in desk.line.devices} == {("confirmed", None)}
    assert len(desk.line.cloud.pages) == 1
    assert desk.line.cloud.reads == []


async def test_a_device_that_waits_alone_is_read_by_itself(desk, autojump_clock):
    desk = desk()
    (device,) = desk.line.devices
    await desk.add(device)
    desk.online(device)
    await settled(desk)

    assert (desk.line.cloud.pages, len(desk.asked(device))) == ([], 1)


async def test_a_device_that_a_full_page_does_not_reach_is_read_by_itself(desk, autojump_clock):
    """Others may connect faster than a page is long: then not being on it says nothing."""
    desk = desk(3)
    for device in desk.line.devices:
        await desk.add(device)
    first, *_ = desk.line.devices
    desk.online(first)
    for number in range(100, 100 + 40):
        desk.line.cloud.know(id_of(number), online=True, last_handshake_at=cloud_time(trio.current_time() + 5))
    await trio.sleep(2)

    assert desk.end(first) == ("confirmed", None)
    assert len(desk.asked(first)) == 1
    assert desk.line.cloud.pages


async def test_a_page_that_goes_back_beyond_the_visit_says_not_yet_for_those_who_are_not_on_it(desk, autojump_clock):
    desk = desk(3)
    for number in range(100, 100 + 40):
        desk.line.cloud.know(id_of(number), online=True, last_handshake_at=cloud_time(-3600))
    for device in desk.line.devices:
        await desk.add(device)
    await trio.sleep(20)

    assert desk.line.cloud.reads == []
    assert len(desk.line.cloud.pages) > 3
    assert {desk.line.state(device) for device in desk.line.devices} == {State.CONNECTING}


async def test_what_is_not_proven_at_the_end_is_read_by_itself_and_named(desk, autojump_clock):
    desk = desk(3)
    for device in desk.line.devices:
        await desk.add(device)
    unclaimed, foreign, dead = desk.line.devices
    desk.online(unclaimed, owner=None)
    desk.online(foreign, owner="somebody@example.com")
    await settled(desk)

    assert desk.end(unclaimed) == ("failed", "not_claimed")
    assert desk.end(foreign) == ("failed", "wrong_owner")
    assert desk.end(dead) == ("unknown", "not_proven")
    assert [len(desk.asked(device)) for device in desk.line.devices] == [1, 1, 1]


async def test_a_quarantined_device_on_a_page_is_read_by_itself_at_once(desk, autojump_clock):
    desk = desk(2)
    for device in desk.line.devices:
        await desk.add(device)
    quarantined, _ = desk.line.devices
    desk.online(quarantined, quarantined=True, in_product=False)
    await trio.sleep(3)

    assert desk.end(quarantined) == ("failed", "import_quarantined")
    assert len(desk.asked(quarantined)) == 1


async def test_a_page_that_fails_ends_nobody(desk, autojump_clock):
    desk = desk(3)
    desk.line.cloud.faults["page"] = [CloudUnreachable("no connection")]
    for device in desk.line.devices:
        await desk.add(device)
        desk.online(device)
    await trio.sleep(5)
    assert desk.line.hold.reason is not None

    desk.line.hold.release()
    await settled(desk)

    assert {desk.end(device) for device in desk.line.devices} == {("confirmed", None)}
