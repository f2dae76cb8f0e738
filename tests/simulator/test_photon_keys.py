import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from provisioner.simulator.photon.keys import POOL, Undecipherable, key_pair, pairs_that_do_not_fit


def public(number=0):
    return load_der_public_key(key_pair(number).public_slot[:162])


def test_slot_is_162_bytes_of_der_and_zeros_up_to_294():
    slot = key_pair(0).public_slot

    assert len(slot) == 294
    assert slot.startswith(bytes.fromhex("30819f300d06092a864886f70d010101050003818d0030818902818100"))
    assert slot[162:] == bytes(132)
    assert (public().key_size, public().public_numbers().e) == (1024, 65537)


def test_neighbours_have_different_keys_and_the_pool_is_reused():
    assert len({key_pair(number).modulus for number in range(POOL)}) == POOL
    assert key_pair(0) == key_pair(POOL)


@pytest.mark.parametrize("text", [b"", b"mywifipassword", "pässwörter".encode(), b"x" * 117])
def test_what_a_real_library_sealed_opens(text):
    assert text == key_pair(3).decrypt(public(3).encrypt(text, PKCS1v15()))


def test_another_photons_ciphertext_has_bad_padding():
    sealed = public(1).encrypt(b"mywifipassword", PKCS1v15())
    if int.from_bytes(sealed) >= key_pair(2).modulus:
        sealed = bytes([0]) + sealed[1:]
    with pytest.raises(Undecipherable) as caught:
        key_pair(2).decrypt(sealed)

    assert caught.value.padding


@pytest.mark.parametrize("sealed", [b"", b"\1" * 127, b"\xff" * 128, b"\1" * 129])
def test_what_is_no_ciphertext_fails_in_the_private_operation(sealed):
    with pytest.raises(Undecipherable) as caught:
        key_pair(0).decrypt(sealed)

    assert not caught.value.padding


def test_primes_are_not_in_the_repr():
    assert str(key_pair(0).p) not in repr(key_pair(0))


def test_a_likely_text_changes_nothing_but_the_time():
    sealed = public(0).encrypt(b"mywifipassword", PKCS1v15())

    assert key_pair(0).decrypt(sealed, [b"mywifipassword"]) == b"mywifipassword"
    assert key_pair(0).decrypt(sealed, [b"another"]) == b"mywifipassword"


def test_rubbish_is_bad_padding_whatever_is_likely():
    with pytest.raises(Undecipherable) as refused:
        key_pair(0).decrypt(b"\x01" * 128, [b"mywifipassword"])

    assert refused.value.padding


@pytest.mark.parametrize("number", range(POOL))
def test_what_is_sealed_with_a_key_that_does_not_fit_is_always_bad_padding(number):
    private, shown = pairs_that_do_not_fit(number)

    assert private.modulus > shown.modulus
    largest = shown.modulus - 1
    for sealed in (largest, largest // 2, 12345):
        with pytest.raises(Undecipherable) as refused:
            private.decrypt(sealed.to_bytes(128))
        assert refused.value.padding
