"""A person as back end at a station with a scanner: one terminal for both, real from the keys to the hand-over."""

import ipaddress
import os
from contextlib import nullcontext

import pytest
import trio
from stages import Photon, id_of, listed

from provisioner.line.labels import Labels
from provisioner.line.orders import LineOrders
from provisioner.line.scan_desk import ScanDesk
from provisioner.line.scan_text import Framing
from provisioner.line.shift import Shift
from provisioner.line.station import Station
from provisioner.network import manual
from provisioner.network.manual import ManualFactory
from provisioner.network.switcher import Uplink
from provisioner.network.terminal_ask import TerminalAsk
from provisioner.scanner.terminal import scans_from_terminal
from provisioner.scanner.wedge import ALONE_S, FAST_S

SERIAL = "PHHMAB804PAKLJZ"
ON_PHOTON, ON_UPLINK = ipaddress.IPv4Address("192.168.0.2"), ipaddress.IPv4Address("10.0.0.5")


class Person:
    """At a pseudo terminal with a scanner beside it. `shown` is what the questions said."""

    def __init__(self, monkeypatch):
        self.far, self.near = os.openpty()
        self._shown, show = os.pipe()
        self._show = show
        os.set_blocking(self._shown, False)
        self.shown = ""
        self.address = ON_PHOTON
        self.ask = TerminalAsk(in_fd=self.near, out_fd=show)

        async def own_address(adapter, host):
            return self.address

        monkeypatch.setattr(manual, "own_address", own_address)
        monkeypatch.setattr(manual, "_try_binding", lambda adapter: None)

    async def sees(self, text):
        with trio.fail_after(10):
            while text not in self.shown:
                try:
                    self.shown += os.read(self._shown, 65536).decode()
                except BlockingIOError:
                    await trio.sleep(0.01)

    def scans(self, label):
        os.write(self.far, f"{label}\r".encode())

    async def presses(self, keys):
        await trio.sleep(2 * ALONE_S)
        for key in keys:
            os.write(self.far, key.encode())
            await trio.sleep(2 * FAST_S)

    def close(self):
        for fd in (self.far, self.near, self._shown, self._show):
            os.close(fd)


@pytest.fixture
def person(monkeypatch):
    person = Person(monkeypatch)
    yield person
    person.close()


@pytest.fixture
async def bench_with_person(bench, person, nursery):
    """A manual station at work; returns the line, its one board and what scans are put to."""
    line = bench([listed(1, serial=SERIAL), listed(2)]).start()
    board = Photon(1, ssid="Photon-KLJZ")
    labels = Labels(line.manifest, line.shared.suffixes, Framing(), setup_prefix="Photon-")
    orders = LineOrders(line.ledger, line.hold, line.air, line.journal, lambda _: None)
    desk = ScanDesk(line.journal, line.ledger, labels, orders=orders.carry_out, operator="Ada")

    async def work():
        async with ManualFactory(person.ask, hold=nullcontext).session(
            adapter="wlan1", uplink=Uplink.SEPARATE
        ) as switcher:
            station = Station("A", switcher, line.shared, lambda link: board)
            await Shift(station, trio.Event(), None, line.hand_over, lambda: None).work_scanned(desk)

    nursery.start_soon(work)
    nursery.start_soon(lambda: scans_from_terminal(desk, fd=person.near, ask=person.ask))
    await trio.sleep(0.1)
    return line, board


async def until(true):
    with trio.fail_after(10):
        while not true():
            await trio.sleep(0.01)


@pytest.mark.parametrize("answer", ["the Enter key", "the label once more", "the JOINED barcode"])
async def test_the_label_names_the_network_and_key_or_scanner_says_joined(bench_with_person, person, answer):
    line, _ = bench_with_person
    person.scans(SERIAL)
    await person.sees("Join the network Photon-KLJZ on adapter wlan1")
    if answer == "the Enter key":
        await person.presses("\r")
    else:
        person.scans(SERIAL if answer == "the label once more" else "PVCTLJOIN")
    await until(lambda: line.handed_over)

    assert "which network" not in person.shown
    assert line.handed_over[0].device.id == id_of(1)
    await until(lambda: line.named("scan.ended"))
    assert [(r.outcome, r.operator) for r in line.named("scan.ended")] == [("pass", "Ada")]
    assert line.named("scan.refused") == []


async def test_another_label_is_no_answer_and_n_leaves_the_board_out(bench_with_person, person):
    line, board = bench_with_person
    person.scans(SERIAL)
    await person.sees("Join the network")
    person.scans(id_of(2))
    await until(lambda: line.named("scan.refused"))
    person.scans("n")
    await until(lambda: len(line.named("scan.refused")) == 2)
    assert [r.code for r in line.named("scan.refused")] == ["station_busy", "not_in_manifest"]
    await person.presses("n\r")
    await until(lambda: line.named("scan.ended"))

    assert [r.code for r in line.named("scan.ended")] == ["operator_declined"]
    assert board.calls == []


async def test_whoever_says_joined_and_is_not_is_asked_again(bench_with_person, person):
    line, board = bench_with_person
    person.address = ON_UPLINK
    person.scans(SERIAL)
    await person.sees("Join the network Photon-KLJZ")
    person.scans("PVCTLJOIN")
    await person.sees("is not on Photon-KLJZ yet")
    assert board.calls == []
    person.address = ON_PHOTON
    person.scans("PVCTLJOIN")
    await until(lambda: line.handed_over)


async def test_a_device_id_alone_names_no_network_so_the_person_is_asked_and_may_scan_its_name(
    bench_with_person, person
):
    line, board = bench_with_person
    board.id = id_of(2)
    person.scans(id_of(2))
    await person.sees("which network blinks?")
    person.scans("Photon-KLJZ")
    await person.sees("Join the network Photon-KLJZ")
    await person.presses("\r")
    await until(lambda: line.handed_over)

    assert line.handed_over[0].device.id == id_of(2)


async def test_the_wrong_board_gets_no_write(bench_with_person, person):
    line, board = bench_with_person
    board.id = id_of(2)
    person.scans(SERIAL)
    await person.sees("Join the network Photon-KLJZ")
    await person.presses("\r")
    await until(lambda: line.named("visit.ended"))

    assert [r.code for r in line.named("visit.ended")] == ["not_the_scanned_device"]
    assert set(board.calls) == {"identify"}
