"""What doctor makes of the ways out of a computer that is only a folder; see `cli/test_doctor.py` for the command."""

import pytest

from provisioner.doctor import _ways_out
from provisioner.settings import Settings

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def said(tmp_path, ways, *stations):
    table = "".join(f"{way}\t00000000\t0101000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" for way in ways)
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(HEAD + table)
    rows = [{"name": f"S{number}", "adapter": adapter, "uplink": uplink}
            for number, (adapter, uplink) in enumerate(stations)]  # fmt: skip
    return [finding for finding in _ways_out(Settings.model_validate({"stations": rows}), tmp_path) if not finding.good]


@pytest.mark.parametrize(
    ("ways", "station", "remedy"),
    [
        (["wlan0"], ("wlan0", "separate"), "Write `uplink: shared` for S0, or connect a cable."),
        ([], ("wlan0", "shared"), "Join the uplink network on wlan0, or write `uplink: separate` for S0."),
        (["eth0"], ("wlan0", "shared"), "Join the uplink network on wlan0, or write `uplink: separate` for S0."),
    ],
    ids=["the only way out is said to be separate", "a shared one is on nothing", "the way out is another"],
)
def test_an_uplink_that_is_not_what_the_settings_say_has_a_remedy(tmp_path, ways, station, remedy):
    (finding,) = said(tmp_path, ways, station)

    assert finding.remedy == remedy


@pytest.mark.parametrize(
    ("ways", "station"),
    [(["wlan0"], ("wlan0", "shared")), (["eth0"], ("wlan0", "separate")), (["eth0", "wlan0"], ("wlan0", "separate"))],
)
def test_an_uplink_as_the_settings_say_is_fine(tmp_path, ways, station):
    assert said(tmp_path, ways, station) == []
