"""F4 through the real command on real disks: one that is full, one that is read-only, and a limit on file sizes."""

import shutil
import subprocess

import pytest

from provisioner.journal.reader import runs, verify

IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount():
    """Whether this account may mount a file system of its own, in a namespace that nobody else sees."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.fixture
def small_disk(bench, monkeypatch):
    """`small_disk(options)`: the bench's commands run with a little disk of its own as runs folder."""

    def made(options, then="true"):
        (bench.folder / "runs").mkdir(exist_ok=True)
        mount = f"mount -t tmpfs -o {options} tmpfs runs && {{ {then}; }}"
        keep = "code=$?; cp -r runs kept 2>/dev/null; exit $code"
        plain = bench.command

        def command(*args):
            return [*IN_A_NAMESPACE, "sh", "-c", f'{mount} && "$@"; {keep}', "sh", *plain(*args)]

        monkeypatch.setattr(bench, "command", command)
        return bench

    return made


@pytest.mark.skipif(not can_mount(), reason="this account may not mount a disk of its own")
async def test_f4_a_disk_that_becomes_full_in_mid_run_stops_it_and_the_journal_stays_whole(small_disk):
    """F4: there is room for some of the 60 devices' records."""
    line = small_disk("size=20k")
    line.write(devices=[f"3b00210017473532363430{number:02x}" for number in range(60)])

    said = await line.run("import", "m.yaml")

    assert said.code == 4
    assert "STOPPED: NO RECORD: the disk does not take the journal's records" in said.out
    assert f"{line.folder}/runs" in said.err
    assert "(the disk mounted at" in said.err
    assert "What to do: Free some space on that disk, then run the same command again: nothing is lost." in said.err
    (kept,) = runs(line.folder / "kept")
    assert 3 < verify(kept.journal).records < 60
    assert verify(kept.journal).doubt == ""


@pytest.mark.skipif(not can_mount(), reason="this account may not mount a disk of its own")
async def test_f4_a_disk_that_is_read_only_is_refused_before_anything_is_asked(small_disk):
    """F4."""
    line = small_disk("size=1m", then="mount -o remount,ro runs")
    line.write()

    said = await line.run("import", "m.yaml")

    assert said.code == 2
    assert "Read-only file system" in said.err
    assert "--runs-dir" in said.err
    assert line.calls == []


@pytest.mark.parametrize("blocks", [1, 3, 5])
async def test_f4_a_journal_that_may_not_grow_stops_the_command_and_the_next_one_goes_on(bench, monkeypatch, blocks):
    """F4: the limit strikes at another record each time; no import is sent without its intention on the disk."""
    bench.write()
    plain = bench.command
    monkeypatch.setattr(
        bench, "command", lambda *args: ["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh", *plain(*args)]
    )

    said = await bench.run("import", "m.yaml")

    (folder,) = runs(bench.folder / "runs")
    found = verify(folder.journal)
    assert (said.code, found.doubt) == (4, ""), said.err
    assert "journal_write_failed" in said.err
    assert "File too large" in said.err or "bytes fitted" in said.err
    assert "the disk mounted at" in said.err
    events = [line.split(b'"event":"')[1].split(b'"')[0] for line in folder.journal.read_bytes().splitlines()[:-1]]
    assert bool(bench.called("POST /v1/products")) <= (b"import.intended" in events)

    monkeypatch.setattr(bench, "command", plain)
    again = await bench.call("import", "m.yaml", "--json")
    assert again.code == 1  # one of the listed IDs is unknown to the cloud
