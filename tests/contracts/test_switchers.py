"""What every switcher promises, one sentence each, run over every back end there is."""

import contextlib

import pytest
import trio

from provisioner import errors
from provisioner.network.switcher import JoinPolicy, NetworkSwitcher, Uplink

HOST, PORT = "192.168.0.1", 80
ONE, TWO = "Photon-AAAA", "Photon-BBBB"
POLICY = JoinPolicy(budget_s=20, leave_budget_s=4)

HOSTILE = [
    "", "Photon-", "Photon-\x1b]0;owned\x07", "Photon-\x1b[2J", "Photon-\u202eABCD", "Photon-\0AB", "Photon-AB\nCD",
    "Photon-,=cmd|", "Photon-$(reboot)", "-AAAA", "--help", "Photon-\udcff\udcfe", "x" * 4000, "Factory", "photon",
    "Photon-\N{FULLWIDTH LATIN CAPITAL LETTER A}BCD", "Photon-ABCD; rm -rf /", "Photon-%s%n",
]  # fmt: skip


class BodyFailed(Exception):
    """The body's own error."""


async def who_answers(link):
    stream = await link.dial(HOST, PORT)
    async with stream:
        return (await stream.receive_some()).decode()


async def assert_dead(link):
    assert not await link.healthy()
    with pytest.raises(OSError, match=r".+"):
        await link.dial(HOST, PORT)


async def test_it_says_what_it_is(autojump_clock, bench):
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        assert isinstance(switcher, NetworkSwitcher)
        assert switcher.traits.adapter == "wlan1"
        assert switcher.traits.uplink is Uplink.SEPARATE
        assert switcher.traits.name


async def test_a_scan_gives_a_fresh_network_that_can_be_joined(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        await trio.sleep(100)
        network = await bench.find(switcher, ONE)

    assert network.ssid == ONE
    assert network.heard_s >= 100
    assert network.key


@pytest.mark.parametrize("ssid", HOSTILE, ids=ascii)
async def test_a_hostile_name_never_raises_and_only_the_prefix_is_offered(autojump_clock, bench, ssid):
    bench.shout(ssid)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        found = await switcher.scan(prefix="Photon-", timeout=15)

    assert all(network.ssid.startswith("Photon-") for network in found)
    assert {network.ssid for network in found} <= {ssid}


async def test_a_scan_ends_at_its_timeout(autojump_clock, bench):
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        start_s = trio.current_time()
        with contextlib.suppress(errors.SwitchError):
            await switcher.scan(prefix="Photon-", timeout=0.5)

    assert trio.current_time() - start_s <= 0.5


async def test_joined_yields_only_with_an_address_in_the_photons_subnet(autojump_clock, bench):
    bench.put(ONE, lease=False)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        with pytest.raises(errors.NoAddress):
            async with switcher.joined(network, POLICY):
                pytest.fail("yielded without an address")


async def test_a_network_that_is_gone_is_not_joined(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.vanish(ONE)
        with pytest.raises(errors.SwitchError) as caught:
            async with switcher.joined(network, POLICY):
                pytest.fail("yielded without a network")

    assert caught.value.blame is errors.Blame.DEVICE


async def test_dial_reaches_the_joined_photon_and_no_other(autojump_clock, bench):
    bench.put(ONE)
    bench.put(TWO)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        async with switcher.joined(await bench.find(switcher, TWO), POLICY) as link:
            assert link.network.ssid == TWO
            assert await link.healthy()
            assert await who_answers(link) == TWO
        async with switcher.joined(await bench.find(switcher, ONE), POLICY) as link:
            assert await who_answers(link) == ONE


async def test_two_adapters_joined_at_once_reach_their_own_photons(autojump_clock, bench):
    bench.put(ONE)
    bench.put(TWO)
    async with (
        bench.open("wlan1", Uplink.SEPARATE) as left,
        bench.open("wlan2", Uplink.SEPARATE) as right,
        left.joined(await bench.find(left, ONE), POLICY) as to_one,
        right.joined(await bench.find(right, TWO), POLICY) as to_two,
    ):
        assert [await who_answers(link) for link in (to_one, to_two, to_one)] == [ONE, TWO, ONE]


async def test_a_link_is_dead_after_leaving_with_all_its_streams(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        async with switcher.joined(await bench.find(switcher, ONE), POLICY) as link:
            stream = await link.dial(HOST, PORT)

        await assert_dead(link)
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await stream.send_all(b"too late")


@pytest.mark.parametrize("leave", ["works", "hangs", "fails"])
async def test_leaving_happens_on_an_error_and_does_not_mask_it(autojump_clock, bench, leave):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        links = []
        with pytest.raises(BodyFailed):
            await fail_on(switcher, await bench.find(switcher, ONE), links, lambda: spoil(bench, leave))
        await assert_dead(links[0])


async def fail_on(switcher, network, links, before):
    async with switcher.joined(network, POLICY) as link:
        links.append(link)
        before()
        raise BodyFailed


@pytest.mark.parametrize("leave", ["works", "hangs", "fails"])
async def test_leaving_happens_on_a_cancel_and_does_not_mask_it(autojump_clock, bench, leave):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        with trio.CancelScope() as scope:
            async with switcher.joined(network, POLICY) as link:
                spoil(bench, leave)
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        await assert_dead(link)


async def test_leaving_is_bounded(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        with contextlib.suppress(errors.LeaveFailed):  # said only where nothing else went wrong
            async with switcher.joined(network, POLICY):
                spoil(bench, "hangs")
                start_s = trio.current_time()
        assert trio.current_time() - start_s <= POLICY.leave_budget_s


def spoil(bench, leave):
    {"works": lambda: None, "hangs": bench.hang_leave, "fails": bench.fail_leave}[leave]()


async def test_a_join_that_hangs_is_a_join_timeout(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.hang_join()
        start_s = trio.current_time()
        with pytest.raises(errors.JoinTimeout):
            async with switcher.joined(network, POLICY):
                pytest.fail("yielded though the join hangs")

    assert trio.current_time() - start_s <= bench.join_bound_s + POLICY.leave_budget_s


async def test_a_join_can_be_cancelled(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        network = await bench.find(switcher, ONE)
        bench.hang_join()
        with trio.move_on_after(3) as scope:
            async with switcher.joined(network, POLICY):
                pytest.fail("yielded though the join hangs")

    assert scope.cancelled_caught


async def test_a_photon_that_vanishes_takes_its_link_with_it(autojump_clock, bench):
    bench.put(ONE)
    async with (
        bench.open("wlan1", Uplink.SEPARATE) as switcher,
        switcher.joined(await bench.find(switcher, ONE), POLICY) as link,
    ):
        bench.vanish(ONE)
        await assert_dead(link)


async def test_after_an_error_the_same_adapter_joins_the_next_photon(autojump_clock, bench):
    bench.put(ONE)
    bench.put(TWO)
    async with bench.open("wlan1", Uplink.SEPARATE) as switcher:
        with pytest.raises(BodyFailed):
            await fail_on(switcher, await bench.find(switcher, ONE), [], lambda: None)
        async with switcher.joined(await bench.find(switcher, TWO), POLICY) as link:
            assert await who_answers(link) == TWO


async def test_restore_brings_a_shared_adapter_back_and_is_idempotent(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SHARED) as switcher:
        await switcher.restore(timeout=30)
        async with switcher.joined(await bench.find(switcher, ONE), POLICY):
            assert not bench.on_uplink("wlan1")
        bench.vanish(ONE)
        await switcher.restore(timeout=30)
        assert bench.on_uplink("wlan1")
        await switcher.restore(timeout=30)
        assert bench.on_uplink("wlan1")


async def test_an_uplink_that_cannot_be_restored_is_said(autojump_clock, bench):
    bench.put(ONE)
    async with bench.open("wlan1", Uplink.SHARED) as switcher:
        async with switcher.joined(await bench.find(switcher, ONE), POLICY):
            pass
        bench.hang_join()
        with pytest.raises(errors.UplinkNotRestored):
            await switcher.restore(timeout=30)
