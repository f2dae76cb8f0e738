"""The words of the line as types: one spelling, frozen, and nothing that could harm a terminal."""

import json
import pickle
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model import (
    ClaimPolicy,
    ClaimTo,
    CloudDevice,
    DeviceID,
    ListedDevice,
    SecurityType,
    WifiProfile,
    parse_bssid,
    printable,
)

ID = "3b0021001747353236343033"

# --- device IDs ---


@pytest.mark.parametrize("text", [ID, ID.upper(), f"  {ID}\r\n", f"\xa0{ID}"])
def test_an_id_has_one_spelling(text):
    found = DeviceID.parse(text)

    assert found == ID
    assert type(found) is DeviceID
    assert hash(found) == hash(ID)
    assert json.dumps(found) == f'"{ID}"'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' has 0"),
        (ID[:-1], f"'{ID[:-1]}' has 23"),
        (ID[:-1] + "o", "has 'o'"),
        (ID[:-1] + "٣", "has '٣'"),
        (ID[:-1] + "\x1b", r"has '\x1b'"),
        (ID[:12] + " " + ID[12:], "has 25"),
    ],
)
def test_what_is_no_id_is_named(text, what):
    with pytest.raises(ValueError, match="a device ID has") as caught:
        DeviceID.parse(text)

    assert what in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_id_survives_pickling():
    assert type(pickle.loads(pickle.dumps(DeviceID(ID)))) is DeviceID


# --- printable ---

any_text = st.text(st.characters(codec=None, exclude_categories=[]), max_size=100)


@given(any_text, st.integers(min_value=1, max_value=80))
def test_nothing_that_moves_a_cursor_or_turns_text_around_comes_through(text, limit):
    shown = printable(text, limit)

    assert len(shown) <= limit
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in shown)
    shown.encode("utf-8")


@given(any_text)
def test_what_is_shown_once_is_shown_the_same_again(text):
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Photon-AB12", "Photon-AB12"),
        ("a b", "a b"),
        ("grün 批次", "grün 批次"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb", "a\\nb"),
        ("\ud800", "\\ud800"),
        ("\udcff", "\\xff"),
        ("x" * 65, "x" * 63 + "…"),
        ("x" * 64, "x" * 64),
    ],
)
def test_text_is_shown_as_it_is_unless_it_could_do_harm(text, shown):
    assert printable(text) == shown


# --- claims ---


@pytest.mark.parametrize(
    ("to", "needed"),
    [(ClaimTo.NONE, False), (ClaimTo.ACCOUNT, True), (ClaimTo.CUSTOMER, True), (ClaimTo.ONLINE, False)],
)
def test_a_device_is_visited_for_wifi_or_a_claim_code(to, needed):
    def listed(wifi):
        return ListedDevice(DeviceID(ID), "T", 1, None, ClaimPolicy(to), None, wifi, takeover_allowed=False)

    assert ClaimPolicy(to).needs_claim_code is needed
    assert listed(None).needs_visit is needed
    assert listed("factory-2g").needs_visit is True


# --- Wi-Fi ---


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("open", 0),
        ("wep_psk", 1),
        ("wep_shared", 0x8001),
        ("wpa_tkip", 0x0020_0002),
        ("wpa_aes", 0x0020_0004),
        ("wpa2_aes", 0x0040_0004),
        ("wpa2_tkip", 0x0040_0002),
        ("wpa2_mixed", 0x0040_0006),
        ("WPA2", 0x0040_0006),
    ],
)
def test_security_types_are_the_firmwares_numbers(name, number):
    assert SecurityType.parse(name) == number


def test_an_unknown_security_type_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"unknown security type 'wpa3'.*wpa2_aes"):
        SecurityType.parse("wpa3")


@pytest.mark.parametrize("ssid", ["", "x" * 33, "é" * 17, "a\nb", "a\x7fb", 'a"b', "a\\b", "\ud800"])
def test_an_ssid_the_firmware_cannot_store_is_refused(ssid):
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ, the type is the promise
        WifiProfile("p", ssid, SecurityType.OPEN)


@pytest.mark.parametrize("ssid", ["a", "x" * 32, "é" * 16, " leading", "it's"])
def test_an_ssid_the_firmware_can_store_is_taken(ssid):
    assert WifiProfile("p", ssid, SecurityType.OPEN).ssid == ssid


@pytest.mark.parametrize("text", ["AA:BB:CC:DD:EE:0F", "aa-bb-cc-dd-ee-0f", " aa:bb:cc:dd:ee:0f\n"])
def test_a_bssid_has_one_spelling(text):
    assert parse_bssid(text) == "aa:bb:cc:dd:ee:0f"


@pytest.mark.parametrize("text", ["", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:0g", "aabbccddee0f", "aa:bb:cc:dd:ee:0f:00"])
def test_what_is_no_bssid_is_refused(text):
    with pytest.raises(ValueError, match="not a BSSID"):
        parse_bssid(text)


# --- evidence ---


def test_evidence_is_what_the_cloud_showed_in_plain_json():
    seen = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
    device = CloudDevice(
        DeviceID(ID), online=True, owner="a", in_product=True, quarantined=False, denied=False, last_handshake_at=seen
    )

    assert device.evidence() == {
        "in_product": True,
        "quarantined": False,
        "denied": False,
        "online": True,
        "owner": "a",
        "last_handshake_at": "2026-11-20T12:00:00.123Z",
    }
