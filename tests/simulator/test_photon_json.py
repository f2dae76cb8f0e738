import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.simulator.photon.jsmn import Kind, Value, members

STRING, WORD, NESTED = Kind.STRING, Kind.WORD, Kind.NESTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{}", []),
        (b'{"k":"cc"}', [(b"k", Value(STRING, b"cc"))]),
        (b' {\r\n\t"idx" : 0 , "ssid":"a b" }', [(b"idx", Value(WORD, b"0")), (b"ssid", Value(STRING, b"a b"))]),
        (b"{k:cc}", [(b"k", Value(WORD, b"cc"))]),
        (b'{"pwd":null}', [(b"pwd", Value(WORD, b"null"))]),
        (b'{"a":{"b":[1,"]}"]},"c":2}', [(b"a", Value(NESTED, b'{"b":[1,"]}"]}')), (b"c", Value(WORD, b"2"))]),
        (b'{"k":"cc"} trailing', [(b"k", Value(STRING, b"cc"))]),
        (b'{"k" "cc"}', [(b"k", Value(STRING, b"cc"))]),
        (b'{"k":"cc"}\0{{{', [(b"k", Value(STRING, b"cc"))]),
    ],
)
def test_lenient_like_the_firmware(text, expected):
    assert expected == members(text)


@pytest.mark.parametrize(
    ("raw"), [b"B\\u00fcro", b"a\\/b", b'say \\"hi\\"', "Büro".encode(), b"\xff\xfe", b"C:\\\\temp"]
)
def test_nothing_is_unescaped(raw):
    assert [(b"ssid", Value(STRING, raw))] == members(b'{"ssid":"' + raw + b'"}')


@pytest.mark.parametrize(
    "text",
    [b"", b"   ", b"[]", b'"k"', b"{", b'{"k":"cc"', b'{"k":"c', b'{"k":"\\x"}', b'{"k"}', b'{{"a":1}:2}',
     b'{"a":[1}', b'{"a":\x01}', b'16\r\n{"k":"cc"}', b'{"a":{"b":1}'],
)  # fmt: skip
def test_gives_up(text):
    assert members(text) is None


@pytest.mark.parametrize(("raw", "number"), [(b"6", 6), (b"-2", -2), (b"4194308", 4194308), (b"true", 0), (b"7x", 7)])
def test_numbers_are_read_as_by_atoi(raw, number):
    assert number == Value(WORD, raw).number()


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_given_up(text):
    found = members(b"{" + text + b"}")

    assert found is None or all(isinstance(value.raw, bytes) for _, value in found)
