"""F9 at the confirmer: answers that come twice, late, out of order or from a copy that is behind decide nothing."""

from dataclasses import replace

import pytest
import trio
from stages import OWNER, cloud_time, id_of

from provisioner.errors import NotInCloud
from provisioner.line.air import CameBack
from provisioner.line.newest import RecentPage

BEHIND_S = 30


def behind(desk, device, *, reads):
    """The next so many reads of this device come from a copy that has not heard of its connection yet."""
    read = desk.confirmer._read

    async def stale(wanted):
        nonlocal reads
        seen = await read(wanted)
        if wanted.id != device.id or not reads:
            return seen
        reads -= 1
        return replace(seen, online=False, owner=None, last_handshake_at=None)

    desk.confirmer._read = stale


async def seen_online_without_its_owner(desk):
    (device,) = desk.line.devices
    await desk.add(device)
    desk.online(device, owner=None)
    await trio.sleep(3)
    assert desk.asked(device)
    return device


@pytest.mark.parametrize("reads", [1, 1000])
async def test_f9_a_stale_read_after_a_newer_one_takes_nothing_back(desk, autojump_clock, reads):
    """F9: that it was online without an owner stands, however long the copy stays behind."""
    desk = desk()
    device = await seen_online_without_its_owner(desk)
    behind(desk, device, reads=reads)
    await desk.confirmer.wait_empty()

    assert desk.end(device) == ("failed", "not_claimed")
    (failed,) = desk.line.named("device.failed")
    assert failed.evidence["last_handshake_at"] is not None


async def test_f9_stale_reads_before_the_newer_one_fail_nobody(desk, autojump_clock):
    """F9: the owner shows in the end, and that is what counts."""
    desk = desk()
    device = await seen_online_without_its_owner(desk)
    behind(desk, device, reads=3)
    desk.online(device)
    await desk.confirmer.wait_empty()

    assert desk.end(device) == ("confirmed", None)


async def test_f9_a_device_that_one_answer_does_not_know_any_more_is_asked_about_again(desk, autojump_clock):
    """F9: also at the end of its time."""
    desk = desk()
    device = await seen_online_without_its_owner(desk)
    await trio.sleep(desk.line.budgets.confirm_s - 4)
    desk.line.cloud.faults["read"] = [NotInCloud("not found", status=404, reason="not found")]
    await trio.sleep(2)
    desk.online(device)
    await desk.confirmer.wait_empty()

    assert desk.end(device) == ("confirmed", None)
    assert not desk.line.cloud.faults["read"]


async def test_f9_a_device_that_is_really_gone_is_named_so(desk, autojump_clock):
    """F9: two answers in a row are believed."""
    desk = desk()
    device = await seen_online_without_its_owner(desk)
    del desk.line.cloud.devices[device.id]
    await desk.confirmer.wait_empty()

    assert desk.end(device) == ("failed", "not_in_product")


WRONG_PAGES = {
    "from before": lambda rows: [replace(row, last_handshake_at=None, last_heard=None, online=False) for row in rows],
    "in no order": lambda rows: rows[::-1],
    "each row twice": lambda rows: [row for row in rows for _ in range(2)],
    "with an older row after the newer": lambda rows: [*rows, *(replace(row, last_handshake_at=None) for row in rows)],
    "empty": lambda rows: [],
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("wrong", WRONG_PAGES)
async def test_f9_wrong_pages_of_the_newest_connections_end_nobody(desk, autojump_clock, wrong, whole):
    """F9: every second page is wrong. Who connected is proven, who did not is asked by name before it is given up."""
    desk = desk(4)
    pages = 0

    async def read_recent(count):
        nonlocal pages
        pages += 1
        page = await desk.line.cloud.read_recent(count)
        return page if pages % 2 else RecentPage.of(WRONG_PAGES[wrong](list(page.devices.values())), whole=whole)

    desk.confirmer._newest._read = read_recent
    for number in range(100, 140):
        desk.line.cloud.know(id_of(number), online=True, last_handshake_at=cloud_time(-3600))
    for device in desk.line.devices:
        await desk.add(device)
    *boards, dead = desk.line.devices
    for device in boards:
        await trio.sleep(BEHIND_S / 4)
        desk.online(device, owner=None)
    await trio.sleep(5)
    for device in boards:
        desk.online(device)
    await desk.confirmer.wait_empty()

    assert {desk.end(device) for device in boards} == {("confirmed", None)}
    assert desk.end(dead) == ("unknown", "not_proven")
    assert desk.asked(dead)
    assert pages >= 2


async def test_f9_an_old_page_with_another_owner_is_not_held_against_a_board(desk, autojump_clock):
    """F9: the page shows the connection before this one, with the owner that it had then."""
    desk = desk(2)
    for device in desk.line.devices:
        await desk.add(device)
    old = {
        device.id: replace(
            desk.line.cloud.devices[device.id], owner="somebody@example.com", last_handshake_at=cloud_time(-60)
        )
        for device in desk.line.devices
    }

    async def read_recent(count):
        await trio.sleep(0.1)
        return RecentPage.of(list(old.values()), whole=True)

    desk.confirmer._newest._read = read_recent
    for device in desk.line.devices:
        desk.online(device)
    await desk.confirmer.wait_empty()

    assert {desk.end(device)[0] for device in desk.line.devices} == {"confirmed"}


async def test_f9_a_page_from_before_takes_nothing_back_either(desk, autojump_clock):
    """F9: that they were online without an owner stands when pages and reads fall behind for good."""
    desk = desk(2)
    for device in desk.line.devices:
        await desk.add(device)
        desk.online(device, owner=None)
    await trio.sleep(3)
    assert desk.line.cloud.pages
    for device in desk.line.devices:
        desk.line.cloud.change(device, online=False, last_handshake_at=cloud_time(-60))
    await desk.confirmer.wait_empty()

    assert {desk.end(device) for device in desk.line.devices} == {("failed", "not_claimed")}


@pytest.mark.parametrize("left_first", [True, False])
async def test_f9_that_a_board_is_back_said_ten_times_is_said_once_and_after_its_end_not_at_all(
    desk, autojump_clock, left_first
):
    """F9: each time it may be asked about once more, but it ends once; late news of it changes nothing."""
    desk = desk()
    (device,) = desk.line.devices
    desk.again = False
    await desk.add(device)
    await trio.sleep(20)
    for _ in range(10):
        desk.confirmer.setup_network_back(CameBack(device.id, left_first))
    await desk.confirmer.wait_empty()
    end = desk.end(device)
    asked = len(desk.asked(device))
    desk.online(device, owner=OWNER)
    for _ in range(10):
        desk.confirmer.setup_network_back(CameBack(device.id, left_first))
    await trio.sleep(100)

    assert end == ("failed", "wifi_credentials_rejected" if left_first else "connect_ignored")
    assert desk.end(device) == end
    assert len(desk.asked(device)) == asked
    assert len(desk.line.named("device.failed")) == 1
