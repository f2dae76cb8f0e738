"""Holding the line: which faults hold it, for how long, and what goes on meanwhile."""

from datetime import UTC, datetime

import pytest
import trio

from provisioner.errors import CloudUnreachable, CredentialsRefused, WifiCredentialsRejected
from provisioner.journal.writer import open_journal
from provisioner.line.hold import LineHold
from provisioner.model import DeviceID

IDS = [DeviceID.parse(f"{number:024x}") for number in range(5)]


@pytest.fixture
def events():
    return []


@pytest.fixture
def hold(tmp_path, events):
    with open_journal(tmp_path, "20261120T060000Z-0000", wall=lambda: datetime.now(UTC), mono=lambda: 0.0) as journal:
        journal.subscribe(lambda record: events.append(record.event))
        yield LineHold(journal, same_fault_holds_at=3)


async def is_open(wait):
    with trio.move_on_after(1) as scope:
        await wait()
    return not scope.cancelled_caught


async def test_a_cloud_that_is_away_holds_everything_until_it_answers(hold, events, autojump_clock):
    """F6."""
    hold.report(CloudUnreachable("no route"))
    assert not await is_open(hold.wait_open)
    assert not await is_open(hold.wait_cloud_open)

    hold.release()

    assert await is_open(hold.wait_open)
    assert await is_open(hold.wait_cloud_open)
    assert events == []  # one lost answer: nobody needs to hear of it


async def test_a_hold_that_a_first_question_confirms_is_said_once_and_so_is_its_end(hold, events, autojump_clock):
    hold.report(CloudUnreachable("no route"))
    hold.announce()
    hold.announce()
    hold.release()

    assert events == ["line.held", "line.released"]


async def test_refused_credentials_hold_for_good(hold, autojump_clock):
    """F12."""
    hold.report(CredentialsRefused("no"))
    hold.release()

    assert hold.for_good
    assert not await is_open(hold.wait_open)


async def test_three_different_boards_with_one_site_fault_in_a_row_hold_the_line(hold, autojump_clock):
    """F24."""
    for device in (IDS[0], IDS[0], IDS[1]):
        hold.device_met(WifiCredentialsRejected("back"), device)
    assert await is_open(hold.wait_open)

    hold.device_met(WifiCredentialsRejected("back"), IDS[2])

    assert not await is_open(hold.wait_open)
    assert hold.for_good


async def test_boards_already_told_to_connect_are_confirmed_while_the_factory_network_holds_the_line(
    hold, autojump_clock
):
    """F24."""
    for device in IDS[:3]:
        hold.device_met(WifiCredentialsRejected("back"), device)

    assert not await is_open(hold.wait_open)
    assert await is_open(hold.wait_cloud_open)


async def test_a_proven_board_breaks_the_row(hold, autojump_clock):
    """F24."""
    hold.device_met(WifiCredentialsRejected("back"), IDS[0])
    hold.device_met(WifiCredentialsRejected("back"), IDS[1])
    hold.device_passed()
    hold.device_met(WifiCredentialsRejected("back"), IDS[2])

    assert await is_open(hold.wait_open)


async def test_the_first_reason_is_kept_and_said_once(hold, events, autojump_clock):
    hold.report(CloudUnreachable("first"))
    hold.report(CloudUnreachable("second"))
    hold.announce()

    assert events == ["line.held"]
    assert hold.reason is not None
    assert hold.reason.detail == "first"


async def test_a_fault_that_needs_a_person_overrides_one_that_passes(hold, events, autojump_clock):
    hold.report(CloudUnreachable("first"))
    hold.announce()
    hold.report(CredentialsRefused("second"))

    assert hold.for_good
    assert events == ["line.held", "line.held"]
