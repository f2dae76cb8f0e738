"""Every device, whatever is known of it, is in exactly one class; and each class is where its sentence says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.journal.fields import Record
from provisioner.model import CloudDevice, DeviceID, Outcome
from provisioner.reconcile.classes import Class, Night, Standing, classify
from provisioner.reconcile.facts import Facts, Listed

ID = "3b0021001747353236343033"
T0 = datetime(2026, 11, 20, 6, tzinfo=UTC)
OWNER = "line3@example.com"
NIGHT = Night("factory@example.com", T0 + timedelta(days=2), timedelta(days=30), timedelta(seconds=2))
LISTED = Listed(ID, "/m.yaml", "T-1", 1, None, "customer", OWNER, needs_visit=True)
SEEN = CloudDevice(
    DeviceID(ID), online=False, owner=OWNER, in_product=True, quarantined=False, denied=False, last_handshake_at=T0
)
PASSED = Facts("T-1", 1, Outcome.PASS, run="r", at=T0, owner=OWNER, handshake_at=T0, imported=True, visits=1)
TOLD = Facts("T-1", 1, run="r", at=T0, connecting=True, cloud_from=T0, imported=True)
GIVEN_WIFI = replace(TOLD, connecting=False, has_wifi=True, cloud_from=None)
FAILED = Facts("T-1", 1, Outcome.FAIL, "not_claimed", run="r", at=T0, imported=True, visits=1)
IMPORTED = Facts("T-1", 1, imported=True)
MEMBER_ONLY = replace(LISTED, claim="none", owner=None, needs_visit=False)

CASES = {
    "confirmed": (LISTED, PASSED, SEEN, Class.CONFIRMED),
    "in another case of letters": (LISTED, PASSED, replace(SEEN, owner=OWNER.upper()), Class.CONFIRMED),
    "claimed later, nobody was wanted": (replace(LISTED, claim="none", owner=None), PASSED, SEEN, Class.CONFIRMED),
    "silent": (LISTED, replace(PASSED, handshake_at=T0 - timedelta(days=40)),
               replace(SEEN, last_handshake_at=T0 - timedelta(days=40)), Class.SILENT),
    "heard since": (LISTED, replace(PASSED, handshake_at=T0 - timedelta(days=40)), SEEN, Class.CONFIRMED),
    "unowned": (LISTED, PASSED, replace(SEEN, owner=None), Class.OWNER_CHANGED),
    "another's": (LISTED, PASSED, replace(SEEN, owner="other@example.com"), Class.OWNER_CHANGED),
    "removed": (LISTED, PASSED, None, Class.LEFT_PRODUCT),
    "in another product": (LISTED, PASSED, replace(SEEN, in_product=False), Class.LEFT_PRODUCT),
    "told, proven": (LISTED, TOLD, replace(SEEN, last_handshake_at=T0 + timedelta(minutes=1)), Class.UNKNOWN_PROVEN),
    "told, not heard of": (LISTED, TOLD, replace(SEEN, last_handshake_at=T0 - timedelta(hours=1)), Class.UNKNOWN_OPEN),
    "told, gone": (LISTED, TOLD, None, Class.UNKNOWN_OPEN),
    "unknown, unowned": (LISTED, replace(TOLD, outcome=Outcome.UNKNOWN), replace(SEEN, owner=None), Class.UNKNOWN_OPEN),
    "given the Wi-Fi, and the program was cut off": (LISTED, GIVEN_WIFI, replace(SEEN, owner=None), Class.UNKNOWN_OPEN),
    "given the Wi-Fi, and went online by itself": (LISTED, GIVEN_WIFI, SEEN, Class.UNKNOWN_OPEN),
    "failed": (LISTED, FAILED, SEEN, Class.FAILED),
    "failed and gone": (LISTED, FAILED, None, Class.FAILED),
    "imported": (LISTED, IMPORTED, replace(SEEN, owner=None), Class.NOT_VISITED),
    "skipped": (LISTED, replace(IMPORTED, outcome=Outcome.SKIPPED), replace(SEEN, owner=None), Class.NOT_VISITED),
    "imported, owned": (LISTED, IMPORTED, SEEN, Class.CLAIMED_ELSEWHERE),
    "never touched, owned": (LISTED, None, SEEN, Class.CLAIMED_ELSEWHERE),
    "never imported": (LISTED, None, None, Class.NOT_IN_PRODUCT),
    "member": (MEMBER_ONLY, None, SEEN, Class.MEMBER),
    "member that is gone": (MEMBER_ONLY, None, None, Class.NOT_IN_PRODUCT),
    "proven member": (MEMBER_ONLY, PASSED, SEEN, Class.MEMBER),
    "member refused once, in there now": (MEMBER_ONLY, replace(FAILED, code="import_refused"), SEEN, Class.MEMBER),
    "quarantined": (LISTED, PASSED, replace(SEEN, in_product=False, quarantined=True), Class.RESTRICTED),
    "denied": (LISTED, None, replace(SEEN, in_product=False, denied=True), Class.RESTRICTED),
    "twice": (replace(LISTED, lists=2), PASSED, SEEN, Class.LISTED_TWICE),
    "in doubt": (LISTED, replace(PASSED, in_doubt=True), SEEN, Class.IN_DOUBT),
    "restored": (LISTED, Facts(restored=True), None, Class.RESTORED),
    "restored, claimed again by somebody": (LISTED, Facts(restored=True), SEEN, Class.CLAIMED_ELSEWHERE),
    "stray": (None, None, SEEN, Class.STRAY),
    "stray in quarantine": (None, None, replace(SEEN, in_product=False, quarantined=True), Class.STRAY),
    "worked, and in no manifest": (None, PASSED, SEEN, Class.UNLISTED),
    "restored, and in no manifest": (None, Facts(restored=True), None, Class.RESTORED),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_device_is_where_its_sentence_says(case):
    listed, facts, seen, expected = CASES[case]

    assert classify(listed, facts, seen, NIGHT) is expected


def test_every_class_has_a_case_here_and_a_row_for_people():
    assert {expected for *_, expected in CASES.values()} == set(Class)
    for kind in Class:
        assert all((kind.meaning.sentence, kind.meaning.cause, kind.meaning.action)), kind


times = st.none() | st.integers(0, 100).map(lambda hours: T0 + timedelta(hours=hours - 50))
facts = st.builds(
    Facts,
    outcome=st.none() | st.sampled_from(Outcome),
    owner=st.none() | st.just(OWNER),
    at=times,
    handshake_at=times,
    handshake_before=times,
    cloud_from=times,
    connecting=st.booleans(),
    has_wifi=st.booleans(),
    imported=st.booleans(),
    restored=st.booleans(),
    in_doubt=st.booleans(),
    visits=st.integers(0, 3),
)
listings = st.builds(
    replace,
    st.just(LISTED),
    claim=st.sampled_from(["none", "account", "customer", "online"]),
    owner=st.none() | st.just(OWNER),
    needs_visit=st.booleans(),
    lists=st.integers(1, 2),
)
rows = st.builds(
    replace,
    st.just(SEEN),
    owner=st.none() | st.sampled_from([OWNER, "other@example.com", "factory@example.com"]),
    in_product=st.booleans(),
    quarantined=st.booleans(),
    denied=st.booleans(),
    online=st.booleans(),
    last_handshake_at=times,
    last_heard=times,
)


@given(st.none() | listings, st.none() | facts, st.none() | rows, st.booleans())
def test_whatever_is_known_there_is_one_class_and_good_needs_a_reason(listed, told, seen, membership):
    kind = classify(listed, told, seen, replace(NIGHT, membership=membership))

    assert kind in Class
    if kind in (Class.CONFIRMED, Class.SILENT):
        assert told is not None
        assert told.proven
        assert seen is not None
        assert not seen.quarantined
        assert listed.owner is None or seen.owner.lower() == listed.owner
    if kind is Class.MEMBER:
        assert not listed.needs_visit
    if kind.meaning.standing is Standing.GOOD and kind is not Class.RESTORED:
        assert listed is not None


@pytest.mark.parametrize(
    ("before", "then", "is_now"),
    [
        (FAILED, Outcome.SKIPPED, Outcome.FAIL),
        (PASSED, Outcome.SKIPPED, Outcome.PASS),
        (TOLD, Outcome.SKIPPED, None),
        (IMPORTED, Outcome.SKIPPED, Outcome.SKIPPED),
        (FAILED, Outcome.UNKNOWN, Outcome.UNKNOWN),
        (FAILED, Outcome.PASS, Outcome.PASS),
    ],
)
def test_a_run_in_which_a_device_had_no_turn_takes_nothing_away_from_what_is_known(before, then, is_now):
    """A start that ended while the cloud was away would else turn yesterday's FAIL into "not visited"."""
    facts = replace(before)
    facts.see(
        Record(seq=9, at=T0, mono_ms=1, run="later", event="device.x", device=DeviceID(ID), outcome=then, code="x")
    )

    assert facts.outcome is is_now
    assert (facts.code == "x") is (is_now is then)
