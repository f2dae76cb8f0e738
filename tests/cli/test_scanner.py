"""`provisioner scanner`: the sheet to print, and what a scanner sends, through the real command."""

import json
import os
import pty
import subprocess
import sys
import time
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


def test_the_sheet_is_a_page_that_is_complete_by_itself(scanner, tmp_path):
    said = scanner("sheet", "--badge", "Ada Lovelace")

    assert said.returncode == 0
    assert said.stdout.startswith("<!doctype html>")
    assert "PVCTLID.Ada Lovelace" in said.stdout
    assert scanner("sheet", "--output", "s.html").returncode == 0
    assert (tmp_path / "s.html").read_text().count("<svg") == 6


@pytest.mark.parametrize("args", [["--badge", "Zoë"], ["--badge", ""], ["--output", "no/such/folder.html"]])
def test_what_cannot_be_printed_is_said(scanner, args):
    said = scanner("sheet", *args)

    assert said.returncode == 2
    assert "input_refused" in said.stderr


def test_labels_from_a_pipe_are_told_what_they_mean(scanner):
    done = scanner("try", EXAMPLE, stdin=f"]C1{SERIAL}\r\n3b00\x00\nPVCTLSTOP\n")

    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert "T-0001/2" in said[0]
    assert "Photon-KLJZ" in said[0]
    assert said[1].startswith("'3b00\\x00', 5 characters: scan_unreadable")
    assert said[2].endswith("the command STOP")


def test_as_json_there_is_one_object(scanner):
    done = scanner("try", "--json", stdin="PVCTLSTOP\nabc\n")

    assert [row["code"] for row in json.loads(done.stdout)["scans"]] == ["command", "text"]


def test_at_a_terminal_ctrl_c_ends_it_and_a_ctrl_c_in_a_barcode_does_not():
    far, near = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioner", "scanner", "try"], stdin=near, stdout=near, stderr=near,
        start_new_session=True,
    )  # fmt: skip
    said = ""
    os.set_blocking(far, False)

    def until(text):
        nonlocal said
        end = time.monotonic() + 30
        while text not in said:
            assert time.monotonic() < end, said
            try:
                said += os.read(far, 4096).decode()
            except BlockingIOError:
                time.sleep(0.02)

    try:
        until("Scan something")
        time.sleep(0.5)
        os.write(far, b"PH\x03HM\x1c\r")
        until("HM\\x1c")
        time.sleep(0.5)
        os.write(far, b"\x03")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(far)
        os.close(near)
