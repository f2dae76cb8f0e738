import re

import pytest

from provisioner.model import DeviceID, parse_bssid
from provisioner.simulator.faults import Dice
from provisioner.simulator.photon.naming import Mint


@pytest.fixture
def names():
    mint = Mint(Dice(3))
    return [mint.names(number, suffix_symbols=6) for number in range(400)]


def test_device_ids_look_like_a_photons_chip(names):
    assert all(re.fullmatch(r"[0-9a-f]{2}00[0-9a-f]{2}00[0-9a-f]{2}47(3[0-9]){6}", one.device_id) for one in names)
    assert all(DeviceID.parse(one.device_id) for one in names)
    assert len({one.device_id for one in names}) == 400


def test_some_device_ids_are_all_digits_and_some_are_not(names):
    digits = sum(one.device_id.isdigit() for one in names)

    assert 50 < digits < 350


def test_serial_ends_in_the_suffix_of_a_short_ssid(names):
    short = [one for one in names if len(one.ssid) == len("Photon-XXXX")]
    long = [one for one in names if len(one.ssid) == len("Photon-XXXXXX")]

    assert all(re.fullmatch(r"PHHMAB\d{3}[2-9A-HJ-NP-Z]{6}", one.serial) for one in names)
    assert all(one.serial[-4:] == one.ssid[-4:] for one in short)
    assert not any(one.serial[-4:] == one.ssid[-4:] for one in long)
    assert min(len(short), len(long)) > 50


def test_addresses_and_serials_are_given_once(names):
    assert len({parse_bssid(one.bssid) for one in names}) == 400
    assert len({one.serial for one in names}) == 400


def test_ssids_may_collide():
    mint = Mint(Dice(3))
    ssids = [mint.names(number, suffix_symbols=4).ssid for number in range(4000)]

    assert len(set(ssids)) < len(ssids)


def test_a_hundred_thousand_units_have_names_of_their_own():
    mint = Mint(Dice(8))
    made = [mint.names(number, suffix_symbols=6) for number in range(100_000)]

    for kind in ("device_id", "serial", "bssid"):
        assert len({getattr(one, kind) for one in made}) == len(made)


def test_the_nth_unit_has_the_same_names_whatever_was_made_before():
    assert (
        Mint(Dice(3)).names(77, suffix_symbols=4) == [Mint(Dice(3)).names(n, suffix_symbols=4) for n in range(78)][77]
    )


def test_units_can_be_made_to_share_their_suffix_or_their_bssid():
    mint = Mint(Dice(3), same_suffix=0.2, same_bssid=0.1)
    made = [mint.names(number, suffix_symbols=4) for number in range(1000)]

    assert 100 < 1000 - len({one.ssid for one in made}) < 300
    assert 50 < 1000 - len({one.bssid for one in made}) < 200
    assert len({one.device_id for one in made}) == 1000


def test_old_firmware_makes_four_symbols_only():
    mint = Mint(Dice(3))

    assert {len(mint.names(number, suffix_symbols=4).ssid) for number in range(200)} == {len("Photon-XXXX")}
