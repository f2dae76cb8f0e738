"""The fleet's lists: in what order, what a slice of them is, and that they are right after whatever happened."""

import random

import pytest

from provisioner.simulator.clock import SimClock
from provisioner.simulator.cloud.sim_cloud import SimCloud
from provisioner.simulator.faults import Dice, Faults

COUNT = 12
IDS = [f"{number:024x}" for number in range(COUNT)]


@pytest.fixture
def cloud(at_hand):
    cloud = SimCloud(clock=SimClock(), dice=Dice(1), faults=Faults(owner_lag_s=(0.0, 0.0)))
    for number, device_id in enumerate(random.Random(1).sample(IDS, COUNT)):
        cloud.know_device(device_id, serial=f"PHHMAB{number:03}PAKLJZ")
        cloud.put_in_product(device_id)
    return cloud


def ids(devices):
    return [device.id for device in devices]


async def test_the_list_is_by_id_and_the_newest_by_connection_then_by_id(cloud, autojump_clock):
    heard = [IDS[7], IDS[2], IDS[7], IDS[9]]
    for device_id in heard:
        cloud.device_online(device_id, None)

    rest = [device_id for device_id in IDS if device_id not in heard]
    assert ids(cloud.fleet.listed(1319)) == IDS
    assert ids(cloud.fleet.newest(1319)) == [IDS[9], IDS[7], IDS[2], *rest]
    assert ids(cloud.fleet.listed(1320)) == ids(cloud.fleet.newest(1320)) == []


@pytest.mark.parametrize("part", [(0, 5), (5, 10), (10, 99), (99, 200), (3, 2), (-3, None), (None, None, -1)])
def test_a_slice_is_that_of_a_list(cloud, part):
    assert ids(cloud.fleet.listed(1319)[slice(*part)]) == IDS[slice(*part)]


def test_pages_read_one_after_the_other_are_right_also_when_devices_come_and_go_between_them(cloud):
    """A page goes on where the one before it ended, unless the list is another since."""
    listed = cloud.fleet.listed

    assert ids(listed(1319)[0:4]) + ids(listed(1319)[4:8]) == IDS[:8]
    cloud.fleet.leave(cloud.find_device(IDS[1]))
    assert ids(listed(1319)[8:12]) == [*IDS[:1], *IDS[2:]][8:12]
    cloud.fleet.remove(IDS[2])
    assert ids(listed(1319)[0:4]) == [IDS[0], *IDS[3:6]]
    cloud.put_in_product(IDS[1])
    assert ids(listed(1319)[4:8]) == [*IDS[:2], *IDS[3:]][4:8]
    assert ids(listed(1319)[4:8]) == [*IDS[:2], *IDS[3:]][4:8]


def test_one_of_the_list_is_that_of_a_list(cloud):
    listed = cloud.fleet.listed(1319)

    assert [listed[place].id for place in (0, 4, -1)] == [IDS[0], IDS[4], IDS[-1]]
    with pytest.raises(IndexError):
        listed[COUNT]


def test_whatever_happens_to_devices_the_lists_and_their_length_are_right(cloud):
    second = cloud.add_product(1320, "other")
    chance, fleet, model = random.Random(2), cloud.fleet, dict.fromkeys(IDS, 1319)
    for _ in range(200):
        device_id, product = chance.choice(sorted(model)), chance.choice([cloud.product, second])
        what = chance.choice(["join", "quarantine", "leave"] * 9 + ["remove"])
        if what == "remove":
            fleet.remove(device_id)
            del model[device_id]
            continue
        device = fleet.find(device_id)
        fleet.leave(device) if what == "leave" else getattr(fleet, what)(device, product.id)
        model[device_id] = None if what == "leave" else product.id

    for product_id in (1319, 1320):
        expected = sorted(device_id for device_id, product in model.items() if product == product_id)
        assert ids(fleet.listed(product_id)) == sorted(ids(fleet.newest(product_id))) == expected
        assert len(fleet.listed(product_id)) == len(expected)
    assert 0 < len(model) < COUNT


def test_what_an_account_owns_is_in_the_order_it_came_to_it(cloud):
    mine, theirs = cloud.add_customer("mine@example.com"), cloud.add_customer("theirs@example.com")
    for device_id in (IDS[3], IDS[1], IDS[2]):
        cloud.fleet.own(cloud.find_device(device_id), mine)
    cloud.fleet.own(cloud.find_device(IDS[1]), theirs)
    cloud.fleet.own(cloud.find_device(IDS[3]), mine)

    assert ids(cloud.fleet.owned_by(mine, 0.0)) == [IDS[2], IDS[3]]
    assert ids(cloud.fleet.owned_by(theirs, 0.0)) == [IDS[1]]


async def test_an_account_that_goes_owns_nothing(cloud, autojump_clock):
    mine = cloud.add_customer("mine@example.com")
    for device_id in IDS:
        cloud.fleet.own(cloud.find_device(device_id), mine)
    cloud.fleet.free_all_of(mine)

    assert ids(cloud.fleet.owned_by(mine, 0.0)) == []
    assert {cloud.find_device(device_id).owner for device_id in IDS} == {None}


@pytest.mark.parametrize("serial", ["phhmab003pakljz", " PHHMAB003PAKLJZ "])
def test_a_serial_is_found_in_any_case(cloud, serial):
    assert cloud.fleet.find_serial(serial).serial == "PHHMAB003PAKLJZ"


@pytest.mark.parametrize("name", ["", "unheard", "\ud800"])
def test_a_name_that_no_device_has_finds_none(cloud, name):
    assert cloud.fleet.find_serial(name) is None
    assert cloud.fleet.find(name) is None


def test_a_device_that_particle_has_never_heard_of_cannot_be_removed(cloud):
    with pytest.raises(KeyError):
        cloud.fleet.remove("f" * 24)
