import pytest
import trio

from provisioner.simulator.photon.firmware import V0_6_0, V0_6_4
from provisioner.simulator.photon.history import Event

VERSION = b'\n\n{"v":2}'


async def closed(stream):
    """Whether the Photon closes the stream within a minute."""
    with trio.move_on_after(60):
        assert await stream.receive_some(10) == b""
        return True
    return False


async def test_answer_is_two_lf_and_json_then_closed(autojump_clock, bench):
    photon = await bench(device_id="3b0021001747353236343033")
    stream = photon.dial(5609)
    await stream.send_all(b"device-id\n0\n\n")

    assert await stream.receive_some(65536) == b'\n\n{"id":"3B0021001747353236343033","c":"0"}'
    assert await closed(stream)


async def test_body_is_counted_in_bytes(autojump_clock, bench):
    photon = await bench()
    body = '{"k":"cc","v":"ü"}'.encode()

    assert await photon.tcp(b"set\n%d\n\n%s" % (len(body), body)) == b'\n\n{"r":0}'
    assert photon.photon.flash.claim_code == "ü".encode()


async def test_request_may_come_byte_by_byte(autojump_clock, bench, tools):
    photon = await bench()
    stream = photon.dial(5609)
    for byte in b'set\n20\n\n{"k":"cc","v":"abc"}':
        await stream.send_all(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked()

    assert await tools.read_quietly(stream) == b'\n\n{"r":0}'


async def test_what_cannot_be_parsed_is_two_lf_only(autojump_clock, bench):
    photon = await bench()

    assert await photon.tcp(b"set\n2\n\n{]") == b"\n\n"
    assert await photon.tcp(b"set\n0\n\n") == b"\n\n"


@pytest.mark.parametrize("name", [b"provision-keys", b"ant-internal", b"ant-external", b"", b"VERSION", b"x" * 29])
async def test_unknown_and_antenna_commands_close_without_a_byte(autojump_clock, bench, name):
    photon = await bench()
    stream = photon.dial(5609)
    await stream.send_all(name + b"\n0\n\n")

    assert await closed(stream)


async def test_header_lines_before_the_blank_line_are_skipped(autojump_clock, bench):
    photon = await bench()

    assert await photon.tcp(b"version\n0\nX: y\n\n") == VERSION


async def test_carriage_returns_corrupt_the_request(autojump_clock, bench):
    photon = await bench()

    assert await photon.tcp(b"version\r\n0\r\n\r\n") == b""
    assert await photon.tcp(b"version\n0\n\n") == b""  # the thread still waits for the first request's end


@pytest.mark.parametrize("request_bytes", [b'set\n99\n\n{"k":"cc","v":"abc"}', b"set\n-1\n\n", b"version\n0\n", b"ver"])
@pytest.mark.parametrize("hangs_up", [True, False])
async def test_short_request_blocks_the_port_until_a_power_cycle(autojump_clock, bench, tools, request_bytes, hangs_up):
    photon = await bench()
    short = photon.dial(5609)
    await short.send_all(request_bytes)
    await trio.testing.wait_all_tasks_blocked()
    if hangs_up:
        await short.aclose()
    assert await photon.tcp(b"version\n0\n\n") == b""
    assert await photon.command("version") == b'{"v":2}'

    photon.photon.power_cycle()
    await trio.testing.wait_all_tasks_blocked()
    await tools.until_serving(photon.photon)
    assert await photon.tcp(b"version\n0\n\n") == VERSION


async def test_connection_without_a_byte_does_not_take_the_thread(autojump_clock, bench):
    photon = await bench()
    idle = photon.dial(5609)
    await trio.testing.wait_all_tasks_blocked()

    assert await photon.tcp(b"version\n0\n\n") == VERSION
    await idle.aclose()


async def test_port_probe_wedges_old_firmware_only(autojump_clock, bench):
    for firmware, answer in ((None, VERSION), (V0_6_4, b"")):
        photon = await bench(**({"firmware": firmware} if firmware else {}))
        await photon.dial(5609).aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert answer == await photon.tcp(b"version\n0\n\n")


async def test_sixth_connection_waits(autojump_clock, bench):
    photon = await bench()
    idle = [photon.dial(5609) for _ in range(5)]
    await trio.testing.wait_all_tasks_blocked()
    assert await photon.tcp(b"version\n0\n\n") == b""

    await idle[2].aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert await photon.tcp(b"version\n0\n\n") == VERSION


async def test_first_connection_of_a_session_is_answered_but_not_closed(autojump_clock, bench):
    photon = await bench(firmware=V0_6_0)
    for number, closes in ((1, False), (2, True)):
        stream = photon.dial(5609)
        await stream.send_all(b"version\n0\n\n")
        assert await stream.receive_some(100) == VERSION, number
        assert closes is await closed(stream)


async def test_set_over_tcp_is_in_the_history(autojump_clock, bench, world):
    photon = await bench()
    assert not world.history.written_to(photon.photon.device_id)
    await photon.tcp(b'set\n20\n\n{"k":"cc","v":"abc"}')

    assert world.history.written_to(photon.photon.device_id)
    assert [e.event for e in world.history.of(photon.photon.device_id, Event.CLAIM_CODE_SET)] == [Event.CLAIM_CODE_SET]
