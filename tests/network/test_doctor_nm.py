"""What NetworkManager's back end tells the doctor."""

import sys
from pathlib import Path

import pytest
import trio

from provisioner.errors import AdapterUnavailable
from provisioner.network.networkmanager import NetworkManagerFactory

sys.path.insert(0, str(Path(__file__).parent))

from fake_nm import FakeNM


async def test_version_adapter_and_remembered_photons_are_told_and_nothing_is_changed(autojump_clock, nursery):
    daemon = FakeNM(nursery)
    daemon.add_device("wlan1")
    daemon.add_profile(
        {"connection": {"id": ("s", "Photon-KLJZ 1")}, "802-11-wireless": {"ssid": ("ay", b"Photon-KLJZ")}}
    )
    daemon.add_profile({"connection": {"id": ("s", "home")}, "802-11-wireless": {"ssid": ("ay", b"Home")}})
    factory = NetworkManagerFactory(daemon.router, boot_s=trio.current_time)
    findings = {finding.what: finding for finding in await factory.examine("wlan1")}

    assert findings["NetworkManager"].good
    assert findings["adapter wlan1"].good
    assert "nmcli connection delete Photon-KLJZ 1" in findings["remembered networks"].remedy
    assert not {"AddAndActivateConnection2", "Delete", "RequestScan"} & set(daemon.calls)


async def test_an_old_networkmanager_is_said(autojump_clock, nursery):
    daemon = FakeNM(nursery)
    daemon.version = "1.14.6"
    daemon.add_device("wlan1")
    (first, *_) = await NetworkManagerFactory(daemon.router).examine("wlan1")

    assert not first.good


async def test_what_makes_a_session_impossible_is_raised(autojump_clock, nursery):
    with pytest.raises(AdapterUnavailable):
        await NetworkManagerFactory(FakeNM(nursery).router).examine("wlan7")
