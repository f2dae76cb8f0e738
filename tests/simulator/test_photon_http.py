import pytest
import trio

from provisioner.simulator.faults import Faults
from provisioner.simulator.photon.firmware import V0_6_4
from provisioner.simulator.photon.http import fits_page, parse_request

HEAD = (
    b"Content-Type: application/json\r\n"
    b"Cache-Control: no-store, no-cache, must-revalidate, post-check=0, pre-check=0\r\n"
    b"Pragma: no-cache\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
)
EMPTY = b"HTTP/1.1 200 OK\r\n" + HEAD + b"0\r\n\r\n"
CHUNKS = b'1\r\n{\r\n1\r\n"\r\n1\r\nr\r\n1\r\n"\r\n1\r\n:\r\n1\r\n0\r\n1\r\n}\r\n0\r\n\r\n'
R_0 = b"HTTP/1.1 200 OK\r\n" + HEAD + CHUNKS
GET = b"GET /version HTTP/1.1\r\nHost: 192.168.0.1\r\n\r\n"
VERSION = b"HTTP/1.1 200 OK\r\n" + HEAD + b'7\r\n{"v":2}\r\n0\r\n\r\n'


def post(path, body, *headers):
    lines = [f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_golden_answer_to_the_byte(autojump_clock, bench):
    photon = await bench()

    assert await photon.http(GET) == VERSION


async def test_each_char_of_the_json_printer_is_a_chunk(autojump_clock, bench, tools):
    photon = await bench()
    answer = await photon.http(post("/set", f'{{"k":"cc","v":"{tools.code}"}}'.encode()))

    assert answer == R_0
    key = await photon.http(b"GET /public-key HTTP/1.1\r\n\r\n")
    assert 3500 < len(key) < 3900
    assert len(tools.dechunked(key)) == 602


async def test_answers_several_requests_on_one_connection(autojump_clock, bench):
    photon = await bench()

    assert await photon.http(GET, GET, GET) == VERSION * 3


@pytest.mark.parametrize(
    ("header", "closes"),
    [("Connection: close", True), ("Connection: Close", False), ("connection: close", False), ("X: y", False)],
)
async def test_closes_only_for_the_exact_17_bytes(autojump_clock, bench, header, closes):
    photon = await bench()
    stream = photon.dial()
    await stream.send_all(f"GET /version HTTP/1.1\r\n{header}\r\n\r\n".encode())
    assert await stream.receive_some(65536) == VERSION

    with trio.move_on_after(60) as waiting:
        assert await stream.receive_some(10) == b""
    assert closes is not waiting.cancelled_caught


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "application/javascript", "text/plain", "text/html",
     "text/event-stream", "text/css", "image/png", "image/gif", "application/hap+json"],
)  # fmt: skip
async def test_known_content_type_is_not_found(autojump_clock, bench, content_type):
    photon = await bench()
    answer = await photon.http(post("/set", b'{"k":"cc","v":"abc"}', f"Content-Type: {content_type}"))

    assert answer == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n"
        b"Cache-Control: no-store, no-cache, must-revalidate, post-check=0, pre-check=0\r\nPragma: no-cache\r\n"
        b"Connection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"
    )
    assert photon.photon.flash.claim_code is None


@pytest.mark.parametrize(
    "header",
    ["Content-Type: application/x-www-form-urlencoded", "Content-Type: application/octet-stream",
     "Content-Type: multipart/form-data; boundary=x", "Content-Type: Application/JSON", "Content-Type:application/json",
     "content-type: application/json", "Accept: */*"],
)  # fmt: skip
async def test_unknown_or_unseen_content_type_is_taken(autojump_clock, bench, header):
    photon = await bench()

    assert await photon.http(post("/set", b'{"k":"cc","v":"abc"}', header)) == R_0


def test_hello_is_plain_text():
    assert fits_page(None, b"text/plain")
    assert fits_page(b"text/plain", b"text/plain")
    assert not fits_page(b"application/octet-stream", b"text/plain")


@pytest.mark.parametrize("header", ["content-length: {}", "Content-length: {}", "Content-Length:{}"])
async def test_length_in_any_other_spelling_is_an_empty_body(autojump_clock, bench, header):
    photon = await bench()
    body = b'{"k":"cc","v":"abc"}'
    request = f"POST /set HTTP/1.1\r\n{header.format(len(body))}\r\n\r\n".encode() + body

    assert await photon.http(request) == EMPTY


@pytest.mark.parametrize(
    "request_bytes",
    [b"OPTIONS /set HTTP/1.1\r\n\r\n", b"HEAD /version HTTP/1.1\r\n\r\n", b"DELETE /set HTTP/1.1\r\n\r\n",
     b"GET /version HTTP/1.0\r\n\r\n", b"GET / H\r\n\r\n", b"get /version HTTP/1.1\r\n\r\n",
     b"\x16\x03\x01" + bytes(50)],
)  # fmt: skip
async def test_what_the_firmware_ignores_gets_no_answer_and_keeps_its_socket(autojump_clock, bench, request_bytes):
    photon = await bench()

    assert await photon.http(request_bytes, GET) == VERSION


async def test_headers_in_two_segments_get_no_answer(autojump_clock, bench):
    photon = await bench()

    assert await photon.http(b"GET /version HTTP/1.1\r\nHost: 192.168.0.1\r\n", b"Accept: */*\r\n\r\n") == b""


async def test_body_may_follow_in_later_segments(autojump_clock, bench):
    photon = await bench()
    whole = post("/set", b'{"k":"cc","v":"abcdef"}')

    assert await photon.http(whole[:-20], whole[-20:-7], whole[-7:]) == R_0
    assert photon.photon.flash.claim_code == b"abcdef"


async def test_chunked_request_body_is_not_decoded(autojump_clock, bench):
    photon = await bench()
    head = b"POST /set HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert await photon.http(head + b'14\r\n{"k":"cc","v":"abc"}\r\n0\r\n\r\n') == EMPTY


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_method_does_not_matter(autojump_clock, bench, method):
    photon = await bench()

    assert await photon.http(f"{method} /version HTTP/1.1\r\n\r\n".encode()) == VERSION


async def test_other_pages(autojump_clock, bench):
    photon = await bench()
    root = await photon.http(b"GET / HTTP/1.1\r\n\r\n")
    index = await photon.http(b"GET /index HTTP/1.1\r\n\r\n")
    hello = await photon.http(b"GET /hello?x=1 HTTP/1.1\r\n\r\n")
    favicon = await photon.http(b"GET /favicon.ico HTTP/1.1\r\n\r\n")

    assert root == b"HTTP/1.1 301\r\nLocation: /index\r\nContent-Length: 0\r\n\r\n"
    assert index.startswith(b"HTTP/1.1 301\r\nLocation: /hello\r\n")
    assert hello.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    assert hello.endswith(b"Content-Length: 14\r\n\r\nSoft AP Setup\0")
    assert favicon.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert favicon.endswith(b"\r\n\r\n0\r\n\r\n")


def test_url_is_decoded_and_loses_its_query():
    assert parse_request(b"GET /device%2Did?x=%20 HTTP/1.1\r\n\r\n").url == b"/device-id"


async def test_eleventh_socket_gets_503_without_blank_line(autojump_clock, bench):
    photon = await bench()
    idle = [photon.dial() for _ in range(10)]
    await trio.testing.wait_all_tasks_blocked()
    assert await photon.http(GET) == b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"

    await idle[0].aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert await photon.http(GET) == VERSION


async def test_busy_socket_fault_is_the_same_503(autojump_clock, bench):
    photon = await bench(faults=Faults(busy_socket=1.0))

    assert await photon.http(GET) == b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"


async def test_old_firmware_serves_one_connection_and_lets_the_next_wait(autojump_clock, bench, tools):
    photon = await bench(firmware=V0_6_4)
    first = photon.dial()
    await trio.testing.wait_all_tasks_blocked()
    assert await photon.http(GET) == b""

    await first.aclose()
    assert await photon.http(GET) == VERSION


async def test_one_command_at_a_time_over_both_ports(autojump_clock, bench, tools):
    photon = await bench()
    slow, quick = photon.dial(), photon.dial(5609)
    await slow.send_all(b"GET /scan-ap HTTP/1.1\r\n\r\n")
    await trio.testing.wait_all_tasks_blocked()
    began_s = trio.current_time()
    await quick.send_all(b"version\n0\n\n")
    assert await quick.receive_some(100) == b'\n\n{"v":2}'

    assert trio.current_time() - began_s > 1.5
    assert (await slow.receive_some(65536)).startswith(b"HTTP/1.1 200 OK")


async def test_lost_reply_is_carried_out_and_silent(autojump_clock, bench):
    photon = await bench(faults=Faults(reply_lost=1.0))

    assert await photon.http(post("/set", b'{"k":"cc","v":"abc"}')) == b""
    assert photon.photon.flash.claim_code == b"abc"


async def test_setup_network_that_vanishes_breaks_every_connection_and_comes_back(autojump_clock, bench, tools, world):
    photon = await bench(faults=Faults(ap_vanishes=1.0))
    idle = photon.dial()
    await trio.testing.wait_all_tasks_blocked()
    began_s = trio.current_time()
    assert await photon.http(GET) == b""
    assert await idle.receive_some(10) == b""
    assert not photon.photon.listening

    await tools.until_serving(photon.photon)
    assert 5 < trio.current_time() - began_s < 25
    assert photon.photon in world.radio.listening()
