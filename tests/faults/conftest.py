"""The faults that need more than one process: see `kills.py` and `far_factory.py`."""

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from far_factory import FarFactory


@pytest.fixture
def factory(tmp_path):
    """Makes factories that other processes work in, in this test's folder."""
    return partial(FarFactory, tmp_path / "far")
