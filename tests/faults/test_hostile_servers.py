"""Our clients against servers that misbehave, on real sockets: every answer ends, and no memory stays."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hostile_servers import CASES, GROWTH_MAX, measured, server

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured in /proc")


@pytest.fixture(scope="module")
def where():
    with server() as ports:
        yield ports


@pytest.mark.parametrize(("client", "name"), CASES, ids=[f"{client}-{name}" for client, name in CASES])
def test_f30_an_answer_without_end_is_cut_and_leaves_no_memory_behind(where, client, name):
    growth, became = measured(client, name, where, times=3)

    assert "an ID" not in became
    assert growth < GROWTH_MAX, became
