"""Runs a program of this folder in namespaces of its own, where it may do everything and harm nothing."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
AS_USER = ["--user", "--map-root-user"]
AS_ROOT = NAMESPACES
DAEMONS = ("NetworkManager", "nmcli", "dbus-daemon", "dnsmasq")


def skip_without(*tools):
    """Skip a test of a level that needs these programs (`sh tests/debian-packages.sh` installs them)."""
    paths = ":".join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    if lack := [tool for tool in tools if shutil.which(tool, path=paths) is None]:
        pytest.skip(f"needs {', '.join(lack)}: sh tests/debian-packages.sh")


def ways():
    """The ways into namespaces that this computer allows: with a user's own rights first, then as root."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return
    for way in ([*AS_USER, *NAMESPACES], NAMESPACES) if os.geteuid() == 0 else ([*AS_USER, *NAMESPACES],):
        probe = "mount -t tmpfs tmpfs /run && ip netns add probe && ip -n probe link add name br0 type bridge"
        if subprocess.run(["unshare", *way, "sh", "-c", probe], capture_output=True, check=False).returncode == 0:
            yield way


def results_for_all(folders, program, *halls, seconds):
    """`results_of`, once for all workers of a test run: the first that asks plays it, the others read what it told.

    `folders` is pytest's `tmp_path_factory`.
    """
    folder = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the run's own; each worker has one in there
    file = folder / f"{program}.json"
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            told = results_of(program, *halls, seconds=seconds)
            file.write_text(json.dumps(told))
        return json.loads(file.read_text())


def results_of(program, *halls, seconds, way=None):
    """Run it once for each tuple of arguments, side by side, each in a hall of its own; what they told, together.

    They tell it as JSON on their last line. Skips where no namespaces can be made.
    """
    way = way or next(ways(), None)
    if way is None:
        pytest.skip("network namespaces need util-linux, iproute2, bridges, and root or user namespaces")
    running, told = [], {}
    for arguments in halls:
        command = ["unshare", *way, sys.executable, str(HERE / program), *arguments]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        )
    try:
        for hall in running:
            out, err = hall.communicate(timeout=seconds)
            assert hall.returncode == 0, err[-3000:]
            told |= json.loads(out.splitlines()[-1])
    finally:
        for hall in running:
            hall.kill()
            hall.communicate()
    return told


def of(results, name):
    """One scenario's result; what it raised is the test's failure."""
    assert "error" not in results[name], results[name]["error"]
    return results[name]["result"]
