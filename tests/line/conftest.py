"""Fixtures of the stages' tests; the scripted cloud, air and Photons are in `stages.py`."""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from provisioner.journal.writer import open_journal
from provisioner.simulator.disk import UnsyncedDisk

sys.path.insert(0, str(Path(__file__).parent))

import stages
from confirmer_desk import Desk


@pytest.fixture
def journal(tmp_path):
    with open_journal(
        tmp_path, "20261120T060000Z-0000", wall=lambda: datetime.now(UTC), mono=lambda: 0.0, disk=UnsyncedDisk()
    ) as opened:
        yield opened


@pytest.fixture
def bench(journal, nursery):
    """`bench(devices, ...)`: a line for these devices; call `start()` on it to import them and serve stations."""
    return partial(stages.Bench, journal, nursery)


@pytest.fixture
def desk(bench):
    return lambda count=1, *, to="customer", budgets=None, **how: Desk(
        bench([stages.listed(n, to=to) for n in range(1, count + 1)], budgets=budgets), **how
    )
