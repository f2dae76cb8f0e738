"""The stations' shared memory of the air."""

import math

import pytest
from stages import manifest_of

from provisioner.line.air import HEARD_MAX, WAITS_S, Air, Suffixes, serial_suffix, suffix_of
from provisioner.model import ClaimPolicy, ClaimTo, DeviceID, ListedDevice, SetupNetwork

ID = DeviceID.parse("3b0021001747353236343033")


def network(number, *, signal_dbm=-50, heard_s=0.0, ssid=None):
    return SetupNetwork(ssid or f"Photon-{number:04d}", f"02:00:00:00:{number // 256:02x}:{number % 256:02x}",
                        signal_dbm, heard_s)  # fmt: skip


@pytest.fixture
def air():
    return Air(back_after_s=15, refused_after_s=30, signal_floor_dbm=-80)


def choose(air, networks, *, station="A", now_s=0.0, fits=lambda *_: True):
    air.hear(networks)
    return air.choose(networks, station=station, now_s=now_s, fits=fits)


def test_the_strongest_free_network_is_leased(air):
    weak, strong = network(1, signal_dbm=-70), network(2, signal_dbm=-40)

    assert choose(air, [weak, strong]) == strong
    assert choose(air, [weak, strong], station="B") == weak
    assert choose(air, [weak, strong], station="C") is None


def test_a_lease_that_ended_can_be_had_again(air):
    only = network(1)
    choose(air, [only])
    air.give_back(only, now_s=0.0)

    assert choose(air, [only], station="B") == only


def test_two_units_with_one_name_are_two_networks(air):
    twins = [network(1, ssid="Photon-AAAA"), network(2, ssid="Photon-AAAA")]

    assert choose(air, twins) != choose(air, twins, station="B")


def test_a_network_below_the_signal_floor_is_left_alone(air):
    assert choose(air, [network(1, signal_dbm=-81)]) is None


def test_a_network_to_be_left_alone_comes_round_later_and_after_fresh_ones(air):
    bad, fresh = network(1, signal_dbm=-30), network(2, signal_dbm=-70)
    choose(air, [bad])
    air.leave_alone(bad, until_s=10)
    air.give_back(bad, now_s=0.0)

    assert choose(air, [bad], now_s=9) is None
    assert choose(air, [bad, fresh], now_s=11) == fresh
    assert choose(air, [bad, fresh], now_s=11) == bad


def test_a_device_that_left_and_is_heard_again_could_not_join_the_factory_network(air):
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)

    assert air.hear([]) == []
    assert air.hear([network(1, heard_s=104)]) == []  # a stale scan result
    (back,) = air.hear([network(1, heard_s=140)])
    assert (back.device, back.left_first) == (ID, True)
    assert air.hear([network(1, heard_s=150)]) == []  # said once


def test_a_device_that_never_left_ignored_the_command(air):
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)
    air.hear([network(1, heard_s=105)])

    (back,) = air.hear([network(1, heard_s=116)])

    assert back.left_first is False


def test_a_network_back_sooner_than_a_refused_password_brings_it_back_says_nothing(air):
    """Radios restart, scans miss a beacon, and old firmware beacons on."""
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)
    air.hear([])

    assert air.hear([network(1, heard_s=125)]) == []


def test_a_network_that_never_left_and_then_does_is_news_again(air):
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)
    assert [back.left_first for back in air.hear([network(1, heard_s=116)])] == [False]
    assert air.hear([network(1, heard_s=118)]) == []
    air.hear([])

    assert [back.left_first for back in air.hear([network(1, heard_s=150)])] == [True]


def test_a_board_that_has_waited_too_long_comes_before_stronger_ones(air):
    """Else one that every station hears weakly would wait until the bench is empty."""
    weak = network(1, signal_dbm=-75, heard_s=0.0)
    assert choose(air, [weak, network(2, signal_dbm=-40)], now_s=1) == network(2, signal_dbm=-40)
    late = WAITS_S + 1
    heard = [network(1, signal_dbm=-75, heard_s=late), network(3, signal_dbm=-40, heard_s=late)]

    assert choose(air, heard, now_s=late) == heard[0]


def test_a_settled_network_that_is_heard_long_after_is_worth_one_look(air):
    """Another unit may have the same BSSID."""
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)
    air.settled(ID)
    air.hear([network(1, heard_s=125)])
    assert not air.may_be_another(network(1, heard_s=125))

    assert air.may_be_another(network(1, heard_s=131))
    air.look_twice(there)
    assert not air.may_be_another(network(1, heard_s=140))


def test_a_second_look_that_found_nobody_is_still_to_come(air):
    """F17: it was gone by then, or gave no lease (the next visit brings an address): somebody may still be there."""
    only = network(1)
    choose(air, [only])
    air.learn(only, ID)
    air.settled(ID)
    air.give_back(only, now_s=1.0)
    late = network(1, heard_s=40)
    air.look_twice(late)

    assert not air.may_be_another(late)

    air.gone(late, now_s=41)

    assert air.may_be_another(network(1, heard_s=50))

    air.look_twice(late)
    air.no_lease(late)

    assert air.may_be_another(network(1, heard_s=60))

    air.look_twice(late)
    air.no_lease(late)

    assert not air.may_be_another(network(1, heard_s=70))


def test_what_an_earlier_run_found_there_is_known_when_it_is_heard_again(air):
    proven, in_doubt = network(1), network(2)
    air.knew(proven.key, ID, settled=True)
    air.knew(in_doubt.key, DeviceID("3b0021001747353236343034"), settled=False)
    air.hear([proven, in_doubt, network(3)])

    assert air.device_of(proven.key) == ID
    assert air.may_be_another(proven)
    assert not air.may_be_another(in_doubt)
    assert air.device_of(network(3).key) is None


def test_a_device_that_is_returned_is_free_at_once(air):
    only = network(1)
    choose(air, [only])
    air.learn(only, ID)
    air.leave_alone(only, until_s=math.inf)
    air.give_back(only, now_s=0.0)

    assert choose(air, [network(1, heard_s=1)], now_s=1) is None

    air.returned(ID)

    assert choose(air, [network(1, heard_s=2)], now_s=2) is not None


def test_a_settled_device_coming_back_is_no_news(air):
    """F9: late news of a board that has its end changes nothing."""
    there = network(1)
    choose(air, [there])
    air.learn(there, ID)
    air.told_to_connect(there, now_s=100)
    air.settled(ID)

    assert air.hear([network(1, heard_s=140)]) == []


def test_memory_is_bounded_and_forgets_the_oldest(air):
    for number in range(HEARD_MAX + 10):
        air.hear([network(number, heard_s=float(number))])

    assert HEARD_MAX * 7 // 8 <= len(air._heard) <= HEARD_MAX
    assert network(0).bssid not in air._heard


def test_never_again_means_not_in_this_run(air):
    stranger = network(1)
    choose(air, [stranger])
    air.leave_alone(stranger, until_s=math.inf)
    air.give_back(stranger, now_s=0.0)

    assert choose(air, [stranger], now_s=1e9) is None


@pytest.mark.parametrize(
    ("serial", "suffix"), [("PHHMAB804PAKLJZ", "KLJZ"), ("PH-160329-KVXY-0", "KVXY"), ("phhmab804pakljz", "KLJZ")]
)
def test_the_label_names_the_setup_network(serial, suffix):
    assert serial_suffix(serial) == suffix == suffix_of(f"Photon-{suffix}")


def test_candidates_are_hints_and_may_be_several():
    rows = [
        ListedDevice(
            DeviceID.parse(f"{number:024x}"), "T", number, serial, ClaimPolicy(ClaimTo.NONE), None, None, False
        )
        for number, serial in enumerate(["PHHMAB804PAKLJZ", "PHHMAB999XXKLJZ", None], start=1)
    ]

    suffixes = Suffixes(manifest_of(*rows))

    assert [row.slot for row in suffixes.candidates("Photon-KLJZ")] == [1, 2]
    assert suffixes.candidates("Photon-AAAA") == []


def test_a_board_that_failed_once_is_not_forgotten_while_new_ones_keep_coming(air):
    failed = network(1)
    choose(air, [failed])
    air.give_back(failed, now_s=0)
    air.leave_alone(failed, until_s=2)

    soon, late = WAITS_S + 1, 2 * WAITS_S + 1
    assert choose(air, [network(1, heard_s=soon), network(2, heard_s=soon)], now_s=soon).key == network(2).key
    assert choose(air, [network(1, heard_s=late), network(3, heard_s=late)], now_s=late).key == failed.key


def test_a_site_fault_does_not_count_against_a_board(air):
    there = network(1)
    choose(air, [there])
    air.leave_alone(there, until_s=0, missed=False)

    assert air.misses(there) == 0
