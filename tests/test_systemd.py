"""The shipped units are what systemd takes."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[1] / "config" / "systemd"


@pytest.mark.slow
def test_systemd_finds_nothing_wrong(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/srv/provisioner/.venv/bin/provisioner", "/bin/true")
        (tmp_path / unit.name).write_text(text.replace("file:/srv/provisioner/README.md", "man:true(1)"))
    units = [str(tmp_path / unit.name) for unit in UNITS.iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_timer_catches_up_and_the_service_may_do_nothing_else():
    service, timer = (
        (UNITS / f"provisioner-reconcile.{kind}").read_text().splitlines() for kind in ("service", "timer")
    )

    assert "Persistent=yes" in timer
    assert {
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "CapabilityBoundingSet=",
        "LimitCORE=0",
    } <= set(service)
    (command,) = [line for line in service if line.startswith("ExecStart=")]
    assert " reconcile " in command
    assert "--deadline" in command
