"""A real NetworkManager on a bus of its own (L3): scenarios are in `nm_scenarios`, what is not real in `nm_hall`.

There is no Wi-Fi in a namespace: scanning, names, BSSIDs and the loss of an access point are shown in the radio bench.
"""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from switcher_cases import CASES, SHOWN
from unshared import AS_ROOT, DAEMONS, of, results_for_all, results_of, skip_without

pytestmark = pytest.mark.slow(seconds=80)
NO_RADIO = {"scan", "names"}
ALONE = ("refusals", "examined", "a_visit", "static_address", "dropped", "leftovers", "killed", "daemon_killed")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    skip_without(*DAEMONS)
    return results_for_all(tmp_path_factory, "nm_scenarios.py", ALONE, ("contract",), seconds=300)


@pytest.mark.parametrize("case", [case for case in CASES.values() if not case.wants & NO_RADIO], ids=str)
def test_the_contract_holds_against_the_real_daemon(results, case):
    assert of(results, "contract")[case.name] == SHOWN


@pytest.mark.parametrize(
    ("case", "code", "word", "remedy"),
    [
        ("no adapter", "adapter_unavailable", "there is no adapter wlan9", "nmcli device"),
        ("no Wi-Fi", "adapter_unavailable", "wlan1 is no Wi-Fi adapter", "Name a Wi-Fi adapter"),
        ("not managed", "adapter_unavailable", "does not manage wlan2", "nmcli device set wlan2 managed yes"),
        ("another station's", "adapter_unavailable", "already another station's", "Another run"),
        ("no bus", "backend_gone", "system bus cannot be reached", "Restart the network service"),
        ("no NetworkManager", "backend_gone", "NetworkManager is not running", "Restart the network service"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(results, case, code, word, remedy):
    said = of(results, "refusals")[case]

    assert said[0] == code
    assert word in said[1]
    assert remedy in said[2]


def test_doctor_tells_the_version_and_remembered_setup_networks(results):
    examined = of(results, "examined")

    assert "is running" in examined["findings"]["NetworkManager"][0]
    assert examined["findings"]["NetworkManager"][1] == ""
    detail, remedy = examined["findings"]["remembered networks"]
    assert "Photon-KLJZ" in detail
    assert re.fullmatch(r"Run: nmcli connection delete [0-9a-f-]{36}", remedy)
    assert "remembered networks" not in examined["after"]


def test_a_visit_takes_no_route_no_resolver_and_leaves_nothing_behind(results):
    visit = of(results, "a_visit")

    assert visit["answers"]
    assert visit["address"]
    assert "wlan1" in visit["default routes before"]
    assert "wlan1" not in visit["default routes"], "a Photon must never become the way out"
    assert "wlan2" in visit["default routes"]
    assert visit["resolver is the same"]
    assert visit["profile"] == "provisioner wlan1"
    assert visit["on disk"] == visit["profiles"] == []
    assert visit["left"]
    assert visit["home"]
    assert "wlan1" in visit["default routes after"]


def test_a_unit_that_gives_no_lease_is_joined_with_an_address_of_our_own(results):
    assert of(results, "static_address") == {"dhcp": ["no_address", "nm-device:5"], "static": True}


def test_a_template_that_the_real_daemon_drops_is_refused_and_left(results):
    said = of(results, "dropped")

    assert said["said"][0] == "profile_dropped"
    assert "ipv4.never-default" in said["said"][1]
    assert said["home"]
    assert not [name for name in said["profiles"] if name.startswith(("provisioner", "Wired connection"))]


def test_leftovers_of_this_adapter_are_swept_and_nobody_elses(results):
    assert of(results, "leftovers") == ["provisioner wlan1"]


def test_after_kill_9_of_ours_the_daemon_leaves_and_goes_home_by_itself(results):
    killed = of(results, "killed")

    assert killed["joined"] == "provisioner wlan1"
    assert killed["ours are gone"]
    assert killed["home"]
    assert killed["then"] == ["opened"], "the adapter's lock went with the process"


def test_after_kill_9_of_the_daemon_it_is_said_and_the_next_session_finds_home(results):
    killed = of(results, "daemon_killed")

    assert killed["said"] == [False, "the body's own error came out", "backend_gone"]
    assert killed["answered"]
    assert killed["home"]
    assert killed["profiles"] == []


def test_polkit_decides_who_may_and_the_shipped_rule_is_enough():
    """With no polkitd on the bus, with Debian's rules, and with ours: an account of its own, no root, no session."""
    skip_without(*DAEMONS)
    if os.geteuid() != 0 or not Path("/usr/lib/polkit-1/polkitd").exists():
        pytest.skip("several accounts in a namespace need root, and polkitd")
    rights = of(results_of("nm_scenarios.py", ("rights",), seconds=60, way=AS_ROOT), "rights")

    assert rights["root"] == ["opened"]
    for without in ("no polkitd", "Debian's rules"):
        assert rights[without][0] == "switching_not_allowed"
        assert "network-control" in rights[without][1]
        assert "config/polkit/50-provisioner.rules" in rights[without][2]
    assert rights["the shipped rule"] == ["answered", rights["unit"]]
