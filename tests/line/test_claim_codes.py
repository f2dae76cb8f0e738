"""Claim codes: how many lie ready and for whom, how old they get, and what happens when none can be made."""

from collections import Counter

import pytest
import trio
from stages import ScriptedCloud, listed, manifest_of

from provisioner.errors import ClaimCodeUnavailable, CloudUnreachable, PermissionRefused
from provisioner.line.claim_codes import ClaimCodes
from provisioner.line.hold import LineHold
from provisioner.line.ledger import Ledger
from provisioner.line.uplink import Uplink

AGE_MAX_S = 2700.0


class Stock:
    def __init__(self, journal, nursery, owners, *, each_max=2, ready_max=32, started=True):
        self.devices = [listed(n + 1, owner=owner) for n, owner in enumerate(owners)]
        self.journal, self.nursery = journal, nursery
        self.ledger = Ledger(manifest_of(*self.devices), account=None, visits_max=3)
        journal.subscribe(self.ledger.see)
        self.cloud, self.uplink, self.hold = ScriptedCloud(), Uplink(), LineHold(journal, same_fault_holds_at=3)
        self.suspended_s = 0.0
        self.codes = ClaimCodes(
            self.cloud.make,
            self.ledger,
            self.uplink,
            self.hold,
            each_max=each_max,
            ready_max=ready_max,
            age_max_s=AGE_MAX_S,
            clock=lambda: trio.current_time() + self.suspended_s,
            give_up_s=600,
        )
        if started:
            nursery.start_soon(self.codes.keep_stocked)

    def tell(self, event, device, **fields):
        self.journal.append(event, tray=device.tray, slot=device.slot, device=device.id, **fields)

    def end(self, device):
        """The device wants no code any more."""
        self.tell("device.skipped", device)

    @property
    def made(self):
        return Counter(self.cloud.made)


@pytest.fixture
def stock(journal, nursery):
    return lambda *owners, **how: Stock(journal, nursery, owners, **how)


async def test_no_code_is_ever_handed_out_twice(stock, autojump_clock):
    stock = stock(*["a"] * 30)
    codes = [(await stock.codes.take("a", wait_s=5)).reveal() for _ in range(20)]

    assert len(set(codes)) == 20


async def test_every_owner_gets_one_before_any_gets_a_second(stock, autojump_clock):
    stock = stock(*"aaabbbccc")
    await trio.sleep(10)

    assert sorted(stock.cloud.made[:3]) == ["a", "b", "c"]
    assert stock.made == {"a": 2, "b": 2, "c": 2}


async def test_no_owner_gets_more_codes_than_devices_that_want_one(stock, autojump_clock):
    stock = stock("a", "b", "b", each_max=5)
    await trio.sleep(10)

    assert stock.made == {"a": 1, "b": 2}


async def test_no_more_lie_ready_than_the_limit_but_for_what_was_asked_for(stock, autojump_clock):
    stock = stock(*"abcdefgh", ready_max=3)
    await trio.sleep(100)
    assert stock.made.total() == 3
    (missing, *_) = [owner for owner in "abcdefgh" if owner not in stock.made]

    with trio.fail_after(1):
        await stock.codes.take(missing, wait_s=5)
    await trio.sleep(100)

    assert stock.made.total() == 4


async def test_a_station_whose_board_has_its_code_gets_the_next_when_that_visit_is_over(stock, autojump_clock):
    """F2: a crash loses one code for each station, not two."""
    stock = stock("a", "a", "a", each_max=1)
    with stock.codes.expected("a") as claimant:
        await claimant.take(wait_s=5)
        await trio.sleep(100)
        assert stock.made == {"a": 1}
    await trio.sleep(1)

    assert stock.made == {"a": 2}


async def test_when_the_run_ends_only_who_is_on_a_station_gets_a_code(stock, autojump_clock):
    """F3: a stop makes no codes that nobody will use."""
    stock = stock(*"aab", started=False)
    stock.codes.lay_in_no_more()
    stock.nursery.start_soon(stock.codes.keep_stocked)
    await trio.sleep(100)
    assert not stock.made

    await stock.codes.take("b", wait_s=5)
    await trio.sleep(100)

    assert stock.made == {"b": 1}


async def test_who_is_asked_for_comes_first(stock, autojump_clock):
    stock = stock(*"abcdefgh", started=False)
    stock.nursery.start_soon(lambda: stock.codes.take("h", wait_s=5))
    await trio.sleep(0.01)
    stock.nursery.start_soon(stock.codes.keep_stocked)
    await trio.sleep(0.15)

    assert stock.cloud.made == ["h"]


async def test_a_code_that_grew_old_is_dropped_and_replaced(stock, autojump_clock):
    """F13. Also when the computer slept: the age is counted by a clock that goes on in suspend."""
    stock = stock("a")
    await trio.sleep(1)
    stock.suspended_s = 3660

    code = await stock.codes.take("a", wait_s=5)

    assert code.reveal().endswith("2")
    assert stock.made == {"a": 2}


@pytest.mark.parametrize(("age_s", "fresh"), [(AGE_MAX_S - 0.5, True), (AGE_MAX_S, False)])
async def test_a_code_is_never_handed_out_at_its_limit(stock, autojump_clock, age_s, fresh):
    """F13."""
    stock = stock("a", started=False)
    stock.cloud.make_s = 0
    with trio.move_on_after(0.1):
        await stock.codes.keep_stocked()
    assert stock.codes.oldest_age_s() == pytest.approx(0.1)
    stock.suspended_s = age_s - trio.current_time()

    if fresh:
        await stock.codes.take("a", wait_s=1)
    else:
        with pytest.raises(ClaimCodeUnavailable):
            await stock.codes.take("a", wait_s=1)


async def test_a_code_is_as_old_as_its_request(stock, autojump_clock):
    """F13."""
    stock = stock("a")
    stock.cloud.make_s = 20
    await trio.sleep(25)

    assert stock.codes.oldest_age_s() == pytest.approx(25)


async def test_taking_waits_no_longer_than_it_may(stock, autojump_clock):
    stock = stock("a")
    stock.cloud.make_s = 1000
    with pytest.raises(ClaimCodeUnavailable):
        await stock.codes.take("a", wait_s=5)

    assert trio.current_time() == 5


async def test_demand_that_is_gone_makes_no_more_codes(stock, autojump_clock):
    stock = stock("a", "b")
    await trio.sleep(1)
    for device in stock.devices:
        stock.end(device)
    stock.suspended_s = AGE_MAX_S
    await trio.sleep(1000)

    assert stock.made == {"a": 1, "b": 1}


async def test_a_fault_holds_the_line_and_nothing_is_made_until_the_cloud_answers(stock, autojump_clock):
    stock = stock("a")
    stock.cloud.faults["make"] = [CloudUnreachable("no route")]
    await trio.sleep(300)
    assert isinstance(stock.hold.reason, CloudUnreachable)
    assert stock.cloud.made == []

    stock.hold.release()
    await trio.sleep(1)

    assert stock.made == {"a": 1}


async def test_a_fault_that_only_codes_meet_is_asked_more_and_more_seldom_and_then_for_a_person(stock, autojump_clock):
    """The cloud answers every other question, so the hold ends by itself each time."""
    stock = stock("a")
    tries = []
    make_s = stock.cloud.make_s
    stock.cloud.faults["make"] = [CloudUnreachable("no") for _ in range(1000)]
    while not stock.hold.for_good and trio.current_time() < 3000:
        await trio.sleep(0.1)
        stock.hold.release()
        left = len(stock.cloud.faults["make"])
        if not tries or tries[-1] != left:
            tries.append(left)

    assert stock.hold.for_good
    assert 600 < trio.current_time() < 700
    assert 20 < len(tries) < 40, make_s


async def test_faults_that_are_far_apart_are_not_one_long_fault(stock, autojump_clock):
    stock = stock("a", "a", each_max=1)
    for _ in range(2):
        stock.cloud.faults["make"] = [CloudUnreachable("no")]
        await trio.sleep(2)
        stock.hold.release()
        await stock.codes.take("a", wait_s=60)
        await trio.sleep(1000)

    assert not stock.hold.for_good


async def test_no_right_to_make_codes_needs_a_person_at_once(stock, autojump_clock):
    stock = stock("a")
    stock.cloud.faults["make"] = [PermissionRefused("no", status=403, reason="no")]
    await trio.sleep(1)

    assert stock.hold.for_good


async def test_nothing_is_made_while_the_uplink_is_away(stock, autojump_clock):
    stock = stock("a")
    async with stock.uplink.away():
        await trio.sleep(100)
        assert stock.cloud.made == []
    await trio.sleep(1)

    assert stock.made == {"a": 1}


async def test_stocked_returns_when_every_wanted_code_lies_ready(stock, autojump_clock):
    stock = stock("a", "a", "b", each_max=8)
    with trio.fail_after(2):
        await stock.codes.stocked(for_s=0)

    assert stock.made == {"a": 2, "b": 1}


async def test_stocked_waits_for_codes_that_last(stock, autojump_clock):
    """F13: one that would grow old while the only radio joins its first board is replaced before it leaves."""
    stock = stock("a", each_max=1)
    await trio.sleep(AGE_MAX_S - 20)
    await stock.codes.stocked(for_s=25)

    assert stock.made == {"a": 2}
    assert stock.codes.oldest_age_s() < 1


async def test_stocked_returns_when_nobody_wants_the_missing_code_any_more(stock, autojump_clock):
    stock = stock("a")
    stock.hold.report(CloudUnreachable("no route"))
    with trio.fail_after(10):
        stock.nursery.start_soon(_end_later, stock)
        await stock.codes.stocked(for_s=0)


async def _end_later(stock):
    await trio.sleep(2)
    stock.end(stock.devices[0])
