"""What every switcher promises, in memory and virtual time (L1), over every back end there is; see `switcher_cases`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from switcher_benches import BENCHES, discovered
from switcher_cases import CASES, HOSTILE, hostile_names_never_raise_and_only_the_prefix_is_offered


@pytest.fixture
def bench(request, nursery):
    if request.param not in BENCHES:
        pytest.fail(f"switcher {request.param!r} has no bench in tests/contracts: its contract is unproven")
    return BENCHES[request.param](nursery)


def shown():
    """Every back end with every case; only what a person as a back end cannot do is left out."""
    for name in discovered():
        for case in CASES.values():
            if name in BENCHES and (why := case.left_out(BENCHES[name])):
                assert "a person" in why
            else:
                yield pytest.param(name, case, id=f"{name}-{case.name}")


@pytest.mark.parametrize(("bench", "case"), list(shown()), indirect=["bench"])
async def test_switcher(autojump_clock, bench, case):
    await case.run(bench)


@pytest.mark.parametrize("bench", discovered(), indirect=True)
@pytest.mark.parametrize("ssid", HOSTILE, ids=ascii)
async def test_a_hostile_name_never_raises_and_only_the_prefix_is_offered(autojump_clock, bench, ssid):
    await hostile_names_never_raise_and_only_the_prefix_is_offered(bench, [ssid])
