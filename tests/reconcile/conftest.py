import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from night_site import Site, write_run


@pytest.fixture
def site(tmp_path):
    """Makes sites in this test's folder."""
    return partial(Site, tmp_path)


@pytest.fixture
def write(tmp_path):
    """Writes a run's journal by hand: `write("run-1", ("device.imported", {...}), ...)`."""
    return partial(write_run, tmp_path / "runs")
