"""What a label names: one listed device or a setup network's name; slots in any order, serials from two sources."""

import pytest
from stages import id_of, listed, manifest_of

from provisioner.errors import LabelAmbiguous, NotInManifest
from provisioner.line.air import Suffixes
from provisioner.line.labels import Labels
from provisioner.line.scan_text import Framing
from provisioner.line.visit import Wanted
from provisioner.model import ClaimPolicy, ClaimTo

SERIAL, OLD_SERIAL = "PHHMAB804PAKLJZ", "PH-160329-KVXY-0"


def labels_of(*devices, **how):
    manifest = manifest_of(*devices)
    return Labels(manifest, Suffixes(manifest), Framing(), setup_prefix="Photon-", **how)


def tray(ids, slots):
    from pathlib import Path

    from provisioner.line.tray import Manifest, Tray, TrayDevices

    claim = ClaimPolicy(ClaimTo.NONE, None)
    rows = TrayDevices("T-1", claim, None, ids, slots)
    manifest = Manifest(Path("m.yaml"), "0" * 64, "p", None, (Tray("T-1", claim, None, rows),))
    return Labels(manifest, Suffixes(manifest), Framing(), setup_prefix="Photon-")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (id_of(1), Wanted(id_of(1), "KLJZ")),
        (id_of(2).upper(), Wanted(id_of(2), "KVXY")),
        (id_of(3), Wanted(id_of(3))),
        (SERIAL.lower(), Wanted(id_of(1), "KLJZ")),
        (OLD_SERIAL, Wanted(id_of(2), "KVXY")),
        ("T-1/3", Wanted(id_of(3))),
        ("Photon-KLJZ", Wanted(id_of(1), "KLJZ", named_by_network=True)),
        ("photon-qrstuv", Wanted(None, "QRSTUV", named_by_network=True)),
    ],
)
def test_a_label_names_a_device_or_a_network(text, wanted):
    assert labels_of(listed(1, serial=SERIAL), listed(2, serial=OLD_SERIAL), listed(3)).resolve(text) == wanted


@pytest.mark.parametrize("text", ["Photon-KL0Z", "Photon-KLJZX", "KLJZ", id_of(9), "T-1/0", "T-1/4", "T-2/1", "T-1/x"])
def test_what_names_nothing_is_refused(text):
    from provisioner.errors import ScanRefused

    with pytest.raises(ScanRefused) as refused:
        labels_of(listed(1, serial=SERIAL), listed(2), listed(3)).resolve(text)
    assert refused.value.detail.isprintable()


def test_two_devices_that_one_name_fits_are_not_guessed_between():
    twins = labels_of(listed(1, serial=SERIAL), listed(2, serial="PHTWIN804PAKLJZ"))

    with pytest.raises(LabelAmbiguous):
        twins.resolve("Photon-KLJZ")
    assert twins.resolve("PHTWIN804PAKLJZ").device == id_of(2)


def test_trays_that_differ_by_case_only_are_told_apart_or_refused():
    both = labels_of(listed(1, tray="T-a"), listed(2, tray="T-A"), listed(3, tray="t-b"))

    assert both.resolve("T-a/1").device == id_of(1)
    assert both.resolve("T-A/2").device == id_of(2)
    assert both.resolve("T-B/3").device == id_of(3)
    with pytest.raises(LabelAmbiguous):
        both.resolve("t-a/1")


def test_slots_are_found_in_order_out_of_order_and_with_holes():
    in_order, odd = tray([id_of(1), id_of(2)], None), tray([id_of(1), id_of(2), id_of(3)], [7, 2, 50])

    assert in_order.resolve("T-1/2").device == id_of(2)
    assert [odd.resolve(f"T-1/{slot}").device for slot in (7, 2, 50)] == [id_of(1), id_of(2), id_of(3)]
    for labels, slot in ((in_order, 3), (odd, 1), (odd, 3)):
        with pytest.raises(NotInManifest):
            labels.resolve(f"T-1/{slot}")


def test_serials_from_the_cloud_name_listed_devices_only_and_never_against_the_manifest():
    labels = labels_of(listed(1), listed(2, serial=OLD_SERIAL))
    labels.learn(id_of(1), SERIAL)
    labels.learn(id_of(9), "PHHMAB804PA7F3Q")

    assert labels.resolve(SERIAL) == Wanted(id_of(1), "KLJZ")
    assert labels.resolve(id_of(1)) == Wanted(id_of(1), "KLJZ")
    assert labels.resolve(OLD_SERIAL).device == id_of(2)
    with pytest.raises(NotInManifest):
        labels.resolve("PHHMAB804PA7F3Q")


def test_where_labels_name_no_networks_every_board_may_be_asked():
    assert labels_of(listed(1, serial=SERIAL), name_networks=False).resolve(SERIAL) == Wanted(id_of(1))
