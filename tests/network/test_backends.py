"""Back ends by name: built-in ones lazily, other distributions' by entry point, broken ones said aloud."""

import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint

import pytest

from provisioner import errors
from provisioner.network import backends
from provisioner.network.manual import ManualFactory


class FakeDistribution(Distribution):
    name = "acme-switchers"
    version = "1.2"

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        return path


class GoodFactory:
    def session(self, *, adapter, uplink):
        raise NotImplementedError


def make_without_session():
    return object()


def make_broken():
    raise RuntimeError("no such bus\x1b[2J")


@pytest.fixture
def install(monkeypatch):
    monkeypatch.setitem(sys.modules, "acme_switchers", sys.modules[__name__])

    def install(*points):
        made = [
            EntryPoint(name, f"acme_switchers:{target}", backends.GROUP)._for(FakeDistribution())
            for name, target in points
        ]
        monkeypatch.setattr(backends, "entry_points", lambda group: made if group == backends.GROUP else [])

    return install


def test_manual_is_built_in():
    assert "manual" in backends.names()
    assert isinstance(backends.load("manual"), ManualFactory)


def test_an_unknown_name_is_answered_with_all_names(install):
    install(("acme", "GoodFactory"))
    with pytest.raises(errors.BackendUnknown, match="nmcli") as caught:
        backends.load("nmcli")

    assert "acme, manual" in caught.value.remedy


def test_an_installed_back_end_is_listed_and_loaded(install):
    install(("acme", "GoodFactory"))

    assert backends.names() == ["acme", "manual", "networkmanager", "wpa_supplicant"]
    assert isinstance(backends.load("acme"), GoodFactory)


@pytest.mark.parametrize("target", ["nothing_there", "make_broken", "make_without_session"])
def test_a_broken_back_end_names_its_distribution(install, target):
    install(("acme", target))
    with pytest.raises(errors.BackendBroken, match=r"acme-switchers 1\.2") as caught:
        backends.load("acme")

    assert caught.value.detail.isprintable()
    assert backends.names() == [
        "acme",
        "manual",
        "networkmanager",
        "wpa_supplicant",
    ]  # listed all the same: it is never left out in silence


def test_two_distributions_with_one_name_are_refused(install):
    install(("acme", "GoodFactory"), ("acme", "GoodFactory"))
    with pytest.raises(errors.BackendBroken, match="both"):
        backends.load("acme")


def test_nobody_takes_the_name_of_a_built_in_back_end(install):
    install(("manual", "GoodFactory"))

    assert backends.names() == ["manual", "networkmanager", "wpa_supplicant"]
    assert isinstance(backends.load("manual"), ManualFactory)


def test_names_imports_no_back_end():
    code = (
        "import sys; from provisioner.network import backends; backends.names(); "
        "sys.exit('provisioner.network.manual' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
