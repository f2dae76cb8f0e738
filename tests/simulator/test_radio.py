import trio

from provisioner.errors import NetworkNotFound
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
    assert world.radio.find(hands.photon.bssid) is None
    await trio.sleep(2)
    assert world.radio.heard("wlan0") == []


async def test_network_that_comes_back_is_fresh(autojump_clock, bench, world, tools):
    hands = await bench()
    hands.photon.power_cycle()
    await trio.testing.wait_all_tasks_blocked()
    await tools.until_serving(hands.photon)

    assert [trio.current_time()] == [one.heard_s for one in world.radio.heard("wlan0")]


async def test_join_times_have_the_published_median_and_tail(autojump_clock, world):
    times = sorted(sum(world.radio.join_s("wlan0")) for _ in range(2000))

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


async def test_chance_of_refusal(make_world):
    assert make_world(faults=Faults(join_refused=1.0)).radio.refuses_join("wlan0")
    assert not make_world(faults=Faults(join_refused=0.0)).radio.refuses_join("wlan0")
