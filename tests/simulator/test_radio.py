import pytest
import trio

from provisioner.errors import AdapterUnavailable, NetworkNotFound
from provisioner.simulator.faults import Faults
from provisioner.simulator.radio import Act


async def test_hears_what_listens_strongest_first(autojump_clock, bench, world):
    boards = [await bench() for _ in range(5)]
    heard = world.radio.heard("wlan0")

    assert {one.photon.bssid for one in boards} == {network.bssid for network in heard}
    assert [network.signal_dbm for network in heard] == sorted((n.signal_dbm for n in heard), reverse=True)
    assert {(network.channel, network.heard_s) for network in heard} == {(11, trio.current_time())}
    assert [n.signal_dbm for n in heard] != [n.signal_dbm for n in world.radio.heard("wlan1")]


async def test_same_ssid_twice_is_two_networks(autojump_clock, bench, world):
    for _ in range(2):
        await bench(ssid="Photon-KLJZ")

    assert [one.ssid for one in world.radio.heard("wlan0")] == ["Photon-KLJZ"] * 2


async def test_vanished_network_is_listed_for_a_while_with_its_last_beacon(autojump_clock, bench, world):
    hands = await bench()
    await trio.sleep(5)
    hands.photon.power_off()
    await trio.testing.wait_all_tasks_blocked()
    gone_s = trio.current_time()

    await trio.sleep(world.faults.stale_scan_s - 1)
    assert [gone_s] == [one.heard_s for one in world.radio.heard("wlan0")]
    assert world.radio.find(hands.photon.bssid, "wlan0") is None
    await trio.sleep(2)
    assert world.radio.heard("wlan0") == []


async def test_network_that_comes_back_is_fresh(autojump_clock, bench, world, tools):
    hands = await bench()
    hands.photon.power_cycle()
    await trio.testing.wait_all_tasks_blocked()
    await tools.until_serving(hands.photon)

    assert [trio.current_time()] == [one.heard_s for one in world.radio.heard("wlan0")]


def join_s(world, adapter="wlan0"):
    with world.radio.joining(adapter) as times:
        return sum(times)


async def test_join_times_have_the_published_median_and_tail(autojump_clock, world):
    times = sorted(join_s(world) for _ in range(2000))

    assert 2.2 < times[1000] < 2.8
    assert 7 < times[1900] < 9


async def test_scripted_failures_come_once_and_in_order(world):
    first, second = NetworkNotFound("one"), NetworkNotFound("two")
    world.radio.scripted("wlan0", Act.SCAN, first)
    world.radio.scripted("wlan0", Act.SCAN, second)
    raised = []
    for _ in range(3):
        try:
            world.radio.raise_scripted("wlan0", Act.SCAN)
        except NetworkNotFound as failure:
            raised.append(failure)

    assert [first, second] == raised


@pytest.mark.parametrize("certain", [True, False])
async def test_chance_of_refusal(make_world, certain):
    world = make_world(faults=Faults(join_refused=float(certain)))
    photon = world.add_photon()

    assert world.radio.refuses_join("wlan0", photon) is certain
    assert [(one.fault, one.device, one.adapter) for one in world.strikes] == [
        ("join_refused", photon.device_id, "wlan0")
    ] * certain


async def test_an_adapter_hears_the_boards_of_its_own_bench_only(autojump_clock, bench, world):
    here = await bench()
    there = world.add_photon()
    world.present(there, "bench 2")
    world.radio.place("wlan9", "bench 2")
    await trio.sleep(20)

    assert [one.bssid for one in world.radio.heard("wlan0")] == [here.photon.bssid]
    assert [one.bssid for one in world.radio.heard("wlan9")] == [there.bssid]
    assert world.radio.find(there.bssid, "wlan0") is None
    assert {one.device_id for one in world.radio.listening()} == {here.photon.device_id, there.device_id}


async def test_two_units_with_one_bssid_look_like_the_stronger_one(autojump_clock, bench, make_world, world):
    world.radio.faults = Faults(same_bssid=0.5)
    twins = [(await bench(bssid="6c:0b:84:00:00:01")).photon for _ in range(2)]
    (heard,) = world.radio.heard("wlan0")
    reached = world.radio.find("6c:0b:84:00:00:01", "wlan0")

    assert reached in twins
    assert heard.ssid in {one.ssid for one in twins}
    reached.power_off()
    await trio.testing.wait_all_tasks_blocked()
    assert world.radio.find("6c:0b:84:00:00:01", "wlan0") is next(one for one in twins if one is not reached)


async def test_joins_at_once_on_one_bench_take_longer_and_those_elsewhere_do_not(autojump_clock, make_world):
    crowded = make_world(faults=Faults(channel_crowding=0.5))
    alone = join_s(make_world())
    with crowded.radio.joining("wlan1"), crowded.radio.joining("wlan2"):
        crowded.radio.place("wlan9", "bench 2")

        assert join_s(crowded) == pytest.approx(2 * alone)
        assert join_s(crowded, "wlan9") == pytest.approx(join_s(make_world(), "wlan9"))
    assert join_s(crowded) < 30


async def test_an_adapter_that_sickens_joins_nothing_until_it_is_well(autojump_clock, bench, world):
    world.radio.faults = Faults(adapter_sickens=1.0, adapter_sick_s=(100.0, 100.0))
    assert world.radio.is_sick("wlan0")
    world.radio.faults = Faults()
    await trio.sleep(99)
    assert world.radio.is_sick("wlan0")
    assert not world.radio.is_sick("wlan1")
    await trio.sleep(2)

    assert not world.radio.is_sick("wlan0")
    assert [(one.fault, one.adapter) for one in world.strikes] == [("adapter_sickens", "wlan0")]


async def test_an_unplugged_adapter_is_gone_for_good(autojump_clock, world):
    world.radio.faults = Faults(adapter_vanishes=1.0)
    world.radio.check_there("wlan0")  # only by joining does it go
    for joins in (True, False):
        with pytest.raises(AdapterUnavailable, match="wlan0 is gone"):
            world.radio.check_there("wlan0", joins=joins)
    world.radio.check_there("wlan1")


async def test_a_weak_board_is_heard_weakly_and_refuses_more_often(autojump_clock, bench, world):
    strong, weak = (await bench()).photon, (await bench(faults=Faults(weak_board=1.0))).photon
    heard = {one.bssid: one.signal_dbm for one in world.radio.heard("wlan0")}

    assert heard[weak.bssid] < -70
    assert heard[strong.bssid] > heard[weak.bssid] or heard[strong.bssid] > -79
    refused = [sum(world.radio.refuses_join("wlan0", one) for _ in range(200)) for one in (strong, weak)]
    assert refused[0] == 0
    assert 20 < refused[1] < 80
