import json

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provisioner.simulator.factory_wifi import Family, HeardNetwork, StoredNetwork, family_of
from provisioner.simulator.photon.commands import Commands, Flash
from provisioner.simulator.photon.firmware import V0_6_4, V2_3_1
from provisioner.simulator.photon.history import Event
from provisioner.simulator.photon.keys import key_pair

CODE = "3GjxEdDu3eIWEs5C9WMun5etWsIC7KreXXHQ2JXAfBorHv+t26F04cFObo/FsL5"
HEARD = [
    HeardNetwork(b"TestRouter", -48, 4194308, 6),
    HeardNetwork(b"", -80, 4194308, 1),
    HeardNetwork(b'say "hi"\xff', -70, 0, 11),
]
KEY = key_pair(0)
WPA2_AES = 4194308


@pytest.fixture(params=[V2_3_1, V0_6_4], ids=lambda firmware: firmware.name)
def any_photon(request):
    return Commands("3b0021001747353236343033", KEY, request.param)


@pytest.fixture
def photon():
    return Commands("3b0021001747353236343033", KEY, V2_3_1)


@pytest.fixture
def old_photon():
    return Commands("3b0021001747353236343033", KEY, V0_6_4)


def do(photon, command, body=b"", heard=HEARD):
    request = photon.read(command, body)
    return b"".join(photon.carry_out(request, heard=heard).writes)


def seal(password):
    return load_der_public_key(KEY.public_slot[:162]).encrypt(password, PKCS1v15()).hex()


def configure(photon, ssid="TestRouter", password=b"mywifipassword", sec=WPA2_AES, heard=HEARD, **more):
    body = {"idx": 0, "ssid": ssid, "sec": sec, "ch": 6, **more}
    if password is not None:
        body["pwd"] = seal(password)
    return do(photon, "configure-ap", json.dumps(body, ensure_ascii=False).encode(), heard)


# --- what the documents print ---


def test_device_id_is_upper_case_and_c_is_text(any_photon):
    assert do(any_photon, "device-id") == b'{"id":"3B0021001747353236343033","c":"0"}'
    any_photon.flash.claimed = True
    assert do(any_photon, "device-id") == b'{"id":"3B0021001747353236343033","c":"1"}'


def test_version_is_2(any_photon):
    assert do(any_photon, "version") == b'{"v":2}'


def test_public_key_is_588_upper_case_digits_then_r(any_photon):
    slot = KEY.public_slot.hex().upper()

    assert do(any_photon, "public-key") == f'{{"b":"{slot}","r":0}}'.encode()
    assert len(do(any_photon, "public-key")) == 602


def test_scan_leaves_hidden_names_out_and_escapes_nothing(any_photon):
    assert do(any_photon, "scan-ap") == (
        b'{"scans":[{"ssid":"TestRouter","rssi":-48,"sec":4194308,"ch":6,"mdr":65000},'
        b'{"ssid":"say "hi"\xff","rssi":-70,"sec":0,"ch":11,"mdr":65000}]}'
    )
    assert do(any_photon, "scan-ap", heard=()) == b'{"scans":[]}'


@pytest.mark.parametrize("body", [b"", b'{"idx":0}', b"not json at all"])
def test_connect_needs_no_body(any_photon, body):
    assert do(any_photon, "connect-ap", body) == b'{"r":0}'


# --- set ---


def test_claim_code_is_stored_and_overwrites(any_photon):
    assert do(any_photon, "set", b'{"k":"cc","v":"first"}') == b'{"r":0}'
    assert do(any_photon, "set", f'{{"v":"{CODE}","k":"cc"}}'.encode()) == b'{"r":0}'

    assert CODE.encode() == any_photon.flash.claim_code


def test_longer_code_is_cut_to_63_and_key_to_2_without_a_word(any_photon):
    assert do(any_photon, "set", f'{{"k":"ccc","v":"{CODE}xyz"}}'.encode()) == b'{"r":0}'

    assert CODE.encode() == any_photon.flash.claim_code


@pytest.mark.parametrize(
    "body", [b'{"k":"xx","v":"abc"}', b'{"k":"cc","v":""}', b'{"k":"cc"}', b'{"v":"abc"}', b"{}", b'{"k":"","v":"a"}']
)
def test_wrong_key_or_empty_value_is_r_minus_1(any_photon, body):
    assert do(any_photon, "set", body) == b'{"r":-1}'
    assert any_photon.flash.claim_code is None


@pytest.mark.parametrize(
    "body", [b"", b'{"k":"cc","v":5}', b'{"k":"cc","v":"abc","x":"y"}', b'{"k":"cc","v":"abc"', b'{"k":cc,"v":"abc"}']
)
def test_set_that_is_not_understood_has_no_answer(any_photon, body):
    request = any_photon.read("set", body)
    answer = any_photon.carry_out(request, heard=())

    assert (answer.writes, answer.event) == ((), Event.REFUSED)
    assert any_photon.flash.claim_code is None


def test_escaped_slash_is_stored_with_its_backslash(photon):
    do(photon, "set", rb'{"k":"cc","v":"ab\/cd"}')

    assert photon.flash.claim_code == rb"ab\/cd"


def test_history_names_a_code_by_fingerprint_only(photon):
    answer = photon.carry_out(photon.read("set", f'{{"k":"cc","v":"{CODE}"}}'.encode()), heard=())

    assert CODE not in repr(answer)
    assert len(answer.detail) == 12


# --- configure-ap ---


def test_stores_wpa2_that_is_heard(photon):
    assert configure(photon) == b'{"r":0}'
    assert photon.flash.networks == (StoredNetwork(b"TestRouter", b"mywifipassword", Family.WPA2),)
    assert "mywifipassword" not in repr(photon.flash)


def test_network_that_is_not_heard_is_minus_2(photon):
    assert configure(photon, "Elsewhere") == b'{"r":-2}'
    assert configure(photon, heard=()) == b'{"r":-2}'
    assert photon.flash.networks == ()


@pytest.mark.parametrize("ssid", ["", "x" * 33, "ü" * 17])
def test_ssid_length_is_minus_3(photon, ssid):
    assert configure(photon, ssid) == b'{"r":-3}'


@pytest.mark.parametrize(("password", "r"), [(b"", -4), (b"1234567", -4), (b"12345678", 0), (b"x" * 64, 0),
                                             (b"x" * 65, -4), (None, -4)])  # fmt: skip
def test_wpa_password_length_is_minus_4(photon, password, r):
    assert configure(photon, password=password) == f'{{"r":{r}}}'.encode()


def test_open_network_needs_neither_password_nor_scan(photon):
    assert configure(photon, "Guest", None, sec=0, heard=()) == b'{"r":0}'
    assert photon.flash.networks == (StoredNetwork(b"Guest", b"", Family.OPEN),)


def test_constant_printed_in_the_documents_is_stored_as_wep(photon):
    assert configure(photon, sec=2097165, heard=()) == b'{"r":0}'
    assert photon.flash.networks[0].family is Family.WEP


@pytest.mark.parametrize(("sec", "family"), [(0, Family.OPEN), (1, Family.WEP), (32769, Family.WEP), (-1, Family.WEP),
    (2097156, Family.WPA), (4194308, Family.WPA2), (4194310, Family.WPA2), (0x600006, Family.WPA),
    (0x2400004, Family.ENTERPRISE), (0x10000000, Family.UNKNOWN)])  # fmt: skip
def test_families(sec, family):
    assert family is family_of(sec)


def test_unknown_security_is_decided_by_the_scan(photon):
    assert configure(photon, sec=0x10000000) == b'{"r":0}'
    assert photon.flash.networks[0].family is Family.WPA2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"idx":"0","ssid":"TestRouter","sec":4194308}',
        b'{"ssid":"TestRouter","sec":"4194308"}',
        b'{"ssid":"TestRouter","sec":0,"pwd":null}',
        b'{"ssid":"TestRouter","sec":0,"channel":6}',
        b'{"ssid":5,"sec":0}',
        b'{"ssid":["TestRouter"],"sec":0}',
    ],
)
def test_configure_is_strict_about_keys_and_types(any_photon, body):
    assert do(any_photon, "configure-ap", body) == b""
    assert any_photon.flash.networks == ()


@pytest.mark.parametrize(
    ("sealed", "new", "old"),
    [("00" * 127 + "01", -0x4100, -0x0410), ("ff" * 128, -0x4300, -0x0450), ("", -0x4300, -0x0450),
     ("mywifipassword", -0x4300, -0x0450)],
)  # fmt: skip
def test_undecipherable_password_is_a_negative_result(photon, old_photon, sealed, new, old):
    body = f'{{"ssid":"TestRouter","sec":4194308,"pwd":"{sealed}"}}'.encode()

    assert do(photon, "configure-ap", body) == f'{{"r":{new}}}'.encode()
    assert do(old_photon, "configure-ap", body) == f'{{"r":{old}}}'.encode()
    assert photon.flash.networks == ()


def test_upper_case_ciphertext_opens_too(photon):
    body = f'{{"ssid":"TestRouter","sec":4194308,"pwd":"{seal(b"mywifipassword").upper()}"}}'.encode()

    assert do(photon, "configure-ap", body) == b'{"r":0}'


def test_escaped_umlaut_is_another_network(photon):
    heard = [HeardNetwork("Büro".encode(), -50, WPA2_AES, 1)]

    assert configure(photon, "Büro", heard=heard) == b'{"r":0}'
    body = rb'{"ssid":"B\u00fcro","sec":4194308,"pwd":"' + seal(b"mywifipassword").encode() + b'"}'
    assert do(photon, "configure-ap", body, heard) == b'{"r":-2}'


def test_five_networks_newest_first_and_known_ones_in_place(photon):
    for number in range(6):
        configure(photon, f"net{number}", None, sec=0)
    assert [one.ssid for one in photon.flash.networks] == [b"net5", b"net4", b"net3", b"net2", b"net1"]

    configure(photon, "net3", b"12345", sec=1)
    assert [one.ssid for one in photon.flash.networks] == [b"net5", b"net4", b"net3", b"net2", b"net1"]
    assert photon.flash.networks[2].family is Family.WEP


def test_only_one_enterprise_network_is_kept(photon):
    heard = [HeardNetwork(b"one", -50, 0x2400004, 1), HeardNetwork(b"two", -50, 0x2400004, 1)]
    peap = {"sec": 0x2400004, "eap": 25, "ii": "user", "heard": heard}
    assert configure(photon, "one", **peap) == b'{"r":0}'
    assert configure(photon, "two", **peap) == b'{"r":0}'

    assert [one.ssid for one in photon.flash.networks] == [b"two"]


@pytest.mark.parametrize("more", [{}, {"eap": 25}, {"eap": 13, "crt": "x"}, {"eap": 4, "ii": "user"}])
def test_incomplete_enterprise_credentials_are_r_1(photon, more):
    heard = [HeardNetwork(b"corp", -50, 0x2400004, 1)]

    assert configure(photon, "corp", sec=0x2400004, heard=heard, **more) == b'{"r":1}'


def test_old_firmware_stores_whatever_decrypts(old_photon):
    assert configure(old_photon, "Elsewhere", b"x", heard=()) == b'{"r":0}'
    assert do(old_photon, "configure-ap", b'{"ssid":"a","sec":0,"eap":25}') == b""


def test_only_wpa_on_new_firmware_scans(photon, old_photon):
    wpa, open_network = b'{"ssid":"a","sec":4194308}', b'{"ssid":"a","sec":0}'

    assert photon.read("configure-ap", wpa).scans
    assert not photon.read("configure-ap", open_network).scans
    assert not old_photon.read("configure-ap", wpa).scans


def test_flash_repr_hides_secrets():
    flash = Flash(CODE.encode(), networks=(StoredNetwork(b"a", b"mywifipassword", Family.WPA2),))

    assert CODE not in repr(flash)
    assert "mywifipassword" not in repr(flash)
