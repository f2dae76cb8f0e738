"""What doctor reads from /proc and /sys of a computer that is only a folder."""

import pytest

from provisioner.network.host import look, routes, uplinks

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t0101000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"  # via 10.0.1.1
LAN = "eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"  # 192.168.0.0/24


@pytest.fixture
def root(tmp_path):
    def make(**files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def conf(name):
    return f"proc/sys/net/ipv4/conf/{name}/rp_filter"


def said(adapters, root):
    return {finding.what: finding for finding in look(adapters, root)}


def test_a_computer_without_these_files_is_not_judged(tmp_path):
    assert list(look(["wlan0"], tmp_path)) == []
    assert routes(tmp_path) == []


@pytest.mark.parametrize(
    ("everywhere", "one", "adapters", "good"),
    [("1", "0", ["wlan0", "wlan1"], False), ("0", "1", ["wlan0", "wlan1"], False), ("2", "1", ["wlan0", "wlan1"], True),
     ("0", "0", ["wlan0", "wlan1"], True), ("1", "1", ["wlan0"], True)],
)  # fmt: skip
def test_a_strict_reverse_path_filter_breaks_all_adapters_but_one(root, everywhere, one, adapters, good):
    files = {conf("all"): everywhere, conf("wlan0"): one, conf("wlan1"): one}
    finding = said(adapters, root(**files))["reverse path filter"]

    assert finding.good is good
    assert good or "sysctl" in finding.remedy


def test_a_radio_that_is_off_is_said_with_the_way_to_switch_it_on(root):
    base = "sys/class/rfkill/rfkill"
    files = {}
    for number, (kind, soft, hard) in enumerate([("wlan", "1", "0"), ("wlan", "0", "1"), ("bluetooth", "1", "1")]):
        files |= {f"{base}{number}/{key}": value for key, value in (("type", kind), ("name", f"phy{number}"),
                                                                    ("soft", soft), ("hard", hard))}  # fmt: skip
    found = [finding for finding in look(["wlan0"], root(**files)) if finding.what == "radio switch"]

    assert [finding.detail for finding in found] == ["phy0 is off", "phy1 is off by its key"]
    assert "rfkill unblock" in found[0].remedy


def test_routes_are_read_in_the_kernels_own_byte_order(root):
    table = routes(root(**{"proc/net/route": HEAD + DEFAULT + LAN}))

    assert [(str(route.network), str(route.gateway)) for route in table] == [
        ("0.0.0.0/0", "10.0.1.1"),
        ("192.168.0.0/24", "0.0.0.0"),
    ]
    assert uplinks(table) == ["eth0"]


def test_a_factory_lan_on_the_photons_range_is_advice(root):
    clash = said(["wlan0"], root(**{"proc/net/route": HEAD + LAN}))["address clash"]
    assert clash.advice
    assert "eth0" in clash.detail

    assert said(["eth0"], root(**{"proc/net/route": HEAD + LAN}))["address clash"].good, "a station's own is no clash"
