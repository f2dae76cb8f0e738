"""The table of steps: what may follow what, and that nothing else may."""

import pytest

from provisioner.line.steps import MOVING_EVENTS, NEXT, OUTCOME, ImpossibleEvent, State, after, picture


def walk(*events, start=State.LISTED):
    state = start
    for event in events:
        state = after(state, event)
    return state


def test_a_device_goes_from_listed_to_confirmed():
    happy = ["device.imported", "device.identified", "claim_code.accepted", "wifi.accepted", "connect.intended",
             "connect.accepted", "visit.ended", "device.confirmed"]  # fmt: skip

    assert walk(*happy) is State.CONFIRMED


def test_doubt_begins_at_the_intention_to_connect_not_at_its_answer():
    before = walk("device.imported", "device.identified", "wifi.accepted")

    assert after(before, "connect.intended") is State.CONNECTING
    assert after(State.CONNECTING, "connect.unanswered") is State.CONNECTING
    assert after(State.CONNECTING, "visit.ended") is State.CONNECTING


def test_a_visit_that_ends_before_connecting_leaves_the_device_to_the_next_visit():
    for state in (State.IDENTIFIED, State.CLAIM_CODE_SET, State.CONFIGURED):
        assert after(state, "visit.ended") is State.IMPORTED


@pytest.mark.parametrize("state", [State.LISTED, State.IDENTIFIED, State.CONFIRMED, State.REFUSED])
def test_an_event_that_is_not_in_the_row_raises(state):
    with pytest.raises(ImpossibleEvent):
        after(state, "connect.accepted")


def test_a_confirmed_device_stays_confirmed_whatever_is_seen_of_it():
    for event in NEXT[State.CONFIRMED]:
        assert after(State.CONFIRMED, event) is State.CONFIRMED
    with pytest.raises(ImpossibleEvent):
        after(State.CONFIRMED, "device.failed")


def test_only_the_confirmers_record_and_a_carried_proof_lead_to_confirmed():
    leading = {event for row in NEXT.values() for event, to in row.items() if to is State.CONFIRMED}

    assert leading - set(NEXT[State.CONFIRMED]) == {"device.carried"}
    assert "claim_code.accepted" not in NEXT[State.CONFIRMED]


def test_every_state_can_be_reached_and_every_ended_state_has_an_outcome():
    reached = {State.LISTED} | {to for row in NEXT.values() for to in row.values()}

    assert reached == set(State) == set(NEXT)
    assert set(OUTCOME) == {State.CONFIRMED, State.REFUSED, State.FAILED, State.UNKNOWN, State.SKIPPED}


def test_nothing_is_confirmed_in_the_middle_of_a_visit():
    for state in (State.LISTED, State.IDENTIFIED, State.CLAIM_CODE_SET, State.CONFIGURED, State.REFUSED):
        with pytest.raises(ImpossibleEvent):
            after(state, "device.confirmed")


def test_the_picture_shows_every_edge_of_the_way():
    drawn = "\n".join(picture())
    stays = ("connect.accepted", "connect.unanswered", "device.failed", "device.unknown", "device.skipped")

    assert all(event in drawn for event in MOVING_EVENTS if event not in stays)
    assert "connecting --> confirmed: device.confirmed" in drawn
