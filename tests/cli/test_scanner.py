"""`provisioner scanner`: the sheet to print, and what a scanner sends, through the real command."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "config" / "manifests" / "example.yaml"
SERIAL = "PHHMAB804PAKLJZ"


@pytest.fixture
def scanner(tmp_path):
    """Runs `provisioner scanner ...` in an empty folder."""

    def run(*args, stdin=""):
        command = [sys.executable, "-m", "provisioner", "scanner", *map(str, args)]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )

    return run


def test_the_sheet_is_a_page_that_is_complete_by_itself(provisioner, tmp_path):
    code, out, _ = provisioner("scanner", "sheet", "--badge", "Ada Lovelace")

    assert code == 0
    assert out.startswith("<!doctype html>")
    assert "PVCTLID.Ada Lovelace" in out
    assert provisioner("scanner", "sheet", "--output", "s.html")[0] == 0
    assert (tmp_path / "s.html").read_text().count("<svg") == 6


@pytest.mark.parametrize("args", [["--badge", "Zoë"], ["--badge", ""], ["--output", "no/such/folder.html"]])
def test_what_cannot_be_printed_is_said(provisioner, args):
    code, _, err = provisioner("scanner", "sheet", *args)

    assert code == 2
    assert "input_refused" in err


def test_labels_from_a_pipe_are_told_what_they_mean(scanner):
    done = scanner("try", EXAMPLE, stdin=f"]C1{SERIAL}\r\n3b00\x00\nPVCTLSTOP\n")

    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert "T-0001/2" in said[0]
    assert "Photon-KLJZ" in said[0]
    assert said[1].startswith("'3b00\\x00', 5 characters: scan_unreadable")
    assert said[2].endswith("the command STOP")


def test_a_closed_standard_input_has_no_labels(scanner):
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m provisioner scanner try --json <&-', sys.executable],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, json.loads(done.stdout)) == (0, {"scans": []})


def test_as_json_there_is_one_object(scanner):
    done = scanner("try", "--json", stdin="PVCTLSTOP\nabc\n")

    assert [row["code"] for row in json.loads(done.stdout)["scans"]] == ["command", "text"]


CONFIG = EXAMPLE.parents[1] / "line.yaml"


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (["nobody=/dev/ttyACM0"], "no station named nobody for the scanner /dev/ttyACM0"),
        (["bench-1=/dev/ttyACM0", "bench-2=/dev/ttyACM0"], "/dev/ttyACM0 is named twice"),
    ],
)
def test_scanners_that_cannot_be_meant_are_refused_before_anything_is_touched(provisioner, tmp_path, devices, said):
    options = [part for device in devices for part in ("--scanner-device", device)]

    code, _, err = provisioner("run", EXAMPLE, "--config", CONFIG, *options)

    assert code == 2
    assert said in err
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """A program at a pseudo terminal. `said` is everything it wrote."""

    def __init__(self, folder, *args):
        self.far, self.near = pty.openpty()
        self.before = termios.tcgetattr(self.near)
        fcntl.ioctl(self.near, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        os.set_blocking(self.far, False)
        self.said = ""
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {
            "TERM": "xterm-256color"
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provisioner", *map(str, args)], stdin=self.near, stdout=self.near,
            stderr=self.near, cwd=folder, env=environment, start_new_session=True,
        )  # fmt: skip

    def until(self, text, seconds=60):
        end = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < end, self.said[-3000:]
            assert self.process.poll() is None or text in self.read(), self.said[-3000:]
            self.read()
            time.sleep(0.02)

    def read(self):
        with suppress(BlockingIOError, OSError):
            while data := os.read(self.far, 65536):
                self.said += data.decode("utf-8", "replace")
        return self.said

    def scans(self, data):
        os.write(self.far, data)

    def ends(self, seconds=60):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, self.said[-3000:]
            self.read()  # or it waits for us
            time.sleep(0.02)
        self.read()
        return self.process.returncode

    @property
    def as_before(self):
        return termios.tcgetattr(self.near) == self.before

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.far)
        os.close(self.near)


@pytest.fixture
def at_terminal(tmp_path):
    terminals = []

    def start(*args):
        terminals.append(Terminal(tmp_path, *args))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def test_at_a_terminal_ctrl_c_ends_it_and_a_ctrl_c_in_a_barcode_does_not(at_terminal):
    terminal = at_terminal("scanner", "try")
    terminal.until("Scan something")
    time.sleep(0.5)
    terminal.scans(b"PH\x03HM\x1c\r")
    terminal.until("HM\\x1c")
    time.sleep(0.5)
    terminal.scans(b"\x03")

    assert terminal.ends() == 0
    assert terminal.as_before


@pytest.mark.slow
def test_training_a_board_is_scanned_at_a_terminal_and_passes(at_terminal, tmp_path):
    """The whole program: hostile scans are answered, none is a key, the board passes, the terminal comes back."""
    terminal = at_terminal("demo", "--scanner", "--devices", 1, "--stations", 1, "--seed", 3)
    terminal.until("scan its label")
    assert not terminal.as_before
    for hostile in (b"q\r", b"\x03\x1c\x1a\x13x\r", b"PVCTLID.Ada\r"):
        terminal.scans(hostile)
        time.sleep(0.5)
    terminal.scans(b"T-0001/1\r\n")
    terminal.until("Keep it powered")

    assert terminal.ends() == 0
    assert terminal.as_before
    assert "FINISHED, ALL PASS" in terminal.said
    (journal,) = tmp_path.glob("runs/*/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [(r["event"], r.get("operator")) for r in records if r["event"].startswith("scan.")][-2:] == [
        ("scan.taken", "Ada"),
        ("scan.ended", "Ada"),
    ]
    assert "<svg" in (tmp_path / "runs" / "training-labels.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 130), (b"\x03", 130)])
def test_the_terminal_comes_back_when_a_run_is_stopped(at_terminal, how, code):
    terminal = at_terminal("demo", "--scanner", "--devices", 1, "--stations", 1, "--seed", 3)
    terminal.until("scan its label")
    time.sleep(0.5)
    if isinstance(how, bytes):
        terminal.scans(how)
    else:
        terminal.process.send_signal(how)

    assert terminal.ends() == code
    assert terminal.as_before
