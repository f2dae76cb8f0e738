"""For all tests: whatever a simulated factory made secret is looked for in every file the test left behind (F35)."""

import gc
import os
import signal

import hypothesis
import pytest

from provisioner.simulator.cloud.accounts import Mint
from provisioner.simulator.factory_wifi import TEST_ROUTER
from provisioner.simulator.leaks import Canaries, named

# `simulate` and the contract suites hand the simulated cloud's secrets to other people's clients, as they must.
TOLD_ON_PURPOSE = ("tests/contracts/",)


@pytest.fixture(autouse=True)
def no_secret_is_left(request, monkeypatch):
    """Fails a test whose folder holds a secret of any simulated cloud that lived in it."""
    mints = []
    make = Mint.__init__

    def noted(mint, *args):
        mints.append(mint)
        make(mint, *args)

    monkeypatch.setattr(Mint, "__init__", noted)
    yield
    secrets = {text: kind for mint in mints for text, kind in mint.secrets.items()}
    folder = (request.node.funcargs or {}).get("tmp_path")  # None: the test was skipped
    if not secrets or folder is None or request.node.nodeid.startswith(TOLD_ON_PURPOSE):
        return
    canaries = Canaries(named(secrets | {TEST_ROUTER.password: "Wi-Fi password"}))
    assert canaries.leaks_under(folder) == []


# What is started with `nohup`, or by a script in the background, hands the deaf ear on, and the program would obey it:
# a test that means that says so.
for deaf in {"SIGHUP", "SIGQUIT"} & signal.Signals.__members__.keys():
    signal.signal(signal.Signals[deaf], signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A computer that does something else at the same time is no fault of ours: no test asserts a time.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


# --- the suite on all cores (`-n auto`) ---


def pytest_xdist_auto_num_workers():
    """Two a core: half of the suite's time is waiting for daemons, processes and real clocks."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items):
    """What takes longest begins first, in one worker: it waits most of the time, and the others go on."""
    items.sort(key=lambda item: -_seconds(item.get_closest_marker("slow")))


def _seconds(slow):
    return slow.kwargs.get("seconds", 5) if slow else 0


def pytest_collection_finish():
    """What all tests share stays to the end: without this, each collection of garbage looks through half a million
    objects of the suite itself."""
    gc.freeze()
