"""Requests byte for byte; replies into types; whatever comes in, only SoftAPError classes come out."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import errors
from provisioner.model import DeviceID, SecurityType, WifiProfile
from provisioner.secrets import ClaimCode
from provisioner.softap import protocol
from provisioner.softap.protocol import Command, Reply, ScannedNetwork

FIXTURES = Path(__file__).parents[2] / "fixtures" / "softap"
CODE = "4i8pwFwPkImsnLmIj54BYJA4Z94j0OLyl7vwKecELzYGKjS9mBbM5Vra6H9T0DI"
SEED_PWD = json.loads((FIXTURES / "requests" / "configure-ap.tcp").read_bytes().split(b"\n\n", 1)[1])["pwd"]
SEED_PROFILE = WifiProfile("factory", "TestRouter", SecurityType.WPA2_AES, 6)
SEED_BODIES = {
    Command.SET: protocol.claim_code_body(ClaimCode(CODE)),
    Command.CONFIGURE_AP: protocol.configure_body(SEED_PROFILE, SEED_PWD),
    Command.CONNECT_AP: protocol.connect_body(),
    Command.DEVICE_ID: None,
    Command.PUBLIC_KEY: None,
}


def reply(command, body):
    return Reply(Command(command), body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("command", SEED_BODIES)
def test_the_documents_own_examples_are_sent_byte_for_byte(command):
    golden_http = (FIXTURES / "requests" / f"{command}.http").read_bytes()
    golden_tcp = (FIXTURES / "requests" / f"{command}.tcp").read_bytes()

    assert golden_http == protocol.encode_http(command, SEED_BODIES[command], "192.168.0.1")
    assert golden_tcp == protocol.encode_tcp(command, SEED_BODIES[command])


def test_the_length_counts_bytes_and_the_ssid_is_raw_utf8():
    body = protocol.configure_body(WifiProfile("f", "Küche ☕", SecurityType.WPA2_AES, 1), "ab")

    assert '"ssid":"Küche ☕"'.encode() in body
    assert b"\\u" not in body
    assert len(body) > len(body.decode())
    assert f"\n{len(body)}\n\n".encode() in protocol.encode_tcp(Command.CONFIGURE_AP, body)
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in protocol.encode_http(Command.CONFIGURE_AP, body, "h")


def test_an_open_network_is_configured_without_a_password():
    profile = WifiProfile("guest", "Guest", SecurityType.OPEN)

    assert json.loads(protocol.configure_body(profile, None)) == {"idx": 0, "ssid": "Guest", "sec": 0, "ch": 0}


@pytest.mark.parametrize(("security", "pwd"), [(SecurityType.OPEN, "ab"), (SecurityType.WPA2_AES, None)])
def test_a_password_that_does_not_fit_the_security_is_our_bug(security, pwd):
    with pytest.raises(ValueError, match="open network"):
        protocol.configure_body(WifiProfile("f", "F", security), pwd)


def test_wpa_aes_is_what_its_flags_make_and_not_what_the_documents_print():
    body = protocol.configure_body(WifiProfile("f", "F", SecurityType.WPA_AES), "ab")

    assert json.loads(body)["sec"] == 2097156


def test_a_host_cannot_smuggle_a_header():
    with pytest.raises(ValueError, match="host"):
        protocol.encode_http(Command.VERSION, None, "a\r\nX: y")


@pytest.mark.parametrize(
    ("flag", "claimed_before"),
    [({"c": "1"}, True), ({"c": "0"}, False), ({"c": True}, True), ({"c": 1}, True), ({"c": 0}, False),
     ({}, False), ({"c": None}, False), ({"c": ["1"]}, False)],
)  # fmt: skip
def test_the_claimed_flag_is_read_in_every_spelling(flag, claimed_before):
    identity = protocol.read_identity(reply("device-id", {"id": "3B0021001747353236343033", **flag}))

    assert identity.id == DeviceID.parse("3b0021001747353236343033")
    assert identity.claimed_before is claimed_before


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"nonsense", b'{"id":7}', b'{"id":"3B"}', b'{"id":"\\ud800"}', b'{"id":NaN}', b"[" * 60_000,
     b'{"id":"3B0021001747353236343033","id":"3B0021001747353236343034"}', b"\xff\xfe"],
)  # fmt: skip
def test_an_identity_that_is_none_is_unreadable(body):
    with pytest.raises(errors.SoftAPReplyUnreadable):
        protocol.read_identity(reply("device-id", body))


def test_version_is_a_number():
    assert protocol.read_version(reply("version", {"v": 2})) == 2
    with pytest.raises(errors.SoftAPReplyUnreadable):
        protocol.read_version(reply("version", {"release string": "0.3.1"}))


def test_public_key_comes_as_the_flash_holds_it():
    assert protocol.read_public_key(reply("public-key", {"b": "30FF00", "r": 0})) == b"\x30\xff\x00"


@pytest.mark.parametrize("body", [{"b": "30F", "r": 0}, {"b": "zz", "r": 0}, {"r": 0}, {"b": "30"}])
def test_a_public_key_that_is_not_hex_is_unreadable(body):
    with pytest.raises(errors.SoftAPReplyUnreadable):
        protocol.read_public_key(reply("public-key", body))


def test_a_device_without_a_key_refuses():
    with pytest.raises(errors.CommandRefused) as caught:
        protocol.read_public_key(reply("public-key", {"r": 1}))

    assert (caught.value.result, caught.value.command) == (1, "public-key")


@pytest.mark.parametrize("command", ["set", "configure-ap", "connect-ap"])
def test_result_0_is_accepted(command):
    protocol.require_accepted(reply(command, {"r": 0}))


@pytest.mark.parametrize(
    ("command", "result", "kind"),
    [
        ("set", -1, errors.CommandRefused),
        ("set", -2, errors.CommandRefused),
        ("connect-ap", 1, errors.CommandRefused),
        ("configure-ap", -2, errors.FactoryNetworkNotHeard),
        ("configure-ap", -1, errors.WifiProfileRefused),
        ("configure-ap", -3, errors.WifiProfileRefused),
        ("configure-ap", -4, errors.WifiProfileRefused),
        ("configure-ap", -16640, errors.WifiPasswordUndecipherable),
        ("configure-ap", -17152, errors.WifiPasswordUndecipherable),
        ("configure-ap", -1040, errors.WifiPasswordUndecipherable),
        ("configure-ap", -1104, errors.WifiPasswordUndecipherable),
        ("configure-ap", 1, errors.CommandRefused),
        ("configure-ap", -5, errors.CommandRefused),
    ],
)
def test_a_result_other_than_0_says_who_is_to_blame(command, result, kind):
    with pytest.raises(errors.CommandRefused) as caught:
        protocol.require_accepted(reply(command, {"r": result}))

    assert type(caught.value) is kind
    assert (caught.value.result, caught.value.command) == (result, command)
    assert str(result) in caught.value.detail


@pytest.mark.parametrize("result", [True, "0", 0.0, None, 10**12])
def test_a_result_that_is_no_number_is_unreadable(result):
    with pytest.raises(errors.SoftAPReplyUnreadable):
        protocol.require_accepted(reply("set", {"r": result}))


def test_scan_with_unescaped_quotes_is_read_by_its_shape():
    body = (FIXTURES / "scan-ap-quotes.tcp").read_bytes()[2:]
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(body.decode("latin-1"))

    found = protocol.read_scan(Reply(Command.SCAN_AP, body))

    assert [network.ssid for network in found] == ["TestRouter", 'Bob"s AP', "back\\slash\\", "latin\udce9\x01"]
    assert found[3] == ScannedNetwork("latin\udce9\x01", -70, SecurityType.WPA_AES, 3, 54000)


def test_scan_keeps_the_rows_it_can_read():
    rows = [{"ssid": "A", "rssi": -1, "sec": -1, "ch": 1, "mdr": 2}, {"ssid": "B"}, 7, {"ssid": 1, "rssi": 1}]

    assert protocol.read_scan(reply("scan-ap", {"scans": rows})) == [ScannedNetwork("A", -1, -1, 1, 2)]


@given(st.binary(max_size=300))
def test_a_scan_never_raises(body):
    protocol.read_scan(Reply(Command.SCAN_AP, body))
    protocol.read_scan(Reply(Command.SCAN_AP, b'{"scans":[' + body))


READERS = {
    "version": protocol.read_version,
    "device-id": protocol.read_identity,
    "public-key": protocol.read_public_key,
    "configure-ap": protocol.require_accepted,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("bcvr") | st.just("id"), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_hostile_replies_raise_softap_errors_only(command, body):
    raised = None
    try:
        READERS[command](Reply(Command(command), body))
    except errors.SoftAPError as error:
        raised = error

    assert raised is None or (raised.command == command and raised.detail.isprintable())
