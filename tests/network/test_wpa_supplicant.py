"""Our side of wpa_supplicant's control socket: commands, tables, and what goes wrong."""

import contextlib
import shutil
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import trio

from provisioner import errors
from provisioner.network import wpa_supplicant
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.network.wpa_control import networks_of, open_control, status_of, unescaped
from provisioner.network.wpa_supplicant import MARK, WpaSupplicantFactory, run_ip

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from fake_wpa import FakeWpa, Point, escaped
from switcher_cases import NAMES

POLICY = JoinPolicy(budget_s=20, leave_budget_s=4)


class Bench:
    def __init__(self, nursery, monkeypatch):
        self.on, self.ip, self.points = {}, [], []
        self.daemon = FakeWpa(nursery, "wlan1", self.points, moved=self.on.__setitem__)
        self.factory = WpaSupplicantFactory(self.daemon.open, ip=self._ip, hold=nullcontext)

        async def address(adapter, host):
            from ipaddress import IPv4Address

            set_ = [call[2] for call in self.ip if call[1] == "replace"]
            return IPv4Address(set_[-1].partition("/")[0]) if set_ else None

        monkeypatch.setattr("provisioner.network.wpa_supplicant.own_address", address)
        monkeypatch.setattr("provisioner.network.bound.own_address", address)

    async def _ip(self, arguments):
        await trio.lowlevel.checkpoint()
        self.ip.append(list(arguments))

    def open(self, uplink=Uplink.SEPARATE):
        return self.factory.session(adapter="wlan1", uplink=uplink)


@pytest.fixture
def bench(nursery, monkeypatch):
    return Bench(nursery, monkeypatch)


async def found(switcher, ssid="Photon-KLJZ"):
    networks = await switcher.scan(prefix="Photon-", timeout=15)
    return next(network for network in networks if network.ssid == ssid)


async def test_photons_channels_are_listened_to_first_and_that_is_quick(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    async with bench.open() as switcher:
        began_s = trio.current_time()
        await found(switcher)
        assert trio.current_time() - began_s < 0.2

        bench.points[0].frequency = 2437  # neither 11 nor 1: then all channels
        await found(switcher)
        assert "SCAN" in bench.daemon.calls


async def test_a_scan_that_the_kernel_refuses_is_asked_for_again(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    bench.daemon.scans_fail = 3
    async with bench.open() as switcher:
        await found(switcher)
        bench.daemon.scans_fail = 10_000
        began_s = trio.current_time()
        assert await switcher.scan(prefix="Photon-", timeout=5) == []
        assert trio.current_time() - began_s <= 5


async def test_a_visit_leaves_nothing_behind(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    async with bench.open() as switcher:
        async with switcher.joined(await found(switcher), POLICY) as link:
            assert bench.on["wlan1"] == "Photon-KLJZ"
            assert await link.healthy()
            (network,) = bench.daemon.networks.values()
            assert (network["bssid"], network["id_str"]) == ("02:00:00:00:00:01", MARK)
            bench.points[0].up = False
            assert not await link.healthy(), "a Photon that is gone is seen at once"
        assert bench.daemon.networks == {}
        (put,) = [call[2] for call in bench.ip if call[1] == "replace"]
        assert bench.ip[-1] == ["addr", "del", put, "dev", "wlan1"], "its own address, and no other"


async def test_what_a_killed_run_left_is_swept_and_nothing_else(autojump_clock, bench):
    uplink = bench.daemon.put_on_uplink()
    ours = bench.daemon.on_ADD_NETWORK()
    bench.daemon.networks[ours].update(ssid=b"Photon-X".hex(), id_str=MARK)
    async with bench.open():
        assert list(bench.daemon.networks) == [uplink]


async def test_a_photon_that_is_gone_is_not_found_and_one_that_refuses_is_a_failed_association(autojump_clock, bench):
    point = Point(b"Photon-KLJZ", "02:00:00:00:00:01")
    bench.points.append(point)
    async with bench.open() as switcher:
        network = await found(switcher)
        point.up = False
        with pytest.raises(errors.NetworkNotFound):
            await join(switcher, network)


async def join(switcher, network):
    async with switcher.joined(network, POLICY):
        pytest.fail("joined all the same")


async def test_a_daemon_that_goes_away_is_backend_gone(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    async with bench.open() as switcher:
        network = await found(switcher)
        bench.daemon.running = False
        with pytest.raises(errors.BackendGone):
            await join(switcher, network)
    with pytest.raises(errors.BackendGone):
        async with bench.open():
            pytest.fail("opened all the same")


async def test_the_uplink_is_selected_again_and_waited_for(autojump_clock, bench):
    bench.daemon.put_on_uplink()
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    async with bench.open(Uplink.SHARED) as switcher:
        async with switcher.joined(await found(switcher), POLICY):
            pass
        await switcher.restore(timeout=10)
        assert bench.on["wlan1"] == "uplink"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_goes_to_the_control_socket_in_hex_so_that_nothing_in_it_can_be_a_command(
    autojump_clock, bench, name
):
    raw = name.encode("utf-8", "surrogateescape")
    bench.points.append(Point(raw, "02:00:00:00:00:01"))
    async with bench.open() as switcher:
        (network,) = await switcher.scan(prefix="", timeout=15)
        async with switcher.joined(network, POLICY):
            sent = [call for call in bench.daemon.calls if " ssid " in call]

    assert sent == [f"SET_NETWORK 0 ssid {raw.hex()}"]
    assert all(call.isascii() and call.isprintable() for call in bench.daemon.calls)


async def test_a_shared_adapter_that_a_killed_run_left_finds_its_uplink_again(autojump_clock, bench):
    """The killed run had selected the Photon, which disables every other network."""
    uplink = bench.daemon.put_on_uplink()
    ours = bench.daemon.on_ADD_NETWORK()
    bench.daemon.networks[ours].update(ssid=b"Photon-X".hex(), bssid="02:00:00:00:00:09", id_str=MARK)
    bench.daemon.on_SELECT_NETWORK(ours)
    assert bench.daemon.disabled == {uplink}
    async with bench.open(Uplink.SHARED) as switcher:
        assert list(bench.daemon.networks) == [uplink]
        assert bench.on["wlan1"] == "uplink"
        assert switcher._before == uplink
        assert bench.ip[0][:2] == ["addr", "flush"]
        assert bench.ip[0][-1].endswith("/32"), "the address of ours that it had, and no other"


async def test_an_address_of_ours_is_taken_off_even_if_the_daemon_has_died(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    async with bench.open() as switcher:
        with pytest.raises(errors.LeaveFailed):
            async with switcher.joined(await found(switcher), POLICY):
                bench.daemon.running = False
    assert bench.ip[-1][:2] == ["addr", "del"]


async def test_a_shared_adapter_that_is_on_nothing_is_refused_in_words(autojump_clock, bench):
    with pytest.raises(errors.UplinkNotRestored, match="wlan1 is said to carry the uplink"):
        async with bench.open(Uplink.SHARED):
            pytest.fail("opened all the same")
    assert trio.current_time() < 30


async def test_the_networks_it_could_choose_among_are_enabled_again_and_no_others(autojump_clock, bench):
    bench.points.append(Point(b"Photon-KLJZ", "02:00:00:00:00:01"))
    bench.daemon.put_on_uplink()
    (other, forbidden) = (bench.daemon.on_ADD_NETWORK() for _ in range(2))
    for number in (other, forbidden):
        bench.daemon.networks[number]["ssid"] = b"guests".hex()
    bench.daemon.disabled = {forbidden}
    async with bench.open() as switcher, switcher.joined(await found(switcher), POLICY):
        assert other in bench.daemon.disabled
    assert bench.daemon.disabled == {forbidden}
    assert bench.on["wlan1"] == "uplink"


# --- tables ---


@pytest.mark.parametrize(
    "raw",
    [b"Photon-KLJZ", bytes(range(256))[:32], b'a"b\\c\x1b\n\r\t', b"\\x41"]
    + [name.encode("utf-8", "surrogateescape") for name in NAMES.values()],
    ids=ascii,
)
def test_names_are_read_back_to_their_bytes(raw):
    assert unescaped(escaped(raw)) == raw


def test_only_open_networks_of_the_prefix_are_taken_and_rubbish_is_skipped():
    """F17: an access point with a password is no Photon, whatever it is called."""
    table = "\n".join([
        "bssid / frequency / signal level / flags / ssid",
        "02:00:00:00:00:0A\t2462\t-51\t[ESS]\tPhoton-KLJZ",
        "02:00:00:00:00:0b\t2462\t-52\t[WPA2-PSK-CCMP][ESS]\tPhoton-LOCK",
        "02:00:00:00:00:0c\t2462\t-53\t[ESS]\tOffice",
        "rubbish",
        "02:00:00:00:00:0d\t2462\tloud\t[ESS]\tPhoton-LOUD",
    ])  # fmt: skip
    (one,) = networks_of(table, prefix="Photon-", heard_s=3.0)

    assert (one.ssid, one.bssid, one.signal_dbm) == ("Photon-KLJZ", "02:00:00:00:00:0a", -51)


def test_a_status_is_read_line_by_line():
    assert status_of("wpa_state=COMPLETED\nssid=a=b\nrubbish") == {"wpa_state": "COMPLETED", "ssid": "a=b"}


# --- the socket itself, in real time ---


async def test_the_control_socket_asks_skips_events_and_says_when_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setattr("provisioner.network.wpa_control.COMMAND_S", 0.3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plain:
        plain.bind(str(tmp_path / "wlan1"))
        plain.setblocking(False)
        daemon = trio.socket.from_stdlib_socket(plain)

        async def serve():
            for answers in ([b"OK\n"], [b"<3>CTRL-EVENT-SCAN-STARTED ", b"PONG\n", b"<3>CTRL-EVENT-SCAN-RESULTS "], []):
                _, sender = await daemon.recvfrom(100)
                for answer in answers:
                    await daemon.sendto(answer, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with open_control("wlan1", tmp_path) as control:
                assert await control.ask("PING") == "PONG"
                assert (
                    await control.event("CTRL-EVENT-SCAN-FAILED", "CTRL-EVENT-SCAN-RESULTS")
                    == "CTRL-EVENT-SCAN-RESULTS"
                )
                with pytest.raises(errors.BackendGone):
                    await control.ask("STATUS")


async def test_a_name_at_the_end_of_an_answer_keeps_its_blanks(tmp_path):
    """Found by the radio bench: the last row of a scan lost them, and could not be joined any more."""
    table = "bssid / frequency / signal level / flags / ssid\n02:00:00:00:00:0a\t2462\t-51\t[ESS]\t two  blanks \n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as plain:
        plain.bind(str(tmp_path / "wlan1"))
        plain.setblocking(False)
        daemon = trio.socket.from_stdlib_socket(plain)

        async def serve():
            for answer in (b"OK\n", table.encode()):
                _, sender = await daemon.recvfrom(100)
                await daemon.sendto(answer, sender)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            async with open_control("wlan1", tmp_path) as control:
                (network,) = networks_of(await control.ask("SCAN_RESULTS"), prefix="", heard_s=0.0)

    assert network.ssid == " two  blanks "


async def test_no_socket_is_said_with_how_to_start_one(tmp_path):
    with pytest.raises(errors.BackendGone, match="no wpa_supplicant serves wlan7") as caught:
        async with open_control("wlan7", tmp_path):
            pass

    assert "wpa_supplicant -B -i wlan7" in caught.value.remedy
    with contextlib.suppress(OSError):
        (tmp_path / "wlan7").unlink()


async def test_f35_the_program_that_sets_addresses_is_not_given_our_environment(tmp_path, monkeypatch):
    """A child's environment can be read in /proc by every process of the same account."""
    program = tmp_path / "ip"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    program.chmod(0o755)
    monkeypatch.setitem(wpa_supplicant._IP_ENV, "PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PROVISIONER_CLIENT_SECRET", "canary-5724113917ac1e1cbf80")
    await run_ip(["-V"])

    assert "canary" not in (tmp_path / "seen").read_text()


async def test_ip_is_run_and_what_it_says_is_told():
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    await run_ip(["-V"])
    with pytest.raises(errors.SwitchError, match="no-such-adapter"):
        await run_ip(["addr", "flush", "dev", "no-such-adapter"])
