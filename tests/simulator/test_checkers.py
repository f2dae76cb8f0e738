"""Each invariant sees it when it is broken: a checker that never complains would be worth nothing."""

from dataclasses import replace

import pytest

from provisioner.journal.fields import Record
from provisioner.model import DeviceID, Outcome
from provisioner.simulator.checkers import Truth, check_all
from provisioner.simulator.clock import EPOCH, SimClock
from provisioner.simulator.cloud.sim_cloud import SimCloud, What
from provisioner.simulator.faults import Dice, Faults
from provisioner.simulator.photon.history import Event, Experience

A, B, STRANGER = (f"3b002100174735323634303{n}" for n in (1, 2, 3))
OWNER = "line3@example.com"


class Story:
    """A run in which everything is as it should be, to be broken in one place."""

    def __init__(self):
        self.cloud = SimCloud(clock=SimClock(), dice=Dice(1), faults=Faults())
        self.records, self.lived = [], []
        for device in (A, B):
            self.cloud.know_device(device, serial=device[-4:])
            self.cloud.put_in_product(device)
            self.cloud.set_owner(device, OWNER)
            for event, act, code in (
                ("claim_code.intended", Event.CLAIM_CODE_SET, f"code of {device}"),
                ("wifi.intended", Event.CONFIGURED, ""),
                ("connect.intended", Event.CONNECT, ""),
            ):
                self.say(event, device)
                self.live(device, act, code)
            self.live(device, Event.ONLINE)
            self.say("device.confirmed", device, outcome=Outcome.PASS)
        self.say("run.finished", counts={"pass": 2, "fail": 0})

    def say(self, event, device=None, *, outcome=None, **extra):
        self.records.append(
            Record(seq=len(self.records), at=EPOCH, mono_ms=0, run="r", event=event,
                   device=DeviceID(device) if device else None, outcome=outcome, extra=extra)
        )  # fmt: skip

    def live(self, device, event, detail=""):
        self.lived.append(Experience(float(len(self.lived)), device, event, "02:00:00:00:00:01", detail=detail))

    def wrong(self, **changes):
        return check_all(
            replace(
                Truth(self.records, self.lived, self.cloud, {A: OWNER, B: OWNER}, visited={A, B}),
                **changes,
            )
        )


@pytest.fixture
def story(autojump_clock):
    return Story


async def test_a_good_run_has_nothing_wrong(story):
    assert story().wrong() == []


async def test_histories_may_be_iterators(story):
    """They are read once, so a spool on disk will do."""
    told = story()

    assert told.wrong(records=iter(told.records), photons=iter(told.lived)) == []


async def test_confirmed_and_not_in_the_product(story):
    told = story()
    told.cloud.fleet.leave(told.cloud.find_device(A))

    assert told.wrong() == [f"{A} is confirmed and not in the product"]


@pytest.mark.parametrize("owner", [None, "somebody@example.com"])
async def test_confirmed_and_not_owned_as_wanted(story, owner):
    told = story()
    told.cloud.set_owner(A, owner)

    (sentence,) = told.wrong()
    assert sentence.startswith(f"{A} is confirmed for {OWNER} and owned by")


async def test_confirmed_and_never_online_since(story):
    told = story()
    told.lived = [e for e in told.lived if (e.device_id, e.event) != (A, Event.ONLINE)]
    told.lived.insert(0, Experience(-5.0, A, Event.ONLINE, ""))  # before it was told to connect

    assert told.wrong() == [f"{A} is confirmed and was never online after being told to connect"]


async def test_what_an_earlier_run_has_confirmed_must_be_true_as_well(story):
    told = story()
    told.records = [r._replace(event="device.carried") if r.event == "device.confirmed" else r for r in told.records]
    told.cloud.set_owner(A, None)

    assert len(told.wrong()) == 1


@pytest.mark.parametrize("act", [Event.CLAIM_CODE_SET, Event.CONFIGURED, Event.CONNECT])
async def test_a_write_to_a_stranger(story, act):
    told = story()
    told.live(STRANGER, act, "another code")

    assert f"stranger {STRANGER} was written to: {act}" in told.wrong()


async def test_one_claim_code_on_two_devices(story):
    told = story()
    told.say("claim_code.intended", B)
    told.records.append(told.records.pop(-2))  # run.finished stays last
    told.live(B, Event.CLAIM_CODE_SET, f"code of {A}")

    assert told.wrong() == [f"claim code code of {A} was given to ['{A}', '{B}']"]


async def test_a_take_over_without_leave(story):
    told = story()
    told.cloud.history.note(What.TAKEN_OVER, device=A, before="somebody@example.com")

    assert told.wrong() == [f"{A} was taken from somebody@example.com"]
    assert told.wrong(takeover_allowed={A}) == []


async def test_a_listed_device_without_an_outcome(story):
    told = story()
    told.records = [r for r in told.records if (r.event, r.device) != ("device.confirmed", A)]

    assert f"{A} has no outcome" in told.wrong()


async def test_sums_that_do_not_match(story):
    told = story()
    told.records[-1] = told.records[-1]._replace(extra={"counts": {"pass": 1, "fail": 1}})

    assert told.wrong() == ["run.finished says {'pass': 1, 'fail': 1}, the records give {'pass': 2}"]


async def test_a_journal_that_does_not_end(story):
    told = story()
    told.records.pop()

    assert told.wrong() == ["the journal does not end with run.finished"]


@pytest.mark.parametrize("act", [Event.CLAIM_CODE_SET, Event.CONFIGURED, Event.CONNECT])
async def test_an_act_that_was_not_intended(story, act):
    told = story()
    told.live(A, act, f"code of {A}")

    assert told.wrong() == [f"{A}: {act} 2 times, intended 1 times"]


async def test_too_many_requests_and_a_lock_out(story):
    told = story()
    told.cloud.limits.requests.peak = told.cloud.limits.requests.limit
    told.cloud.history.note(What.LOCKED_OUT)

    assert told.wrong() == ["10000 requests in five minutes: the limit was reached", "the site was locked out"]
