"""Our side of NetworkManager's D-Bus: what it is asked and answers, what goes wrong and when (facts: network 2, 4)."""

import sys
from pathlib import Path

import pytest
import trio

from provisioner import errors
from provisioner.model import SetupNetwork
from provisioner.network import networkmanager
from provisioner.network.nm_profile import OURS, RIGHTS, failure_of, profile_of, signal_dbm, what_was_dropped
from provisioner.network.switcher import JoinPolicy, Uplink

sys.path.insert(0, str(Path(__file__).parent))

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from fake_nm import FakeNM
from switcher_benches import Held
from switcher_cases import NAMES

POLICY = JoinPolicy(budget_s=40, leave_budget_s=4)
NETWORK = SetupNetwork("Photon-KLJZ", "02:00:00:00:00:01", -50, 0.0)


class Bench:
    def __init__(self, nursery):
        self.on = {}
        self.daemon = FakeNM(nursery, moved=self.on.__setitem__)
        self.device = self.daemon.add_device("wlan1")
        self.factory = networkmanager.NetworkManagerFactory(self.daemon.router, boot_s=trio.current_time, hold=Held())

    def open(self, adapter="wlan1", uplink=Uplink.SEPARATE):
        return self.factory.session(adapter=adapter, uplink=uplink)


@pytest.fixture
def bench(nursery, autojump_clock):
    return Bench(nursery)


async def found(switcher, ssid="Photon-KLJZ"):
    networks = await switcher.scan(prefix="Photon-", timeout=15)
    return next(network for network in networks if network.ssid == ssid)


async def joined(bench, switcher, network, policy=POLICY):
    """Join and leave; returns what the adapter was on, and the time it took."""
    began_s = trio.current_time()
    async with switcher.joined(network, policy) as link:
        assert link.network == network
        return bench.on["wlan1"], trio.current_time() - began_s


async def test_the_profile_is_ours_pinned_volatile_and_never_the_default_route(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        async with switcher.joined(network, POLICY):
            (profile,) = bench.daemon.profiles.values()

    assert profile["connection"]["id"] == ("s", f"{OURS}wlan1")
    assert profile["connection"]["autoconnect"] == ("b", False)
    assert profile["connection"]["interface-name"] == ("s", "wlan1")
    assert bytes(profile["802-11-wireless"]["bssid"][1]).hex(":") == network.bssid
    assert profile["ipv4"]["never-default"] == profile["ipv4"]["ignore-auto-dns"] == ("b", True)
    assert profile["ipv6"]["method"] == ("s", "disabled")
    assert bench.daemon.profiles == {}, "gone when we left"
    assert "Disconnect" not in bench.daemon.calls


@pytest.mark.parametrize("section", ["ipv4", "connection"])
async def test_a_template_that_was_dropped_is_refused_and_left(autojump_clock, bench, monkeypatch, section):
    """One wrong type, and the real NetworkManager joins with a default route (facts: network 4.3)."""

    def wrong(network, adapter, *, user, static):
        profile = {name: dict(rows) for name, rows in profile_of(network, adapter, user=user, static=static).items()}
        profile[section]["dhcp-timeout" if section == "ipv4" else "no-such-property"] = ("s", "10")
        return profile

    monkeypatch.setattr(networkmanager, "profile_of", wrong)
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        with pytest.raises(errors.ProfileDropped, match=r"connection\.id"):
            await joined(bench, switcher, network)
        assert bench.device.active == "/"
        assert bench.on["wlan1"] is None


async def test_a_photon_that_vanished_after_the_scan_fails_with_networkmanagers_own_reason(autojump_clock, bench):
    point = bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        point.last_seen = trio.current_time()
        began_s = trio.current_time()
        with pytest.raises(errors.NetworkNotFound) as caught:
            await joined(bench, switcher, network)
        assert caught.value.backend_code == "nm-device:53"
        assert trio.current_time() - began_s < 27

        point.last_seen = trio.current_time()
        with pytest.raises(errors.JoinTimeout):  # our deadline leads
            await joined(bench, switcher, network, JoinPolicy(budget_s=5, leave_budget_s=4))


async def test_one_that_has_been_gone_for_long_is_listened_for_and_not_joined(autojump_clock, bench):
    point = bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        point.last_seen = trio.current_time()
        await trio.sleep(100)
        with pytest.raises(errors.NetworkNotFound):
            await joined(bench, switcher, network)

    assert "AddAndActivateConnection2" not in bench.daemon.calls


async def test_silent_dhcp_is_no_address_and_the_next_visit_may_bring_its_own(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ", lease=False)
    async with bench.open() as switcher:
        assert switcher.traits.static_addresses
        network = await found(switcher)
        with pytest.raises(errors.NoAddress) as caught:
            await joined(bench, switcher, network)
        assert caught.value.backend_code == "nm-device:5"

        on, _ = await joined(bench, switcher, network, JoinPolicy(40, 4, static_address="192.168.0.99"))
        assert on == "Photon-KLJZ"


async def test_signals_that_come_before_the_reply_are_not_missed(autojump_clock, bench):
    bench.daemon.signal_first = True
    bench.daemon.join_s = 0.0
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        on, took_s = await joined(bench, switcher, await found(switcher))

    assert (on, took_s < 2) == ("Photon-KLJZ", True)


async def test_a_daemon_that_dies_while_we_wait_is_backend_gone_within_seconds(autojump_clock, bench, nursery):
    bench.daemon.add_point("Photon-KLJZ")
    bench.daemon.hangs.add("activation")
    async with bench.open() as switcher:
        network = await found(switcher)
        nursery.start_soon(kill_later, bench.daemon)
        began_s = trio.current_time()
        with pytest.raises(errors.BackendGone):
            await joined(bench, switcher, network)
        assert trio.current_time() - began_s < 10


async def kill_later(daemon):
    await trio.sleep(3)
    daemon.stop()


async def test_a_bus_that_closes_is_backend_gone_and_the_session_ends_cleanly(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        for connection in bench.daemon._connections:
            connection.close()
        with pytest.raises(errors.BackendGone):
            await joined(bench, switcher, network)


async def test_an_uplink_that_comes_back_by_itself_between_two_photons_is_no_other_program(autojump_clock, bench):
    """Seen with the real one: the device's own signals then say reason 60, new activation; it is ours."""
    bench.daemon.home = bench.daemon.put_on_uplink(bench.device)
    for ssid in ("Photon-KLJZ", "Photon-7F3Q"):
        bench.daemon.add_point(ssid)
    async with bench.open(uplink=Uplink.SHARED) as switcher:
        networks = await switcher.scan(prefix="Photon-", timeout=15)
        for network, pause_s in zip(networks * 2, (0.0, 0.1, 0.5, 5.0), strict=True):
            assert (await joined(bench, switcher, network))[0] == network.ssid
            await trio.sleep(pause_s)
        await switcher.restore(timeout=30)
        assert bench.on["wlan1"] == "uplink"


async def test_another_program_that_takes_the_adapter_is_said(autojump_clock, bench, nursery):
    bench.daemon.add_point("Photon-KLJZ")
    bench.daemon.hangs.add("activation")

    async def take():
        await trio.sleep(2)
        bench.daemon.fail(bench.device, 60)

    async with bench.open() as switcher:
        network = await found(switcher)
        nursery.start_soon(take)
        with pytest.raises(errors.AdapterUnavailable, match="another program"):
            await joined(bench, switcher, network)


async def test_an_adapter_that_is_pulled_out_needs_no_leaving_and_the_next_join_says_so(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        network = await found(switcher)
        async with switcher.joined(network, POLICY):
            bench.daemon.devices.clear()
        with pytest.raises(errors.AdapterUnavailable):
            await joined(bench, switcher, network)


async def test_an_adapter_that_ends_on_another_bssid_sends_nothing(autojump_clock, bench, monkeypatch):
    """F17."""
    bench.daemon.add_point("Photon-KLJZ")
    other = bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        networks = await switcher.scan(prefix="Photon-", timeout=15)
        wanted = next(network for network in networks if network.bssid != other.bssid.lower())

        async def wrong_point(self, network):
            return other.path

        monkeypatch.setattr(networkmanager.NetworkManagerSwitcher, "_point_of", wrong_point)
        with pytest.raises(errors.WrongNetwork):
            await joined(bench, switcher, wanted)
        assert bench.on["wlan1"] is None


# --- what is refused before anything is done ---


@pytest.mark.parametrize(
    ("spoil", "error", "word"),
    [
        (lambda bench: bench.daemon.devices.clear(), errors.AdapterUnavailable, "there is no adapter wlan1"),
        (lambda bench: setattr(bench.device, "kind", 1), errors.AdapterUnavailable, "no Wi-Fi adapter"),
        (lambda bench: setattr(bench.device, "state", 10), errors.AdapterUnavailable, "does not manage"),
        (lambda bench: setattr(bench.device, "state", 20), errors.AdapterUnavailable, "switched off"),
        (lambda bench: bench.daemon.rights.update({RIGHTS[0]: "auth"}), errors.SwitchingNotAllowed, "network-control"),
        (lambda bench: bench.daemon.rights.clear(), errors.SwitchingNotAllowed, "wifi.scan"),
        (lambda bench: bench.daemon.stop(), errors.BackendGone, "not running"),
    ],
    ids=["no adapter", "ethernet", "unmanaged", "rfkill", "one right", "no rights", "no daemon"],
)
async def test_a_session_that_cannot_be_is_refused_in_words(autojump_clock, bench, spoil, error, word):
    spoil(bench)
    with pytest.raises(error, match=word) as caught:
        async with bench.open():
            pytest.fail("opened all the same")

    assert caught.value.remedy


@pytest.mark.parametrize("state", [10, 20], ids=["adapter just plugged in", "daemon just started"])
async def test_an_adapter_that_is_not_ready_yet_is_waited_for(autojump_clock, bench, nursery, state):
    """For a moment the real one says that it does not manage it, or that it is not available (radio bench)."""
    bench.device.state = state

    async def later():
        await trio.sleep(3)
        bench.device.state = 30

    nursery.start_soon(later)
    async with bench.open():
        assert trio.current_time() >= 3


async def test_an_adapter_is_one_stations_only_and_free_again_afterwards(autojump_clock, bench):
    async with bench.open():
        with pytest.raises(errors.AdapterUnavailable, match="another station"):
            async with bench.open():
                pytest.fail("two stations on one adapter")
    async with bench.open():
        pass


async def test_permission_denied_in_the_middle_is_the_accounts(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ")
    bench.daemon.fails["AddAndActivateConnection2"] = "org.freedesktop.NetworkManager.PermissionDenied"
    async with bench.open() as switcher:
        network = await found(switcher)
        with pytest.raises(errors.SwitchingNotAllowed):
            await joined(bench, switcher, network)


# --- before and after ---


async def test_leftovers_of_ours_are_swept_and_nobody_elses(autojump_clock, bench):
    ours = bench.daemon.add_profile({"connection": {"id": ("s", f"{OURS}wlan1")}})
    others = [bench.daemon.add_profile({"connection": {"id": ("s", name)}}) for name in ("home", f"{OURS}wlan2")]
    async with bench.open():
        assert ours not in bench.daemon.profiles
        assert all(path in bench.daemon.profiles for path in others)


async def test_a_leftover_that_is_still_joined_is_swept_and_the_uplink_that_comes_back_is_remembered(
    autojump_clock, bench
):
    """A killed NetworkManager starts again on the Photon: seen with the real one (L3)."""
    bench.daemon.home = bench.daemon.put_on_uplink(bench.device)
    left = bench.daemon.add_profile({"connection": {"id": ("s", f"{OURS}wlan1")}})
    bench.daemon._activate_now(bench.device, left, "/", "192.168.0.2")
    async with bench.open(uplink=Uplink.SHARED) as switcher:
        assert left not in bench.daemon.profiles
        assert bench.on["wlan1"] == "uplink"
        assert switcher._before == bench.daemon.home


async def test_a_shared_adapter_whose_uplink_is_on_its_way_back_is_waited_for(autojump_clock, bench, nursery):
    """As after `kill -9` of a run that was joined, and the next run at once."""
    bench.daemon.add_point("Photon-KLJZ")

    async def come_back():
        await trio.sleep(4.3)
        bench.daemon.put_on_uplink(bench.device)

    nursery.start_soon(come_back)
    async with bench.open(uplink=Uplink.SHARED) as switcher:
        await joined(bench, switcher, await found(switcher))
        await switcher.restore(timeout=30)
        assert bench.on["wlan1"] == "uplink"


async def test_a_shared_adapter_that_is_on_nothing_is_refused_in_words(autojump_clock, bench):
    with pytest.raises(errors.UplinkNotRestored, match="wlan1 is said to carry the uplink") as caught:
        async with bench.open(uplink=Uplink.SHARED):
            pytest.fail("opened all the same")

    assert caught.value.remedy
    assert trio.current_time() < 30


@pytest.mark.parametrize("uplink", Uplink)
async def test_the_network_from_before_is_activated_again_not_waited_for(autojump_clock, bench, uplink):
    bench.daemon.put_on_uplink(bench.device)
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open(uplink=uplink) as switcher:
        await joined(bench, switcher, await found(switcher))
        assert bench.on["wlan1"] is None
        await switcher.restore(timeout=30)
        assert bench.on["wlan1"] == ("uplink" if uplink is Uplink.SHARED else None)

    assert bench.on["wlan1"] == "uplink"
    assert bench.daemon.calls.count("ActivateConnection") == 1


async def test_an_adapter_that_was_on_nothing_is_left_on_nothing(autojump_clock, bench):
    bench.daemon.add_point("Photon-KLJZ")
    async with bench.open() as switcher:
        await joined(bench, switcher, await found(switcher))

    assert bench.on["wlan1"] is None
    assert "ActivateConnection" not in bench.daemon.calls


# --- listening ---


async def test_only_open_networks_of_the_prefix_that_are_heard_now_are_offered(autojump_clock, bench):
    """F17: an access point with a password is no Photon, whatever it is called."""
    bench.daemon.add_point("Photon-KLJZ")
    bench.daemon.add_point("Photon-LOCK", secured=True)
    bench.daemon.add_point("Office")
    bench.daemon.add_point("Photon-GONE").last_seen = trio.current_time()
    async with bench.open() as switcher:
        await trio.sleep(60)
        networks = await switcher.scan(prefix="Photon-", timeout=15)

    assert [network.ssid for network in networks] == ["Photon-KLJZ"]
    assert networks[0].signal_dbm == signal_dbm(70) == -65


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_comes_and_goes_as_the_bytes_it_is(autojump_clock, bench, name):
    raw = name.encode("utf-8", "surrogateescape")
    bench.daemon.add_point(raw)
    async with bench.open() as switcher:
        (network,) = await switcher.scan(prefix="", timeout=15)
        async with switcher.joined(network, POLICY):
            (profile,) = bench.daemon.profiles.values()

    assert profile["802-11-wireless"]["ssid"][0] == "ay"
    assert bytes(profile["802-11-wireless"]["ssid"][1]) == raw
    assert profile["connection"]["id"] == ("s", f"{OURS}wlan1"), "a name is in no text that NetworkManager parses"


async def test_a_scan_that_is_never_done_ends_at_its_timeout(autojump_clock, bench):
    bench.daemon.scan_s = 1e6
    async with bench.open() as switcher:
        assert await switcher.scan(prefix="Photon-", timeout=7) == []
    assert trio.current_time() < 8


# --- pure ---


@pytest.mark.parametrize(
    ("reason", "error"),
    [(53, errors.NetworkNotFound), (5, errors.NoAddress), (17, errors.NoAddress), (7, errors.AssociationFailed),
     (8, errors.AssociationFailed), (11, errors.AssociationFailed), (40, errors.LinkLost),
     (36, errors.AdapterUnavailable), (60, errors.AdapterUnavailable), (999, errors.AssociationFailed)],
)  # fmt: skip
def test_reasons_are_in_our_taxonomy(reason, error):
    failure = failure_of(reason, NETWORK)

    assert type(failure) is error
    assert failure.backend_code == f"nm-device:{reason}"


def test_what_networkmanager_leaves_out_because_it_is_the_default_counts_as_dropped():
    sent = profile_of(NETWORK, "wlan1", user=None, static=None)
    assert what_was_dropped(sent, sent) == []

    taken = {name: dict(rows) for name, rows in sent.items()}
    del taken["connection"]["autoconnect"]
    del taken["ipv4"]["never-default"]
    assert what_was_dropped(sent, taken) == ["connection.autoconnect", "ipv4.never-default"]
