"""What differs between releases of Photon firmware, and that our own client gets along with each."""

import pytest
import trio

from provisioner.errors import CommandRefused, SoftAPError
from provisioner.model import SecurityType, WifiProfile
from provisioner.secrets import ClaimCode, Secret
from provisioner.settings import Budgets, SoftAPSettings
from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.firmware import RELEASES, V0_4_5, V0_4_9, V0_6_0, V0_6_4, V0_7_0, V2_3_1
from provisioner.softap.client import SoftAPClient

WIFI = WifiProfile("factory", "TestRouter", SecurityType.WPA2_AES, 6)
PASSWORD = Secret("mywifipassword")
CODE = ClaimCode("4i8pwFwPkImsnLmIj54BYJA4Z94j0OLyl7vwKecELzYGKjS9mBbM5Vra6H9T0DI")
BODY = b'{"k":"cc","v":"abcdef"}'
HEAD = f"POST /set HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


def client_of(hands, transport="http"):
    async def dial(host, port):
        await trio.lowlevel.checkpoint()
        return hands.dial(port)

    return SoftAPClient(dial, settings=SoftAPSettings(), budgets=Budgets(), transport=transport)


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("transport", ["http", "tcp"])
async def test_our_client_brings_every_release_into_the_cloud(autojump_clock, bench, cloud, name, transport):
    hands = await bench(firmware=RELEASES[name])
    client = client_of(hands, transport)
    await client.prepare()
    await client.identify()
    await client.set_claim_code(CODE)
    kept = hands.photon.flash.claim_code  # which release 0.4.x garbles now and then
    await client.set_wifi(WIFI, PASSWORD)
    await client.connect()
    await hands.photon.left_listening.wait()
    await trio.sleep(60)

    assert [(what, code) for what, _, code in cloud.happened] == [("online", kept.decode("latin-1"))]


@pytest.mark.parametrize(
    ("firmware", "pause_s", "kept"),
    [(V0_4_5, 0.5, None), (V0_4_9, 2, b"abcdef"), (V0_6_4, 2, b"abcdef"), (V0_6_4, 4, None), (V2_3_1, 20, b"abcdef")],
)  # fmt: skip
async def test_how_long_a_body_in_a_second_packet_is_waited_for(autojump_clock, bench, firmware, pause_s, kept):
    hands = await bench(firmware=firmware)
    stream = hands.dial()
    await stream.send_all(HEAD)
    await trio.sleep(pause_s)
    await stream.send_all(BODY)
    await trio.sleep(5)

    assert hands.photon.flash.claim_code in (kept, bytes(63) if kept else None)


@pytest.mark.parametrize(("firmware", "found"), [(V0_6_4, True), (V0_7_0, False)])
async def test_old_releases_match_a_page_by_its_beginning_in_any_case(autojump_clock, bench, firmware, found):
    hands = await bench(firmware=firmware)
    answer = await hands.http(b"GET /VERSION-and-more HTTP/1.1\r\n\r\n")

    assert (b'{"v":2}' in answer) is found


@pytest.mark.parametrize(("firmware", "beacons"), [(V0_6_0, True), (V0_6_4, False), (V2_3_1, False)])
async def test_some_old_releases_beacon_on_while_they_are_online_and_let_nobody_in(
    autojump_clock, bench, world, firmware, beacons
):
    hands = await bench(firmware=firmware)
    await hands.claim()
    await hands.configure()
    await hands.connect()
    await trio.sleep(60)

    assert hands.photon.online
    assert any(heard.bssid == hands.photon.bssid for heard in world.radio.heard("sim0")) is beacons
    assert not hands.photon.session or not hands.photon.session.serving


async def test_a_garbled_claim_code_is_answered_with_0_and_claims_nothing(autojump_clock, bench, cloud, world):
    for _ in range(60):
        hands = await bench(firmware=V0_4_9)
        answer = await hands.claim()
        assert answer == b'{"r":0}'
        if hands.photon.flash.claim_code == bytes(63):
            break
        world.remove(hands.photon)
    else:
        raise AssertionError("a tenth of all should be garbled")


@pytest.mark.parametrize(
    ("faults", "error"), [(Faults(key_missing=1.0), SoftAPError), (Faults(key_damaged=1.0), CommandRefused)]
)
async def test_a_unit_without_usable_keys_never_gets_a_password(autojump_clock, bench, faults, error):
    hands = await bench(faults=faults)
    client = client_of(hands)

    async def give_password():
        await client.prepare()
        await client.set_wifi(WIFI, PASSWORD)

    with pytest.raises(error):
        await give_password()

    assert hands.photon.flash.networks == ()


async def test_names_in_the_air_are_printed_unescaped_and_our_client_survives_it(autojump_clock, bench, world):
    hands = await bench()
    hostile = b'","rssi":0},{"ssid":"x'
    real = world.heard_by
    world.heard_by = lambda photon: [*real(photon), type(next(iter(real(photon))))(hostile, -40, 0, 6)]
    assert hostile in await hands.command("scan-ap")

    try:
        networks = await client_of(hands).scan()
    except SoftAPError:
        return  # an answer that cannot be read is a failure with a name
    assert all(len(network.ssid) <= 32 for network in networks)
