"""An adapter is one station's, over processes of this computer."""

import os
import subprocess
import sys

import pytest

from provisioner.errors import AdapterUnavailable
from provisioner.network.adapter_lock import held

ADAPTER = f"test{os.getpid()}"
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names of sockets that are in no folder")


@linux
def test_an_adapter_of_another_process_is_refused_and_free_when_that_is_killed():
    code = (
        "import sys\nfrom provisioner.network.adapter_lock import held\n"
        "with held(sys.argv[1]): print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, ADAPTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(AdapterUnavailable, match="already another station's") as caught, held(ADAPTER):
            pytest.fail("two processes on one adapter")
        assert "Another run" in caught.value.remedy
        other.kill()
        other.wait()
        with held(ADAPTER):
            pass


@linux
def test_two_stations_of_one_process_are_told_apart_and_other_adapters_are_free():
    with held(ADAPTER), held(f"{ADAPTER}b"), held(""), held(""), pytest.raises(AdapterUnavailable), held(ADAPTER):
        pytest.fail("two stations on one adapter")


def test_where_there_is_no_such_name_nothing_is_held(monkeypatch):
    monkeypatch.setattr("provisioner.network.adapter_lock.sys.platform", "win32")
    with held(ADAPTER), held(ADAPTER):
        pass
