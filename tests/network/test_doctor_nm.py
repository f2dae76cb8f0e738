"""What NetworkManager's back end tells the doctor."""

import sys
from pathlib import Path

import pytest
import trio

from provisioner.errors import AdapterUnavailable, SwitchingNotAllowed
from provisioner.network.networkmanager import NetworkManagerFactory

sys.path.insert(0, str(Path(__file__).parent))

from fake_nm import FakeNM


async def test_version_adapter_and_remembered_photons_are_told_and_nothing_is_changed(autojump_clock, nursery):
    """F27: a profile's name is what somebody's access point was called: it stands in no command to copy."""
    daemon = FakeNM(nursery)
    daemon.add_device("wlan1")
    uuid = "960098e6-bcc8-4317-8443-6f973cf90f72"
    named = {"id": ("s", "Photon-$(reboot) \x1b[2J"), "uuid": ("s", uuid)}
    daemon.add_profile({"connection": named, "802-11-wireless": {"ssid": ("ay", b"Photon-$(reboot)")}})
    daemon.add_profile({"connection": {"id": ("s", "home")}, "802-11-wireless": {"ssid": ("ay", b"Home")}})
    factory = NetworkManagerFactory(daemon.router, boot_s=trio.current_time)
    findings = {finding.what: finding for finding in await factory.examine("wlan1")}

    assert findings["NetworkManager"].good
    assert findings["adapter wlan1"].good
    assert findings["remembered networks"].remedy == f"Run: nmcli connection delete {uuid}"
    assert r"joins Photon-$(reboot) \x1b[2J by itself" in findings["remembered networks"].detail
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


async def test_missing_rights_are_raised_with_the_rule_that_gives_them(autojump_clock, nursery):
    daemon = FakeNM(nursery)
    daemon.add_device("wlan1")
    daemon.rights["org.freedesktop.NetworkManager.wifi.scan"] = "auth"
    with pytest.raises(SwitchingNotAllowed, match=r"lacks wifi\.scan") as caught:
        await NetworkManagerFactory(daemon.router).examine("wlan1")

    assert "config/polkit/50-provisioner.rules" in caught.value.remedy
