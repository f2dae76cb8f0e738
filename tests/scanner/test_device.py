"""A serial scanner on a (pseudo) terminal device: read whole, missed and found again, ours alone."""

import os
import tty

import pytest
import trio
from scan_sink import Sink, until

from provisioner.scanner import device
from provisioner.scanner.device import scans_from_device
from provisioner.scanner.wedge import QUIET_S

LABEL = "PHHMAB804PAKLJZ"


@pytest.fixture(autouse=True)
def looks_again_soon(monkeypatch):
    monkeypatch.setattr(device, "LOOK_AGAIN_S", 0.02)


class Scanner:
    """A scanner that can be plugged in and out: a link to a pseudo terminal, as udev makes them."""

    def __init__(self, folder):
        self.path = folder / "ttyACM0"
        self.far = self.near = None

    def plug_in(self):
        self.far, self.near = os.openpty()
        tty.setraw(self.near)
        self.path.symlink_to(os.ttyname(self.near))
        return self

    def pull_out(self):
        self.path.unlink(missing_ok=True)
        for fd in (self.far, self.near):
            if fd is not None:
                os.close(fd)
        self.far = self.near = None

    def scans(self, data):
        os.write(self.far, data)


@pytest.fixture
def scanner(tmp_path):
    scanner = Scanner(tmp_path)
    yield scanner
    scanner.pull_out()


async def test_scans_come_whole_in_any_pieces_and_belong_to_the_station(scanner, nursery):
    sink = Sink()
    scanner.plug_in()
    nursery.start_soon(lambda: scans_from_device(sink, str(scanner.path), station="A"))
    await trio.sleep(0.05)
    for piece in (b"\x02PHHMAB", b"804PAK", b"LJZ\x03", b"T-1/7\r\n"):
        scanner.scans(piece)
        await trio.sleep(0.08)  # slower than a person types: here it is a scanner all the same
    await until(lambda: len(sink.scans) == 2)

    assert [text.strip("\x02") for text in sink.texts] == [LABEL, "T-1/7"]
    assert {(scan.source, scan.station) for scan in sink.scans} == {(str(scanner.path), "A")}


async def test_a_scanner_that_sends_no_end_is_understood_by_its_silence(scanner, nursery):
    sink = Sink()
    scanner.plug_in()
    nursery.start_soon(lambda: scans_from_device(sink, str(scanner.path), station=None))
    await trio.sleep(0.05)
    for _ in range(2):
        scanner.scans(LABEL.encode())
        await trio.sleep(QUIET_S + 0.1)

    assert sink.texts == [LABEL, LABEL]


async def test_one_that_is_unplugged_is_said_once_and_found_again(scanner, nursery):
    sink = Sink()
    nursery.start_soon(lambda: scans_from_device(sink, str(scanner.path), station="A"))
    await until(lambda: sink.lost)
    await trio.sleep(0.2)
    assert len(sink.lost) == 1
    assert "No such file" in sink.lost[0][2]

    scanner.plug_in()
    await until(lambda: sink.found)
    scanner.pull_out()
    await until(lambda: len(sink.lost) == 2)
    scanner.plug_in()
    await until(lambda: len(sink.found) == 2)
    scanner.scans(b"T-1/7\r")
    await until(lambda: sink.texts)

    assert sink.texts == ["T-1/7"]


@pytest.mark.parametrize("what", ["a file", "a folder"])
async def test_what_is_no_device_is_said(tmp_path, nursery, what):
    sink = Sink()
    path = tmp_path / "thing"
    path.write_text("PHHM\r") if what == "a file" else path.mkdir()
    nursery.start_soon(lambda: scans_from_device(sink, str(path), station="A"))
    await until(lambda: sink.lost)

    assert sink.texts == []


async def test_a_ctrl_c_on_a_serial_line_is_the_end_of_a_label_and_nothing_else(scanner, nursery):
    sink = Sink()
    scanner.plug_in()
    nursery.start_soon(lambda: scans_from_device(sink, str(scanner.path), station="A"))
    await trio.sleep(0.05)
    scanner.scans(b"\x03\x1a\x13")
    await trio.sleep(QUIET_S + 0.1)
    scanner.scans(b"\x03T-1/7\x03")
    await until(lambda: "T-1/7" in sink.texts)
