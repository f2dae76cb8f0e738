"""Scenario tests: one sentence each about what the line does when reality does this."""

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from factory import Factory


@pytest.fixture
def factory(tmp_path):
    """Makes factories in this test's folder."""
    return partial(Factory, tmp_path)
