"""A manifest in memory: small rows that look like listed devices."""

from array import array
from pathlib import Path

import pytest

from provisioner.line.tray import CustomerName, Manifest, Rows, Tray, TrayDevices, customer_template, customer_trouble
from provisioner.model import ClaimPolicy, ClaimTo, DeviceID

A, B, C = (f"3b002100174735323634303{n}" for n in range(3))
NONE = ClaimPolicy(ClaimTo.NONE)


def tray(name, *ids, **more):
    return Tray(name, NONE, None, TrayDevices(name, NONE, None, ids, **more))


def test_rows_are_built_when_they_are_looked_at():
    devices = TrayDevices("T", NONE, "w", [A, B, C], array("I", [3, 1, 2]), ["S", None, None], takeover=frozenset({B}))

    assert len(devices) == 3
    assert [(row.id, row.slot, row.serial, row.takeover_allowed) for row in devices] == [
        (A, 3, "S", False),
        (B, 1, None, True),
        (C, 2, None, False),
    ]
    assert devices[-1] == devices[2]
    assert devices[1:] == [devices[1], devices[2]]
    assert isinstance(devices[0].id, DeviceID)
    with pytest.raises(IndexError):
        devices[3]


def test_find_works_without_the_loaders_index_and_across_empty_trays():
    manifest = Manifest(Path("m"), "0" * 64, None, None, (tray("E"), tray("T", A, B), tray("F"), tray("U", C)))

    assert len(manifest) == 3
    assert [manifest.find(DeviceID(text)).tray for text in (A, B, C)] == ["T", "T", "U"]
    assert manifest.find(DeviceID("f" * 24)) is None


def test_some_rows_are_made_when_they_are_looked_at_each_time_anew():
    manifest = Manifest(Path("m"), "0" * 64, None, None, (tray("T", A, B), tray("U", C)))
    made = []

    def row_of(number):
        made.append(number)
        return manifest.row(number)

    rows = Rows(row_of, array("I", [2, 0, 1]))
    part = rows[1:]

    assert (len(rows), len(part), made) == (3, 2, [])
    assert [row.id for row in rows] == [C, A, B]
    assert [row.id for row in part] == [A, B]
    assert rows[-1] == rows[2]
    assert made == [2, 0, 1, 0, 1, 1, 1]
    with pytest.raises(IndexError):
        rows[3]


def test_an_empty_manifest_knows_nobody():
    manifest = Manifest(Path("m"), "0" * 64, None, None, ())

    assert len(manifest) == 0
    assert list(manifest) == []
    assert manifest.find(DeviceID(A)) is None


def test_a_customers_name_is_lower_case():
    name = CustomerName.parse("Line3+{tray}@Example.com")

    assert name.resolve(tray="T-1", lot=None, slot=1, device=A, serial=None) == "line3+t-1@example.com"


@pytest.mark.parametrize(
    ("template", "differs"), [("stock", False), ("{tray}-{lot}", False), ("{slot}", True), ("{tray}{serial}", True)]
)
def test_a_template_says_whether_its_names_differ_within_a_tray(template, differs):
    assert CustomerName.parse(template).differs_by_row is differs


@pytest.mark.parametrize("template", ["{x}", "{}", "{tray!r}", "{tray:>99999999}", "{tray[0]}", "{{tray}}", "{", "a}"])
def test_a_template_that_could_do_more_than_fill_in_is_refused(template):
    with pytest.raises(ValueError, match=r"use \{tray\}"):
        CustomerName.parse(template)


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("ab", "has 2 characters"),
        ("x" * 129, "has 129 characters"),
        ("a b c", "spaces"),
        ("a\x1b[2J", "control"),
        ("abc", None),
        ("x" * 128, None),
        ("no-address-at-all", None),
    ],
)
def test_what_cannot_name_a_customer(name, trouble):
    found = customer_trouble(name)

    assert (trouble in found) if trouble else found is None


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (ClaimPolicy(ClaimTo.CUSTOMER), "without 'customer'"),
        (ClaimPolicy(ClaimTo.NONE, "abc"), "does not go with 'to: none'"),
        (ClaimPolicy(ClaimTo.ACCOUNT, "abc"), "does not go with 'to: account'"),
        (ClaimPolicy(ClaimTo.ONLINE, "{lot}"), "has no lot"),
    ],
)
def test_a_policy_and_its_customer_must_go_together(policy, what):
    with pytest.raises(ValueError, match=what):
        customer_template(policy, has_lot=False)


def test_a_policy_without_a_customer_has_no_template():
    assert customer_template(ClaimPolicy(ClaimTo.ONLINE), has_lot=False) is None
