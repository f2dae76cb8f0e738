"""The same bytes give the same reply or error in any cut, and every buffer ends."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import errors
from provisioner.softap.protocol import Command
from provisioner.softap.reply_buffer import (
    HEAD_BYTES_MAX,
    REPLY_BYTES_MAX,
    HTTPReplyBuffer,
    JSONEnd,
    TCPReplyBuffer,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "softap"
FILES = sorted([*FIXTURES.glob("*.http"), *FIXTURES.glob("*.tcp")])
ENDS = {
    "set-empty": errors.SoftAPEmptyReply,
    "set-not-found": errors.SoftAPNotFound,
    "device-id-busy": errors.SoftAPBusy,
}
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def buffer_for(file):
    command = next(c for c in sorted(Command, key=len, reverse=True) if file.name.startswith(c))
    return (HTTPReplyBuffer if file.suffix == ".http" else TCPReplyBuffer)(command)


def play(buffer, chunks, eof=True):
    """What comes of it: the body, the class of the error, or None while it waits for more."""
    try:
        for chunk in chunks:
            reply = buffer.feed(chunk)
            if reply:
                return reply.body
        return buffer.eof().body if eof else None
    except errors.SoftAPError as error:
        return type(error) if error.command == buffer.command and error.detail.isprintable() else error


def http(data, command="device-id", eof=True):
    return play(HTTPReplyBuffer(Command(command)), [data], eof)


def tcp(data, command="device-id", eof=True):
    return play(TCPReplyBuffer(Command(command)), [data], eof)


def cut(data, cuts):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def test_there_are_fixtures():
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_recorded_answer_gives_its_json_or_its_error(file):
    end = play(buffer_for(file), [file.read_bytes()])

    if file.stem in ENDS:
        assert end is ENDS[file.stem]
    else:
        assert isinstance(end, bytes)
        if "quotes" not in file.stem:
            assert isinstance(json.loads(end), dict)


def test_both_transports_carry_the_same_json():
    for file in FIXTURES.glob("*.tcp"):
        other = file.with_suffix(".http")
        if other.exists():
            assert play(buffer_for(file), [file.read_bytes()]) == play(buffer_for(other), [other.read_bytes()])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_byte_by_byte_is_the_same_as_at_once(file):
    data = file.read_bytes()

    assert play(buffer_for(file), [data]) == play(buffer_for(file), [data[i : i + 1] for i in range(len(data))])


@given(st.sampled_from(FILES), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_is_the_same_as_at_once(file, cuts):
    data = file.read_bytes()

    assert play(buffer_for(file), [data]) == play(buffer_for(file), cut(data, cuts))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_answer_is_whole_before_the_connection_closes(file):
    waits_for_the_close = {"set-empty.tcp", "scan-ap-quotes.tcp"}  # no JSON, or JSON whose end cannot be seen

    end = play(buffer_for(file), [file.read_bytes()], eof=False)

    assert (end is None) is (file.name in waits_for_the_close)


@given(
    st.sampled_from([HTTPReplyBuffer, TCPReplyBuffer]),
    st.sampled_from(list(Command)),
    st.sampled_from([b"", b"\n\n", b"\n\n{", OK, OK + b"\r\n", CHUNKED, CHUNKED + b"5\r\n{"]),
    st.binary(max_size=200) | st.text('0123456789abc{}[]"\\:\r\n HTP/.', max_size=200).map(str.encode),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_arbitrary_bytes_raise_softap_errors_only_and_the_same_in_any_cut(kind, command, start, noise, cuts):
    data = start + noise

    assert play(kind(command), [data]) == play(kind(command), cut(data, cuts))


@pytest.mark.parametrize("file", [f for f in FILES if f.stem not in ENDS], ids=lambda file: file.name)
def test_an_answer_cut_at_any_byte_is_the_whole_json_or_an_error_that_fits(file):
    data, whole = file.read_bytes(), play(buffer_for(file), [file.read_bytes()])
    json_ends = data.rindex(b"}") + 1
    allowed_before = {
        ".http": {errors.SoftAPCutShort} | ({errors.SoftAPEmptyReply} if "open" in file.stem else set()),
        ".tcp": {errors.SoftAPCutShort, errors.SoftAPEmptyReply, errors.SoftAPReplyUnreadable},
    }[file.suffix]

    places = (
        range(len(data)) if len(data) < 1000 else [*range(500), *range(500, len(data), 13), *range(len(data))[-60:]]
    )
    for place in places:
        end = play(buffer_for(file), [data[:place]])
        if place >= json_ends and "quotes" not in file.stem:
            assert end == whole, place
        elif "scan" in file.stem and isinstance(end, bytes):
            assert whole.startswith(end), place  # as much as came; the reader takes the rows that are whole
        elif isinstance(end, bytes):
            pytest.fail(f"cut at {place} of {len(data)} it still gives {end!r}")
        else:
            assert end in allowed_before, place


def test_tcp_without_json_means_not_understood_and_not_a_lost_answer():
    assert tcp(b"") is errors.SoftAPEmptyReply
    assert tcp(b"\n") is errors.SoftAPEmptyReply
    assert tcp(b"\n\n") is errors.SoftAPEmptyReply
    assert tcp(b"\n\n{") is errors.SoftAPCutShort
    assert tcp(b"hello") is errors.SoftAPReplyUnreadable


def test_http_closed_without_a_byte_is_a_lost_answer():
    assert http(b"") is errors.SoftAPCutShort
    assert http(OK) is errors.SoftAPCutShort
    assert http(CHUNKED) is errors.SoftAPCutShort


def test_the_last_chunk_is_the_end_though_its_blank_line_never_came():
    assert http(CHUNKED + b"0\r\n", "set") is errors.SoftAPEmptyReply
    assert http(CHUNKED + b"0\r\nX: y", "set") is errors.SoftAPEmptyReply


@pytest.mark.parametrize("status", [b"503 Service Unavailable", b"500 Internal Server Error"])
def test_busy_is_known_by_the_status_alone(status):
    assert http(b"HTTP/1.1 " + status, eof=False) is errors.SoftAPBusy


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 301\r\nLocation: /index\r\n\r\n", b"HTTP/1.1 100 Go\r\n\r\n", b"SSH-2.0-x\r\n", b"H", b"HTTP/1.1 20x"],
)  # fmt: skip
def test_other_servers_are_no_photons(data):
    assert http(data) in (errors.SoftAPReplyUnreadable, errors.SoftAPCutShort)
    assert http(data + b"\r\n" * 20) is errors.SoftAPReplyUnreadable


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"-1\r\n", b"\r\n", b"fffffff\r\n", b"2\r\n{}x\r\n0\r\n\r\n", b"1" * 300, b"0x1\r\n{\r\n"]
)
def test_chunks_that_are_none_are_unreadable(body):
    assert http(CHUNKED + body, eof=False) is errors.SoftAPReplyUnreadable


@pytest.mark.parametrize("length", [b"-1", b"x", b"9999999999", b"65537", b""])
def test_a_length_that_is_none_is_unreadable(length):
    assert http(OK + b"Content-Length: " + length + b"\r\n\r\n", eof=False) is errors.SoftAPReplyUnreadable


def test_chunk_extensions_trailers_and_odd_header_case_are_read():
    data = OK + b"transfer-ENCODING:  Chunked \r\n\r\n7;a=b\r\n" + b'{"r":0}' + b"\r\n0\r\nX: y\r\n\r\n"

    assert http(data, "set", eof=False) == b'{"r":0}'


def test_whole_json_counts_though_the_last_chunk_never_came():
    assert http(CHUNKED + b'7\r\n{"r":0}', "connect-ap") == b'{"r":0}'


def test_brackets_and_quotes_in_strings_do_not_end_the_json():
    odd = b'{"a":"}]\\"}","b":[{"c":"\\\\"}]}'

    assert tcp(b"\n\n" + odd + b"rest", eof=False) == odd
    assert JSONEnd().feed(odd[:-1]) is None


@pytest.mark.parametrize("filler", [b"X: y\r\n", b"x"])
@pytest.mark.parametrize("kind", [HTTPReplyBuffer, TCPReplyBuffer])
def test_headers_without_end_are_cut_at_16_kib(kind, filler):
    start = OK + b"A: b" if kind is HTTPReplyBuffer else b"A: b"
    much = HEAD_BYTES_MAX // len(filler)

    assert play(kind(Command.VERSION), [start, *[filler] * (much // 2)], eof=False) is None
    assert play(kind(Command.VERSION), [start, *[filler] * (much + 4000)], eof=False) is errors.SoftAPReplyUnreadable


@pytest.mark.parametrize("start", [b"\n\n{", b'\n\n{"a":"'])
def test_an_endless_body_is_cut_at_64_kib(start):
    most = REPLY_BYTES_MAX - len(start)

    assert play(TCPReplyBuffer(Command.SCAN_AP), [start, b" " * most], eof=False) is None
    assert play(TCPReplyBuffer(Command.SCAN_AP), [start, b" " * (most + 1)], eof=False) is errors.SoftAPReplyUnreadable


def test_what_is_beyond_the_cap_is_not_even_kept():
    buffer = TCPReplyBuffer(Command.SCAN_AP)
    with pytest.raises(errors.SoftAPReplyUnreadable, match="64 KiB"):
        buffer.feed(b"{" + b" " * 10 * REPLY_BYTES_MAX)

    assert len(buffer._body) + len(buffer._raw) <= REPLY_BYTES_MAX


def test_endless_chunks_are_cut_at_64_kib():
    one = b"1\r\n \r\n"

    assert http(CHUNKED + b"1\r\n{\r\n" + one * REPLY_BYTES_MAX, eof=False) is errors.SoftAPReplyUnreadable


@pytest.mark.parametrize("kind", [HTTPReplyBuffer, TCPReplyBuffer])
@pytest.mark.parametrize(
    "data", [b"CANARY", b"CANARY\n{", OK + b"CANARY", OK + b"Content-Length: CANARY\r\n\r\n", CHUNKED + b"CANARY\r\n"]
)
def test_no_error_repeats_the_answer(kind, data):
    with pytest.raises(errors.SoftAPError) as caught:
        play_out(kind, data)

    assert "CANARY" not in str(caught.value)


def play_out(kind, data):
    buffer = kind(Command.SET)
    buffer.feed(data)
    return buffer.eof()
