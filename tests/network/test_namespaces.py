"""Photons in namespaces (L2): real sockets, real routes, cables that lie. What happens there is in `hall_scenarios`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from switcher_benches import ManualBench
from switcher_cases import CASES, SHOWN
from unshared import of, results_for_all

pytestmark = pytest.mark.slow(seconds=40)
WHOLE_VISIT = [
    "visit.started", "network.joined", "device.identified", "claim_code.intended", "claim_code.accepted",
    "wifi.intended", "wifi.accepted", "connect.intended", "connect.accepted", "visit.ended",
]  # fmt: skip
HALLS = [
    ("the_right_one", "no_route"),
    ("stale_neighbour", "wrong_neighbour", "swapped", "adapter_vanishes", "bad_cables"),
    ("contract",),
]
WRITES = {"claim code set": "claim_code.intended", "configured": "wifi.intended", "told to connect": "connect.intended"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_for_all(tmp_path_factory, "hall_scenarios.py", *HALLS, seconds=300)


@pytest.mark.parametrize("reverse_path_filter", ["0", "2"])
def test_the_right_photon_answers_every_single_time(results, reverse_path_filter):
    hall = of(results, "the_right_one")

    assert len(hall["ids"]) == 8
    assert hall["filter"][reverse_path_filter] == {adapter: [unit] * 3 for adapter, unit in hall["ids"].items()}
    assert hall["doctor"][reverse_path_filter] == [""]


def test_an_unbound_request_would_be_answered_by_one_of_eight_with_200(results):
    """What binding is for: whichever the route says is glad to answer."""
    hall = of(results, "the_right_one")

    assert hall["unbound"][0] == 200
    assert hall["unbound"][1] in hall["ids"].values()


def test_a_strict_reverse_path_filter_breaks_all_but_one_and_doctor_says_so(results):
    hall = of(results, "the_right_one")
    strict = hall["filter"]["1"]
    good = [adapter for adapter, answers in strict.items() if answers == [hall["ids"][adapter]] * 3]

    assert len(good) <= 1
    assert all(answers == ["softap_unreachable"] * 3 for adapter, answers in strict.items() if adapter not in good)
    (remedy,) = hall["doctor"]["1"]
    assert "sysctl" in remedy


def test_without_any_route_of_the_photons_range_the_right_one_still_answers(results):
    hall = of(results, "the_right_one")

    assert of(results, "no_route") == {adapter: [unit] * 3 for adapter, unit in hall["ids"].items()}


def test_a_stale_neighbour_that_is_gone_fails_in_time_and_nothing_is_written(results):
    visit = of(results, "stale_neighbour")

    assert visit["before"]
    assert visit["bounded"]
    assert (visit["failure"], visit["journal"]) == ("softap_unreachable", [])
    assert not set(visit["unit"]) & {*WRITES, "asked"}


@pytest.mark.parametrize(
    ("listing", "code"),
    [
        ("only the wanted one is listed", "stranger_device"),
        ("both are listed, one was scanned", "not_the_scanned_device"),
    ],
)
def test_a_stale_neighbour_that_answers_is_caught_by_the_first_request(results, listing, code):
    visit = of(results, "wrong_neighbour")[listing]

    assert (visit["failure"], visit["blame"], visit["journal"]) == (code, "operator", [])
    assert visit["unit"].count("asked") == 1
    assert not (set(visit["unit"]) | set(visit["the wanted one"])) & set(WRITES)


def test_a_unit_that_is_swapped_in_mid_visit_gets_nothing(results):
    visit = of(results, "swapped")

    assert visit["failure"] == "device_changed"
    assert visit["journal"] == ["claim_code.intended", "claim_code.accepted"]
    assert "claim code set" in visit["unit"]
    assert "asked" in visit["the second"]
    assert not set(visit["the second"]) & set(WRITES)


def test_an_adapter_that_is_pulled_out_in_mid_visit_is_the_stations_and_no_devices_fault(results):
    visit = of(results, "adapter_vanishes")

    assert (visit["failure"], visit["blame"]) == ("adapter_unavailable", "station")
    assert visit["journal"] == ["claim_code.intended", "claim_code.accepted"]
    assert visit["again"][:2] == ["adapter_unavailable", "station"]
    assert "va0" in visit["again"][2]


def test_cables_that_lose_and_delay_frames_lose_no_device_and_the_journal_is_true(results):
    """Loss up to one frame in ten: whole visits. Half of all frames: an honest failure. Never another unit."""
    cables = of(results, "bad_cables")

    assert len(cables) == 8
    assert sum(one["frames"]["lost"] for one in cables.values()) > 20
    for one in cables.values():
        answered, unit = one["device"]
        assert answered in (unit, None)
        for happened, intended in WRITES.items():
            assert one["unit"].count(happened) <= one["journal"].count(intended), one
        if one["loss"] <= 0.1:
            assert one["failure"] is None
            assert set(one["journal"]) >= set(WHOLE_VISIT)
            assert set(one["unit"]) >= set(WRITES)
    (worst,) = [one for one in cables.values() if one["loss"] == 0.5]
    assert worst["failure"] in (None, "softap_unreachable", "softap_silent", "softap_cut_short", "link_lost")


@pytest.mark.parametrize("case", [case for case in CASES.values() if not case.left_out(ManualBench)], ids=str)
def test_the_contract_holds_for_a_person_who_moves_real_cables(results, case):
    assert of(results, "contract")[case.name] == SHOWN
