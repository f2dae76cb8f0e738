"""The simulated switcher keeps the seam's promises; the shared contract suite covers what all back ends promise."""

import contextlib
import errno
import os

import pytest
import trio

from provisioner.errors import (
    AdapterUnavailable,
    AssociationFailed,
    JoinTimeout,
    LeaveFailed,
    NetworkNotFound,
    NoAddress,
    SwitchingNotAllowed,
    UplinkNotRestored,
)
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Uplink
from provisioner.simulator.faults import Faults
from provisioner.simulator.photon_history import Event
from provisioner.simulator.radio import Act

GET = b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n"
PATIENT = JoinPolicy(budget_s=300)


@pytest.fixture
async def switcher(world):
    async with world.switchers.session(adapter="wlan0", uplink=Uplink.SEPARATE) as switcher:
        yield switcher


async def network_of(switcher, hands):
    heard = await switcher.scan(prefix="Photon-", timeout=15)
    return next(one for one in heard if one.bssid == hands.photon.bssid)


async def test_speaks_to_the_joined_photon(autojump_clock, bench, switcher, world, tools):
    boards = [await bench(ssid="Photon-KLJZ") for _ in range(3)]
    assert isinstance(switcher, NetworkSwitcher)
    for hands in boards:
        async with switcher.joined(await network_of(switcher, hands), PATIENT) as link:
            stream = await link.dial("192.168.0.1", 80)
            await stream.send_all(b"GET /device-id HTTP/1.1\r\nConnection: close\r\n\r\n")
            answer = tools.dechunked(await tools.read_quietly(stream)).decode()

            assert hands.photon.device_id.upper() in answer
            assert await link.healthy()
            assert link.network.bssid == hands.photon.bssid
        asked = [entry.via for entry in world.history.of(hands.photon.device_id, Event.ASKED)]
        assert asked == ["wlan0"]


async def test_scan_filters_by_prefix_and_takes_its_time(autojump_clock, bench, switcher):
    await bench(ssid="Factory-KLJZ")
    await bench(ssid="Photon-KLJZ")
    began_s = trio.current_time()

    assert [one.ssid for one in await switcher.scan(prefix="Photon-", timeout=15)] == ["Photon-KLJZ"]
    assert 0.6 <= trio.current_time() - began_s <= 4
    with pytest.raises(AdapterUnavailable):
        await switcher.scan(prefix="Photon-", timeout=0.1)


async def test_everything_is_dead_after_leaving(autojump_clock, bench, switcher):
    hands = await bench()
    async with switcher.joined(await network_of(switcher, hands), PATIENT) as link:
        idle, waiting = [await link.dial("192.168.0.1", 80) for _ in range(2)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_meets_the_end, waiting)
            await trio.testing.wait_all_tasks_blocked()
            await link.die()
    assert not await link.healthy()
    with pytest.raises(trio.BrokenResourceError):
        await idle.send_all(GET)
    await _cannot_dial(link, "192.168.0.1", 80, errno.ENETUNREACH)


async def _cannot_dial(link, host, port, number):
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        await link.dial(host, port)
    assert caught.value.errno == number


async def _meets_the_end(stream):
    with contextlib.suppress(trio.BrokenResourceError):  # or the end of the stream, whichever comes first
        assert await stream.receive_some(10) == b""


async def test_other_hosts_and_ports_cannot_be_reached(autojump_clock, bench, switcher):
    hands = await bench()
    async with switcher.joined(await network_of(switcher, hands), PATIENT) as link:
        await _cannot_dial(link, "10.0.0.1", 80, errno.EHOSTUNREACH)
        await _cannot_dial(link, "192.168.0.1", 443, errno.ECONNREFUSED)


async def test_link_is_gone_for_good_when_the_network_vanishes(autojump_clock, bench, switcher, tools):
    hands = await bench()
    async with switcher.joined(await network_of(switcher, hands), PATIENT) as link:
        stream = await link.dial("192.168.0.1", 80)
        await trio.testing.wait_all_tasks_blocked()
        hands.photon.power_cycle()
        await trio.testing.wait_all_tasks_blocked()
        assert await stream.receive_some(10) == b""
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(GET)

        await tools.until_serving(hands.photon)
        assert not await link.healthy()
        await _cannot_dial(link, "192.168.0.1", 80, errno.ENETUNREACH)


async def test_connect_ap_ends_the_link(autojump_clock, bench, switcher):
    hands = await bench()
    async with switcher.joined(await network_of(switcher, hands), PATIENT) as link:
        stream = await link.dial("192.168.0.1", 80)
        await stream.send_all(b"GET /connect-ap HTTP/1.1\r\n\r\n")
        assert b'{"r":0}' in (await stream.receive_some(4096)).replace(b"\r\n1\r\n", b"")
        await trio.sleep(2)
        assert not await link.healthy()


async def test_one_client_at_a_time(autojump_clock, bench, world, switcher):
    hands = await bench()
    network = await network_of(switcher, hands)
    async with world.switchers.session(adapter="wlan1", uplink=Uplink.SEPARATE) as second:
        async with switcher.joined(network, PATIENT):
            with pytest.raises(AssociationFailed):
                async with second.joined(network, PATIENT):
                    pytest.fail("joined")
        async with second.joined(network, PATIENT):
            assert hands.photon.session.client == "wlan1"


async def test_stale_network_is_not_found(autojump_clock, bench, switcher):
    hands = await bench()
    hands.photon.power_off()
    await trio.testing.wait_all_tasks_blocked()
    network = await network_of(switcher, hands)
    with pytest.raises(NetworkNotFound):
        async with switcher.joined(network, PATIENT):
            pytest.fail("joined")


async def test_dead_dhcp_gives_no_address_but_a_static_one_works(autojump_clock, bench, switcher):
    hands = await bench(faults=Faults(dhcp_dead=1.0))
    network = await network_of(switcher, hands)
    for policy in (PATIENT, JoinPolicy(budget_s=300, static_address="192.168.0.1"),
                   JoinPolicy(budget_s=300, static_address="10.0.0.7")):  # fmt: skip
        with pytest.raises(NoAddress):
            async with switcher.joined(network, policy):
                pytest.fail("joined")
        assert hands.photon.session.client is None
    async with switcher.joined(network, JoinPolicy(budget_s=300, static_address="192.168.0.7")) as link:
        assert await link.healthy()


async def test_budget_ends_a_join_and_frees_the_photon(autojump_clock, bench, switcher):
    hands = await bench(faults=Faults(dhcp_dead=1.0))
    network = await network_of(switcher, hands)
    with pytest.raises(JoinTimeout):
        async with switcher.joined(network, JoinPolicy(budget_s=0.01)):
            pytest.fail("joined")
    with pytest.raises(NoAddress):
        async with switcher.joined(network, JoinPolicy(budget_s=11)):
            pytest.fail("joined")

    assert hands.photon.session.client is None


async def test_refused_join(autojump_clock, make_world, tools):
    world = make_world(faults=Faults(join_refused=1.0))
    photon = world.add_photon()
    async with world.running(), world.switchers.session(adapter="wlan0", uplink=Uplink.SEPARATE) as switcher:
        world.present(photon)
        await tools.until_serving(photon)
        with pytest.raises(AssociationFailed):
            async with switcher.joined(world.radio.heard("wlan0")[0], PATIENT):
                pytest.fail("joined")
        assert photon.session.client is None


async def test_error_of_the_body_comes_before_a_failed_leave(autojump_clock, bench, switcher, world):
    hands = await bench()
    network = await network_of(switcher, hands)
    for body, expected in ((lambda: None, LeaveFailed), ({}.popitem, KeyError)):
        world.radio.scripted("wlan0", Act.LEAVE, LeaveFailed("stuck"))
        with pytest.raises(expected):
            async with switcher.joined(network, PATIENT):
                body()
        assert hands.photon.session.client is None


async def test_leaves_when_cancelled(autojump_clock, bench, switcher, world):
    hands = await bench()
    network = await network_of(switcher, hands)
    with trio.move_on_after(60) as scope:
        async with switcher.joined(network, PATIENT):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert hands.photon.session.client is None
    assert [e.event for e in world.history if e.via == "wlan0"] == [Event.JOINED, Event.LEFT]


async def test_adapter_is_opened_once_and_scripted_failures_reach_every_act(autojump_clock, bench, switcher, world):
    with pytest.raises(AdapterUnavailable):
        async with world.switchers.session(adapter="wlan0", uplink=Uplink.SEPARATE):
            pytest.fail("opened")
    for act in (Act.OPEN, Act.SCAN, Act.JOIN, Act.RESTORE):
        world.radio.scripted("wlan0" if act is not Act.OPEN else "wlan9", act, SwitchingNotAllowed("no"))
    hands = await bench()
    with pytest.raises(SwitchingNotAllowed):
        async with world.switchers.session(adapter="wlan9", uplink=Uplink.SEPARATE):
            pytest.fail("opened")
    with pytest.raises(SwitchingNotAllowed):
        await switcher.scan(prefix="", timeout=15)
    with pytest.raises(SwitchingNotAllowed):
        async with switcher.joined(await network_of(switcher, hands), PATIENT):
            pytest.fail("joined")
    with pytest.raises(SwitchingNotAllowed):
        await switcher.restore(timeout=5)


async def test_shared_uplink_is_away_from_join_to_restore(autojump_clock, bench, world, nursery):
    hands = await bench()
    back = trio.Event()

    async def wait():
        await world.radio.wait_uplink_back("wlan7")
        back.set()

    async with world.switchers.session(adapter="wlan7", uplink=Uplink.SHARED) as switcher:
        network = await network_of(switcher, hands)
        assert not world.radio.uplink_away("wlan7")
        async with switcher.joined(network, PATIENT):
            assert world.radio.uplink_away("wlan7")
            assert world.radio.uplink_away()
            assert not world.radio.uplink_away("wlan0")
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert world.radio.uplink_away("wlan7")
        with pytest.raises(UplinkNotRestored):
            await switcher.restore(timeout=0.1)
        assert not back.is_set()
        await switcher.restore(timeout=30)
        await switcher.restore(timeout=30)
        await back.wait()

        async with switcher.joined(network, PATIENT):
            assert world.radio.uplink_away()
    assert not world.radio.uplink_away()
