"""What can be shown of Windows without one: the program starts and works with all that only POSIX has hidden from it.

Not verified on a real Windows. `windows_hidden` says what is hidden, and what stands in.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner import portable

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}", "NO_COLOR": "1"}


def ended(command, folder):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=ENVIRONMENT, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def hidden(*words, folder):
    """The program, in a process that looks like Windows."""
    return ended([sys.executable, str(HERE / "windows_hidden.py"), *words], folder)


def scripted(text, folder):
    """A few lines of Python in such a process; what they print, as JSON."""
    script = f"import json, windows_hidden\nconsole = windows_hidden.hide(keys={KEYS!r})\n{text}"
    return json.loads(ended([sys.executable, "-c", script], folder).splitlines()[-1])


KEYS = [*"ab\b", None, *"\xe0H", *"klz\bj\r", *"n\r"]  # None: nothing is typed for a moment; \xe0H: an arrow


def test_the_whole_line_works_a_simulated_factory_and_its_night_adds_up(tmp_path):
    said = hidden("demo", "--virtual", "--devices", "4", "--stations", "1", "--seed", "3", folder=tmp_path)

    assert "FINISHED, ALL PASS." in said
    assert "EVERYTHING ADDS UP: 4 devices" in said


def test_the_lock_of_a_runs_folder_holds_over_processes_and_its_holder_can_be_read(tmp_path):
    text = """
import os, subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from provisioner.errors import JournalLocked
from provisioner.journal.writer import open_journal

def opened(name):
    return open_journal(Path("runs"), name, wall=lambda: datetime.now(UTC), mono=lambda: 0.0)

with opened("first") as journal:
    journal.append("run.stopping")
    try:
        with opened("second"):
            said = "opened"
    except JournalLocked as locked:
        said = locked.detail
with opened("third"):
    pass
lines = Path("runs/first/journal.jsonl").read_bytes().count(b"\\n")
print(json.dumps({"said": said, "locked": console.locked, "lines": lines, "pid": os.getpid()}))
"""
    told = scripted(text, tmp_path)

    assert f"process {told['pid']}" in told["said"], "who holds it is read past the lock"
    assert "run first" in told["said"]
    assert told["locked"] == [[2, 1]] * 3
    assert told["lines"] >= 1


def test_a_person_is_asked_key_by_key_and_may_correct_what_was_typed(tmp_path):
    text = """
import os, trio
from provisioner.network.manual import setup_ssid
from provisioner.network.terminal_ask import TerminalAsk
os.isatty = lambda descriptor: True

async def main():
    ask = TerminalAsk.of_this_process()
    with trio.move_on_after(0):
        await ask.line("nobody waits for this one")
    return await ask.line("Which network?"), await ask.confirm("Join it?")

line, yes = trio.run(main)
print(json.dumps([line, setup_ssid(line, "Photon-"), yes]))
"""
    assert scripted(text, tmp_path) == ["aklj", "Photon-AKLJ", False]


def test_the_manual_back_end_opens_joins_and_speaks_over_plain_sockets(tmp_path):
    text = """
import ipaddress, trio
from functools import partial
from provisioner.model import SetupNetwork
from provisioner.network import backends
from provisioner.network.manual import ManualFactory
from provisioner.network.switcher import JoinPolicy, Uplink

class Yes:
    async def tell(self, text): await trio.lowlevel.checkpoint()
    async def confirm(self, text): return True

async def echo(stream):
    await stream.send_all(await stream.receive_some())

async def main():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), echo, 0)
        here = ipaddress.IPv4Network("127.0.0.0/8")
        factory = ManualFactory(Yes(), host="127.0.0.1", subnet=here)
        async with factory.session(adapter="Wi-Fi", uplink=Uplink.SEPARATE) as switcher:
            async with switcher.joined(SetupNetwork("Photon-KLJZ", "", 0, 0.0), JoinPolicy()) as link:
                assert await link.healthy()
                async with await link.dial("127.0.0.1", listener.socket.getsockname()[1]) as stream:
                    await stream.send_all(b"hello")
                    said = await stream.receive_some()
            assert not await link.healthy()
        nursery.cancel_scope.cancel()
    return said.decode()

print(json.dumps([trio.run(main), type(backends.load("manual")).__name__]))
"""
    assert scripted(text, tmp_path) == ["hello", "ManualFactory"]


def test_scanning_where_nothing_can_be_scanned_is_refused_in_words(tmp_path):
    text = """
from types import SimpleNamespace
from provisioner.scanning import scanners_of
from provisioner.errors import InputRefused
job = SimpleNamespace(job=SimpleNamespace(scanner=True))
try:
    scanners_of(job)
except InputRefused as refused:
    print(json.dumps([refused.detail, refused.remedy, scanners_of(job, page=True)]))
"""
    detail, remedy, with_page = scripted(text, tmp_path)

    assert "Windows" in detail
    assert "--console" in remedy
    assert with_page == []


@pytest.mark.skipif(portable.WINDOWS, reason="the other branch")
def test_here_the_lock_is_the_kernels_own(tmp_path):
    with (tmp_path / "lock").open("wb") as one, (tmp_path / "lock").open("wb") as other:
        portable.lock(one.fileno())
        with pytest.raises(BlockingIOError):
            portable.lock(other.fileno())
