"""The password arrives at the device as it was, and nowhere else."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from provisioner import errors
from provisioner.model import SecurityType
from provisioner.secrets import Secret
from provisioner.softap.wifi_password import encrypt_password, parse_public_key, require_usable

KEYS = Path(__file__).parents[2] / "fixtures" / "keys"
SEED_SLOT = bytes.fromhex((KEYS / "seed_public_key.hex").read_text())
PRIVATE = load_pem_private_key((KEYS / "throwaway_private_key.pem").read_bytes(), password=None)


def der(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def slot(key):
    return der(key).ljust(294, b"\0")


def decrypt(hex_text):
    return PRIVATE.decrypt(bytes.fromhex(hex_text), padding.PKCS1v15()).decode()


def test_the_documents_own_key_is_read_through_its_padding():
    key = parse_public_key(SEED_SLOT)

    assert len(SEED_SLOT) == 294
    assert key.key_size == 1024
    assert key.public_numbers().n == int.from_bytes(SEED_SLOT[29 : 29 + 128], "big")


def test_a_ciphertext_for_the_documents_key_has_its_shape():
    sealed = encrypt_password(Secret("mywifipassword"), parse_public_key(SEED_SLOT))

    assert len(sealed) == 256
    assert sealed == sealed.lower()
    assert int(sealed, 16) < parse_public_key(SEED_SLOT).public_numbers().n


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16))
def test_any_password_survives_the_way(text):
    assert decrypt(encrypt_password(Secret(text), parse_public_key(slot(PRIVATE.public_key())))) == text


@pytest.mark.parametrize("text", ["12345678", "0123456789", "pässwörd☕", "a" * 63, "0f" * 32])
def test_numbers_utf8_and_a_raw_key_are_text(text):
    require_usable(Secret(text), SecurityType.WPA2_AES)

    assert decrypt(encrypt_password(Secret(text), parse_public_key(slot(PRIVATE.public_key())))) == text


@pytest.mark.parametrize("padding_byte", [b"\0", b"\xff", b"x"])
def test_the_key_is_cut_by_its_own_length_and_not_by_its_zeros(padding_byte):
    assert parse_public_key(der(PRIVATE.public_key()).ljust(294, padding_byte)).key_size == 1024
    assert parse_public_key(der(PRIVATE.public_key())).key_size == 1024


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0" * 294, b"\x30", b"\x30\x81", b"\x30\x84\xff\xff\xff\xff", SEED_SLOT[:161], SEED_SLOT[1:],
     b"\x30\x02\x05\x00", slot(rsa.generate_private_key(65537, 2048).public_key()),
     slot(ec.generate_private_key(ec.SECP256R1()).public_key())],
)  # fmt: skip
def test_what_is_no_photons_key_is_unreadable(raw):
    with pytest.raises(errors.SoftAPReplyUnreadable) as caught:
        parse_public_key(raw)

    assert caught.value.command == "public-key"


def test_a_key_that_would_send_the_password_in_clear_is_unreadable():
    weak = rsa.RSAPublicNumbers(3, PRIVATE.public_key().public_numbers().n).public_key()

    with pytest.raises(errors.SoftAPReplyUnreadable, match="exponent"):
        parse_public_key(slot(weak))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_as_a_key_are_unreadable(raw):
    with pytest.raises(errors.SoftAPReplyUnreadable):
        parse_public_key(raw)


@pytest.mark.parametrize("text", ["", "x" * 65, "ü" * 33, "\udcffCANARY"])
def test_a_password_no_photon_can_store_is_refused_before_it_is_sent(text):
    with pytest.raises(errors.WifiProfileRefused) as caught:
        encrypt_password(Secret(text), parse_public_key(SEED_SLOT))

    assert "CANARY" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", ["1234567", "g" * 64, "é" * 32])
def test_a_password_no_wpa_network_can_have_is_refused(text):
    require_usable(Secret(text), SecurityType.WEP_PSK)
    for security in SecurityType:
        if security.name.startswith("WPA"):
            with pytest.raises(errors.WifiProfileRefused):
                require_usable(Secret(text), security)
