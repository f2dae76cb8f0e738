"""The life of a Photon from power-on to online, in virtual time."""

import pytest
import trio

from provisioner.model import SecurityType
from provisioner.simulator.factory_wifi import FactoryNetwork
from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.history import Event


def events(world, photon):
    return [entry.event for entry in world.history.of(photon.device_id)]


async def hand_over(hands, **wifi):
    assert await hands.claim() == b'{"r":0}'
    assert await hands.configure(**wifi) == b'{"r":0}'
    assert await hands.connect() == b'{"r":0}'


async def test_whole_way_from_listening_to_claimed(autojump_clock, bench, world, cloud, tools):
    hands = await bench()
    photon = hands.photon
    await hand_over(hands)
    await trio.sleep(120)

    assert events(world, photon) == [
        Event.POWERED, Event.LISTENING, Event.CLAIM_CODE_SET, Event.CONFIGURED, Event.CONNECT, Event.SILENT,
        Event.WIFI_JOINED, Event.ONLINE, Event.CLAIMED,
    ]  # fmt: skip
    assert [("online", photon.device_id, tools.code)] == cloud.happened
    assert photon.online
    assert photon.flash.claimed
    assert photon.flash.claim_code is None
    assert not photon.listening


async def test_c_stays_1_when_the_device_listens_again(autojump_clock, bench, tools):
    hands = await bench(device_id="3b0021001747353236343033")
    await hand_over(hands)
    await trio.sleep(120)
    hands.photon.hold_setup()
    await trio.testing.wait_all_tasks_blocked()
    await tools.until_serving(hands.photon)

    assert await hands.command("device-id") == b'{"id":"3B0021001747353236343033","c":"1"}'


async def test_setup_network_goes_within_moments_of_the_answer(autojump_clock, bench, world):
    hands = await bench()
    await hands.configure()
    await hands.connect()
    await trio.sleep(2)
    told, silent = world.history.of(hands.photon.device_id, Event.CONNECT, Event.SILENT)

    assert 0.05 <= silent.at_s - told.at_s <= 1.5


async def test_lost_answer_to_connect_is_carried_out(autojump_clock, bench):
    hands = await bench(faults=Faults(connect_reply_lost=1.0))
    await hands.configure()

    assert await hands.connect() == b""
    await trio.sleep(120)
    assert hands.photon.online


async def test_connect_works_by_get_without_body(autojump_clock, bench, tools):
    hands = await bench()
    await hands.configure()

    assert tools.dechunked(await hands.http(b"GET /connect-ap HTTP/1.1\r\n\r\n")) == b'{"r":0}'
    await trio.sleep(120)
    assert hands.photon.online


@pytest.mark.parametrize("wifi", [{"password": "mywifipasswort"}, {"sec": 2097156}, {"sec": 2097165}])
async def test_new_credentials_that_do_not_work_bring_the_same_network_back(autojump_clock, bench, world, wifi):
    hands = await bench()
    photon = hands.photon
    await hand_over(hands, **wifi)
    await trio.sleep(120)
    *_, silent = world.history.of(photon.device_id, Event.SILENT)
    *_, back = world.history.of(photon.device_id, Event.LISTENING)

    assert 35 <= back.at_s - silent.at_s <= 60
    assert world.radio.find(photon.bssid, "wlan0") is photon
    assert photon.flash.claim_code is not None
    assert Event.ONLINE not in events(world, photon)


async def test_without_new_credentials_it_never_comes_back_but_tries_for_ever(autojump_clock, bench, world):
    hands = await bench()
    await hands.configure(password="mywifipasswort")
    await hands.connect()
    await trio.sleep(120)  # back again, and now connect-ap alone
    await hands.connect()
    await trio.sleep(3600)
    assert not hands.photon.listening
    assert not hands.photon.online

    world.factory_networks[:] = [FactoryNetwork("TestRouter", "mywifipasswort")]
    await trio.sleep(120)
    assert hands.photon.online


async def test_connect_without_any_credentials_listens_again(autojump_clock, bench):
    hands = await bench()
    await hands.connect()
    await trio.sleep(20)

    assert hands.photon.listening


async def test_newest_working_credentials_win(autojump_clock, bench, world):
    world.factory_networks.append(FactoryNetwork("Guest", "", SecurityType.OPEN))
    hands = await bench()
    await hands.configure()
    await hands.configure("Guest", "", sec=0)
    await hands.configure("Printer 4th floor", "", sec=0)
    await hands.connect()
    await trio.sleep(120)

    assert hands.photon.online


async def test_hidden_network_cannot_be_stored(autojump_clock, bench, world):
    world.factory_networks[:] = [FactoryNetwork("TestRouter", "mywifipassword", hidden=True)]
    hands = await bench()

    assert await hands.configure() == b'{"r":-2}'


async def test_code_that_is_not_acknowledged_is_kept_and_sent_again(autojump_clock, bench, cloud, tools):
    cloud.acknowledges = False
    hands = await bench()
    await hand_over(hands)
    await trio.sleep(120)
    assert hands.photon.flash.claim_code == tools.code.encode()
    assert not hands.photon.flash.claimed

    cloud.acknowledges = True
    hands.photon.power_cycle()
    await trio.sleep(120)
    assert [("online", hands.photon.device_id, tools.code)] * 2 == [one for one in cloud.happened if one[0] == "online"]
    assert hands.photon.flash.claimed


async def test_power_cycle_keeps_flash_and_joins_by_itself(autojump_clock, bench, cloud):
    hands = await bench()
    await hand_over(hands)
    hands.photon.power_cycle()  # before it ever left
    await trio.sleep(120)

    assert hands.photon.online
    assert hands.photon.flash.claimed


async def test_power_lost_within_a_command_writes_nothing(autojump_clock, bench):
    hands = await bench()
    stream = hands.dial()
    await stream.send_all(b'POST /set HTTP/1.1\r\nContent-Length: 20\r\n\r\n{"k":"cc","v":"abc"}')
    await trio.sleep(0.05)
    hands.photon.power_off()
    assert await stream.receive_some(100) == b""
    await trio.sleep(60)

    assert hands.photon.flash.claim_code is None
    assert not hands.photon.powered


async def test_cloud_notices_lost_power_later(autojump_clock, bench, world, cloud):
    hands = await bench()
    await hand_over(hands)
    await trio.sleep(120)
    world.remove(hands.photon)
    await trio.sleep(20)
    assert ("offline", hands.photon.device_id) not in cloud.happened

    await trio.sleep(60)
    assert ("offline", hands.photon.device_id) == cloud.happened[-1]


async def test_never_online_stays_silent(autojump_clock, bench, world):
    hands = await bench(faults=Faults(never_online=1.0, connect_reply_lost=0))
    await hand_over(hands)
    await trio.sleep(3600)

    assert events(world, hands.photon)[-3:] == [Event.WIFI_JOINED, Event.FAULT, Event.CLOUD_UNREACHABLE]
    assert not hands.photon.listening


async def test_slow_online_flaps_before_it_stays(autojump_clock, bench, world, cloud):
    hands = await bench(faults=Faults(slow_online=1.0, connect_reply_lost=0))
    await hand_over(hands)
    await trio.sleep(900)
    happened = [what for what, *_ in cloud.happened]

    assert happened in (["online", "offline"] * 2 + ["online"], ["online", "offline"] * 3 + ["online"])
    assert hands.photon.online
    codes = [code for what, _, *code in cloud.happened if what == "online"]
    assert codes[1:] == [[None]] * (len(codes) - 1)


async def test_forgotten_claim_code_was_answered_with_0(autojump_clock, bench, cloud):
    hands = await bench(faults=Faults(claim_code_forgotten=1.0, connect_reply_lost=0))
    await hand_over(hands)
    await trio.sleep(120)

    assert [("online", hands.photon.device_id, None)] == cloud.happened


async def test_scan_finds_factory_neighbours_and_other_photons(autojump_clock, bench, world):
    hands = await bench()
    other = await bench(ssid="Photon-ABCD")
    scan = (await hands.command("scan-ap")).decode()

    assert '"TestRouter"' in scan
    assert '"Büro"' in scan
    assert '"Photon-ABCD"' in scan
    assert f'"{hands.photon.ssid}"' not in scan
    assert other.photon.listening


async def test_empty_scan_is_a_fault_of_scan_ap_only(autojump_clock, bench):
    hands = await bench(faults=Faults(scan_empty=1.0))

    assert await hands.command("scan-ap") == b'{"scans":[]}'
    assert await hands.configure() == b'{"r":0}'


async def test_no_secret_is_in_the_history_or_any_repr(autojump_clock, bench, world, tools):
    hands = await bench()
    await hand_over(hands)
    await trio.sleep(120)
    shown = repr(world.history) + repr(hands.photon) + repr(hands.photon.commands) + repr(world.factory_networks)

    assert tools.code not in shown
    assert "mywifipassword" not in shown
