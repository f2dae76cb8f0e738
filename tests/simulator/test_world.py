import pytest
import trio

from provisioner.model import SecurityType
from provisioner.network.switcher import JoinPolicy, Uplink
from provisioner.simulator.clock import SimClock
from provisioner.simulator.factory_wifi import FactoryNetwork
from provisioner.simulator.faults import profile
from provisioner.simulator.operators import Habits
from provisioner.simulator.photon.history import Event
from provisioner.simulator.world import World

GUEST = FactoryNetwork("Guest", "", SecurityType.OPEN)


async def test_trays_are_spread_evenly_and_known_to_the_cloud(world, cloud):
    trays = world.make_trays(3, 61)
    photons = [photon for tray in trays for photon in tray]

    assert [len(tray) for tray in trays] == [21, 20, 20]
    assert cloud.known == {photon.device_id: photon.serial for photon in photons}
    assert photons == list(world.photons.values())


async def test_neighbours_on_the_bench_have_different_keys(world):
    one, two = world.add_photon(), world.add_photon()

    assert one.commands.key != two.commands.key


async def a_shift(seed, cloud):
    """Everything that happens to 30 Photons under the nastiest faults when each is configured and told to connect."""
    world = World(seed=seed, cloud=cloud, faults=profile("nasty"), clock=SimClock())
    async with world.running():
        for photon in world.make_trays(1, 30)[0]:
            world.present(photon)
        await trio.sleep(20)
        for photon in world.radio.listening():
            for command in ("set", "connect-ap"):
                with trio.move_on_after(30):
                    await _send(world, photon, command)
        await trio.sleep(600)
    return list(world.history)


async def _send(world, photon, command):
    stream = await world._dial(photon, 80, "wlan0")
    body = b'{"k":"cc","v":"abc"}'
    await stream.send_all(f"POST /{command} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await stream.receive_some(4096)


async def test_one_seed_one_history(autojump_clock, cloud):
    first = await a_shift(11, cloud)

    def relative(history):
        # Tasks that wake at one instant run in any order: compare device by device.
        return sorted((e.device_id, round(e.at_s, 6), e.event, e.detail) for e in history)

    assert len(first) > 100
    assert relative(first) == relative(await a_shift(11, cloud))
    assert relative(first) != relative(await a_shift(12, cloud))


async def test_world_must_run_before_anything_is_presented(world):
    photon = world.add_photon()
    with pytest.raises(RuntimeError, match="stands still"):
        world.present(photon)


async def test_presenting_twice_is_presenting_once(autojump_clock, world, tools):
    photon = world.add_photon()
    async with world.running():
        world.present(photon)
        world.present(photon)
        await tools.until_serving(photon)

    assert [entry.event for entry in world.history] == [Event.POWERED, Event.LISTENING]


async def test_removed_photon_can_be_presented_again_in_listening_mode(autojump_clock, bench, world, tools):
    hands = await bench()
    await hands.configure()
    world.remove(hands.photon)
    await trio.sleep(5)
    assert not hands.photon.powered

    world.present(hands.photon)
    await trio.testing.wait_all_tasks_blocked()
    await tools.until_serving(hands.photon)
    assert hands.photon.flash.networks


async def test_operators_keep_the_bench_full_but_not_fuller(autojump_clock, bench, world):
    boards = world.make_trays(1, 10)[0]
    world.factory_networks.append(GUEST)
    most = 0
    world.start_operators(boards, Habits(boards_max=4))
    for _ in range(10):
        await trio.sleep(40)
        listening = world.radio.listening()
        most = max(most, len(listening))
        await _configure_and_connect(listening[0], world)
    await trio.sleep(120)

    assert most == 4
    assert all(board.left_listening.is_set() for board in boards)


async def _configure_and_connect(photon, world):
    stream = await world._dial(photon, 80, "wlan0")
    body = b'{"ssid":"Guest","sec":0}'
    await stream.send_all(b"POST /configure-ap HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await stream.receive_some(4096)
    await stream.send_all(b"GET /connect-ap HTTP/1.1\r\n\r\n")
    await stream.receive_some(4096)
    await stream.aclose()


async def test_operators_set_aside_what_nobody_works(autojump_clock, bench, world):
    boards = world.make_trays(1, 3)[0]
    operators = world.start_operators(boards, Habits(boards_max=1, patience_s=60))
    await trio.sleep(300)

    assert boards == operators.set_aside
    assert world.radio.listening() == []


async def test_online_delay_replaces_the_drawn_one(autojump_clock, make_world, tools):
    world = make_world(online_delay_s=5.0)
    photon = world.add_photon()
    async with world.running():
        world.present(photon)
        await tools.until_serving(photon)
        stream = await world._dial(photon, 80, "wlan0")
        world.factory_networks.append(GUEST)
        await _configure_and_connect(photon, world)
        await trio.sleep(30)
        await stream.aclose()
    silent, online = world.history.of(photon.device_id, Event.SILENT, Event.ONLINE)

    assert online.at_s - silent.at_s == pytest.approx(5.0)


async def test_speed_shortens_everything(autojump_clock, make_world, tools):
    world = make_world(speed=10.0)
    photon = world.add_photon()
    async with world.running():
        world.present(photon)
        await tools.until_serving(photon)

    assert world.history[-1].at_s == pytest.approx(10 * (trio.current_time()), abs=5)
    assert trio.current_time() < 1


async def test_the_end_of_the_world_is_no_experience(autojump_clock, world, tools):
    photon = world.add_photon()
    async with world.running():
        world.present(photon)
        await tools.until_serving(photon)
    before = list(world.history)
    await trio.sleep(100)

    assert before == world.history
    assert world.history[-1].event is Event.LISTENING


# --- on loopback, in real time ---


async def test_ports_refuse_while_the_photon_does_not_listen_and_come_back(make_world, tools):
    world = make_world(speed=200.0, factory_networks=[GUEST])
    photon = world.add_photon()
    with trio.fail_after(20):
        async with world.running(loopback=True):
            world.present(photon)
            addresses = http, tcp = photon.http_address, photon.tcp_address
            assert (http[0], tcp[0]) == ("127.0.0.1", "127.0.0.1")
            await _until_refused(http)
            await tools.until_serving(photon)
            await _ask(http, b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n", b'{"v":2}')
            await _ask(tcp, b'configure-ap\n24\n\n{"ssid":"Guest","sec":0}', b'{"r":0}')
            await _ask(tcp, b"connect-ap\n0\n\n", b'{"r":0}')
            await _until_refused(http)
            await _until_refused(tcp)

            photon.hold_setup()
            await tools.until_serving(photon)
            assert addresses == (photon.http_address, photon.tcp_address)
            await _ask(http, b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n", b'{"v":2}')
        await _until_refused(http)


async def test_switcher_dials_over_loopback_too(make_world, tools):
    world = make_world(speed=200.0)
    photons = [world.add_photon(ssid="Photon-KLJZ") for _ in range(2)]
    with trio.fail_after(20):
        async with world.running(loopback=True):
            for photon in photons:
                world.present(photon)
                await tools.until_serving(photon)
            async with world.switchers.session(adapter="wlan0", uplink=Uplink.SEPARATE) as switcher:
                for network in await switcher.scan(prefix="Photon-", timeout=15):
                    async with switcher.joined(network, JoinPolicy()) as link:
                        stream = await link.dial("192.168.0.1", 80)
                        await stream.send_all(b"GET /device-id HTTP/1.1\r\nConnection: close\r\n\r\n")
                        answer = tools.dechunked(await tools.read_quietly(stream))
                    with pytest.raises(trio.ClosedResourceError):
                        await stream.send_all(b"x")
                    [joined] = [photon for photon in photons if photon.bssid == network.bssid]
                    assert joined.device_id.upper().encode() in answer


async def _ask(address, request, expected):
    while True:  # the session is there a moment before its listener
        try:
            stream = await trio.open_tcp_stream(*address)
            break
        except OSError:
            await trio.sleep(0.01)
    async with stream:
        await stream.send_all(request)
        answer = b"".join([chunk async for chunk in stream])
    assert expected in answer or b"\r\n".join(b"1\r\n%c" % byte for byte in expected) in answer


async def _until_refused(address):
    while True:
        try:
            await (await trio.open_tcp_stream(*address)).aclose()
        except OSError:
            return
        await trio.sleep(0.01)


def test_delivered_photons_are_the_ones_that_would_have_been_made(make_world, cloud):
    other = make_world()
    made = [other.add_photon(), other.add_photon()]
    world = make_world()
    numbers = world.deliver(2)
    assert not world.photons

    unpacked = list(world.unpack(numbers))
    assert [(p.device_id, p.serial, p.ssid, p.bssid, p.firmware) for p in unpacked] == [
        (p.device_id, p.serial, p.ssid, p.bssid, p.firmware) for p in made
    ]
    assert [world.label_of(number).device_id for number in numbers] == [p.device_id for p in made]
    assert {p.device_id for p in made} <= cloud.known.keys()
