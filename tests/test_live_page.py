"""What people scan at a run's own page: taken by the desk in scanner mode, else looked up."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent / "line"))

from stages import listed, manifest_of

from provisioner.errors import AlreadySo, NoStationForScan
from provisioner.line.orders import Act, Orders
from provisioner.line.scan_desk import Answer, Scans
from provisioner.live_page import Ways, _People
from provisioner.settings import Settings

SERIAL = "PHHMAB804PAKLJZ"


class Line:
    """What orders are carried out on."""

    def __init__(self):
        self.orders, self.refuse = [], None

    def carry_out(self, order):
        if self.refuse is not None:
            raise self.refuse
        self.orders.append(order)


class Desk:
    """What scans are put to in scanner mode."""

    def __init__(self, labels):
        self.labels, self.scans = labels, []

    def put(self, scan):
        self.scans.append(scan)
        device = listed(3, serial=SERIAL)
        return Answer(True, "scan_taken", "TAKEN", "it is looked for", "Put it down.", scan.text, "S1", device)


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def people(line):
    ways = Ways(Orders(), Scans())
    prepared = SimpleNamespace(manifest=manifest_of(listed(3, serial=SERIAL), listed(4)), settings=Settings())
    with ways.orders.taken_by(line):
        yield _People(prepared, ways)


@pytest.mark.parametrize(
    "text", [SERIAL, f" {SERIAL.lower()}\r", "T-1/3", listed(3).id, listed(3).id.upper(), "photon-kljz"]
)
def test_a_device_is_found_by_every_name_it_has(people, text):
    assert people.find(text) == listed(3).id


@pytest.mark.parametrize("text", ["", "T-1/9", "T-9/3", "x" * 300, "\x00", "0" * 24, "PVCTLSTOP"])
def test_what_names_no_device_finds_none(people, text):
    assert people.find(text) is None


def test_where_the_line_works_by_itself_a_label_is_looked_up(people):
    assert people.scan(SERIAL, "S1", "Mira") == {"done": True, "look": True}


def test_a_badge_says_who_it_is_everywhere(people):
    said = people.scan("PVCTLID.Mira", None, None)

    assert (said["code"], said["operator"]) == ("badge_taken", "Mira")


@pytest.mark.parametrize(("text", "act"), [("STOP", Act.STOP), ("HOLD", Act.HOLD), ("RESUME", Act.RESUME)])
def test_commands_for_the_whole_line_work_without_scanner_mode(people, line, text, act):
    from provisioner.line.scan_text import Command

    said = people.scan(f"pvctl{Command[text]}".lower(), "S1", "Mira")

    assert said["code"] == f"{act}_taken"
    assert [(order.act, order.operator, order.station) for order in line.orders] == [(act, "Mira", "S1")]


def test_a_command_about_a_board_needs_scanner_mode(people):
    with pytest.raises(NoStationForScan):
        people.scan("PVCTLREDO", "S1", "Mira")


def test_what_the_line_refuses_is_refused(people, line):
    line.refuse = AlreadySo("it is held")

    with pytest.raises(AlreadySo):
        people.scan("PVCTLHOLD", "S1", "Mira")


def test_in_scanner_mode_the_desk_answers(people):
    desk = Desk(people._labels)
    del people._labels

    with people._ways.scans.taken_by(desk):
        said = people.scan(SERIAL, "S1", "Mira")

    assert (said["done"], said["code"], said["station"], said["tray"], said["slot"]) == (
        True,
        "scan_taken",
        "S1",
        "T-1",
        3,
    )
    (scan,) = desk.scans
    assert (scan.text, scan.source, scan.station, scan.operator) == (SERIAL, "page", "S1", "Mira")


def test_the_gauges_are_the_clouds_own(people):
    traffic = SimpleNamespace(left=8000, most=9000, waiting=2, cooling_s=1.5)
    assert people._ways.gauges() is None

    people._ways.cloud = SimpleNamespace(governor=SimpleNamespace(traffic=traffic))

    gauges = people._ways.gauges()
    assert (gauges.requests_left, gauges.requests_max, gauges.waiting, gauges.cooling_s) == (8000, 9000, 2, 1.5)
