"""Whole shifts in virtual time: one seed, one journal; and four hundred boards whose sums are right."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioner.demo.files import LineFile, TrayFile
from provisioner.demo.virtual import VirtualFactory
from provisioner.job import Job
from provisioner.journal.reader import replay, verify
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.cloud import shelf
from provisioner.simulator.faults import PROFILES
from provisioner.simulator.injected import table
from provisioner.simulator.operators import Habits
from provisioner.simulator.virtual.run import run_virtually

ROOT = Path(__file__).parents[2]
ONE_RUN = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_virtual_shift import shift
end, *_ = shift(Path(sys.argv[2]), seed=int(sys.argv[3]), faults=sys.argv[4], devices=80, stations=6)
print(end.journal)
"""


def shift(folder, *, seed, faults, devices, stations, spooled=False):
    """Run a shift; returns its end, the factory and what the manifest wants of each device."""

    def made():
        return VirtualFactory(seed=seed, faults=PROFILES[faults], spooled=spooled)

    return run_virtually(lambda: _shift(folder, made(), devices, stations), seed=seed)


async def _shift(folder, factory, devices, stations):
    from io import StringIO

    from rich.console import Console

    boards = [factory.world.add_photon() for _ in range(devices)]
    trays = [TrayFile(f"T-{n // 50:03d}", boards[n : n + 50], "csv") for n in range(0, devices, 50)]
    line = LineFile([f"sim{n}" for n in range(stations)], budgets={"idle_stop_s": 300})
    manifest, settings = factory.write(folder, trays, line)
    async with factory.alive():
        factory.world.start_operators(boards, Habits(boards_max=4 * stations, handling_s=(0.1, 0.5), pack_after_s=60))
        end = await factory.run(Job("run", manifest, settings, folder / "runs"), console=Console(file=StringIO()))
    owners = {board.device_id: f"line3+{tray.id.lower()}@example.com" for tray in trays for board in tray.boards}
    return end, factory, owners


def journal_of_a_process(folder, seed, faults, hash_seed):
    """The bytes of the journal that a process of its own writes; the folder is as it was before."""
    folder.mkdir()
    script = [sys.executable, "-c", ONE_RUN, str(Path(__file__).parent), str(folder), str(seed), faults]
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, check=True, capture_output=True, text=True, env=env)
    journal = Path(done.stdout.strip())
    text, head = journal.read_bytes(), verify(journal).head_hash
    shutil.rmtree(folder)
    return text, head


@pytest.mark.parametrize("faults", ["none", "nasty"])
def test_one_seed_gives_one_journal_times_and_durations_included(tmp_path, faults):
    """In processes of their own, whose sets and dicts of texts are in different orders."""
    first, second = (journal_of_a_process(tmp_path / "w", 11, faults, hash_seed) for hash_seed in ("1", "2"))

    assert first[0].splitlines() == second[0].splitlines()
    assert first[1] == second[1]


def test_another_seed_gives_another_journal(tmp_path):
    heads = set()
    for seed in (1, 1, 2):
        (tmp_path / "w").mkdir()
        end, *_ = shift(tmp_path / "w", seed=seed, faults="none", devices=10, stations=2)
        heads.add(verify(end.journal).head_hash)
        shutil.rmtree(tmp_path / "w")

    assert len(heads) == 2


def lived(folder, *, spooled=False):
    """Everything that a shift left behind: its journal, both histories, the secrets, the claim codes, the devices."""
    folder.mkdir()
    end, factory, owners = shift(folder, seed=11, faults="nasty", devices=50, stations=4, spooled=spooled)
    journal = end.journal.read_bytes().splitlines()
    shutil.rmtree(folder)
    cloud = factory.cloud
    devices = [cloud.find_device(device) for device in owners]
    secrets = list(cloud.mint.secrets.items())
    return journal, list(cloud.history), list(factory.world.history), secrets, list(cloud.claims), devices


def test_a_factory_that_is_on_disk_and_one_on_a_slow_computer_are_the_same_factory(tmp_path, monkeypatch):
    """Nothing at rest is lost, late or in another order; and no clock of this computer decides anything."""
    usual = lived(tmp_path / "w")
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "AT_HAND", 3)
        at_rest = lived(tmp_path / "w", spooled=True)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", itertools.count(0.0, 3600.0).__next__)  # an hour between two looks at it
        slow = lived(tmp_path / "w")

    for part, (one, another, third) in enumerate(zip(usual, at_rest, slow, strict=True)):
        assert one, part
        assert another == one, part
        assert third == one, part


@pytest.mark.slow
def test_four_hundred_boards_on_sixteen_stations_in_a_nasty_factory_all_end_and_nothing_lies(tmp_path):
    end, factory, owners = shift(tmp_path, seed=5, faults="nasty", devices=400, stations=16)

    truth = Truth(replay(end.journal), factory.world.history, factory.cloud, owners, visited=owners.keys())
    assert check_all(truth) == []
    counts = json.loads(end.journal.read_text().splitlines()[-1])["counts"]
    assert sum(counts.values()) == 400
    assert counts["pass"] > 300
    rows = table(PROFILES["nasty"], factory.world.strikes, factory.cloud.history, replay(end.journal))
    assert all(row.outcomes.total() == len(row.devices) for row in rows)
    assert sum(row.times > 0 for row in rows) > 15
