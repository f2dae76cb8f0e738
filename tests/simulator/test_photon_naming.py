import random
import re

import pytest

from provisioner.model import DeviceID, parse_bssid
from provisioner.simulator.photon.naming import Mint


@pytest.fixture
def names():
    mint = Mint(random.Random(3))
    return [mint.names() for _ in range(400)]


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
    mint = Mint(random.Random(3))
    ssids = [mint.names().ssid for _ in range(4000)]

    assert len(set(ssids)) < len(ssids)
