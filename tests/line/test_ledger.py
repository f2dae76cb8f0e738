"""The ledger: what the records add up to, and what earlier runs left."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import ACCOUNT, OWNER, cloud_time, id_of, listed, manifest_of

from provisioner.errors import Again
from provisioner.journal.fields import Record
from provisioner.line.ledger import History, Ledger, again_of
from provisioner.line.steps import NEXT, OUTCOME, ImpossibleEvent, State
from provisioner.model import Outcome

WANTS_CODE = {State.LISTED, State.IMPORTED, State.IDENTIFIED}


def record(event, number=1, **fields):
    return Record(seq=0, at=cloud_time(0), mono_ms=0, run="r", event=event, device=id_of(number), **fields)


def ledger_of(*devices, visits_max=3):
    return Ledger(manifest_of(*devices), account=ACCOUNT, visits_max=visits_max)


@pytest.fixture
def ledger():
    return ledger_of(listed(1), listed(2))


def tell(ledger, *events, number=1, **fields):
    for event in events:
        ledger.see(record(event, number, **fields))
    return ledger


def test_records_move_a_device_and_the_sums_move_with_it(ledger):
    tell(ledger, "device.imported", "device.identified")

    assert ledger[id_of(1)].state is State.IDENTIFIED
    assert ledger.states[State.IDENTIFIED] == ledger.states[State.LISTED] == 1
    assert ledger.open == 2

    tell(ledger, "wifi.accepted", "connect.intended", "device.confirmed")

    assert ledger.open == 1
    assert ledger.outcomes()[Outcome.PASS] == 1


def test_an_impossible_record_raises_and_changes_nothing(ledger):
    tell(ledger, "device.imported")
    before = dict(ledger.states)

    with pytest.raises(ImpossibleEvent):
        tell(ledger, "connect.accepted")

    assert ledger[id_of(1)].state is State.IMPORTED
    assert dict(ledger.states) == before


def test_records_of_strangers_or_of_no_device_change_nothing(ledger):
    before = dict(ledger.states)
    tell(ledger, "device.imported", number=9)
    ledger.see(Record(seq=0, at=cloud_time(0), mono_ms=0, run="r", event="visit.ended"))
    tell(ledger, "claim_code.intended")

    assert dict(ledger.states) == before


@pytest.mark.parametrize(
    ("events", "may"),
    [
        ([], False),
        (["device.imported"], True),
        (["device.imported", "device.identified"], False),
        (["device.imported", "device.identified", "visit.ended"], True),
        (["device.imported", "device.identified", "wifi.accepted", "connect.intended"], False),
        (["device.imported", "device.identified", "wifi.accepted", "connect.intended", "device.returned"], True),
        (["device.imported", "device.confirmed"], False),
        (["device.imported", "device.unknown"], True),
        (["device.imported", "device.skipped"], True),
        (["device.refused"], False),
        (["device.carried"], False),
    ],
)
def test_which_devices_a_station_may_visit(ledger, events, may):
    tell(ledger, *events)

    assert ledger.may_visit(id_of(1)) is may


@pytest.mark.parametrize(("code", "may"), [("not_claimed", True), ("takeover_refused", False), ("no_such", False)])
def test_a_failed_device_may_come_again_only_if_its_failure_can_pass_in_this_run(ledger, code, may):
    tell(ledger, "device.imported", "device.identified")
    tell(ledger, "device.failed", code=code)

    assert ledger.may_visit(id_of(1)) is may


def test_a_device_with_a_station_is_not_for_another(ledger):
    tell(ledger, "device.imported")
    ledger.take(id_of(1), "S2")

    assert not ledger.may_visit(id_of(1))


def test_visits_are_counted_as_they_end_but_not_those_the_site_cut_short(ledger):
    tell(ledger, "device.imported")
    for blame in ("site", "site", "site", "site", "device", None):
        tell(ledger, "device.identified")
        tell(ledger, "visit.ended", blame=blame)
    assert ledger[id_of(1)].visits == 2
    assert ledger.may_visit(id_of(1))

    tell(ledger, "visit.ended", blame="device")  # it failed before it was identified in the journal

    assert not ledger.may_visit(id_of(1))


def test_evidence_is_kept_at_the_intention_to_connect(ledger):
    tell(ledger, "device.imported", "device.identified", "wifi.accepted")
    tell(ledger, "connect.intended", evidence={"handshake_before": None, "cloud_from": "2026-11-20T06:00:10.000Z"})

    assert ledger[id_of(1)].handshake_before is None
    assert ledger[id_of(1)].cloud_from == cloud_time(10)


def test_codes_are_wanted_until_the_device_has_one_and_again_when_its_visit_came_to_nothing():
    ledger = ledger_of(listed(1), listed(2, to="account"), listed(3, to="none"))
    both = {OWNER: 1, ACCOUNT: 1}
    assert dict(ledger.codes_wanted()) == both

    for event, wanted in [
        ("device.imported", both),
        ("device.identified", both),
        ("claim_code.accepted", {ACCOUNT: 1}),
        ("visit.ended", both),
        ("device.identified", both),
        ("claim_code.accepted", {ACCOUNT: 1}),
        ("wifi.accepted", {ACCOUNT: 1}),
        ("connect.intended", {ACCOUNT: 1}),
        ("device.returned", both),
        ("device.skipped", {ACCOUNT: 1}),
    ]:
        tell(ledger, event)
        assert dict(ledger.codes_wanted()) == wanted, event


def test_an_account_without_a_name_is_nobodys_name():
    assert dict(Ledger(manifest_of(listed(1, to="account")), account=None, visits_max=3).codes_wanted()) == {None: 1}


def test_the_failures_of_the_tree_say_whether_they_come_again():
    assert again_of("not_claimed") is Again.THIS_RUN
    assert again_of("takeover_refused") is Again.NEVER
    assert again_of("from_a_newer_program") is Again.NEXT_RUN


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 30)), max_size=80))
def test_any_legal_walk_keeps_the_sums(steps):
    policies = {1: "customer", 2: "account", 3: "none", 4: "customer"}
    devices = [listed(n, to=to) for n, to in policies.items()]
    ledger = ledger_of(*devices)
    for number, choice in steps:
        row = list(NEXT[ledger[id_of(number)].state])
        tell(ledger, row[choice % len(row)], number=number)

        states = [ledger[device.id].state for device in devices]
        assert +ledger.states == Counter(states)
        assert ledger.open == sum(state not in OUTCOME for state in states)
        assert +ledger.outcomes() == Counter(OUTCOME[state] for state in states if state in OUTCOME)
        again = ledger_of(*(d for d, s in zip(devices, states, strict=True) if s in WANTS_CODE))
        assert dict(ledger.codes_wanted()) == dict(again.codes_wanted())
        assert [d.id for d in ledger.devices_in(WANTS_CODE)] == [
            d.id for d, s in zip(devices, states, strict=True) if s in WANTS_CODE
        ]


# --- earlier runs ---


def history(*records):
    seen = History()
    for one in records:
        seen.see(one)
    return seen.of(id_of(1))


INTENDED = record("connect.intended", evidence={"handshake_before": "2026-11-20T06:00:00.000Z", "cloud_from": None})
UNKNOWN = record("device.unknown", outcome=Outcome.UNKNOWN, code="not_proven", blame="device")
PASSED = record("device.confirmed", outcome=Outcome.PASS, evidence={"owner": OWNER})


def test_a_device_no_earlier_run_knew_has_no_history():
    assert history(record("device.unknown", 2)) is None


def test_an_intention_to_connect_without_a_result_is_open():
    earlier = history(INTENDED)

    assert earlier.connecting
    assert earlier.outcome is None
    assert earlier.handshake_before == cloud_time(0)
    assert earlier.cloud_from is None


def test_unknown_stays_open_with_its_evidence():
    earlier = history(INTENDED, UNKNOWN)

    assert earlier.connecting
    assert earlier.outcome is Outcome.UNKNOWN
    assert earlier.handshake_before == cloud_time(0)


@pytest.mark.parametrize(
    "final",
    [
        PASSED,
        record("device.failed", outcome=Outcome.FAIL, code="wrong_owner"),
    ],
)
def test_every_other_final_closes_it(final):
    assert not history(INTENDED, final).connecting


def test_a_run_in_which_it_had_no_turn_takes_no_proof_and_no_doubt_away():
    skipped = record("device.skipped", outcome=Outcome.SKIPPED, code="run_ended")

    assert history(PASSED, skipped).outcome is Outcome.PASS
    assert history(INTENDED, skipped).connecting
    assert history(INTENDED, UNKNOWN, skipped).connecting
    assert history(record("device.failed", outcome=Outcome.FAIL), skipped).outcome is Outcome.SKIPPED


def test_a_refused_connect_is_not_open_and_a_returned_device_stays_so_until_its_end():
    assert not history(INTENDED, record("connect.refused")).connecting
    assert history(INTENDED, record("device.returned")).connecting


def test_a_pass_keeps_its_evidence_also_when_it_was_carried_on():
    assert history(INTENDED, PASSED).evidence == {"owner": OWNER}
    carried = record("device.carried", outcome=Outcome.PASS, evidence={"owner": OWNER})
    earlier = history(PASSED, carried)
    assert (earlier.outcome, earlier.evidence) == (Outcome.PASS, {"owner": OWNER})


def test_a_later_visit_opens_again_what_was_proven():
    earlier = history(PASSED, INTENDED)

    assert earlier.connecting
    assert earlier.outcome is None
