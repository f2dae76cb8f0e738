"""The page served in this process; `page_server.py` is the server, and can be looked at by people too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import page_server


@pytest.fixture
def page(tmp_path):
    """A page over a run with two trays and two stations, not begun."""
    with page_server.serving(tmp_path) as server:
        page_server.begin(server.write, ["S1", "S2"])
        yield server
